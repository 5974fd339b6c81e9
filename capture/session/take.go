package session

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// maxProblems bounds how many problems are kept in all of messages whose
// problems depend on others.
const maxProblems = 1 << 18

// take keeps what a row of the pass turned out to be.
func (v *View) take(r *Row) {
	event := uint32(r.Index)
	if r.Event.Kind.Counts() {
		v.messages.push(event)
	}
	if r.checked && v.kept+len(r.Message.Problems) <= maxProblems {
		v.kept += len(r.Message.Problems)
		v.problems.put(int64(event), append([]decode.Problem(nil), r.Message.Problems...))
	}
	for i := range r.Packets {
		v.takePacket(event, r, &r.Packets[i], r.FirstPacket+int64(i))
	}
	v.findings.take(v, r)
	v.counts.take(r)
}

func (v *View) takePacket(event uint32, r *Row, p *Carried, n int64) {
	w := row{event: event, length: uint16(min(len(p.Data), longLength)), flow: noFlow}
	offset := 0
	if r.Message != nil {
		offset = r.Message.PacketSpan(p.Index).Off
		if end := offset + len(p.Data); end > len(r.Event.Raw) || &r.Event.Raw[offset] != &p.Data[0] {
			offset = maxPlace // its bytes do not lie in the record, as in an XML property list
		}
	}
	f := &p.Facts
	protocol := v.protocols.of(r.parser, f, &p.Flow)
	code, known := v.units.of(f.App, &p.Flow, v.protocols.scratch)
	v.text = p.Flow.AppendKept(v.text[:0], r.parser, f)
	if len(v.text) > 0 {
		v.keepInfo(n)
	}
	w.place = uint32(min(offset, maxPlace))<<placeShift | uint32(code)
	plain := f.Carries == packet.NotInside && !f.IsFragment() && f.Header != nil && f.Dst.IsValid()
	if !plain || !known {
		w.place |= involved
	}
	if f.Whole != nil {
		v.keepJoined(n, f.Whole)
	}
	own := w.pack(n, &p.Flow)
	in := v.inFlow(p)
	id, side, nameless := v.flows.add(n, &r.Event, in, &p.Flow, plain, protocol)
	if id >= 0 {
		w.flow = w.flow&^noFlow | uint32(id)&noFlow
	}
	if nameless {
		v.nameFlow(id, r.Event.Tunnel, in)
	}
	if own != 0 {
		v.acks.put(n, own)
	}
	if side != 0 {
		w.flags |= side1
	}
	v.packets.push(w)
}

// inFlow returns the facts of the packet whose flow p.Flow is about.
func (v *View) inFlow(p *Carried) *packet.Facts {
	f := &p.Facts
	if f.Carries == packet.Encapsulated {
		f = v.parser.Innermost(f)
		f.Len = p.Facts.Len
	}
	if p.Flow.Quoted {
		if q := v.quoted.Inside(f, 0); q != nil {
			f = q
		}
	}
	return f
}

// maxJoined bounds the bytes that are kept of datagrams that came in
// fragments: they have no place in the file.
const maxJoined = 16 << 20

// keepJoined keeps a datagram that is whole in packet n.
func (v *View) keepJoined(n int64, w *packet.Whole) {
	const piece = 64 // bytes, here and in reassembledIn
	size := len(w.Segment) + piece*len(w.Pieces)
	if v.joinedBytes+size > maxJoined {
		return
	}
	v.joinedBytes += size
	v.joined.put(n, w)
	for _, p := range w.Pieces {
		if p.Number != n {
			v.reassembledIn.put(p.Number, n)
		}
	}
}

// protocols numbers the names of the protocol column.
type protocols struct {
	names   atomic.Pointer[[]string] // by number
	number  map[string]uint8         // for the pass
	scratch []byte
}

// of returns the number of the packet's protocol, whose name is left in
// ps.scratch. For the pass.
func (ps *protocols) of(p *packet.Parser, f *packet.Facts, a *flow.Analysis) uint8 {
	ps.scratch = flow.AppendProtocol(ps.scratch[:0], p, f, a)
	if n, ok := ps.number[string(ps.scratch)]; ok {
		return n
	}
	var names []string
	if p := ps.names.Load(); p != nil {
		names = append(names, *p...)
	}
	if len(names) == math.MaxUint8 {
		return math.MaxUint8
	}
	if ps.number == nil {
		ps.number = make(map[string]uint8)
	}
	n := uint8(len(names))
	names = append(names, string(ps.scratch))
	ps.names.Store(&names)
	ps.number[names[n]] = n
	return n
}

// name returns a protocol's name, "" for one that was one too many.
func (ps *protocols) name(n uint8) string {
	if p := ps.names.Load(); p != nil && int(n) < len(*p) {
		return (*p)[n]
	}
	return ""
}

// unit is what a row says of a packet whose flow's units are put together over
// packets.
type unit struct {
	app     packet.App // of the packet
	flow    packet.App
	column  string // the protocol column
	segment flow.Segment
}

// units numbers what occurs of unit, behind the packet.App of others.
type units struct {
	known atomic.Pointer[[]unit]
}

const firstUnit = maxApp / 2

// of returns what a row has of the packet's protocol; known is false if there
// is no room for that. For the pass.
func (us *units) of(app packet.App, a *flow.Analysis, column []byte) (code uint8, known bool) {
	if a.App == packet.NoApp {
		return uint8(app) & maxApp, app < firstUnit
	}
	var list []unit
	if p := us.known.Load(); p != nil {
		list = *p
	}
	for i, u := range list {
		if u.app == app && u.flow == a.App && u.segment == a.Segment && u.column == string(column) {
			return firstUnit + uint8(i), true
		}
	}
	if firstUnit+len(list) > maxApp {
		return uint8(app), false
	}
	longer := append(slices.Clip(list), unit{app, a.App, string(column), a.Segment})
	us.known.Store(&longer)
	return firstUnit + uint8(len(list)), true
}

// get returns what of made of code.
func (us *units) get(code uint8) (u unit, followed bool) {
	if code < firstUnit {
		return unit{app: packet.App(code)}, false
	}
	if p := us.known.Load(); p != nil && int(code-firstUnit) < len(*p) {
		return (*p)[code-firstUnit], true
	}
	return unit{}, false
}

// info is the info column of packet number at+1, where the packet alone does
// not say it.
type info struct {
	at   uint32
	text uint32 // in View.texts
}

const (
	// maxTexts bounds how many different texts of info columns are kept,
	// maxInfos for how many packets: 32 MiB.
	maxTexts = 1 << 14
	maxInfos = 1 << 22
)

// keepInfo keeps v.text for packet n.
func (v *View) keepInfo(n int64) {
	k, ok := v.textOf[string(v.text)]
	if !ok {
		if v.texts.n >= maxTexts {
			return
		}
		if v.textOf == nil {
			v.textOf = make(map[string]uint32)
		}
		k = uint32(v.texts.n)
		v.texts.push(string(v.text))
		v.textOf[string(v.text)] = k
	}
	if v.infos.n-v.infos.low < maxInfos && n <= math.MaxUint32 {
		v.infos.push(info{uint32(n - 1), k})
	}
}

// info returns what was kept of the info column of the packet at pos, "" if
// nothing was.
func (s *Snapshot) info(pos int) string {
	i := s.infos.search(func(x *info) bool { return int(x.at) >= pos })
	if i == s.infos.n || int(s.infos.at(i).at) != pos {
		return ""
	}
	return *s.texts.at(int(s.infos.at(i).text))
}

// maxSparse bounds what is kept of rows that need more than a row has.
const maxSparse = 1 << 16

// sparse is what a few rows have. What there is no room for is not kept.
type sparse[T any] struct {
	mu sync.RWMutex
	m  map[int64]T
}

func (s *sparse[T]) put(n int64, v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[int64]T)
	}
	if len(s.m) < maxSparse {
		s.m[n] = v
	}
}

func (s *sparse[T]) get(n int64) (v T, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok = s.m[n]
	return v, ok
}
