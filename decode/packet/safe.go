package packet

import (
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendSafe appends s to dst in a form that can be printed on a terminal:
// valid UTF-8 in which nothing moves the cursor, starts an escape sequence or
// changes the writing direction. Letters of all scripts, with their marks,
// digits, punctuation, symbols and spaces stay as they are.
//
// Written with a backslash are: the backslash itself (\\), tab, newline and
// carriage return (\t \n \r), other control characters and bytes that are no
// UTF-8 (\x1b, always two digits), and the characters that are invisible,
// unassigned or rearrange their neighbours (\u202e, always four digits, or
// \U000e0001, always eight): so two different strings never look the same on
// account of the escaping.
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

// unsafeRune reports whether r, not ASCII, is anything but a letter, a mark, a
// digit, punctuation, a symbol or a space: controls, format characters (those
// that change the direction of writing, and the signs of the U+0600 kind, which
// draw over what follows), line separators, private and unassigned characters.
// So are those that are meant not to be seen, whatever else they are: fillers,
// variation selectors.
//
// Source: Unicode Standard, section 4.5 for the categories and section 5.21 for
// what is ignorable.
func unsafeRune(r rune) bool {
	if r < 0x300 { // no ignorable ones but the soft hyphen, which is no print
		return r < 0xa0 || r == 0xad
	}
	return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// UnsafeRune reports whether r must not reach a terminal as it is: the
// characters that [AppendSafe] escapes, other than the backslash.
func UnsafeRune(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && unsafeRune(r) }
