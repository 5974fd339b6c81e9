package bplist

import (
	"encoding/binary"
	"hash/maphash"
	"unicode/utf16"
	"unicode/utf8"
)

// wide reports whether a string is stored as UTF-16.
func (v Value) wide() bool { return v.d.b[v.off]>>4 == 6 }

// unit returns the UTF-16 unit with index i of a string. An ASCII object with
// bytes from 0x80 on is Latin-1, as in Apple's reader.
func (v Value) unit(i uint32) rune {
	if v.wide() {
		return rune(binary.BigEndian.Uint16(v.d.b[v.body+2*i:]))
	}
	return rune(v.d.b[v.body+i])
}

// char returns the character that begins at unit i, and how many units it has.
// A surrogate without its other half is U+FFFD; odd tells it from a real one.
func (v Value) char(i uint32) (r rune, units uint32, odd bool) {
	r = v.unit(i)
	if !utf16.IsSurrogate(r) {
		return r, 1, false
	}
	if i+1 < v.n {
		if pair := utf16.DecodeRune(r, v.unit(i+1)); pair != utf8.RuneError {
			return pair, 2, false
		}
	}
	return utf8.RuneError, 1, true
}

// plain reports whether a string is ASCII in an ASCII object.
func (v Value) plain() bool {
	if v.wide() {
		return false
	}
	for _, c := range v.bytes() {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Text returns the value of a string, as valid UTF-8: bytes from 0x80 on in an
// ASCII object are Latin-1, and a surrogate without its other half is U+FFFD.
// Everything else comes through as it is, control characters included. Text
// allocates.
func (v Value) Text() (string, bool) {
	if v.typ != String {
		return "", false
	}
	if v.plain() {
		return string(v.bytes()), true
	}
	return string(v.appendString(nil)), true
}

func (v Value) appendString(dst []byte) []byte {
	if v.plain() {
		return append(dst, v.bytes()...)
	}
	for i := uint32(0); i < v.n; {
		r, units, _ := v.char(i)
		dst = utf8.AppendRune(dst, r)
		i += units
	}
	return dst
}

// OddText reports whether a string is not what an encoder would write: an
// ASCII object with bytes from 0x80 on, or a surrogate without its other half.
func (v Value) OddText() bool {
	if v.typ != String {
		return false
	}
	if !v.wide() {
		return !v.plain()
	}
	for i := uint32(0); i < v.n; {
		_, units, odd := v.char(i)
		if odd {
			return true
		}
		i += units
	}
	return false
}

// EqualText reports whether the value is a string whose [Value.Text] is s. It
// does not allocate.
func (v Value) EqualText(s string) bool {
	if v.typ != String || int(v.n) > len(s) || len(s) > 3*int(v.n) {
		return false
	}
	if !v.wide() && int(v.n) == len(s) {
		return string(v.bytes()) == s && v.plain()
	}
	i := uint32(0)
	for len(s) > 0 && i < v.n {
		want, size := utf8.DecodeRuneInString(s)
		got, units, _ := v.char(i)
		if got != want || want == utf8.RuneError && size == 1 {
			return false
		}
		s, i = s[size:], i+units
	}
	return len(s) == 0 && i == v.n
}

// sameText reports whether two strings have the same units.
func sameText(a, b Value) bool {
	if a.off == b.off {
		return true
	}
	if a.n != b.n {
		return false
	}
	if !a.wide() && !b.wide() {
		return string(a.bytes()) == string(b.bytes())
	}
	for i := range a.n {
		if a.unit(i) != b.unit(i) {
			return false
		}
	}
	return true
}

// fewKeys is how many keys are compared each with each.
const fewKeys = 16

// DuplicateKey returns the first key of a dictionary that equals an earlier
// one. It looks at no more text than the payload has; a dictionary of keys
// that overlap may hide a duplicate.
func (v Value) DuplicateKey() (key Value, found bool) {
	if v.typ != Dict {
		return Value{}, false
	}
	if v.n > fewKeys {
		return v.duplicateOfMany()
	}
	for i := 1; i < int(v.n); i++ {
		k, _ := v.Pair(i)
		for j := 0; j < i && k.typ == String; j++ {
			if earlier, _ := v.Pair(j); earlier.typ == String && sameText(earlier, k) {
				return k, true
			}
		}
	}
	return Value{}, false
}

func (v Value) duplicateOfMany() (key Value, found bool) {
	var h maphash.Hash
	budget := len(v.d.b)
	byHash := make(map[uint64]uint32)
	byOffset := make(map[uint32]struct{})
	for i := range v.Len() {
		k, _ := v.Pair(i)
		if k.typ != String {
			continue
		}
		if _, again := byOffset[k.off]; again {
			return k, true
		}
		byOffset[k.off] = struct{}{}
		if budget -= int(k.n); budget < 0 {
			continue
		}
		h.Reset()
		for j := range k.n {
			u := k.unit(j)
			h.WriteByte(byte(u >> 8))
			h.WriteByte(byte(u))
		}
		sum := h.Sum64()
		if off, again := byHash[sum]; again && sameText(v.d.object(off, 0), k) {
			return k, true
		}
		byHash[sum] = k.off
	}
	return Value{}, false
}
