package tui

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// fake is a source in memory. What it shows was decoded from real bytes.
type fake struct {
	mu       sync.Mutex
	changed  chan struct{} // closed at each change
	waiting  int           // calls of Changed that wait
	snap     Snapshot
	messages []*fakeMessage
	packets  []*fakePacket
	table    *flow.Table
	parser   *packet.Parser
	sels     []*fakeSelection
	tunnels  []Tunnel
	findings []Finding
	fail     error // what Read returns
	complete bool
	slow     bool // a selection has found nothing until the next change
	pending  bool // there is one
}

type fakeMessage struct {
	ev      decode.Event
	first   int
	packets []int
}

type fakePacket struct {
	message int // -1: bare
	index   int
	ev      decode.Event
	data    []byte
	family  int64
	flow    flow.Analysis
}

func newFake(name string, live bool) *fake {
	return &fake{changed: make(chan struct{}), table: flow.New(flow.Options{}), parser: packet.NewParser(),
		snap: Snapshot{Version: 1, Name: name, Path: "/tmp/" + name, Live: live}}
}

// change announces what do does.
func (f *fake) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	f.snap.Version++
	f.snap.Messages.End, f.snap.Packets.End = len(f.messages), len(f.packets)
	for _, s := range f.sels {
		s.grow(f)
	}
	f.waiting, f.pending = 0, false
	close(f.changed)
	f.changed = make(chan struct{})
}

// add takes in an event; the caller holds the lock.
func (f *fake) add(ev decode.Event) {
	if f.snap.First == 0 {
		f.snap.First = ev.Time
	}
	f.snap.Last = ev.Time
	f.snap.Size += int64(len(ev.Raw)) + 60
	if ev.Kind == decode.Packet {
		f.addPacket(ev, -1, 0, ev.Raw, -1)
		return
	}
	ev.Number = int64(len(f.messages) + 1)
	m := &fakeMessage{ev: ev, first: len(f.packets)}
	f.messages = append(f.messages, m)
	f.snap.Bytes[ev.Dir] += int64(len(ev.Raw))
	if ev.Kind != decode.Record {
		f.snap.Problems[decode.Error]++
		return
	}
	var msg decode.Message
	_ = msg.Decode(ev) // what it has to say is in the problems
	for i := range msg.Problems {
		f.snap.Problems[msg.Problems[i].Severity]++
	}
	for i := range msg.PacketCount() {
		data, family := msg.Packet(i)
		if len(data) > 0 {
			m.packets = append(m.packets, len(f.packets))
			f.addPacket(ev, len(f.messages)-1, i, data, family)
		}
	}
}

func (f *fake) addPacket(ev decode.Event, message, index int, data []byte, family int64) {
	p := &fakePacket{message: message, index: index, ev: ev, data: data, family: family}
	var facts packet.Facts
	f.parser.Facts(data, &facts)
	f.table.Packet(flow.Packet{Tunnel: ev.Tunnel, Number: int64(len(f.packets) + 1), Time: ev.Time, Facts: &facts}, &p.flow)
	// A packet is looked at again alone.
	p.flow.Again = flow.Again{Column: string(flow.AppendProtocol(nil, f.parser, &facts, &p.flow)), Info: string(p.flow.AppendKept(nil, f.parser, &facts))}
	p.flow.PDUs = nil
	f.packets = append(f.packets, p)
}

func (f *fake) Snapshot() *Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.snap
	return &s
}

func (f *fake) Changed(ctx context.Context, version uint64) (*Snapshot, error) {
	f.mu.Lock()
	if f.snap.Version == version && f.complete && !f.pending {
		f.mu.Unlock()
		return nil, io.EOF
	}
	for f.snap.Version == version {
		ch := f.changed
		f.waiting++
		f.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
		}
		f.mu.Lock()
		if ctx.Err() != nil {
			if ch == f.changed {
				f.waiting--
			}
			f.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	s := f.snap
	f.mu.Unlock()
	return &s, nil
}

func (f *fake) row(l List, pos int, parser *packet.Parser) *Row {
	r := &Row{Pos: pos, MessagePos: -1}
	if l == Messages {
		if pos < 0 || pos >= len(f.messages) {
			return nil
		}
		m := f.messages[pos]
		ev := m.ev
		r.Event, r.MessagePos, r.FirstPacket, r.PacketCount = &ev, pos, m.first, len(m.packets)
		r.Message = decoded(ev)
		return r
	}
	if pos < 0 || pos >= len(f.packets) {
		return nil
	}
	p := f.packets[pos]
	ev, facts, analysis := p.ev, packet.Facts{}, p.flow
	parser.Facts(p.data, &facts)
	r.MessagePos = p.message
	r.Row = field.Row{Event: &ev, Message: decoded(ev), Packet: &facts, Flow: &analysis, Data: p.data, Number: int64(pos + 1), Index: p.index, Family: p.family, Parser: parser}
	return r
}

func decoded(ev decode.Event) *decode.Message {
	if ev.Kind != decode.Record {
		return nil
	}
	var m decode.Message
	_ = m.Decode(ev)
	return &m
}

func (f *fake) Read(ctx context.Context, l List, positions []int, visit func(*Row) bool) error {
	parser := packet.NewParser()
	for _, pos := range positions {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.mu.Lock()
		r, fail := f.row(l, pos, parser), f.fail
		f.mu.Unlock()
		if fail != nil {
			return fail
		}
		if r != nil && !visit(r) {
			return nil
		}
	}
	return nil
}

func (f *fake) Locate(_ context.Context, l List, p Place) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.messages)
	if l == Packets {
		n = len(f.packets)
	}
	if n == 0 {
		return 0, ErrGone
	}
	for i := range n {
		var t int64
		if l == Messages {
			t = f.messages[i].ev.Time
		} else {
			t = f.packets[i].ev.Time
		}
		if p.Number != 0 && int64(i+1) >= p.Number || p.Number == 0 && t >= p.Time {
			return i, nil
		}
	}
	return n - 1, nil
}

type fakeSelection struct {
	l      List
	filter *filter.Filter
	mu     sync.Mutex
	rows   []int
	done   int
	all    int
	closed bool
}

func (f *fake) Select(l List, x *filter.Filter) Selection {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &fakeSelection{l: l, filter: x, all: []Extent{Messages: f.snap.Messages, Packets: f.snap.Packets}[l].End}
	if f.pending = f.slow; !f.slow {
		s.grow(f)
	}
	f.sels = append(f.sels, s)
	return s
}

// grow looks at what is new; the caller holds f's lock.
func (s *fakeSelection) grow(f *fake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var scratch filter.Scratch
	parser := packet.NewParser()
	for ; !s.closed; s.done++ {
		r := f.row(s.l, s.done, parser)
		if r == nil {
			return
		}
		ok := s.filter.Match(&r.Row, &scratch)
		if s.l == Messages {
			for _, p := range f.messages[s.done].packets {
				ok = ok || s.filter.Match(&f.row(Packets, p, parser).Row, &scratch)
			}
		}
		if ok {
			s.rows = append(s.rows, s.done)
		}
	}
}

func (s *fakeSelection) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows)
}

func (s *fakeSelection) At(i int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[i]
}

func (s *fakeSelection) Progress() (done, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done, max(s.done, s.all)
}

func (s *fakeSelection) Err() error { return nil }

func (s *fakeSelection) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (f *fake) Flows(context.Context) ([]Flow, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Flow
	for fl := range f.table.Flows() {
		out = append(out, Flow{Tunnel: fl.Tunnel, Proto: fl.Proto, Stream: fl.Stream, Addr: fl.Addr, Count: fl.Count,
			Name: f.table.Name(fl.Tunnel, fl.Addr[1].Addr()), InitialRTT: fl.InitialRTT(), Completeness: fl.Completeness(), Rate: []int64{1, 5, 2, 9, 0, 3}})
	}
	return out, nil
}

func (f *fake) Tunnels(context.Context) ([]Tunnel, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Tunnel(nil), f.tunnels...), nil
}

func (f *fake) Findings(context.Context) ([]Finding, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Finding(nil), f.findings...), nil
}

func (f *fake) Stats(context.Context) (*Stats, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &Stats{Start: f.snap.First, Step: 1e9, StreamBytes: f.snap.Bytes[0] + f.snap.Bytes[1], PayloadBytes: f.snap.Bytes[0],
		PerMessage: []Bar{{"1", 61}, {"2", 15}, {"3-8", 0}, {"9-32", 24}},
		Talkers:    []Talker{{Addr: netip.MustParseAddr("93.184.216.34"), Name: "example.org", Packets: [2]int64{3, 4}, Bytes: [2]int64{3000, 4000}}},
		Hierarchy:  []Share{{"ip", 0, 30, 5000}, {"tcp", 1, 20, 4000}, {"udp", 1, 10, 1000}, {"dns", 2, 10, 1000}},
		Lines:      []Fact{{"write waits", "none"}}}
	for i := range 30 {
		s.BytesSeries[0] = append(s.BytesSeries[0], int64(i*i%17*100))
		s.BytesSeries[1] = append(s.BytesSeries[1], int64(i*7%23*900))
	}
	return s, nil
}

// fakeFollower gives the payloads of a flow's packets in their order.
type fakeFollower struct {
	f      *fake
	s      Stream
	at     int
	closed bool
}

func (f *fake) Follow(s Stream) Follower { return &fakeFollower{f: f, s: s} }

func (x *fakeFollower) Next(context.Context) ([]Chunk, error) {
	f := x.f
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Chunk
	parser := packet.NewParser()
	for ; x.s.Kind <= UDPStream && x.at < len(f.packets); x.at++ {
		r := f.row(Packets, x.at, parser)
		if r.Flow.Stream == x.s.ID && len(r.Packet.Payload) > 0 && (r.Flow.Proto == packet.TCP) == (x.s.Kind == TCPStream) {
			out = append(out, Chunk{Side: r.Flow.Side, Time: r.Event.Time, Data: append([]byte(nil), r.Packet.Payload...), List: Packets, Pos: x.at})
		}
	}
	for ; x.s.Kind >= ConnectionStream && x.at < len(f.messages); x.at++ {
		m := f.messages[x.at]
		out = append(out, Chunk{Side: uint8(m.ev.Dir), Time: m.ev.Time, Data: append([]byte(nil), m.ev.Raw...), Missing: gapLen(m.ev), Pos: x.at})
	}
	if f.complete {
		return out, io.EOF
	}
	return out, nil
}

func gapLen(ev decode.Event) int64 {
	if ev.Kind == decode.Gap {
		return ev.Detail.Len
	}
	return 0
}

func (x *fakeFollower) Close() { x.closed = true }

var _ Source = (*fake)(nil)

func small(t testing.TB, live bool) *fake {
	t.Helper()
	f := newFake("session.pcapng", live)
	traffic(f)
	return f
}
