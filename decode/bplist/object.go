package bplist

import (
	"encoding/binary"
	"math"
)

// Type is what a value is.
type Type uint8

const (
	Absent Type = iota // no value at all
	Null
	Bool
	Int
	Real
	Date
	Data
	String // ASCII or UTF-16
	UID    // a number that keyed archives use as a reference
	Array
	Set
	Dict
)

var typeNames = [...]string{
	"absent", "null", "boolean", "integer", "real", "date", "data", "string", "uid", "array", "set", "dictionary",
}

// String returns the type's name, as "boolean" or "dictionary".
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

func (t Type) container() bool { return t >= Array }

// fault is a rule that an object can break.
type fault uint8

const (
	sound fault = iota
	badOffset
	badMarker
	badInt
	badCount
	hugeCount
	pastTable
	hugeUID
)

var faults = [...]string{
	badOffset: "an object's offset lies outside the objects",
	badMarker: "an object's marker is none that Apple's reader knows",
	badInt:    "an integer has more than 16 bytes",
	badCount:  "a count is no integer object",
	hugeCount: "a count is negative or over 2^63-1",
	pastTable: "an object reaches into the offset table",
	hugeUID:   "a UID is over 2^32-1",
}

// head is what an object's first bytes say.
type head struct {
	typ  Type
	body uint32 // where the contents begin
	n    uint32 // bytes, UTF-16 units, elements or pairs
}

// sized reads a big-endian integer of any width; only its low 64 bits count.
func sized(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// offset returns where the object with that number is, and false if there is
// none.
func (d *Doc) offset(number uint64) (uint32, bool) {
	if number >= uint64(d.objects) {
		return 0, false
	}
	switch i := uint(number) * uint(d.offSize); d.offSize {
	case 1:
		return uint32(d.offsets[i]), true
	case 2:
		return uint32(d.offsets[i])<<8 | uint32(d.offsets[i+1]), true
	default:
		return uint32(sized(d.offsets[i : i+uint(d.offSize)])), true
	}
}

// number returns the reference at b[slot].
func (d *Doc) number(slot uint32) uint64 {
	if d.refSize == 1 {
		return uint64(d.b[slot])
	}
	return sized(d.b[slot : slot+uint32(d.refSize)])
}

// follow returns where the object is that the reference at b[slot] means, and
// false if there is none.
func (d *Doc) follow(slot uint32) (uint32, bool) { return d.offset(d.number(slot)) }

// refs is how many references one element has: two for a pair.
func (h head) refs() uint32 {
	switch h.typ {
	case Dict:
		return 2 * h.n
	case Array, Set:
		return h.n
	}
	return 0
}

// end returns where the object at off ends.
func (d *Doc) end(off uint32, h head) uint32 {
	switch {
	case h.typ.container():
		return h.body + h.refs()*uint32(d.refSize)
	case h.typ == String && d.b[off]>>4 == 6:
		return h.body + 2*h.n
	case h.typ <= Bool:
		return h.body
	}
	return h.body + h.n
}

// head reads what the object at off is. What it returns lies within the
// objects.
func (d *Doc) head(off uint32) (h head, f fault) {
	if off < headerLen || off >= d.table {
		return head{}, badOffset
	}
	objects := d.b[:d.table]
	marker := objects[off]
	low := uint32(marker & 15)
	h.body = off + 1
	unit := uint64(1)
	switch marker >> 4 {
	case 0x0:
		switch marker {
		case 0x00:
			h.typ = Null
			return h, sound
		case 0x08, 0x09:
			h.typ = Bool
			return h, sound
		}
		return head{}, badMarker
	case 0x1:
		h.typ, h.n = Int, 1<<low
		return d.fixed(h)
	case 0x2:
		h.typ, h.n = Real, 1<<low
		if low != 2 && low != 3 {
			return head{}, badMarker
		}
		return d.fixed(h)
	case 0x3:
		h.typ, h.n = Date, 8
		if low != 3 {
			return head{}, badMarker
		}
		return d.fixed(h)
	case 0x8:
		h.typ, h.n = UID, low+1
		return d.fixed(h)
	case 0x4:
		h.typ = Data
	case 0x5:
		h.typ = String
	case 0x6:
		h.typ, unit = String, 2
	case 0xa:
		h.typ, unit = Array, uint64(d.refSize)
	case 0xc:
		h.typ, unit = Set, uint64(d.refSize)
	case 0xd:
		h.typ, unit = Dict, 2*uint64(d.refSize)
	default:
		return head{}, badMarker
	}
	n := uint64(low)
	if low == 15 {
		if rest := objects[h.body:]; len(rest) > 2 && rest[0] == 0x11 { // the count of nearly every packet
			n = uint64(rest[1])<<8 | uint64(rest[2])
			h.body += 3
		} else if n, h.body, f = d.count(h.body); f != sound {
			return head{}, f
		}
	}
	if room := uint64(d.table - h.body); n > room || n*unit > room {
		return head{}, pastTable
	}
	h.n = uint32(n)
	return h, sound
}

// fixed checks the head of an object whose marker says its length.
func (d *Doc) fixed(h head) (head, fault) {
	switch {
	case h.n > d.table-h.body:
		return head{}, pastTable
	case h.n > 16:
		return head{}, badInt
	case h.typ == UID && sized(d.b[h.body:h.body+h.n]) > math.MaxUint32:
		return head{}, hugeUID
	}
	return h, sound
}

// count reads the integer object at pos, which says how long the object in
// front of it is. Apple's reader takes any width here.
func (d *Doc) count(pos uint32) (n uint64, next uint32, f fault) {
	if pos >= d.table {
		return 0, 0, pastTable
	}
	marker := d.b[pos]
	if marker>>4 != 1 {
		return 0, 0, badCount
	}
	pos++
	width := uint32(1) << (marker & 15)
	if width > d.table-pos {
		return 0, 0, pastTable
	}
	n = sized(d.b[pos : pos+width])
	if n > math.MaxInt64 {
		return 0, 0, hugeCount
	}
	return n, pos + width, sound
}
