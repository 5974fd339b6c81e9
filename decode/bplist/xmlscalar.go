package bplist

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// scalarNode makes an object of an XML element's contents; what says what is
// wrong with them.
func scalarNode(tag string, text []byte) (n node, what string) {
	switch tag {
	case "key", "string":
		return node{typ: String, str: string(text)}, ""
	case "data":
		return xmlData(text)
	case "integer":
		return xmlInteger(text)
	case "real":
		return xmlReal(string(text))
	case "date":
		return xmlDate(string(text))
	}
	if len(text) > 0 {
		return node{}, "a boolean is not empty"
	}
	n.typ = Bool
	if tag == "true" {
		n.bits = 1
	}
	return n, ""
}

// xmlInteger reads blanks, a sign, blanks, and decimal or 0x hexadecimal
// digits. Nothing may follow.
func xmlInteger(text []byte) (n node, what string) {
	const blanks = " \t\r\n"
	s := bytes.TrimLeft(text, blanks)
	negative := len(s) > 0 && s[0] == '-'
	if negative || len(s) > 0 && s[0] == '+' {
		s = bytes.TrimLeft(s[1:], blanks)
	}
	base := 10
	if len(s) > 1 && s[0] == '0' && s[1]|0x20 == 'x' {
		s, base = s[2:], 16
	}
	if len(s) == 0 || !isHex(s[0]) {
		return node{}, "an integer has no digits"
	}
	v, err := strconv.ParseUint(string(s), base, 64)
	switch {
	case err != nil:
		return node{}, "an integer has more than digits, or does not fit into 64 bits"
	case negative && v > 1<<63:
		return node{}, "an integer is less than -2^63"
	case negative:
		v = -v
	}
	return node{typ: Int, bits: v, wide: !negative && v > math.MaxInt64}, ""
}

func xmlReal(s string) (n node, what string) {
	switch strings.TrimPrefix(strings.ToLower(s), "+") {
	case "nan", "inf", "infinity", "-inf", "-infinity":
		if strings.EqualFold(s, "+nan") {
			return node{}, "a real is no number"
		}
	default:
		s = strings.TrimLeft(s, " \t\r\n")
		if strings.Trim(s, "0123456789+-.eE") != "" {
			return node{}, "a real is no number"
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return node{}, "a real is no number"
	}
	return node{typ: Real, bits: math.Float64bits(f)}, ""
}

// xmlDate reads -YYYY-MM-DDThh:mm:ssZ, the first sign being optional.
func xmlDate(s string) (n node, what string) {
	const bad = "a date is not written as YYYY-MM-DDThh:mm:ssZ"
	rest, negative := strings.CutPrefix(s, "-")
	i := strings.IndexByte(rest, '-')
	if i < 1 || i > 6 {
		return node{}, bad
	}
	year, err := strconv.ParseUint(rest[:i], 10, 32)
	rest = rest[i:]
	const form = "-00-00T00:00:00Z"
	if err != nil || len(rest) != len(form) {
		return node{}, bad
	}
	var fields []int
	for i := 0; i < len(form); i++ {
		if form[i] != '0' {
			if rest[i] != form[i] {
				return node{}, bad
			}
			continue
		}
		v, err := strconv.ParseUint(rest[i:i+2], 10, 8)
		if err != nil {
			return node{}, bad
		}
		fields = append(fields, int(v))
		i++
	}
	y := int(year)
	if negative {
		y = -y
	}
	t := time.Date(y, time.Month(fields[0]), fields[1], fields[2], fields[3], fields[4], 0, time.UTC)
	return node{typ: Date, bits: math.Float64bits(float64(t.Unix() - referenceDate))}, ""
}

// xmlData reads base 64 as Apple's reader does: it passes over what is no
// digit of it, and an incomplete group at the end is lost.
func xmlData(text []byte) (n node, what string) {
	out := make([]byte, 0, len(text)/4*3)
	pad, digits, acc := 0, 0, uint32(0)
	for _, c := range text {
		if c >= 0x80 {
			return node{}, "data has a character that is not ASCII"
		}
		v, ok := base64Digit(c)
		switch {
		case c == '=':
			pad++
		case !ok && (c == ' ' || c >= '\t' && c <= '\r'):
			continue
		default:
			pad = 0
		}
		if !ok {
			continue
		}
		acc = acc<<6 | uint32(v)
		if digits++; digits%4 == 0 {
			group := [3]byte{byte(acc >> 16), byte(acc >> 8), byte(acc)}
			out = append(out, group[:3-min(pad, 2)]...)
		}
	}
	return node{typ: Data, data: out}, ""
}

func base64Digit(c byte) (v byte, ok bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A', true
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26, true
	case c >= '0' && c <= '9':
		return c - '0' + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, c == '='
}
