package reasm

// Stream is one direction of a TCP connection. The zero value is one of which
// nothing is known, with the default limits.
type Stream struct {
	// Memory, if not nil, is shared with other streams. It must not change.
	Memory *Memory

	own    Memory
	state  state
	joined bool // it was met in its middle
	flush  bool // nothing is waited for any more
	hasFin bool // fin is known
	ended  bool // Fin was handed out
	hasAck bool // acked is known
	early  bool // ackSeq is known, and the stream is not
	jumps  bool // jump is to be given up

	// Positions are offsets in the stream. While it is being joined, offset 0
	// is the first byte that came, and bytes before it have negative ones.
	base   uint32 // sequence number of offset 0
	ackSeq uint32 // sequence number that the receiver waits for
	next   int64  // the next byte to hand out
	acked  int64  // up to there the receiver has everything
	fin    int64
	jump   int64 // bytes to give up behind what is held

	now  []byte // what follows next, in the segment that was added last
	held []span // sorted, apart, behind next
	cost int    // of held, in bytes
	out  []byte // a buffer that was handed out, to be used again

	past past
}

// span is a copy of bytes that cannot be handed out yet.
type span struct {
	off int64
	b   []byte
}

func (s *span) end() int64 { return s.off + int64(len(s.b)) }

type state uint8

const (
	unknown state = iota // no segment came
	joining              // it was met in its middle, and may begin earlier
	running
)

// Started reports whether anything is known of the stream.
func (s *Stream) Started() bool { return s.state != unknown }

// Joined reports whether the stream was met in its middle, so that its offset
// 0 is not the byte after SYN.
func (s *Stream) Joined() bool { return s.joined }

// Offset is where the next piece begins.
func (s *Stream) Offset() int64 { return max(0, s.next) }

// Ended reports whether Fin was handed out.
func (s *Stream) Ended() bool { return s.ended }

// Waiting reports whether bytes or a FIN came that cannot be handed out
// because others before them are missing.
func (s *Stream) Waiting() bool { return len(s.held) > 0 || s.hasFin && !s.ended }

// Near reports whether seq is within 16 MiB of where the stream stands, or
// nothing is known of it: a RST that is farther away was made up.
func (s *Stream) Near(seq uint32) bool {
	const near = 16 << 20
	d := distance(seq, s.seq(s.next))
	return s.state == unknown || -near < d && d < near
}

// Begins says that the first byte of a stream has sequence number seq. The
// acknowledgement in the other direction's SYN says so even if this one's SYN
// was not captured.
func (s *Stream) Begins(seq uint32) {
	switch s.state {
	case unknown:
		s.know(seq, running)
	case joining:
		if d := distance(seq, s.base); len(s.held) == 0 || d <= s.held[0].off {
			s.settle(d)
			s.joined = false
		}
	}
}

// distance is how far b is behind a on the circle of sequence numbers:
// negative if it is before it.
func distance(a, b uint32) int64 { return int64(int32(a - b)) }

// know sets the sequence number of offset 0.
func (s *Stream) know(base uint32, st state) {
	s.base, s.state = base, st
	if s.early {
		s.early = false
		s.Acked(s.ackSeq)
	}
}

// Acked says that the receiver has acknowledged all before seq. What is a GiB
// or more away from where the stream stands is not believed.
func (s *Stream) Acked(seq uint32) {
	if s.state == unknown {
		if !s.early || distance(seq, s.ackSeq) > 0 {
			s.ackSeq, s.early = seq, true
		}
		return
	}
	ack := s.next + distance(seq, s.seq(s.next))
	if ack > s.next+believable || ack < s.next-believable || s.hasAck && ack <= s.acked {
		return
	}
	s.acked, s.hasAck = ack, true
}

// AckedHeld is Acked of what is held by now, where an acknowledgment may have
// been captured before what it acknowledges: of what comes later it says
// nothing.
func (s *Stream) AckedHeld(seq uint32) {
	if !s.Waiting() {
		return
	}
	s.Acked(seq)
	end := s.fin
	if n := len(s.held); n > 0 {
		end = max(s.held[n-1].end(), s.next)
	}
	s.acked = min(s.acked, end)
}

func (s *Stream) seq(offset int64) uint32 { return s.base + uint32(offset) }

// Flush says that nothing more will come that could fill a gap: the capture
// ends, or the connection was reset. Everything held can be taken with Next
// then, the gaps between it included.
func (s *Stream) Flush() {
	if s.state == joining {
		s.settle(s.earliest())
	}
	s.flush = true
}

// Jump says that the stream goes on at seq, however far away that is.
// Everything held has to be taken with Next, and then a gap, before the next
// segment is added. It does nothing at a stream that has ended.
func (s *Stream) Jump(seq uint32) {
	if s.ended {
		return
	}
	s.Flush()
	end := s.next
	if n := len(s.held); n > 0 {
		end = s.held[n-1].end()
	}
	s.jump, s.jumps = int64(seq-s.seq(end)), true
	s.hasFin, s.hasAck = false, false
}

// Close gives back the memory that the stream holds. It must not be used any
// more.
func (s *Stream) Close() {
	s.drop(len(s.held))
	s.past.close(s.memory())
	s.held, s.now, s.out = nil, nil, nil
}

func (s *Stream) memory() *Memory {
	if s.Memory != nil {
		return s.Memory
	}
	return &s.own
}

// settle ends joining: the stream begins at offset origin.
func (s *Stream) settle(origin int64) {
	s.state = running
	s.base += uint32(origin)
	s.fin -= origin
	s.acked -= origin
	for i := range s.held {
		s.held[i].off -= origin
	}
}

// earliest is where the stream that is being joined begins, as far as one can
// know.
func (s *Stream) earliest() int64 {
	if len(s.held) > 0 {
		return s.held[0].off
	}
	return 0
}

// Next takes the next piece; ok is false when there is none yet.
func (s *Stream) Next() (p Piece, ok bool) {
	if s.state == joining {
		if !s.joins() {
			return Piece{}, false
		}
		s.settle(s.earliest())
	}
	switch {
	case s.ended || s.state == unknown:
		return Piece{}, false
	case len(s.now) > 0:
		b := s.now
		s.now = nil
		return s.data(b), true
	case len(s.held) > 0 && s.held[0].off == s.next:
		return s.data(s.take()), true
	case len(s.held) > 0:
		if s.givesUp(s.held[0].off) {
			return s.gap(s.held[0].off - s.next), true
		}
	case s.jumps:
		s.jumps, s.flush = false, false
		return s.gap(s.jump), s.jump > 0
	case s.hasFin && s.fin > s.next:
		if s.givesUp(s.fin) {
			return s.gap(s.fin - s.next), true
		}
	case s.hasFin:
		s.ended = true
		return Piece{Kind: Fin, Offset: s.next}, true
	}
	return Piece{}, false
}

func (s *Stream) data(b []byte) Piece {
	p := Piece{Kind: Data, Offset: s.next, Len: int64(len(b)), Data: b}
	s.past.add(s.memory(), s.next, b)
	s.next += p.Len
	return p
}

func (s *Stream) gap(n int64) Piece {
	p := Piece{Kind: Gap, Offset: s.next, Len: n}
	s.next += n
	s.past.forget(s.next)
	return p
}

// joins reports whether nothing can come any more that is earlier than what is
// held: the receiver acknowledged some of it, so it has all before, or enough
// came that order is sure to have been restored.
func (s *Stream) joins() bool {
	if len(s.held) == 0 {
		return s.hasFin
	}
	return s.hasAck && s.acked > s.held[0].off || s.cost > joinBytes || s.full()
}

// givesUp reports whether the bytes before offset to will not come any more.
func (s *Stream) givesUp(to int64) bool {
	return s.flush || s.hasAck && s.acked >= to || s.full()
}

func (s *Stream) full() bool {
	m := s.memory()
	return s.cost > m.stream() || len(s.held) > maxHoles || s.cost > 0 && m.used > m.total()
}

// take takes the first of the held spans, whose memory is then free for use
// after the next call.
func (s *Stream) take() []byte {
	b := s.held[0].b
	s.drop(1)
	if cap(b) <= maxCopy {
		s.out = b
	}
	return b
}

// drop forgets the first n held spans.
func (s *Stream) drop(n int) {
	for i := range s.held[:n] {
		s.charge(-cap(s.held[i].b) - spanCost)
	}
	k := copy(s.held, s.held[n:])
	clear(s.held[k:])
	s.held = s.held[:k]
}

func (s *Stream) charge(n int) {
	s.cost += n
	s.memory().used += n
}
