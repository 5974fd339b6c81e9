package reasm

import (
	"bytes"
	"slices"
	"sort"
)

// Add takes a segment. Its bytes are used until the next call of Add, so take
// all pieces before that; what cannot be handed out yet is copied. RST is the
// caller's: see [Stream.Flush].
//
// It does not allocate for bytes that are in order.
func (s *Stream) Add(seg *Segment) Verdict {
	s.keepNow()
	data := seg.Data
	size := int64(max(len(data), seg.Len))
	seq := seg.Seq
	if seg.SYN {
		seq++
		s.Begins(seq)
		if seq != s.base {
			return OtherStream
		}
	}
	if s.state == unknown {
		if size == 0 && !seg.FIN || keepAliveLike(seg, size) {
			return 0
		}
		s.joined = true
		s.know(seq, joining)
	}
	off := s.next + distance(seq, s.seq(s.next))
	if off > s.next+believable || off < s.next-believable {
		return Unbelieved
	}
	if keepAliveLike(seg, size) && s.hasAck && off < s.acked {
		return KeepAlive
	}
	v := s.finish(seg, off+size)
	if s.hasFin && off+int64(len(data)) > s.fin {
		v |= BeyondFin
		data = data[:max(0, s.fin-off)]
	}
	return v | s.insert(off, data)
}

// keepNow makes a copy of bytes that were not taken after the last Add.
func (s *Stream) keepNow() {
	if len(s.now) > 0 {
		b := s.now
		s.now = nil
		s.hold(0, s.next, b)
	}
}

// keepAliveLike reports whether a segment may be a probe of a connection that
// is idle: one byte, before the end of what was sent, and nobody pushes it.
//
// Source: RFC 9293, section 3.8.4.
func keepAliveLike(seg *Segment, size int64) bool {
	return size == 1 && !seg.PSH && !seg.FIN && !seg.SYN
}

// finish takes note of where the stream ends, if the segment, which ends at
// end, says so in a place where it can be.
func (s *Stream) finish(seg *Segment, end int64) Verdict {
	if !seg.FIN || s.hasFin {
		return 0
	}
	if n := len(s.held); n > 0 && end < s.held[n-1].end() || s.state == running && end < s.next {
		return Repeated
	}
	s.fin, s.hasFin = end, true
	return 0
}

// insert takes the bytes at off that are new.
func (s *Stream) insert(off int64, b []byte) Verdict {
	var v Verdict
	if s.state == running && off < s.next {
		n := min(int64(len(b)), s.next-off)
		if n > 0 {
			v |= Repeated
			if s.past.differs(off, b[:n]) {
				v |= Conflict
			}
		}
		off, b = off+n, b[n:]
		if off < s.next {
			return v
		}
	}
	if len(b) == 0 {
		return v
	}
	inOrder := s.state == running && off == s.next
	if inOrder && len(s.held) == 0 {
		s.now = b
		return v
	}
	if !inOrder && s.state == running {
		v |= OutOfOrder
	}
	return v | s.weave(off, b, inOrder)
}

// weave takes what lies between the held spans. inOrder says that off is
// where the stream goes on.
func (s *Stream) weave(off int64, b []byte, inOrder bool) Verdict {
	var v Verdict
	i := sort.Search(len(s.held), func(i int) bool { return s.held[i].end() > off })
	for len(b) > 0 {
		free := int64(len(b))
		if i < len(s.held) {
			free = min(free, s.held[i].off-off)
		}
		if free > 0 {
			if part := b[:free]; inOrder {
				s.now = part
			} else {
				i = s.hold(i, off, part)
			}
			inOrder = false
			off, b = off+free, b[free:]
			continue
		}
		h := &s.held[i]
		at := off - h.off
		n := min(int64(len(b)), h.end()-off)
		v |= Repeated
		if !bytes.Equal(h.b[at:at+n], b[:n]) {
			v |= Conflict
		}
		off, b, inOrder = off+n, b[n:], false
		i++
	}
	return v
}

// hold copies b, which lies before held span i and touches none, and returns
// the index of the span behind it.
func (s *Stream) hold(i int, off int64, b []byte) int {
	if i > 0 && s.held[i-1].end() == off && len(s.held[i-1].b)+len(b) <= maxCopy {
		h := &s.held[i-1]
		before := cap(h.b)
		h.b = append(h.b, b...)
		s.charge(cap(h.b) - before)
		return i
	}
	buf := s.out
	s.out = nil
	if cap(buf) < len(b) || cap(buf) > 4*len(b)+1024 {
		buf = make([]byte, 0, len(b))
	}
	s.held = slices.Insert(s.held, i, span{off, append(buf[:0], b...)})
	s.charge(cap(s.held[i].b) + spanCost)
	return i + 1
}
