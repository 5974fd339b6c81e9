package flow

import "tundump/decode/packet"

// What is known of a sender's window scale.
const (
	scaleUnknown = -1
	scaleNone    = -2 // one of the two SYNs had no such option, so neither end scales
)

// end is one end of a TCP connection, as far as the analysis needs it. Names
// follow RFC 9293.
type end struct {
	base    uint32 // sequence numbers are counted from here
	next    uint32 // the highest sequence number sent so far, plus one
	ackable uint32 // the highest that was sent without a gap before it, plus one
	ack     uint32 // the last acknowledgment number it sent
	window  uint16 // the last window, as it is on the wire
	scale   int8

	hasBase    bool
	hasNext    bool
	hasAckable bool
	hasWindow  bool
	said       bool // that more than ackable was acknowledged
	sentSYN    bool // its last window is that of a SYN, which is never scaled
	blind      bool // what is in flight is not known: a segment is missing
	lastFlags  Flags

	nextAt   int64  // when next grew
	ackAt    int64  // when ack was sent
	sacked   uint32 // bytes that its last segment acknowledged selectively
	acker    int64  // number of the first packet with this ack
	repeated uint32
	unacked  unacked
}

// tcp is the state of a connection; ends are in the order of the flow's key.
type tcp struct {
	ends       [2]end
	complete   Completeness
	begun      bool // its first packet was seen
	hasSYN     bool
	synAt      int64
	initialRTT int64
}

func newTCP() *tcp {
	c := new(tcp)
	c.ends[0].scale, c.ends[1].scale = scaleUnknown, scaleUnknown
	return c
}

func (c *tcp) release(p *pool) {
	c.ends[0].unacked.release(p)
	c.ends[1].unacked.release(p)
}

func (c *tcp) pair(second bool) (from, to *end) {
	if second {
		return &c.ends[1], &c.ends[0]
	}
	return &c.ends[0], &c.ends[1]
}

// reusedBy reports whether a SYN, f, begins a new connection between the same
// ports: it counts from elsewhere. If it does not, it is the same SYN again.
func (c *tcp) reusedBy(second bool, f *packet.Facts) bool {
	from, _ := c.pair(second)
	if !from.hasBase {
		return false
	}
	if f.Seq != from.base {
		return true
	}
	// What a reset that answers a SYN may have moved is as it was.
	from.next, from.hasNext = from.ackable, from.hasAckable
	return false
}

// segmentFacts is what the rules below ask about the packet.
type segmentFacts struct {
	*packet.Facts
	len   uint32
	plain bool // neither SYN nor FIN nor RST
	time  int64
}

// packet takes in a segment.
func (c *tcp) packet(p *Packet, second bool, a *Analysis, segs *pool) {
	f := p.Facts
	from, to := c.pair(second)
	if f.Flags&(packet.SYN|packet.ACK) == packet.SYN|packet.ACK && from.hasBase && f.Seq != from.base {
		a.Flags |= ReusedPorts
		from.base = f.Seq
	}
	a.Completeness = c.complete
	c.progress(f)
	if f.TCPHdrLen >= 20 && f.TCPHdrLen <= len(f.Segment) {
		s := segmentFacts{f, uint32(f.PayloadLen), f.Flags&(packet.SYN|packet.FIN|packet.RST) == 0, p.Time}
		from.setBase(to, f)
		c.judge(&s, from, to, p.Number, a)
		from.advance(&s, p.Number, a, segs)
		to.acknowledged(&s, a, segs)
		if s.len > 0 && !from.blind {
			a.InFlight = from.inFlight(segs, to.sacked, f.Flags&(packet.SYN|packet.FIN) != 0)
		}
	}
	c.handshake(f, p.Time, from, to)
	if a.Flags != 0 || a.AckOf != 0 || a.InFlight != 0 {
		a.InitialRTT = c.initialRTT
	}
	a.Base = packet.Base{Seq: from.base, Ack: to.base, WScale: uint8(max(0, from.scale))}
}

// setBase notes where numbers are counted from. Where no SYN was seen, the
// first byte that was is number 1.
func (from *end) setBase(to *end, f *packet.Facts) {
	if !from.hasBase {
		from.hasBase = true
		from.base = f.Seq
		if f.Flags&packet.SYN == 0 {
			from.base--
		}
	}
	if f.Flags&packet.ACK != 0 {
		if !to.hasBase {
			to.hasBase, to.base = true, f.Ack-1
		}
		to.blind = false
	}
}

// progress notes how complete the connection is, as tshark 4.0 does: of a
// connection's first packet only a SYN counts, and a SYN nowhere else.
func (c *tcp) progress(f *packet.Facts) {
	first := !c.begun
	c.begun = true
	if f.TCPHdrLen < 20 {
		return
	}
	data := Completeness(0)
	if f.PayloadLen > 0 {
		data = SawData
	}
	switch kind := f.Flags & (packet.SYN | packet.ACK); {
	case first && kind == packet.SYN:
		c.complete = SawSYN | data // TCP Fast Open, RFC 7413
		return
	case first:
		return
	case kind == packet.SYN|packet.ACK:
		c.complete |= SawSYNACK
	case kind == packet.ACK && data != 0:
		c.complete |= SawData
	case kind == packet.ACK:
		c.complete |= SawACK
	}
	if f.Flags&(packet.FIN|packet.ACK) == packet.FIN|packet.ACK {
		c.complete |= SawFIN
	}
	if f.Flags&packet.RST != 0 {
		c.complete |= SawRST
	}
}

// handshake notes window scales and the initial round-trip time. A scale
// counts if both SYNs offer one, RFC 7323 section 2.2.
func (c *tcp) handshake(f *packet.Facts, now int64, from, to *end) {
	if f.Flags&packet.SYN != 0 {
		if f.WScale >= 0 {
			from.scale = min(f.WScale, 14)
		}
		switch {
		case from.scale == scaleUnknown:
			from.scale, to.scale = scaleNone, scaleNone
		case f.Flags&packet.ACK != 0 && to.scale == scaleNone:
			from.scale = scaleNone
		}
		if f.Flags&packet.ACK == 0 {
			c.hasSYN, c.synAt = true, now
		}
		return
	}
	if c.initialRTT == 0 && c.hasSYN && f.Flags&packet.ACK != 0 {
		c.initialRTT = now - c.synAt
	}
}

// judge sets the flags of a segment that from sent, before it changes what is
// known of from.
func (c *tcp) judge(s *segmentFacts, from, to *end, number int64, a *Analysis) {
	expected := from.hasNext && s.Seq == from.next
	if s.len == 1 && expected && to.hasWindow && to.window == 0 {
		a.Flags |= ZeroWindowProbe
	} else {
		from.judgeSequence(s, to, expected, a)
		from.judgeAck(s, to, expected, number, a)
	}
	if s.Ack != from.ack {
		from.acker, from.repeated = number, 0
	}
	if s.Flags&packet.ACK != 0 && to.hasAckable && before(to.ackable, s.Ack) {
		to.acknowledgedUnseen(s, a)
	}
	if s.len > 0 || s.Flags&(packet.SYN|packet.FIN) != 0 {
		a.Flags |= c.repetition(s, from, to, a.Flags)
	}
}

// acknowledgedUnseen notes that more of what e sent was acknowledged than was
// seen. That is said once until e sends again. If e has repeated itself, what
// looked like duplicate acknowledgments were keep-alives, whose byte is now
// acknowledged.
func (e *end) acknowledgedUnseen(s *segmentFacts, a *Analysis) {
	switch {
	case e.repeated > 0 && before(e.next, s.Ack):
		e.repeated, e.said = 0, true
	case !e.said:
		a.Flags |= AckedUnseen
		e.ackable, e.said = e.next, before(e.next, s.Ack)
	}
}

// judgeSequence looks at what the segment sends.
func (from *end) judgeSequence(s *segmentFacts, to *end, expected bool, a *Analysis) {
	if s.Window == 0 && s.plain {
		a.Flags |= ZeroWindow
	}
	if from.hasNext && before(from.next, s.Seq) && s.Flags&packet.RST == 0 {
		a.Flags |= LostSegment
		from.blind = true
	}
	if s.len <= 1 && s.plain && from.hasNext && s.Seq == from.next-1 {
		a.Flags |= KeepAlive
	}
	if s.len == 0 && s.plain && expected && s.Window != 0 && s.Ack == from.ack && from.hasWindow && s.Window != from.window {
		a.Flags |= WindowUpdate
	}
	if s.len > 0 && s.plain && to.scale != scaleUnknown && to.hasWindow && s.Seq+s.len == to.ack+to.windowSize() {
		a.Flags |= WindowFull
	}
}

// windowSize returns the last window in bytes.
func (e *end) windowSize() uint32 {
	if e.sentSYN || e.scale < 0 {
		return uint32(e.window)
	}
	return uint32(e.window) << e.scale
}

// judgeAck looks at an acknowledgment without data whose window is as before.
func (from *end) judgeAck(s *segmentFacts, to *end, expected bool, number int64, a *Analysis) {
	if s.len > 0 || !s.plain || !expected || !from.hasWindow || s.Window != from.window {
		return
	}
	switch {
	case s.Window != 0 && s.Ack == from.ack && to.lastFlags&KeepAlive != 0:
		a.Flags |= KeepAliveAck
	case s.Window == 0 && s.Ack == from.ack && to.lastFlags&ZeroWindowProbe != 0:
		a.Flags |= ZeroWindowProbeAck
	case s.Window != 0 && s.Ack == from.ack:
		from.repeated++
		a.Flags |= DuplicateAck
		a.DupAck, a.DupAckOf = from.repeated, from.acker
	}
}

// How close together segments are that are told apart by that.
const (
	fastWithin  = 20_000_000 // ns: a fast retransmission follows the duplicate acknowledgment
	orderWithin = 3_000_000  // ns: an out-of-order segment follows the one it belongs before, if there is no round-trip time
)

// repetition tells whether a segment that sends something sends it again, and
// how.
func (c *tcp) repetition(s *segmentFacts, from, to *end, flags Flags) Flags {
	again := from.hasNext && before(s.Seq, from.next)
	if again && flags&KeepAlive != 0 {
		return 0
	}
	if s.len > 1 && s.Seq == from.next-1 {
		again = false // the first byte was a keep-alive or a window probe
	}
	segEnd := s.Seq + s.len
	if s.len > 0 && to.ack != 0 && !before(to.ack, segEnd) {
		return Spurious
	}
	if !again {
		return 0
	}
	if to.repeated >= 2 && to.ack == s.Seq && within(s.time-to.ackAt, fastWithin) {
		return FastRetransmission
	}
	limit := c.initialRTT
	if limit == 0 {
		limit = orderWithin
	}
	if s.Flags&(packet.SYN|packet.FIN) != 0 {
		segEnd++
	}
	if within(s.time-from.nextAt, limit) && segEnd != from.next {
		return OutOfOrder
	}
	return Retransmission
}

func within(d, limit int64) bool { return d >= 0 && d < limit }

// advance notes what the segment sent.
func (from *end) advance(s *segmentFacts, number int64, a *Analysis, segs *pool) {
	next := s.Seq + s.len
	if s.len > 0 || s.Flags&(packet.SYN|packet.FIN) != 0 {
		if s.Flags&(packet.SYN|packet.FIN) != 0 {
			next++
		}
		from.unacked.add(segs, segment{time: s.time, number: number, seq: s.Seq, end: next})
	}
	if a.Flags&ZeroWindowProbe == 0 {
		if !from.hasNext || before(from.next, next) {
			from.next, from.hasNext, from.nextAt = next, true, s.time
		}
		if !from.hasAckable || s.Seq == from.ackable {
			from.ackable, from.hasAckable = from.next, true
		}
	}
	from.said = false
	from.window, from.hasWindow = s.Window, true
	from.sacked = s.SACKed
	from.sentSYN = s.Flags&packet.SYN != 0
	from.ack, from.ackAt = s.Ack, s.time
	from.lastFlags = a.Flags
}

// acknowledged takes off what the segment acknowledges of what e sent.
func (e *end) acknowledged(s *segmentFacts, a *Analysis, segs *pool) {
	if m, ok := e.unacked.acknowledge(segs, s.Ack); ok {
		a.AckOf, a.AckRTT = m.number, s.time-m.time
	}
}

// inFlight returns the bytes that e sent and that were not acknowledged, not
// even selectively.
func (e *end) inFlight(segs *pool, sacked uint32, flag bool) uint32 {
	n := e.unacked.span(segs, e.base)
	if flag && n > 0 { // SYN and FIN do not count
		n--
	}
	if n >= 2_000_000_000 { // not a window: numbers that do not belong together
		return 0
	}
	return max(n, sacked) - sacked
}
