package filter

import (
	"strconv"
	"strings"

	"tundump/decode/field"
)

// span is one range of a slice. Offsets below 0 count from the end.
type span struct {
	from, to int
	form     byte // ':' to is a length; '-' to is the last offset; 0: up to the end
}

// parseRanges reads what stands in brackets, with commas between: i:j, i-j, i,
// :j, i: .
func parseRanges(t token) ([]span, error) {
	var list []span
	for part := range strings.SplitSeq(t.text, ",") {
		s, what := parseRange(strings.TrimSpace(part))
		if what != "" {
			return nil, at(t, what)
		}
		list = append(list, s)
	}
	return list, nil
}

func parseRange(s string) (_ span, what string) {
	bad := quote(s) + " is no range: [offset:length], [first-last], [offset], [:length], [offset:]"
	if from, to, ok := strings.Cut(s, ":"); ok {
		i, iok := offset(from, "0")
		if to == "" {
			return span{from: i}, unless(iok && from != "", bad)
		}
		n, nok := offset(to, "")
		if nok && n <= 0 {
			return span{}, "a length is more than 0"
		}
		return span{i, n, ':'}, unless(iok && nok, bad)
	}
	if i, ok := offset(s, ""); ok {
		return span{i, 1, ':'}, ""
	}
	cut := strings.IndexByte(strings.TrimPrefix(s, "-"), '-')
	if cut < 0 {
		return span{}, bad
	}
	cut += len(s) - len(strings.TrimPrefix(s, "-"))
	i, iok := offset(s[:cut], "")
	j, jok := offset(s[cut+1:], "")
	if iok && jok && i > j && (i < 0) == (j < 0) {
		return span{}, "the first offset is behind the last"
	}
	return span{i, j, '-'}, unless(iok && jok, bad)
}

func unless(ok bool, what string) string {
	if ok {
		return ""
	}
	return what
}

func offset(s, empty string) (n int, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		s = empty
	}
	i, err := strconv.ParseInt(s, 0, 32)
	return int(i), err == nil
}

// of returns the range in a value of length bytes; ok is false if the value
// does not have all of it.
func (s span) of(length int) (off, n int, ok bool) {
	if off = s.from; off < 0 {
		off += length
	}
	switch s.form {
	case ':':
		n = s.to
	case '-':
		last := s.to
		if last < 0 {
			last += length
		}
		n = last - off + 1
	default:
		n = length - off
	}
	return off, n, off >= 0 && n > 0 && off <= length-n
}

// firstLayer reports whether the only layer that a packet has is among
// ranges, which count from 1.
func firstLayer(ranges []span) bool {
	position := func(n int) int {
		if n < 0 {
			return n + 2
		}
		return n
	}
	for _, s := range ranges {
		first := position(s.from)
		last := 1
		switch s.form {
		case ':':
			last = first + s.to - 1
		case '-':
			last = position(s.to)
		}
		if first <= 1 && last >= 1 {
			return true
		}
	}
	return false
}

// cut returns those bytes of v: none if it does not have them all, which to
// tshark is a value all the same.
func cut(v field.Value, ranges []span, s *Scratch) field.Value {
	if a, is := v.Addr(); is {
		at := len(s.text)
		if a.Is4() {
			b := a.As4()
			s.text = append(s.text, b[:]...)
		} else {
			b := a.As16()
			s.text = append(s.text, b[:]...)
		}
		v = field.NewBytes(s.text[at:])
	}
	text, _ := v.Text()
	if len(ranges) == 1 {
		off, n, ok := ranges[0].of(len(text))
		if !ok {
			off, n = 0, 0
		}
		return v.Slice(off, n)
	}
	at := len(s.text)
	for _, r := range ranges {
		off, n, ok := r.of(len(text))
		if !ok || len(s.text) > maxMade {
			return v.Slice(0, 0)
		}
		s.text = append(s.text, text[off:off+n]...)
	}
	return field.NewBytes(s.text[at:])
}
