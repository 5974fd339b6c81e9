package field

import (
	"strconv"
	"unicode/utf8"

	"tundump/decode/packet"
)

// AppendEpoch appends ns, nanoseconds since the Unix epoch, as seconds with
// nine decimals.
func AppendEpoch(dst []byte, ns int64) []byte {
	if ns < 0 {
		dst = append(dst, '-')
	}
	sec, frac := ns/1e9, ns%1e9
	dst = strconv.AppendUint(dst, uint64(max(sec, -sec)), 10)
	dst = append(dst, '.')
	frac = max(frac, -frac)
	for d := int64(1e8); d > 0; d /= 10 {
		dst = append(dst, '0'+byte(frac/d%10))
	}
	return dst
}

// AppendJSONString appends s as a JSON string in which every character that
// could change a terminal is escaped. Bytes that are no UTF-8 become U+FFFD,
// as everywhere in JSON.
func AppendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		if n := plainASCII(s[i:]); n > 0 { // nearly all there is
			dst = append(dst, s[i:i+n]...)
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == utf8.RuneError && n == 1:
			dst = append(dst, `\ufffd`...)
		case packet.UnsafeRune(r):
			dst = appendJSONEscape(dst, r)
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return append(dst, '"')
}

// plainASCII returns how many bytes of s from the first on stand in a JSON
// string as they are, and are ASCII.
func plainASCII(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

func appendJSONEscape(dst []byte, r rune) []byte {
	if r >= 0x10000 { // a surrogate pair, RFC 8259 section 7
		r -= 0x10000
		dst = appendJSONEscape(dst, 0xd800+r>>10)
		return appendJSONEscape(dst, 0xdc00+r&0x3ff)
	}
	dst = append(dst, '\\', 'u')
	for shift := 12; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[r>>shift&15])
	}
	return dst
}
