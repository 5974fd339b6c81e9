package session

import (
	"context"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/packet"
)

// Selection is the rows of a list that pass a filter, as far as they have been
// found. All methods return at once and may be called from any goroutine.
type Selection struct {
	v      *View
	list   List
	ask    *asker
	cancel context.CancelFunc

	found     list[uint32] // for run
	pieces    [2][]uint32  // likewise: what the two pieces that are looked at had
	published atomic.Pointer[list[uint32]]
	done, all atomic.Int64
	err       atomic.Pointer[error]
}

// Select begins to look for the rows of l that pass f, from the oldest on, and
// goes on while the capture grows: one goroutine, and a second while there is
// much to do, which end with the capture, at the selection's Close or at the
// view's. On messages a packet field matches when any packet inside does.
func (v *View) Select(l List, f *filter.Filter) *Selection {
	ctx, cancel := context.WithCancel(v.ctx)
	s := &Selection{v: v, list: l, ask: newAsker(v, l, f), cancel: cancel}
	s.published.Store(&list[uint32]{})
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		s.fail(os.ErrClosed)
		return s
	}
	s.all.Store(int64(s.extent(v.Snapshot()).End)) // or it would seem complete until it has begun
	v.selecting++
	v.work.Add(1)
	go func() {
		defer v.work.Done()
		defer cancel()
		if err := s.run(ctx); err != nil {
			s.fail(err)
		}
		v.announce(func(*Snapshot) { v.selecting-- })
	}()
	return s
}

// Len reports how many rows have been found.
func (s *Selection) Len() int { return s.published.Load().n }

// At returns the position of row i of the selection; positions ascend. i is
// below what Len returned.
func (s *Selection) At(i int) int { return int(*s.published.Load().at(i)) }

// Progress reports how many rows have been looked at, and how many there are
// to look at so far.
func (s *Selection) Progress() (done, all int) { return int(s.done.Load()), int(s.all.Load()) }

// Err reports why it ended early, nil if it did not.
func (s *Selection) Err() error {
	if p := s.err.Load(); p != nil {
		return *p
	}
	return nil
}

// Close stops the looking and waits for nothing.
func (s *Selection) Close() { s.cancel() }

func (s *Selection) fail(err error) { s.err.Store(&err) }

// piece is how many rows are looked at in one go.
const piece = 8192

// extent returns the positions of the selection's list.
func (s *Selection) extent(snap *Snapshot) Extent {
	if s.list == Packets {
		return snap.Packets
	}
	return snap.Messages
}

func (s *Selection) run(ctx context.Context) error {
	if s.ask.way == inPass {
		return s.inPass(ctx)
	}
	pos := 0
	var announced time.Time
	for {
		snap, err := s.v.waitFor(ctx, func(snap *Snapshot) bool { return s.extent(snap).End > pos || snap.Complete })
		if err != nil {
			return err
		}
		e := s.extent(snap)
		s.all.Store(int64(e.End))
		pos = max(pos, e.First)
		s.done.Store(int64(pos))
		if pos >= e.End {
			if snap.Complete {
				return nil
			}
			continue
		}
		for pos < e.End {
			next, err := s.look(ctx, snap, pos, e.End)
			if err != nil {
				return err
			}
			pos = next
			s.done.Store(int64(pos))
			if now := time.Now(); pos < e.End && now.Sub(announced) >= publishEvery {
				announced = now
				s.v.announce(func(*Snapshot) {})
			}
		}
		s.v.announce(func(*Snapshot) {})
	}
}

// look looks at the rows from pos on, two pieces at a time, and returns
// where to go on.
func (s *Selection) look(ctx context.Context, snap *Snapshot, pos, end int) (next int, err error) {
	var errs [2]error
	var wg sync.WaitGroup
	for k := range s.pieces {
		s.pieces[k] = s.pieces[k][:0]
	}
	for k := range s.pieces {
		from := pos + k*piece
		if from >= end {
			break
		}
		next = min(from+piece, end)
		look := func(to int) { s.pieces[k], errs[k] = s.ask.between(ctx, snap, from, to, s.pieces[k]) }
		if k+1 < len(s.pieces) && next < end {
			to := next
			wg.Go(func() { look(to) })
			continue
		}
		look(next)
	}
	wg.Wait()
	for k, found := range s.pieces {
		if errs[k] != nil {
			return pos, errs[k]
		}
		for _, p := range found {
			s.found.push(p)
		}
	}
	s.show()
	return next, nil
}

// asker asks a filter of rows, in the cheapest way that can answer it.
type asker struct {
	v    *View
	list List
	flt  *filter.Filter
	way  way
	want want

	memo memo
}

// way is where the answer is found, cheapest first.
type way uint8

const (
	inFlow way = iota // the same for all packets of a flow's side
	inRow             // in what is kept of the packet
	inFile
	inPass // in a pass over everything
)

func newAsker(v *View, l List, f *filter.Filter) *asker {
	a := &asker{v: v, list: l, flt: f}
	for _, fd := range f.Fields() {
		if a.way = max(a.way, wayOf(fd)); spansPackets(fd.Name) {
			a.way = inPass
		}
		switch {
		case fd.Cost == field.FromMessage || fd.Name == "tunnel.af" || fd.Name == "tunnel.error":
			a.want |= withMessage
		case fd.NeedsFlow && fd.Type == field.Time:
			a.want |= withTimes
		}
	}
	for _, name := range f.Protocols() {
		switch name {
		case "frame", "ip", "ipv6", "tcp", "udp", "icmp", "icmpv6": // the outline has them
		default:
			if _, ok := packet.LookupApp(name); ok {
				a.way = max(a.way, inRow)
			} else {
				a.way = max(a.way, inFile)
			}
			if spansPackets(strings.TrimSuffix(name, ".")) && strings.HasSuffix(name, ".") {
				a.way = inPass // its bytes
			}
		}
	}
	if l == Messages && !f.AsksPackets() || f.Findings() {
		a.way = max(a.way, inFile)
	}
	return a
}

// wayOf says how a field's values are found. What stands in flows and rows is
// tested against the fields themselves.
func wayOf(f *field.Field) way {
	switch f.Name {
	case "ip.src", "ip.dst", "ip.addr", "ipv6.src", "ipv6.dst", "ipv6.addr",
		"tcp.srcport", "tcp.dstport", "tcp.port", "tcp.stream",
		"udp.srcport", "udp.dstport", "udp.port", "udp.stream":
		return inFlow
	case "frame.number", "tcp.completeness",
		"tcp.analysis.retransmission", "tcp.analysis.fast_retransmission", "tcp.analysis.spurious_retransmission",
		"tcp.analysis.out_of_order", "tcp.analysis.reused_ports", "tcp.analysis.lost_segment", "tcp.analysis.ack_lost_segment",
		"tcp.analysis.window_update", "tcp.analysis.window_full", "tcp.analysis.keep_alive", "tcp.analysis.keep_alive_ack",
		"tcp.analysis.duplicate_ack", "tcp.analysis.zero_window_probe", "tcp.analysis.zero_window", "tcp.analysis.zero_window_probe_ack",
		"tcp.analysis.duplicate_ack_num", "tcp.analysis.duplicate_ack_frame", "tcp.analysis.acks_frame",
		"tcp.analysis.initial_rtt", "tcp.analysis.bytes_in_flight":
		return inRow
	}
	return inFile
}

// between appends to found the positions of the rows that pass, from <=
// position < to.
func (a *asker) between(ctx context.Context, snap *Snapshot, from, to int, found []uint32) ([]uint32, error) {
	r := a.v.reader()
	defer a.v.readers.Put(r)
	r.snap = snap
	var scratch filter.Scratch
	for pos := from; pos < to && pos <= math.MaxUint32; pos++ {
		if pos%64 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		var pass bool
		var err error
		if a.list == Packets {
			pass, err = a.packet(r, pos, &scratch)
		} else {
			pass, err = a.message(r, pos, &scratch)
		}
		if err != nil {
			return nil, err
		}
		if pass {
			found = append(found, uint32(pos))
		}
	}
	return found, nil
}

// packet asks of the packet at pos.
func (a *asker) packet(r *reader, pos int, s *filter.Scratch) (bool, error) {
	at := r.snap.rows.at(pos)
	if a.way < inFile && at.flowID() != noFlow && at.place&involved == 0 {
		if pass, ok := a.fromFlow(r, pos, at, s); ok {
			return pass, nil
		}
	}
	if ok, err := r.packet(pos, a.want); !ok {
		return false, err
	}
	if a.flt.Match(&r.out.Row, s) {
		return true, nil
	}
	return a.flt.Findings() && a.packetFinding(r, s), nil
}

// fromFlow asks without the file; ok is false if the flow is not kept any
// more.
func (a *asker) fromFlow(r *reader, pos int, at *row, s *filter.Scratch) (pass, ok bool) {
	var id int64
	if a.way == inFlow && !r.v.flows.wrapped() {
		id = r.v.flows.id(at)
		if pass, ok := a.memo.recall(id, at.side()); ok {
			return pass, true
		}
	}
	r.unpack(pos, at)
	if r.state.version == 0 {
		return false, false
	}
	r.outline(pos, at)
	pass = a.flt.Match(&r.out.Row, s)
	if a.way == inFlow && !r.v.flows.wrapped() {
		a.memo.remember(id, at.side(), pass)
	}
	return pass, true
}

// outline makes r.out of what the row and its flow say of the packet at pos.
func (r *reader) outline(pos int, at *row) {
	st, f := &r.state, &r.facts
	*f = noFacts
	side := at.side()
	if f.Header = header4; st.version == 6 {
		f.Header = header6
	}
	f.Version, f.Transport = st.version, st.transport
	f.Src, f.Dst = st.address(side), st.address(1-side)
	f.SrcPort, f.DstPort = st.port[side], st.port[1-side]
	u, _ := r.v.units.get(at.unit())
	f.L4Complete, f.App = true, u.app
	r.out = Item{Row: field.Row{Event: &noEvent, Packet: f, Flow: &r.analysis, Number: int64(pos) + 1, Family: -1, Parser: r.parser}, Pos: pos}
}

// memo is what was said of flows' sides, by flow: two bits for each, asked and
// holds. It is read for each row: so reading locks nothing.
type memo struct {
	mu   sync.Mutex // of those that make it longer
	said atomic.Pointer[[]atomic.Uint32]
}

// recall returns what was said of a side of a flow; ok is false if it was not
// asked, or that is forgotten.
func (m *memo) recall(id int64, side uint8) (pass, ok bool) {
	said := m.said.Load()
	if said == nil || id < 0 || id >= int64(len(*said)) {
		return false, false
	}
	bits := (*said)[id].Load() >> (2 * side)
	return bits&2 != 0, bits&1 != 0
}

func (m *memo) remember(id int64, side uint8, pass bool) {
	bits := uint32(1)
	if pass {
		bits |= 2
	}
	said := m.said.Load()
	if said == nil || id >= int64(len(*said)) {
		said = m.grow(id)
	}
	(*said)[id].Or(bits << (2 * side))
}

// grow makes room for flow id. What is remembered in the old one meanwhile is
// lost: it is asked again.
func (m *memo) grow(id int64) *[]atomic.Uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	said := m.said.Load()
	if said != nil && id < int64(len(*said)) {
		return said
	}
	longer := make([]atomic.Uint32, max(1024, 2*id))
	if said != nil {
		for i := range *said {
			longer[i].Store((*said)[i].Load())
		}
	}
	m.said.Store(&longer)
	return &longer
}

// message asks of the message at pos: by itself if the filter is about
// messages, or it carries no packets, else of its packets.
func (a *asker) message(r *reader, pos int, s *filter.Scratch) (bool, error) {
	event := *r.snap.events.at(pos)
	aboutPackets := a.flt.AsksPackets()
	if aboutPackets || a.flt.Findings() {
		first, count := r.packetsOf(event)
		for p := first; p < first+count; p++ {
			if pass, err := a.packet(r, p, s); pass || err != nil {
				return pass, err
			}
		}
		if aboutPackets && count > 0 {
			return false, nil
		}
	}
	if ok, err := r.item(Messages, pos); !ok {
		return false, err
	}
	if a.flt.Match(&r.out.Row, s) {
		return true, nil
	}
	return a.flt.Findings() && a.messageFinding(r, s), nil
}

// messageFinding asks of what is wrong with the message in r.out.
func (a *asker) messageFinding(r *reader, s *filter.Scratch) bool {
	if r.out.Message == nil {
		return false
	}
	for i := range r.out.Message.Problems {
		f := findingOf(&r.out.Message.Problems[i])
		row := r.out.Row
		row.Problem = &f
		if a.flt.Match(&row, s) {
			return true
		}
	}
	return false
}

// packetFinding asks of what is wrong with the packet in r.out.
func (a *asker) packetFinding(r *reader, s *filter.Scratch) bool {
	f, ok := packetFinding(r.facts.Problem)
	if !ok {
		return false
	}
	row := r.out.Row
	row.Problem = &f
	return a.flt.Match(&row, s)
}

// What a row that is not read from the file has in their place.
var (
	noEvent decode.Event
	noFacts = packet.Facts{WScale: -1}
	header4 = append([]byte{0x45}, make([]byte, 19)...)
	header6 = append([]byte{0x60}, make([]byte, 39)...)
)
