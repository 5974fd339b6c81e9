package flow

import (
	"tundump/decode/packet"
	"tundump/decode/reasm"
)

// Chunk is what a flow goes on with: bytes that one side sent, or the lack of
// them.
type Chunk struct {
	Side   uint8  // who sent it; 0 is who sent the flow's first packet
	Number int64  // of the packet that completed it
	Time   int64  // of that packet, in nanoseconds since the Unix epoch
	Offset int64  // of its first byte in what the side sent
	Data   []byte // valid until the next call of a method of the Follower
	Gap    int64  // so many bytes were not captured; then there is no Data
}

// Follower puts together what the two sides of one flow said, in the order in
// which it could be known: Wireshark's Follow Stream. The packets are those of
// one flow of a [Table], in order. Retransmitted bytes come once, those out of
// order in order, and a gap is given up when the other side acknowledges what
// is behind it. Datagrams are chunks each. The zero value is ready.
type Follower struct {
	// Memory, if not nil, bounds what this and other followers hold of what
	// came out of order. It must not change.
	Memory *reasm.Memory

	sides [2]reasm.Stream
	began [2]bool
	sent  [2]int64
	last  Chunk // number and time of the last packet
}

// Packet takes the flow's next packet, of which a says who sent it, and calls
// use for each chunk that it completes.
func (f *Follower) Packet(p Packet, a *Analysis, use func(*Chunk)) {
	side := a.Side & 1
	f.last.Number, f.last.Time = p.Number, p.Time
	if p.Facts.Transport == packet.UDP {
		f.chunk(side, p.Facts.Payload, use)
		return
	}
	if p.Facts.Transport != packet.TCP || !p.Facts.L4Complete {
		return
	}
	f.segment(p.Facts, side, use)
}

func (f *Follower) segment(p *packet.Facts, side uint8, use func(*Chunk)) {
	if p.Flags&packet.ACK != 0 {
		// An acknowledgment may be captured before what it acknowledges: it
		// says that something is missing only of what waits for it by then,
		// and only if it covers some of that.
		f.side(1 - side).AckedHeld(p.Ack - 1)
		f.take(1-side, use)
	}
	s := f.side(side)
	size := p.PayloadLen
	if whole := p.TotalLen - p.HdrLen - p.TCPHdrLen; p.FragOffset == 0 && !p.MF && whole > size && p.TCPHdrLen >= 20 {
		size = whole // it was cut
	}
	if !f.began[side] && (size > 0 || p.Flags&packet.SYN != 0) {
		f.began[side] = true
		if p.Flags&packet.SYN == 0 { // met in its middle: this is where it begins
			s.Begins(p.Seq)
		}
	}
	s.Add(&reasm.Segment{
		Seq: p.Seq, SYN: p.Flags&packet.SYN != 0, FIN: p.Flags&packet.FIN != 0, PSH: p.Flags&packet.PSH != 0,
		Data: p.Payload, Len: size,
	})
	f.take(side, use)
}

func (f *Follower) side(i uint8) *reasm.Stream {
	s := &f.sides[i]
	s.Memory = f.Memory
	return s
}

// take hands out what is known of a side.
func (f *Follower) take(side uint8, use func(*Chunk)) {
	s := &f.sides[side]
	for p, ok := s.Next(); ok; p, ok = s.Next() {
		switch p.Kind {
		case reasm.Data:
			f.chunk(side, p.Data, use)
		case reasm.Gap:
			f.gap(side, p.Len, use)
		}
	}
}

func (f *Follower) chunk(side uint8, b []byte, use func(*Chunk)) {
	if len(b) == 0 {
		return
	}
	c := Chunk{Side: side, Number: f.last.Number, Time: f.last.Time, Offset: f.sent[side], Data: b}
	f.sent[side] += int64(len(b))
	use(&c)
}

func (f *Follower) gap(side uint8, n int64, use func(*Chunk)) {
	c := Chunk{Side: side, Number: f.last.Number, Time: f.last.Time, Offset: f.sent[side], Gap: n}
	f.sent[side] += n
	use(&c)
}

// End says that no more packets will come, and calls use for what is held
// behind gaps. The follower must not be used any more.
func (f *Follower) End(use func(*Chunk)) {
	for side := range f.sides {
		s := f.side(uint8(side))
		s.Flush()
		f.take(uint8(side), use)
		s.Close()
	}
}
