package stream

import (
	"net/netip"

	"tundump/decode"
	"tundump/decode/frame"
	"tundump/decode/packet"
	"tundump/decode/reasm"
)

// conn is a TCP connection.
type conn struct {
	key            key
	number         int64 // in order of appearance
	before, behind *conn // in the table's list

	state  phase
	tunnel uint32
	client int // which of the key's ends is, once it is a tunnel
	syn    int // which end sent SYN; -1 if that was not seen
	isn    [2]uint32
	hasISN [2]bool
	opened int64 // time of its first packet
	used   int64 // time of its last packet
	fin    int   // which end sent FIN first; -1 for none
	ends   [2]*end
	log    []entry // what came so far of a candidate
}

type phase uint8

const (
	candidate phase = iota // may become a tunnel
	open                   // is a tunnel
	over                   // was one or was none; what still comes for it is ignored
)

// end is what one end of a connection sends.
type end struct {
	stream reasm.Stream
	scan   frame.Scanner

	// buf is the bytes that no event has told yet: of a tunnel, the beginning
	// of a record or of bytes that are none; of a candidate all that came.
	buf    []byte
	offset int64 // of the next byte to be told
	skip   int64 // bytes that still belong to a record whose beginning was lost
	inside bool  // the bytes before are missing, and nobody said so yet
	odd    int   // segments in a row that lie far from where the stream stands
	probed int   // of a candidate: scan has looked at buf up to there
	barren bool  // of a candidate: its bytes are not kept, because no record was in them
	ended  bool  // HalfClosed was told
}

// entry is a piece of a candidate's stream, in the order of arrival.
type entry struct {
	side int
	kind reasm.Kind
	n    int64
	time int64
}

const (
	// maxPlain and maxProbe are how much of a direction is looked at before it
	// is given up: seen from its beginning, which is no record's, and any
	// other, of which a whole record must be seen.
	maxPlain = 32 << 10
	maxProbe = 2 * frame.MaxLen
	// maxEntries bounds a candidate's log.
	maxEntries = 8192
	// reuseAfter is when what comes for a connection that is over belongs to
	// a new one whose SYN was not captured.
	reuseAfter = 60e9
	// oddSegments in a row make a stream go on where they lie.
	oddSegments = 4
	// recordHead is a length field and a magic.
	recordHead = frame.HeaderLen + len(magic)
	magic      = "bplist0"
)

func (c *conn) addr(side int) netip.AddrPort {
	if side == 0 {
		return c.key.a
	}
	return c.key.b
}

// end returns the end, which may be new.
func (f *Finder) end(c *conn, side int) *end {
	if c.ends[side] == nil {
		c.ends[side] = &end{stream: reasm.Stream{Memory: &f.table.reasm}}
	}
	return c.ends[side]
}

// release gives back what c holds.
func (c *conn) release(t *table) {
	for i, e := range c.ends {
		if e != nil {
			e.stream.Close()
			t.hold(e, nil)
			c.ends[i] = nil
		}
	}
	t.held -= cap(c.log) * entrySize
	c.log = nil
}

const entrySize = 32

// hold makes b the end's buffer, and keeps count of what is held.
func (t *table) hold(e *end, b []byte) {
	t.held += cap(b) - cap(e.buf)
	e.buf = b
}

// segment takes the TCP segment that f.facts describe.
func (f *Finder) segment(time int64) {
	p := &f.facts
	f.stats.TCP++
	if !f.wanted(p.SrcPort, p.DstPort) {
		if p.Flags&(packet.SYN|packet.ACK) == packet.SYN {
			f.opened(p.DstPort)
		}
		return
	}
	src, dst := netip.AddrPortFrom(p.Src, p.SrcPort), netip.AddrPortFrom(p.Dst, p.DstPort)
	k, side := keyOf(src, dst)
	c := f.table.get(k)
	if c != nil && f.reused(c, side, time) {
		f.finish(c)
		f.table.remove(c)
		c = nil
	}
	if c == nil {
		if c = f.appear(k, side, time); c == nil {
			return
		}
	}
	c.used = time
	f.table.touch(c)
	if c.state != over {
		f.take(c, side, time)
	}
	f.enforce(c)
}

// reused reports whether the segment belongs to a new connection between the
// same ports.
func (f *Finder) reused(c *conn, side int, time int64) bool {
	p := &f.facts
	switch p.Flags & (packet.SYN | packet.ACK) {
	case packet.SYN:
		if c.hasISN[side] {
			return c.isn[side] != p.Seq
		}
		if e := c.ends[side]; e != nil && e.stream.Started() && e.stream.Joined() {
			return e.stream.Offset() > 0
		}
		return c.state == over
	}
	return c.state == over && time-c.used > reuseAfter && p.PayloadLen > 0
}

// appear makes a connection of its first packet, if that is worth it.
func (f *Finder) appear(k key, side int, time int64) *conn {
	p := &f.facts
	if p.Flags&packet.SYN == 0 && p.PayloadLen == 0 {
		return nil
	}
	c := &conn{key: k, syn: -1, fin: -1, opened: time}
	switch p.Flags & (packet.SYN | packet.ACK) {
	case packet.SYN:
		f.opened(p.DstPort)
	case packet.SYN | packet.ACK:
		f.opened(p.SrcPort)
	default:
		f.opened(min(p.SrcPort, p.DstPort))
	}
	f.table.add(c)
	return c
}

// take works through one segment of a connection that is not over. What it
// acknowledges came before it.
func (f *Finder) take(c *conn, side int, time int64) {
	p := &f.facts
	e, other := f.end(c, side), f.end(c, 1-side)
	syn := p.Flags&packet.SYN != 0
	if syn {
		f.handshake(c, side)
	}
	if p.Flags&packet.ACK != 0 && p.Flags&packet.RST == 0 {
		if syn {
			other.stream.Begins(p.Ack)
		}
		other.stream.Acked(p.Ack)
		if other.stream.Waiting() && !f.drain(c, 1-side, time) {
			return
		}
	}
	if p.Flags&packet.RST != 0 {
		if e.stream.Near(p.Seq) {
			f.reset(c, side, time)
		}
		return
	}
	seg := reasm.Segment{
		Seq: p.Seq, SYN: syn, FIN: p.Flags&packet.FIN != 0, PSH: p.Flags&packet.PSH != 0,
		Data: p.Payload, Len: f.payloadLen(),
	}
	v := e.stream.Add(&seg)
	if v&reasm.Unbelieved != 0 && len(seg.Data) > 0 {
		if e.odd++; e.odd < oddSegments {
			return
		}
		e.stream.Jump(p.Seq)
		if !f.drain(c, side, time) {
			return
		}
		v = e.stream.Add(&seg)
	}
	if len(seg.Data) > 0 {
		e.odd = 0
	}
	if v&reasm.Conflict != 0 {
		f.stats.Conflicts++
	}
	f.drain(c, side, time)
}

// payloadLen is how many bytes of payload the segment had on the wire.
func (f *Finder) payloadLen() int {
	p := &f.facts
	if p.Problem == packet.ProblemCut {
		return max(0, p.TotalLen-p.HdrLen-p.TCPHdrLen)
	}
	return p.PayloadLen
}

func (f *Finder) handshake(c *conn, side int) {
	p := &f.facts
	c.isn[side], c.hasISN[side] = p.Seq, true
	if c.syn < 0 {
		c.syn = side
		if p.Flags&packet.ACK != 0 {
			c.syn = 1 - side
		}
	}
}

// drain takes what a stream has put in order. It reports false if that ended
// the connection.
func (f *Finder) drain(c *conn, side int, time int64) bool {
	e := c.ends[side]
	for {
		p, ok := e.stream.Next()
		if !ok {
			return true
		}
		if c.state == candidate {
			f.probe(c, side, &p, time)
		} else {
			f.piece(c, side, &p, time)
		}
		if c.state == over {
			return false
		}
	}
}

// flush takes all that a connection still holds, as nothing will come for it.
func (f *Finder) flush(c *conn) {
	for side, e := range c.ends {
		if e != nil && c.state != over {
			e.stream.Flush()
			f.drain(c, side, c.used)
		}
	}
}

// finish is the end of the capture for c.
func (f *Finder) finish(c *conn) {
	f.flush(c)
	if c.state == candidate {
		f.lastChance(c)
	}
	if c.state == open {
		f.cutAll(c, c.used)
	}
	f.close(c)
}

// close forgets what c holds. Its addresses stay, so that what comes late for
// it is not taken for another connection.
func (f *Finder) close(c *conn) {
	c.release(&f.table)
	f.table.move(c, over)
}

// reset ends a connection by RST.
func (f *Finder) reset(c *conn, side int, time int64) {
	f.flush(c)
	if c.state == candidate {
		f.lastChance(c)
	}
	if c.state == open {
		f.cutAll(c, time)
		f.tell(c, side, decode.Reset, time, "RST")
		f.tell(c, side, decode.Closed, time, "RST")
	}
	f.close(c)
}

// enforce keeps to the limits, at the cost of c last.
func (f *Finder) enforce(c *conn) {
	t := &f.table
	for len(t.conns) > f.opt.Connections {
		old := t.oldest()
		if old.state == open {
			f.stats.Evicted++
		}
		f.finish(old)
		t.remove(old)
	}
	for t.held > t.budget && t.idle[candidate].first != nil {
		f.decide(t.idle[candidate].first)
	}
	if t.held > t.budget && c.state == open {
		f.cutAll(c, c.used)
	}
}

// decide ends a candidate's time: it is a tunnel now, or forgotten.
func (f *Finder) decide(c *conn) {
	f.lastChance(c)
	if c.state == candidate {
		f.close(c)
	}
}
