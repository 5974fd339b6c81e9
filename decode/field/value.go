package field

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"unsafe"

	"tundump/decode/packet"
)

// Type is what a field's values are.
type Type uint8

const (
	Uint Type = iota + 1
	Int
	Time // nanoseconds: since the Unix epoch, or of a duration
	String
	Bool
	Bytes
	Addr
	Object // JSON text
)

var typeNames = [...]string{"", "unsigned integer", "integer", "time", "string", "boolean", "bytes", "address", "object"}

// String names the type as the field table prints it.
func (t Type) String() string { return typeNames[t] }

// Numeric reports whether values of the type are numbers.
func (t Type) Numeric() bool { return t == Uint || t == Int || t == Bool || t == Time }

// Textual reports whether values of the type are made of bytes.
func (t Type) Textual() bool { return t == String || t == Bytes || t == Object }

// Value is one value of a field. Text and bytes alias the row, or its memory.
type Value struct {
	Type Type
	safe bool   // text is escaped already
	num  uint64 // also of an address: 1 + the bits of its network
	text string // of every textual type
	addr netip.Addr
}

func uintValue(n uint64) Value     { return Value{Type: Uint, num: n} }
func intValue(n int64) Value       { return Value{Type: Int, num: uint64(n)} }
func timeValue(ns int64) Value     { return Value{Type: Time, num: uint64(ns)} }
func stringValue(s string) Value   { return Value{Type: String, text: s} }
func wireValue(b []byte) Value     { return Value{Type: String, text: aliased(b)} }
func safeValue(s string) Value     { return Value{Type: String, text: s, safe: true} }
func bytesValue(b []byte) Value    { return Value{Type: Bytes, text: aliased(b)} }
func addrValue(a netip.Addr) Value { return Value{Type: Addr, addr: a} }

// objectValue is for the caller's JSON, which nobody changes afterwards.
func objectValue(json []byte) Value { return Value{Type: Object, text: aliased(json)} }

// safeBytes is safeValue of text that stays as it is while the row is valid.
func safeBytes(b []byte) Value { return Value{Type: String, text: aliased(b), safe: true} }

// aliased is string(b) without the copy: a value is read while its row is
// valid, and a row's bytes do not change before that.
func aliased(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func boolValue(b bool) Value {
	v := Value{Type: Bool}
	if b {
		v.num = 1
	}
	return v
}

// NewUint returns a number, such as a filter's functions make.
func NewUint(n uint64) Value { return uintValue(n) }

// NewInt returns a signed number.
func NewInt(n int64) Value { return intValue(n) }

// NewAddr returns an address.
func NewAddr(a netip.Addr) Value { return addrValue(a) }

// NewBytes returns bytes that alias b, which must not change while the value
// is in use.
func NewBytes(b []byte) Value { return bytesValue(b) }

// NewString returns a string that aliases b, as NewBytes.
func NewString(b []byte) Value { return stringValue(aliased(b)) }

// Slice returns n bytes of a textual value from off on; they must be there.
func (v Value) Slice(off, n int) Value { return Value{Type: Bytes, text: v.text[off : off+n]} }

// IsZero reports whether no bit of a number, an address or bytes is set.
func (v Value) IsZero() bool {
	switch {
	case v.Type.Textual():
		return strings.Trim(v.text, "\x00") == ""
	case v.Type == Addr:
		return v.addr.IsUnspecified()
	}
	return v.num == 0
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

// Integer returns a number's or a boolean's 64 bits; ok is false for other
// types.
func (v Value) Integer() (n int64, ok bool) {
	return int64(v.num), v.Type == Uint || v.Type == Int || v.Type == Bool
}

// Addr returns an address; ok is false for other types.
func (v Value) Addr() (a netip.Addr, ok bool) { return v.addr, v.Type == Addr }

// Text returns the bytes of a string, of bytes or of an object, which alias
// the row; ok is false for other types.
func (v Value) Text() (s string, ok bool) { return v.text, v.Type.Textual() }

// Bytes is Text as a copy.
func (v Value) Bytes() (b []byte, ok bool) { return []byte(v.text), v.Type.Textual() }

// Compare orders two values of comparable types as cmp.Compare does; ok is
// false if they are not comparable. Strings are ordered byte for byte; of
// bytes the longer are the greater, as in tshark. If b is a network, a is
// compared as far as the network's bits go.
func Compare(a, b Value) (order int, ok bool) {
	switch {
	case a.Type == Bytes && b.Type == Bytes:
		if len(a.text) != len(b.text) {
			return cmp.Compare(len(a.text), len(b.text)), true
		}
		return strings.Compare(a.text, b.text), true
	case a.Type.Textual() && b.Type.Textual():
		return strings.Compare(a.text, b.text), true
	case a.Type == Addr && b.Type == Addr:
		return compareAddr(a, b)
	case a.Type == Time || b.Type == Time:
		if a.Type == b.Type {
			return cmp.Compare(int64(a.num), int64(b.num)), true
		}
		x, xok := a.Number()
		y, yok := b.Number()
		return cmp.Compare(x, y), xok && yok
	case a.Type.Numeric() && b.Type.Numeric():
		return compareInts(a, b), true
	}
	return 0, false
}

// compareInts compares numbers of which each may be signed or not.
func compareInts(a, b Value) int {
	switch x, y := a.Type == Int && int64(a.num) < 0, b.Type == Int && int64(b.num) < 0; {
	case x && !y:
		return -1
	case y && !x:
		return 1
	}
	return cmp.Compare(a.num, b.num) // of two negative numbers, too
}

func compareAddr(a, b Value) (order int, ok bool) {
	x, y := a.addr, b.addr
	if x.Is4() != y.Is4() {
		return 0, false
	}
	if b.num == 0 {
		return x.Compare(y), true
	}
	bits := int(b.num - 1)
	if x.Is4() { // by far the most, and this is four times as fast
		p, q := x.As4(), y.As4()
		mask := ^uint32(0) << (32 - bits)
		return cmp.Compare(binary.BigEndian.Uint32(p[:])&mask, binary.BigEndian.Uint32(q[:])), true
	}
	return netip.PrefixFrom(x, bits).Masked().Addr().Compare(y), true
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
		return appendHexText(dst, v.text)
	case Addr:
		return v.addr.AppendTo(dst)
	case Object:
		return append(dst, v.text...)
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

func appendHexText(dst []byte, s string) []byte {
	for i := range len(s) {
		dst = append(dst, "0123456789abcdef"[s[i]>>4], "0123456789abcdef"[s[i]&15])
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
		dst = appendHexText(dst, v.text)
		return append(dst, '"')
	case Addr:
		dst = append(dst, '"')
		dst = v.addr.AppendTo(dst)
		return append(dst, '"')
	case Object:
		return append(dst, v.text...)
	}
	return AppendJSONString(dst, v.text)
}
