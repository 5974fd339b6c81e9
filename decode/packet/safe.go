package packet

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// AppendSafe appends s to dst in a form that can be printed on a terminal:
// valid UTF-8 in which nothing moves the cursor, starts an escape sequence or
// changes the writing direction. Printable text stays as it is; so does the
// space.
//
// Written with a backslash are: the backslash itself (\\), tab, newline and
// carriage return (\t \n \r), other control characters and bytes that are no
// UTF-8 (\x1b, always two digits), and the characters that are invisible or
// rearrange their neighbours (\u202e, always four digits, or \U000e0001,
// always eight): so two different strings never look the same on account of
// the escaping.
func AppendSafe[T string | []byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			if c >= ' ' && c < 0x7f && c != '\\' {
				dst = append(dst, c)
			} else {
				dst = appendEscapedASCII(dst, c)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		case unsafeRune(r):
			dst = appendEscapedRune(dst, r)
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return dst
}

func appendEscapedASCII(dst []byte, c byte) []byte {
	switch c {
	case '\\':
		return append(dst, '\\', '\\')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
}

func appendEscapedRune(dst []byte, r rune) []byte {
	shift, letter := 12, byte('u')
	if r > 0xffff {
		shift, letter = 28, 'U'
	}
	for dst = append(dst, '\\', letter); shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[r>>shift&15])
	}
	return dst
}

// unsafeRune reports whether r, not ASCII, is a control character, invisible,
// or changes how its neighbours are laid out.
//
// Source: Unicode Standard Annex #9, table 4, for the directional ones.
func unsafeRune(r rune) bool {
	switch {
	case r < 0xa0, // C1 controls
		r == 0xad,   // soft hyphen
		r == 0x61c,  // Arabic letter mark
		r == 0x180e, // Mongolian vowel separator
		r >= 0x200b && r <= 0x200f,
		r >= 0x2028 && r <= 0x202e,
		r >= 0x2060 && r <= 0x206f,
		r == 0xfeff,
		r >= 0xfff9 && r <= 0xfffb,   // interlinear annotation
		r >= 0xe0000 && r <= 0xe0fff: // tags
		return true
	}
	return false
}

// UnsafeRune reports whether r must not reach a terminal as it is: the
// characters that [AppendSafe] escapes, other than the backslash.
func UnsafeRune(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && unsafeRune(r) }
