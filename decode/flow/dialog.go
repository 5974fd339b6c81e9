package flow

import (
	"tundump/decode/packet"
	"tundump/decode/reasm"
)

// Segment says what part of a unit a packet carries that no unit ends in.
type Segment uint8

const (
	NoSegment     Segment = iota
	SegmentBegins         // a unit begins at its first byte, and ends in a later packet
	SegmentMiddle         // it goes on with a unit that ends in a later packet, or waits for bytes before it
)

// dialog is what two ends say to each other in a protocol above the transport
// that this package puts together: TLS, HTTP/1 or QUIC.
//
// Of a unit that spans packets only what its fields are read from is kept: a
// TLS record's header and handshake messages in the clear, an HTTP message's
// head. Of bodies only the length is counted.
type dialog struct {
	app     packet.App
	over    bool // what follows is something else: CONNECT, Upgrade
	session uint16
	sides   [2]sender
	http    *exchange
	quic    *quic
}

// sender is what one end of a TCP connection sends.
type sender struct {
	next   uint32 // sequence number behind what was read
	synced bool   // next is known
	start  uint32 // sequence number of order's first byte
	order  *reasm.Stream

	phase     phase
	began     bool            // a unit that is not whole yet began in an earlier packet
	encrypted bool            // TLS: handshake messages are
	cut       bool            // bytes of the unit were not captured
	header    [headerLen]byte // of a record whose body is not kept
	have      uint8           // bytes of header
	chunks    packet.HTTPChunks
	left      int64  // bytes of the unit still to come
	size      int64  // of the unit, as far as it is known
	buf       []byte // what is kept of the unit
	messages  []byte // TLS: what is there of a handshake message that goes on in the next record
}

const headerLen = packet.TLSHeaderLen

// phase is where in a unit a sender is.
type phase uint8

const (
	atBoundary phase = iota
	inHead           // of an HTTP message, or a TLS record's header
	inKept           // TLS: a body that is kept
	inBody           // bytes that are counted only
	inChunks
	untilClose
)

// streamed reports whether dialogs in app are followed.
func streamed(app packet.App) bool {
	return app == packet.AppTLS || app == packet.AppHTTP || app == packet.AppQUIC
}

// talk reads what the packet carries of the flow's dialog.
func (t *Table) talk(p *Packet, fl *Flow, second bool, a *Analysis) {
	f := p.Facts
	d := fl.dialog
	if d == nil {
		if !streamed(f.App) {
			fl.spoke[a.Side] = fl.spoke[a.Side] || f.PayloadLen > 0
			return
		}
		d = &dialog{app: f.App}
		fl.dialog = d
	}
	arena := p.Arena
	if arena == nil {
		arena = &t.own
		arena.Reset()
	}
	first := len(arena.pdus)
	defer func() { a.PDUs = arena.pdus[first:len(arena.pdus):len(arena.pdus)] }()
	a.App = d.app
	if f.Transport == packet.UDP {
		t.datagram(p, d, arena, a.Side)
		return
	}
	if d.over {
		return
	}
	s := &d.sides[a.Side]
	if !s.synced && f.PayloadLen > 0 {
		s.synced, s.next = true, f.Seq
		if from, _ := fl.tcp.pair(second); !fl.spoke[a.Side] && from.hasBase && f.Seq-from.base < 1<<20 {
			s.next = from.base + 1
		}
	}
	r := &t.reading
	*r = reading{t: t, d: d, s: s, p: *p, a: a, arena: arena}
	if s.synced {
		r.segment(fl, second)
	}
	*r = reading{}
}

// reading is one segment as it is read.
type reading struct {
	t *Table
	d *dialog
	s *sender
	p Packet
	a *Analysis

	arena *Arena
}

// segment puts a segment in its place and reads what follows.
func (r *reading) segment(fl *Flow, second bool) {
	f, s := r.p.Facts, r.s
	b, off := f.Payload, int32(f.Seq-s.next)
	fin := f.Flags&packet.FIN != 0
	if len(b) == 0 && !fin {
		return
	}
	if s.order == nil {
		switch {
		case off < 0 && int(-off) >= len(b):
			if fin && int(-off) == len(b) {
				r.close()
			}
			return
		case off <= 0:
			b = b[-off:]
			s.next += uint32(len(b))
			r.take(b)
			if fin {
				r.close()
			}
			return
		case off > believable:
			return
		}
		s.start = s.next
		s.order = &reasm.Stream{Memory: &r.t.held}
		s.order.Begins(s.next)
	}
	first := len(r.arena.pdus)
	_, to := fl.tcp.pair(second)
	if to.ack != 0 {
		s.order.Acked(to.ack)
	}
	s.order.Add(&reasm.Segment{Seq: f.Seq, FIN: fin, PSH: f.Flags&packet.PSH != 0, Data: b})
	for piece, ok := s.order.Next(); ok; piece, ok = s.order.Next() {
		switch piece.Kind {
		case reasm.Data:
			r.take(r.arena.copy(piece.Data))
		case reasm.Gap:
			r.gap(piece.Len)
		case reasm.Fin:
			r.close()
		}
	}
	s.next = s.start + uint32(s.order.Offset())
	if len(r.arena.pdus) == first && len(b) > 0 && off > 0 {
		r.a.Segment = SegmentMiddle
	}
	if !s.order.Waiting() {
		s.order.Close()
		s.order = nil
	}
}

// believable is how far ahead of what was read bytes are kept.
const believable = 16 << 20

// take reads bytes that are in order.
func (r *reading) take(b []byte) {
	if len(b) == 0 {
		return
	}
	s := r.s
	before, atStart := len(r.arena.pdus), s.phase == atBoundary
	if r.d.app == packet.AppTLS {
		r.tls(b)
	} else {
		r.httpBytes(b)
	}
	switch {
	case len(r.arena.pdus) > before:
		r.a.Segment = NoSegment
	case atStart:
		r.a.Segment = SegmentBegins
	default:
		r.a.Segment = SegmentMiddle
	}
	s.began = s.phase != atBoundary
}

// unit reports a unit that ends here.
func (r *reading) unit(u packet.PDU) {
	u.App, u.Session = r.d.app, r.d.session
	u.Earlier = r.s.began
	r.s.began = false
	r.arena.pdus = append(r.arena.pdus, u)
}

// lost reports bytes whose beginning is not known.
func (r *reading) lost(b []byte) {
	r.unit(packet.PDU{Kind: packet.Continuation, Len: int64(len(b)), Data: b})
	r.s.reset()
}

// reset has the next byte begin a unit.
func (s *sender) reset() {
	s.phase, s.left, s.size, s.have, s.cut = atBoundary, 0, 0, 0, false
	s.chunks = packet.HTTPChunks{}
}

// gap notes that n bytes are missing. A unit that is longer goes on.
func (r *reading) gap(n int64) {
	s := r.s
	switch {
	case s.phase == untilClose, s.phase == inChunks && s.chunks.Skip(n):
		s.size += n
	case s.phase == inBody && n < s.left:
		s.left -= n
	case s.phase == inKept && n < s.left:
		s.left -= n
		s.phase, s.cut = inBody, true
		copy(s.header[:], s.buf)
		s.have = headerLen
	default:
		r.t.give(s)
		s.reset()
		s.began = false
		if x := r.d.http; x != nil && x.asker != r.a.Side {
			x.missed()
		}
	}
	s.cut = s.cut || s.phase != atBoundary
	s.messages = s.messages[:0]
}

// close reads the end of the stream: a body that lasts until then ends.
func (r *reading) close() {
	if r.s.phase == untilClose {
		r.message(r.kept())
		r.a.Segment = NoSegment
	}
}

// kept returns what is kept of the unit, for as long as the arena says.
func (r *reading) kept() []byte { return r.arena.copy(r.s.buf) }

// keep appends b to what is kept of the unit; ok is false if there is no room
// for it.
func (t *Table) keep(buf *[]byte, b []byte) (ok bool) {
	before := cap(*buf)
	if t.kept+len(b) > t.opt.Bytes {
		t.losses.Units++
		return false
	}
	if n := len(t.spare); n > 0 && *buf == nil {
		*buf, t.spare = t.spare[n-1], t.spare[:n-1]
	}
	*buf = append(*buf, b...)
	t.kept += cap(*buf) - before
	return true
}

// give gives back what a sender keeps.
func (t *Table) give(s *sender) {
	t.kept -= cap(s.buf)
	if s.buf != nil && len(t.spare) < maxSpare && cap(s.buf) <= maxSpareBytes {
		t.spare = append(t.spare, s.buf[:0])
	}
	s.buf = nil
}

// What is kept of units is mostly given back a few packets later: maxSpare
// buffers, no larger than maxSpareBytes, are used again.
const (
	maxSpare      = 8
	maxSpareBytes = 1 << 15
)

// end gives back all that a dialog keeps.
func (t *Table) end(d *dialog) {
	if d == nil {
		return
	}
	for i := range d.sides {
		s := &d.sides[i]
		t.kept -= cap(s.buf) + cap(s.messages)
		s.buf, s.messages = nil, nil
		if s.order != nil {
			s.order.Close()
			s.order = nil
		}
		if q := d.quic; q != nil {
			q.crypto[i].Close()
			t.kept -= cap(q.messages[i])
		}
	}
}
