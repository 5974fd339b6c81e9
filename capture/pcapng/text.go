package pcapng

import (
	"encoding/json"
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// plain reports whether a value needs no quotes.
func plain[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendText appends key and value, quoted as in JSON where it has to be. What
// cannot be printed is escaped, so that no tool that shows the comment sends
// it to a terminal; what is no UTF-8 becomes U+FFFD. An empty value is left
// out.
func appendText(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	if len(value) > maxText {
		value = value[:maxText]
	}
	dst = append(dst, key...)
	if plain(value) {
		return append(dst, value...)
	}
	dst = append(dst, '"')
	for _, r := range value {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case unicode.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case r > 0xffff:
			r -= 0x10000
			dst = appendEscape(appendEscape(dst, 0xd800|r>>10), 0xdc00|r&0x3ff)
		default:
			dst = appendEscape(dst, r)
		}
	}
	return append(dst, '"')
}

func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// cutQuoted cuts the quoted value that begins at b[i] off what follows it. One
// that is not closed reaches to the end.
func cutQuoted(b []byte, i int) (value, rest []byte) {
	for j := i + 1; j < len(b); j++ {
		switch b[j] {
		case '\\':
			j++
		case '"':
			_, rest = cutSpace(b[j+1:])
			return b[i : j+1], rest
		}
	}
	return b[i:], nil
}

// parseText is the inverse of appendText. What is not quoted as in JSON is
// taken as it stands.
func parseText(value []byte) string {
	if len(value) > 0 && value[0] == '"' {
		var s string
		if json.Unmarshal(value, &s) == nil {
			return s
		}
	}
	return string(value)
}
