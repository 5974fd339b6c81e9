package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Kind says what a [Span] is.
type Kind uint8

const (
	// Record is a whole record. Its payload may still be malformed: a bad
	// payload does not cost the boundary behind it.
	Record Kind = iota + 1
	// Unframed is bytes that are no record.
	Unframed
	// Cutoff is the beginning of a record whose end never came.
	Cutoff
)

// Span is what the pending bytes of a stream begin with.
type Span struct {
	Kind Kind
	Len  int    // in bytes, at least 1
	Bad  uint32 // Unframed: the length field that no record can have, where that is why; else 0
	Lost bool   // Unframed: the framing was lost at this span's first byte, not before
}

// Reason says in one line why raw, the span's bytes, is no record. It is for
// spans that have Lost set.
func (s Span) Reason(raw []byte) string {
	switch {
	case s.Bad > MaxLen:
		return fmt.Sprintf("length %d is more than %d", s.Bad, MaxLen)
	case len(raw) < HeaderLen:
		return fmt.Sprintf("%d bytes before a record", len(raw))
	}
	l := binary.LittleEndian.Uint32(raw)
	if l < HeaderLen {
		return fmt.Sprintf("length %d is less than %d", l, HeaderLen)
	}
	return fmt.Sprintf("no property list fits length %d", l)
}

// Mode says what is known about the bytes after the pending ones.
type Mode uint8

const (
	// More: more will come; wait for them where they decide.
	More Mode = iota
	// Flush: decide now whatever can be decided. A record whose end has not
	// come is still waited for, as long as it looks like one.
	Flush
	// End: nothing will come any more.
	End
)

// chunk is how long one Unframed span can be, so that a stream that is no
// SimpleTunnel at all is handed out in pieces of bounded size.
const chunk = 64 << 10

// lookahead is how far behind a record the next one shows itself: its length
// field and its magic.
const lookahead = HeaderLen + len(magic)

// Scanner cuts any stream into spans. The zero value is at a stream's
// beginning. Its state is a few numbers; the bytes are the caller's.
//
// A record is accepted when its trailer fits its length ([Fits]). Where it
// does not, the next boundary is looked for inside it: a length field and a
// magic, with a trailer where the length says. If none is found, or if another
// record follows right behind, the length is believed and the payload is
// malformed. A length from [MaxLen] to [MaxDecode] is believed only when its
// trailer has arrived, and the search runs meanwhile. All other lengths lose
// the framing, and it is found again at the first boundary behind.
//
// In mode More the spans depend on the bytes alone and not on how they were
// split into calls.
type Scanner struct {
	lost    bool // pending[0] belongs to bytes that are no record
	ongoing bool // ... and an earlier span began them
	bad     uint32
	from    int // no boundary lies before pending[from]
	need    int // no decision before that many bytes are pending
	latest  int // where the candidates that were waited for end, at the furthest
}

// Next reports what pending begins with; pending must begin where the last
// span ended. ok is false when that cannot be said yet, or when pending is
// empty. Each byte is searched once, however often Next is called.
func (s *Scanner) Next(pending []byte, mode Mode) (span Span, ok bool) {
	if len(pending) == 0 || mode == More && len(pending) < s.need {
		return Span{}, false
	}
	if !s.lost {
		span, ok = s.atBoundary(pending, mode)
		if ok || !s.lost {
			return span, ok
		}
	}
	return s.resync(pending, mode)
}

// Seek makes s look for the next record: bytes are missing before the pending
// ones, which may begin inside one. What the pending bytes began with before is
// forgotten.
func (s *Scanner) Seek() { *s = Scanner{lost: true} }

// atBoundary looks at pending as the beginning of a record. It sets lost if
// that cannot be.
func (s *Scanner) atBoundary(b []byte, mode Mode) (Span, bool) {
	if len(b) < HeaderLen {
		return s.cutoff(b, mode)
	}
	l := binary.LittleEndian.Uint32(b)
	switch {
	case l == HeaderLen:
		return s.record(HeaderLen), true
	case l < HeaderLen || l > MaxDecode:
		s.lose(l)
		return Span{}, false
	case l > MaxLen:
		return s.oversize(b, int(l), mode)
	}
	n := int(l)
	if len(b) < n {
		if mode == Flush && !promising(b[HeaderLen:]) {
			s.lose(0)
			return Span{}, false
		}
		if mode != End {
			s.need = n
			return Span{}, false
		}
		if q, found := s.boundary(b, len(b), mode); found {
			return s.unframed(q, false), true
		}
		return s.cutoff(b, mode)
	}
	if Fits(b[:n]) {
		return s.record(n), true
	}
	if mode == More && len(b) < n+lookahead {
		s.need = n + lookahead
		return Span{}, false
	}
	if startsRecord(b[n:]) {
		return s.record(n), true
	}
	q, found := s.boundary(b, min(len(b), n+lookahead-1), mode)
	switch {
	case found:
		return s.unframed(q, false), true
	case s.need > len(b) && mode == More:
		return Span{}, false
	}
	return s.record(n), true
}

// oversize handles a length that the genuine ends refuse. It is believed if
// the trailer is there when the end is, unless a boundary inside it has been
// found complete before that.
func (s *Scanner) oversize(b []byte, n int, mode Mode) (Span, bool) {
	if head := b[HeaderLen:min(len(b), lookahead)]; string(head) != magic[:len(head)] {
		s.lose(uint32(n))
		return Span{}, false
	}
	q, found := s.boundary(b, min(len(b), n), More)
	switch {
	case found && s.latest < n:
		s.bad = uint32(n)
		return s.unframed(q, false), true
	case len(b) >= n:
		if Fits(b[:n]) {
			return s.record(n), true
		}
	case mode != End:
		s.need = 0
		return Span{}, false
	}
	s.lose(uint32(n))
	s.from = 1
	return Span{}, false
}

// resync looks for the next boundary in b, which begins with unframed bytes.
func (s *Scanner) resync(b []byte, mode Mode) (Span, bool) {
	q, found := s.boundary(b, len(b), mode)
	switch {
	case q >= chunk:
		return s.unframed(chunk, true), true
	case found && q == 0: // after Seek
		*s = Scanner{}
		return s.atBoundary(b, mode)
	case found:
		return s.unframed(q, false), true
	case mode == End:
		return s.unframed(min(len(b), chunk), true), true
	case mode == Flush && q > 0:
		return s.unframed(q, true), true
	}
	return Span{}, false
}

// boundary looks for the first record that begins in b[s.from:], ends its
// magic by limit and has its trailer where its length says. If it is found, q
// is its position. If not, q is how far b surely holds no boundary, s.from
// remembers it, and s.need is set if a candidate's end has to arrive first.
func (s *Scanner) boundary(b []byte, limit int, mode Mode) (q int, found bool) {
	for {
		i := -1
		if from := s.from + HeaderLen; from <= limit {
			i = bytes.Index(b[from:limit], []byte(magic))
		}
		if i < 0 {
			s.need = 0
			s.from = max(s.from, s.clear(b[:limit], mode))
			return s.from, false
		}
		q = s.from + i
		n := int64(binary.LittleEndian.Uint32(b[q:]))
		if n >= int64(MinLen) && n <= MaxLen {
			end := q + int(n)
			s.latest = max(s.latest, end)
			if end > len(b) && mode == More {
				s.from, s.need = q, end
				return q, false
			}
			if end <= len(b) && Fits(b[q:end]) {
				s.from = q
				return q, true
			}
			if end > len(b) && mode == Flush {
				s.from = q
				return q, false
			}
		}
		s.from = q + 1
	}
}

// clear reports how much of b, in which no magic was found, can hold no
// boundary even if more bytes follow.
func (s *Scanner) clear(b []byte, mode Mode) int {
	if mode != Flush {
		return max(0, len(b)-lookahead+1)
	}
	for k := min(len(magic)-1, len(b)); k > 0; k-- { // the end may be a magic's beginning
		if string(b[len(b)-k:]) == magic[:k] {
			return max(0, len(b)-k-HeaderLen)
		}
	}
	return len(b)
}

func (s *Scanner) record(n int) Span {
	*s = Scanner{}
	return Span{Kind: Record, Len: n}
}

// unframed hands out n bytes; lost says whether the bytes behind them are
// unframed too.
func (s *Scanner) unframed(n int, lost bool) Span {
	span := Span{Kind: Unframed, Len: n, Lost: !s.ongoing}
	if span.Lost {
		span.Bad = s.bad
	}
	next := Scanner{lost: lost, ongoing: lost}
	if lost {
		next.from, next.need, next.latest = max(0, s.from-n), max(0, s.need-n), max(0, s.latest-n)
	}
	*s = next
	return span
}

// cutoff handles pending bytes that are shorter than the record they begin.
func (s *Scanner) cutoff(b []byte, mode Mode) (Span, bool) {
	if mode != End {
		return Span{}, false
	}
	*s = Scanner{}
	return Span{Kind: Cutoff, Len: len(b)}, true
}

func (s *Scanner) lose(length uint32) {
	*s = Scanner{lost: true, bad: length, from: max(1, s.from)}
}

// startsRecord reports whether b begins with a length that a record can have
// and the magic of a binary property list.
func startsRecord(b []byte) bool {
	if len(b) < lookahead || string(b[HeaderLen:lookahead]) != magic {
		return false
	}
	l := binary.LittleEndian.Uint32(b)
	return l >= uint32(MinLen) && l <= MaxLen
}

// promising reports whether payload, the beginning of one, may become a
// property list of a kind that the genuine ends read.
func promising(payload []byte) bool {
	if n := min(len(payload), len(magic)); string(payload[:n]) == magic[:n] {
		return true
	}
	t := bytes.TrimLeft(bytes.TrimPrefix(payload, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(t) == 0 || t[0] == '<' || t[0] == '{'
}
