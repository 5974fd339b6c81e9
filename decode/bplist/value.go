package bplist

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// Value is one object of a [Doc], as one reference to it found it. The zero
// Value is absent: all its methods work and find nothing.
type Value struct {
	d    *Doc
	off  uint32
	slot uint32 // where the reference is that led here; 0 for the root
	head
}

// object returns the object at off, absent if there is none.
func (d *Doc) object(off, slot uint32) Value {
	h, f := d.head(off)
	if f != sound {
		return Value{}
	}
	return Value{d: d, off: off, slot: slot, head: h}
}

// at returns the object that the reference at b[slot] means.
func (d *Doc) at(slot uint32) Value {
	off, ok := d.follow(slot)
	if !ok {
		return Value{}
	}
	h, f := d.head(off)
	if f != sound {
		return Value{}
	}
	return Value{d: d, off: off, slot: slot, head: h}
}

// Exists reports whether there is a value.
func (v Value) Exists() bool { return v.typ != Absent }

// Type returns what the value is.
func (v Value) Type() Type { return v.typ }

// Span returns the bytes of the whole object, marker and count included, and
// for XML the whole element.
func (v Value) Span() Span {
	switch {
	case v.d == nil:
		return Span{}
	case v.d.text != nil:
		return v.d.text.find(v.off).whole
	}
	return Span{int(v.off), int(v.d.end(v.off, v.head) - v.off)}
}

// Body returns the bytes of the contents alone, without marker and count: the
// references of a container, the digits of a number, the bytes of a string.
// For null and booleans, which are nothing but a marker, it is the marker. For
// XML it is what stands between the element's tags.
func (v Value) Body() Span {
	switch {
	case v.d == nil:
		return Span{}
	case v.d.text != nil:
		return v.d.text.find(v.off).body
	case v.typ <= Bool:
		return Span{int(v.off), 1}
	}
	return Span{int(v.body), int(v.d.end(v.off, v.head) - v.body)}
}

func (v Value) bytes() []byte { return v.d.b[v.body : v.body+v.n : v.body+v.n] }

// IsNumber reports whether the value is what Swift bridges to an NSNumber: an
// integer, a real or a boolean.
func (v Value) IsNumber() bool { return v.typ == Int || v.typ == Real || v.typ == Bool }

// Int returns the value if it is a number that is exactly a signed 64-bit
// integer: integers, reals without fraction, booleans. That is what Swift's
// "as? Int" takes.
//
// Integers of 1, 2 and 4 bytes are unsigned, those of 8 bytes signed, and of
// those of 16 bytes the low 64 bits count, unsigned.
func (v Value) Int() (int64, bool) {
	switch v.typ {
	case Int:
		u := sized(v.bytes())
		return int64(u), v.n <= 8 || u <= math.MaxInt64
	case Bool:
		return int64(v.d.b[v.off] & 1), true
	case Real:
		f, _ := v.Real()
		if f >= -1<<63 && f < 1<<63 && f == math.Trunc(f) {
			return int64(f), true
		}
	}
	return 0, false
}

// Real returns the value of a real.
func (v Value) Real() (float64, bool) {
	if v.typ != Real {
		return 0, false
	}
	b := v.bytes()
	if len(b) == 4 {
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), true
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), true
}

// Bool returns the value of a boolean.
func (v Value) Bool() (value, ok bool) {
	if v.typ != Bool {
		return false, false
	}
	return v.d.b[v.off] == 0x09, true
}

// UID returns the value of a UID.
func (v Value) UID() (uint32, bool) {
	if v.typ != UID {
		return 0, false
	}
	return uint32(sized(v.bytes())), true
}

// referenceDate is 2001-01-01 00:00 UTC, from which dates count, in Unix time.
const referenceDate = 978307200

// Date returns the value of a date. ok is false if it is none, or if it lies
// outside the years 1 to 9999.
func (v Value) Date() (t time.Time, ok bool) {
	if v.typ != Date {
		return time.Time{}, false
	}
	s, frac := math.Modf(math.Float64frombits(binary.BigEndian.Uint64(v.bytes())))
	if !(math.Abs(s) < 1e12) {
		return time.Time{}, false
	}
	t = time.Unix(referenceDate+int64(s), int64(math.Round(frac*1e9))).UTC()
	return t, t.Year() >= 1 && t.Year() <= 9999
}

// Data returns the bytes of a data object. They alias the payload and must not
// be changed; for XML they are a copy.
func (v Value) Data() ([]byte, bool) {
	if v.typ != Data {
		return nil, false
	}
	return v.bytes(), true
}

// Len returns how many elements an array or a set has, or how many pairs a
// dictionary has. It is 0 for everything else.
func (v Value) Len() int {
	if v.typ.container() {
		return int(v.n)
	}
	return 0
}

// At returns the element with index i of an array or a set; absent if there is
// none.
func (v Value) At(i int) Value {
	if v.typ != Array && v.typ != Set || i < 0 || i >= int(v.n) {
		return Value{}
	}
	return v.d.at(v.body + uint32(i)*uint32(v.d.refSize))
}

// Pair returns the pair with index i of a dictionary, in the order in which
// they are stored, with all keys: equal ones and ones that are no strings.
// Both are absent if there is none.
func (v Value) Pair(i int) (key, val Value) {
	if v.typ != Dict || i < 0 || i >= int(v.n) {
		return Value{}, Value{}
	}
	ref := uint32(v.d.refSize)
	slot := v.body + uint32(i)*ref
	return v.d.at(slot), v.d.at(slot + v.n*ref)
}

// Get returns the value that a dictionary has under that key; absent if it has
// none. Of equal keys the first counts, as in Apple's binary reader, and in
// XML the last, as in Apple's XML reader. The cost is one look at each key: to
// find many keys in a dictionary from the network, go through [Value.Pair]
// once.
func (v Value) Get(key string) Value {
	for i := range v.Len() {
		if v.d.text != nil {
			i = int(v.n) - 1 - i
		}
		if k, val := v.Pair(i); k.EqualText(key) {
			return val
		}
	}
	return Value{}
}

// NonStringKey returns the first key of a dictionary that is no string. The
// genuine ends crash on a message that has one.
func (v Value) NonStringKey() (key Value, found bool) {
	if v.typ != Dict {
		return Value{}, false
	}
	for i := range v.Len() {
		if k := v.d.at(v.body + uint32(i)*uint32(v.d.refSize)); k.typ != String {
			return k, true
		}
	}
	return Value{}, false
}

// AppendText appends a scalar as text to dst: numbers in decimal, also
// integers above 2^63-1, dates by RFC 3339, data in hexadecimal, strings as
// [Value.Text] returns them. Nothing is escaped. It appends nothing for
// containers and absent values.
func (v Value) AppendText(dst []byte) []byte {
	switch v.typ {
	case Null:
		return append(dst, "null"...)
	case Bool:
		b, _ := v.Bool()
		return strconv.AppendBool(dst, b)
	case Int:
		if n, ok := v.Int(); ok {
			return strconv.AppendInt(dst, n, 10)
		}
		return strconv.AppendUint(dst, sized(v.bytes()), 10)
	case Real:
		f, _ := v.Real()
		return strconv.AppendFloat(dst, f, 'g', -1, 64)
	case Date:
		if t, ok := v.Date(); ok {
			return t.AppendFormat(dst, time.RFC3339Nano)
		}
		s := math.Float64frombits(binary.BigEndian.Uint64(v.bytes()))
		return append(strconv.AppendFloat(dst, s, 'g', -1, 64), " seconds after 2001-01-01"...)
	case Data:
		return hex.AppendEncode(dst, v.bytes())
	case String:
		return v.appendString(dst)
	case UID:
		u, _ := v.UID()
		return strconv.AppendUint(dst, uint64(u), 10)
	}
	return dst
}
