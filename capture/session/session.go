// Package session is the analysis of a capture: one pass over a store that
// joins events, messages and packets, the same code while the capture is
// being written and afterwards. Text, JSON and screens all read its rows.
//
//	s := session.New(st)
//	for {
//		row, err := s.Next(ctx)
//		if err == io.EOF {
//			return nil // the capture is complete
//		} else if err != nil {
//			return err
//		}
//		use(row)
//		for i := range row.Packets {
//			use(row.PacketRow(i))
//		}
//	}
//
// A session belongs to one goroutine. [Session.Summary] may be asked by any,
// at any time: it returns what one row left behind, never half of the next.
package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Session is one pass over a store.
type Session struct {
	store     *store.Store
	reader    *store.Reader
	next      int
	row       Row
	tunnels   map[uint32]*Tunnel
	message   decode.Message
	parser    *packet.Parser
	follow    flow.Options
	flows     *flow.Table
	fragments packet.Datagrams
	units     flow.Arena // of the row's packets
	codes     []decode.Code

	sum       Summary
	published atomic.Pointer[Summary]
}

// New returns a session that begins at the store's oldest row.
func New(st *store.Store) *Session {
	s := &Session{store: st, reader: st.Reader(), next: st.First(), tunnels: make(map[uint32]*Tunnel), parser: packet.NewParser(), flows: flow.New(flow.Options{})}
	s.published.Store(&Summary{})
	return s
}

// DecodeAs says what certain ports carry, whatever is usual. It is for before
// the first row.
func (s *Session) DecodeAs(as map[packet.Port]packet.App) { s.parser.DecodeAs = as }

// ForgetIdle has flows be forgotten that had no packet for so long: a live
// session has no end, and most of its flows do not say that they ended. It is
// for before the first row.
func (s *Session) ForgetIdle(after time.Duration) {
	s.follow.Idle = after.Nanoseconds()
	s.flows = flow.New(s.follow)
}

// Follow says how far flows are followed; without it, all the way. Fields that
// need more are not what they would be then. It is for before the first row.
func (s *Session) Follow(d flow.Depth) {
	s.follow.Depth = d
	s.flows = flow.New(s.follow)
}

// Tunnel is what is known of one tunnel so far.
type Tunnel struct {
	Number    uint32
	Opened    int64         // when, in nanoseconds since the Unix epoch; of the first event if its opening was not seen
	Addresses decode.Detail // Client, Listener and Upstream
	Refused   bool          // the upstream could not be reached
	Messages  int64
	Bytes     [2]int64 // by direction, on the tunnel's stream
	Packets   [2]int64 // by direction

	conns decode.Connections
}

// Row is one event and what it turned out to be. It is valid until the next
// call of Next.
type Row struct {
	Index       int // in the store
	Event       decode.Event
	Message     *decode.Message // of a record, as far as it could be decoded; else nil
	Tunnel      *Tunnel
	FirstPacket int64 // number of the first of Packets in the capture, from 1
	Packets     []Carried

	parser  *packet.Parser
	fields  field.Row
	checked bool // the problems are not what Decode alone says
}

// Carried is one inner packet of a message.
type Carried struct {
	Index  int   // in the message's array, from 0
	Family int64 // from protocols, -1 if none
	Data   []byte
	Facts  packet.Facts
	Flow   flow.Analysis
}

// keepRows is how many packets' facts are kept room for.
const keepRows = 1024

// maxTunnels bounds how many tunnels are followed; what was said of those that
// are forgotten first stays said.
const maxTunnels = 100_000

// Next waits for the next row and returns it. The error is io.EOF when the
// capture is complete, and ctx's when that is done first. Rows that a limited
// capture has given up before they were read are passed over and counted in
// the summary.
func (s *Session) Next(ctx context.Context) (*Row, error) {
	for {
		if _, err := s.store.Wait(ctx, s.next); err != nil {
			s.publish()
			return nil, err
		}
		i := s.next
		s.next++
		ev, err := s.reader.At(i)
		if errors.Is(err, store.ErrGone) {
			first := max(s.store.First(), s.next)
			s.sum.Missed += int64(first - i)
			s.next = first
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("session: row %d: %w", i, err)
		}
		s.take(i, ev)
		if s.next >= s.store.Len() {
			s.publish()
		}
		return &s.row, nil
	}
}

// take analyses event i.
func (s *Session) take(i int, ev decode.Event) {
	if len(s.row.Packets) > keepRows {
		s.row.Packets = nil
	}
	s.row = Row{Index: i, Event: ev, Packets: s.row.Packets[:0], parser: s.parser, FirstPacket: s.sum.Packets[0] + s.sum.Packets[1] + 1}
	s.units.Reset()
	t := s.tunnel(ev)
	s.row.Tunnel = t
	switch ev.Kind {
	case decode.Opened:
		s.opened(t, &ev)
	case decode.Record:
		s.record(t)
	case decode.Packet:
		s.carry(0, -1, ev.Raw)
	case decode.Refused:
		t.Refused = true
	case decode.Closed:
		delete(s.tunnels, ev.Tunnel)
	}
	if ev.Kind.Counts() {
		t.Messages++
		t.Bytes[ev.Dir] += int64(len(ev.Raw))
	}
	t.Packets[ev.Dir] += int64(len(s.row.Packets))
	s.sum.add(&s.row)
	s.sum.Flows = s.flows.Losses().Flows
}

// opened takes in what an Opened event says, and what it says again in the
// later files of a capture.
func (s *Session) opened(t *Tunnel, ev *decode.Event) {
	if ev.Detail == nil {
		t.Opened = ev.Time
		return
	}
	t.Addresses, t.Opened = *ev.Detail, ev.Time
	if since := ev.Detail.Since; since != 0 {
		t.Opened = since
	}
}

func (s *Session) tunnel(ev decode.Event) *Tunnel {
	t := s.tunnels[ev.Tunnel]
	if t == nil {
		if len(s.tunnels) >= maxTunnels {
			clear(s.tunnels)
		}
		t = &Tunnel{Number: ev.Tunnel, Opened: ev.Time}
		t.conns.Midstream = ev.Kind != decode.Opened || ev.Detail != nil && ev.Detail.Since != 0
		s.tunnels[ev.Tunnel] = t
		if ev.Tunnel != 0 { // else it is a packet without one
			s.sum.Tunnels++
		}
	}
	return t
}

func (s *Session) record(t *Tunnel) {
	m := &s.message
	s.row.Message = m
	if err := m.Decode(s.row.Event); err != nil {
		return // m.Problems says why
	}
	if s.row.Event.Flags&decode.Dropped == 0 { // the receiver never saw it
		s.check(t, m)
	}
	for i := range m.PacketCount() {
		if pkt, family := m.Packet(i); len(pkt) > 0 {
			s.carry(i, family, pkt)
		}
	}
}

// check has the tunnel's connections look at m, and notes whether that changed
// what is wrong with it.
func (s *Session) check(t *Tunnel, m *decode.Message) {
	s.codes = s.codes[:0]
	for i := range m.Problems {
		s.codes = append(s.codes, m.Problems[i].Code)
	}
	t.conns.Check(m)
	s.row.checked = !slices.EqualFunc(m.Problems, s.codes, func(p decode.Problem, c decode.Code) bool { return p.Code == c })
}

func (s *Session) carry(i int, family int64, pkt []byte) {
	n := len(s.row.Packets)
	s.row.Packets = slices.Grow(s.row.Packets, 1)[:n+1]
	p := &s.row.Packets[n]
	p.Index, p.Family, p.Data = i, family, pkt
	s.parser.Facts(pkt, &p.Facts)
	if p.Facts.IsFragment() {
		if whole := s.fragments.Add(s.row.Event.Tunnel, s.row.FirstPacket+int64(n), &p.Facts); whole != nil {
			s.parser.Join(&p.Facts, whole)
		}
	}
	if s.follow.Depth == flow.Alone {
		p.Flow = flow.Analysis{}
		return
	}
	s.flows.Packet(flow.Packet{Tunnel: s.row.Event.Tunnel, Number: s.row.FirstPacket + int64(n), Time: s.row.Event.Time, Facts: &p.Facts, Arena: &s.units}, &p.Flow)
	if p.Facts.Carries != packet.Encapsulated { // else the flow is that of a packet inside
		p.Facts.App = p.Flow.AppOf(&p.Facts)
	}
}

// Flows returns the flows that the pass follows. It is for the goroutine that
// calls Next.
func (s *Session) Flows() *flow.Table { return s.flows }

// MessageRow returns the row's fields. It is valid until the next call of a
// method of r.
func (r *Row) MessageRow() *field.Row {
	r.fields = field.Row{Event: &r.Event, Message: r.Message, Parser: r.parser}
	return &r.fields
}

// PacketRow returns the fields of r.Packets[i]. It is valid until the next
// call of a method of r.
func (r *Row) PacketRow(i int) *field.Row {
	p := &r.Packets[i]
	r.fields = field.Row{Event: &r.Event, Message: r.Message, Parser: r.parser,
		Packet: &p.Facts, Flow: &p.Flow, Data: p.Data, Number: r.FirstPacket + int64(i), Index: p.Index, Family: p.Family}
	return &r.fields
}

// Summary is what a pass has seen so far.
type Summary struct {
	Rows     int64
	Tunnels  int64
	Messages int64
	Packets  [2]int64 // by direction
	Bytes    [2]int64 // by direction, on the tunnels' streams
	Unframed int64    // bytes that were no records
	Problems [3]int64 // by severity: note, warning, error
	Missed   int64    // rows that were gone before they were read
	Flows    int64    // flows that were forgotten to keep memory bounded
	First    int64    // time of the first event, in nanoseconds since the Unix epoch
	Last     int64
}

// Duration is the time between the first event and the last.
func (s *Summary) Duration() time.Duration { return time.Duration(s.Last - s.First) }

func (s *Summary) add(r *Row) {
	ev := &r.Event
	if s.Rows++; s.Rows == 1 {
		s.First = ev.Time
	}
	s.Last = max(s.Last, ev.Time)
	if ev.Kind.Counts() {
		s.Messages++
		s.Bytes[ev.Dir] += int64(len(ev.Raw))
	}
	if ev.Kind == decode.Unframed {
		s.Unframed += int64(len(ev.Raw))
	}
	s.Packets[ev.Dir] += int64(len(r.Packets))
	if r.Message != nil {
		for i := range r.Message.Problems {
			s.Problems[r.Message.Problems[i].Severity]++
		}
	}
	for i := range r.Packets {
		if r.Packets[i].Facts.Problem != packet.NoProblem {
			s.Problems[decode.Warning]++
		}
	}
}

// Summary returns what the pass had seen when it last caught up with the
// store, or ended.
func (s *Session) Summary() Summary { return *s.published.Load() }

// Seen returns what the pass has seen up to the last row. Unlike Summary it is
// for the goroutine that calls Next.
func (s *Session) Seen() Summary { return s.sum }

func (s *Session) publish() {
	sum := s.sum
	s.published.Store(&sum)
}
