package field

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"math"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"tundump/decode/packet"
)

// Type is what a field's values are.
type Type uint8

const (
	Uint Type = iota + 1
	Int
	Time // nanoseconds since the Unix epoch
	String
	Bool
	Bytes
	Addr
	Object // JSON text
)

var typeNames = [...]string{"", "unsigned integer", "integer", "time", "string", "boolean", "bytes", "address", "object"}

// String names the type as the field table prints it.
func (t Type) String() string { return typeNames[t] }

// Value is one value of a field. Bytes alias the row.
type Value struct {
	Type Type
	num  uint64
	text string
	safe bool // text is escaped already
	raw  []byte
	addr netip.Addr
}

func uintValue(n uint64) Value      { return Value{Type: Uint, num: n} }
func intValue(n int64) Value        { return Value{Type: Int, num: uint64(n)} }
func timeValue(ns int64) Value      { return Value{Type: Time, num: uint64(ns)} }
func stringValue(s string) Value    { return Value{Type: String, text: s} }
func safeValue(s string) Value      { return Value{Type: String, text: s, safe: true} }
func bytesValue(b []byte) Value     { return Value{Type: Bytes, raw: b} }
func addrValue(a netip.Addr) Value  { return Value{Type: Addr, addr: a} }
func objectValue(json []byte) Value { return Value{Type: Object, raw: json} }
func boolValue(b bool) Value {
	v := Value{Type: Bool}
	if b {
		v.num = 1
	}
	return v
}

// Number returns a number, a boolean as 0 or 1 or a time in seconds; ok is
// false for other types.
func (v Value) Number() (f float64, ok bool) {
	switch v.Type {
	case Uint, Bool:
		return float64(v.num), true
	case Int:
		return float64(int64(v.num)), true
	case Time:
		return float64(int64(v.num)) / 1e9, true
	}
	return 0, false
}

// Addr returns an address; ok is false for other types.
func (v Value) Addr() (a netip.Addr, ok bool) { return v.addr, v.Type == Addr }

// Bytes returns the bytes of a string or of bytes; ok is false for other
// types.
func (v Value) Bytes() (b []byte, ok bool) {
	switch v.Type {
	case Bytes:
		return v.raw, true
	case String:
		return []byte(v.text), true
	}
	return nil, false
}

// Compare orders two values of comparable types as cmp.Compare does; ok is
// false if they are not comparable.
func Compare(a, b Value) (order int, ok bool) {
	switch {
	case a.Type == b.Type && (a.Type == Uint || a.Type == Bool):
		return cmp.Compare(a.num, b.num), true
	case a.Type == b.Type && (a.Type == Int || a.Type == Time):
		return cmp.Compare(int64(a.num), int64(b.num)), true
	case a.Type == String && b.Type == String:
		return cmp.Compare(a.text, b.text), true
	case a.Type == Bytes && b.Type == Bytes:
		return bytes.Compare(a.raw, b.raw), true
	case a.Type == Addr && b.Type == Addr:
		return a.addr.Compare(b.addr), true
	}
	x, xok := a.Number()
	y, yok := b.Number()
	return cmp.Compare(x, y), xok && yok
}

// ParseValue reads text as a value of type t, as a filter has it.
func ParseValue(t Type, text string) (Value, bool) {
	switch t {
	case Uint, Int:
		if n, err := strconv.ParseInt(text, 0, 64); err == nil {
			return intValue(n), true
		}
		n, err := strconv.ParseUint(text, 0, 64)
		return uintValue(n), err == nil
	case Time:
		f, err := strconv.ParseFloat(text, 64)
		return timeValue(int64(f * 1e9)), err == nil && math.Abs(f) < 1<<33
	case Bool:
		switch text {
		case "1", "true", "True", "TRUE":
			return boolValue(true), true
		case "0", "false", "False", "FALSE":
			return boolValue(false), true
		}
		return Value{}, false
	case Addr:
		a, err := netip.ParseAddr(text)
		return addrValue(a), err == nil
	case Bytes:
		b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(text), []byte(":"), nil)))
		return bytesValue(b), err == nil
	}
	return stringValue(text), true
}

// AppendText appends the value as tshark prints it in -T fields; text from
// the wire is escaped.
func (v Value) AppendText(dst []byte, f *Field) []byte {
	switch v.Type {
	case Uint:
		if f.Hex > 0 {
			return appendHex(dst, v.num, f.Hex)
		}
		return strconv.AppendUint(dst, v.num, 10)
	case Int:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case Time:
		return AppendEpoch(dst, int64(v.num))
	case Bool:
		return append(dst, '0'+byte(v.num))
	case Bytes:
		return hex.AppendEncode(dst, v.raw)
	case Addr:
		return v.addr.AppendTo(dst)
	case Object:
		return append(dst, v.raw...)
	}
	if v.safe {
		return append(dst, v.text...)
	}
	return packet.AppendSafe(dst, v.text)
}

func appendHex(dst []byte, n uint64, digits int) []byte {
	dst = append(dst, '0', 'x')
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, "0123456789abcdef"[n>>(4*i)&15])
	}
	return dst
}

// AppendJSON appends the value as JSON. Text from the wire is escaped as JSON
// has it: a reader gets it back as it was, a terminal shows no control
// character.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.Type {
	case Uint:
		return strconv.AppendUint(dst, v.num, 10)
	case Int:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case Time:
		return AppendEpoch(dst, int64(v.num))
	case Bool:
		return strconv.AppendBool(dst, v.num != 0)
	case Bytes:
		dst = append(dst, '"')
		dst = hex.AppendEncode(dst, v.raw)
		return append(dst, '"')
	case Addr:
		dst = append(dst, '"')
		dst = v.addr.AppendTo(dst)
		return append(dst, '"')
	case Object:
		return append(dst, v.raw...)
	}
	return AppendJSONString(dst, v.text)
}

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
