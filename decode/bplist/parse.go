package bplist

import (
	"encoding/binary"
	"math"
)

const (
	magic      = "bplist0" // and any eighth byte
	headerLen  = 8
	trailerLen = 32
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

// Parse checks a binary property list and returns it. b is one whole payload
// and is aliased, not copied. Everything that can be reached from the root is
// checked by the rules of Apple's reader; what cannot be reached may be
// anything. Each container is visited once, however often and by whatever
// number it is referred to. Parse allocates only where there are more than 64
// containers or 16 levels, at most a quarter of the payload's size.
//
// The error is an [*Error], and the Doc is then the zero Doc.
//
// Source: __CFBinaryPlistGetTopLevelInfo and
// __CFBinaryPlistCreateObjectFiltered in CFBinaryPList.c.
func Parse(b []byte, lim Limits) (Doc, error) {
	d, err := parse(b, lim)
	if err != nil {
		return Doc{}, err
	}
	return d, nil
}

func parse(b []byte, lim Limits) (Doc, *Error) {
	d, err := readTrailer(b)
	if err == nil {
		err = d.check(lim)
	}
	if err != nil {
		return Doc{}, err
	}
	return d, nil
}

// readTrailer checks the header, the trailer and the offset table.
func readTrailer(b []byte) (Doc, *Error) {
	fail := func(off, n int, what string) (Doc, *Error) {
		return Doc{}, &Error{Span: Span{off, n}, What: what, Encoding: Binary}
	}
	switch {
	case !looksBinary(b):
		return fail(0, min(len(b), headerLen), "it does not begin with bplist0")
	case len(b) < headerLen+1+trailerLen:
		return fail(0, len(b), "it is shorter than a header, one object and a trailer")
	case len(b) > math.MaxInt32:
		_, err := fail(0, len(b), "budget: it is longer than 2 GiB")
		err.Ours = true
		return Doc{}, err
	}
	at := len(b) - trailerLen
	t := b[at:]
	offSize, refSize := uint64(t[6]), uint64(t[7])
	objects, root, table := binary.BigEndian.Uint64(t[8:]), binary.BigEndian.Uint64(t[16:]), binary.BigEndian.Uint64(t[24:])
	switch {
	case objects < 1 || objects > math.MaxInt64:
		return fail(at+8, 8, "the trailer's number of objects is 0 or over 2^63-1")
	case root >= objects:
		return fail(at+16, 8, "the trailer's root is not among the objects")
	case table <= headerLen || table >= uint64(at):
		return fail(at+24, 8, "the trailer's offset table does not lie between the objects and the trailer")
	case offSize < 1:
		return fail(at+6, 1, "the trailer's offset size is 0")
	case refSize < 1:
		return fail(at+7, 1, "the trailer's reference size is 0")
	case objects > uint64(len(b)) || table+objects*offSize != uint64(at):
		return fail(at, trailerLen, "header, objects, offset table and trailer do not add up to the payload's length")
	case refSize < 8 && 1<<(8*refSize) <= objects:
		return fail(at+7, 1, "the trailer's reference size cannot count the objects")
	case offSize < 8 && 1<<(8*offSize) <= table:
		return fail(at+6, 1, "the trailer's offset size cannot reach the offset table")
	}
	d := Doc{
		b: b, enc: Binary, offSize: uint8(offSize), refSize: uint8(refSize),
		table: uint32(table), objects: uint32(objects), offsets: b[table:at],
	}
	for pos := int(table); pos < at; pos += int(offSize) {
		if sized(b[pos:pos+int(offSize)]) >= table {
			return fail(pos, int(offSize), faults[badOffset])
		}
	}
	d.root, _ = d.offset(root)
	return d, nil
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

const tooMany = "budget: following its references costs more than its size allows"

// frame is a container whose references are being followed.
type frame struct{ off, next, values, end uint32 }

// check visits everything that can be reached from the root, in the order in
// which Apple's reader does, because a shared object's depth is the one of the
// first visit.
func (d *Doc) check(lim Limits) *Error {
	var few [16]frame
	var seen marks
	var known [256]bool
	stack := few[:0]
	ref := uint32(d.refSize)
	depth, visits := lim.depth(), lim.visits(int(d.table)/int(d.refSize))

	h, f := d.head(d.root)
	if f != sound {
		return &Error{Span: Span{int(d.root), 1}, What: faults[f], Encoding: Binary}
	}
	if h.typ.container() {
		if visits -= int(h.refs()); visits < 0 {
			return d.refuse(h.body, tooMany, true)
		}
		stack = append(stack, d.frame(d.root, h))
		seen.set(d.root, active, len(d.b))
	}
	for len(stack) > 0 {
		level := len(stack)
		top := &stack[level-1]
		if top.next == top.end {
			seen.set(top.off, done, len(d.b))
			stack = stack[:level-1]
			continue
		}
		if level > depth {
			return d.refuse(top.next, "it is nested too deeply", depth < appleDepth)
		}
		d.maxDepth = max(d.maxDepth, int32(level))
		off, h, err := d.leaves(top, &known)
		switch {
		case err != nil:
			return err
		case h.typ == Absent:
			continue
		case top.next <= top.values:
			return d.refuse(top.next-ref, "a dictionary's key is an array, a set or a dictionary", false)
		}
		switch seen.state(off) {
		case active:
			return d.refuse(top.next-ref, "a container contains itself", false)
		case done:
			continue
		}
		if visits -= int(h.refs()); visits < 0 {
			return d.refuse(top.next-ref, tooMany, true)
		}
		seen.set(off, active, len(d.b))
		stack = append(stack, d.frame(off, h))
	}
	return nil
}

// leaves follows the references of a container up to one that leads to a
// container, which it returns; h is absent if there is none. Scalars with a
// number below 256 are looked at once, as known remembers: a record can refer
// to one of them a hundred thousand times.
func (d *Doc) leaves(top *frame, known *[256]bool) (off uint32, h head, err *Error) {
	ref := uint32(d.refSize)
	for slot := top.next; slot < top.end; slot += ref {
		number := d.number(slot)
		if number < uint64(len(known)) && known[number] {
			continue
		}
		off, ok := d.offset(number)
		if !ok {
			return 0, head{}, d.refuse(slot, "a reference is not among the objects", false)
		}
		h, f := d.head(off)
		if h.typ.container() {
			top.next = slot + ref
			return off, h, nil
		}
		if f != sound {
			return 0, head{}, &Error{Span: Span{int(off), 1}, What: faults[f], Encoding: Binary}
		}
		if number < uint64(len(known)) {
			known[number] = true
		}
	}
	top.next = top.end
	return 0, head{}, nil
}

func (d *Doc) frame(off uint32, h head) frame {
	f := frame{off: off, next: h.body, values: h.body, end: d.end(off, h)}
	if h.typ == Dict {
		f.values += h.n * uint32(d.refSize)
	}
	return f
}

func (d *Doc) refuse(slot uint32, what string, ours bool) *Error {
	return &Error{Span: Span{int(slot), int(d.refSize)}, What: what, Encoding: Binary, Ours: ours}
}

// state says how far a container has been visited.
type state uint8

const (
	unseen state = iota
	active       // its contents are being visited
	done
)

// marks remembers containers by their offset: a few in a list, many in two
// bits per byte of the payload.
type marks struct {
	n      int
	offs   [64]uint32
	states [64]state
	bits   []uint8
}

func (m *marks) state(off uint32) state {
	if m.bits != nil {
		return state(m.bits[off/4] >> (off % 4 * 2) & 3)
	}
	for i, o := range m.offs[:m.n] {
		if o == off {
			return m.states[i]
		}
	}
	return unseen
}

func (m *marks) set(off uint32, s state, size int) {
	if m.bits == nil {
		for i := m.n - 1; i >= 0; i-- {
			if m.offs[i] == off {
				m.states[i] = s
				return
			}
		}
		if m.n < len(m.offs) {
			m.offs[m.n], m.states[m.n] = off, s
			m.n++
			return
		}
		m.bits = make([]uint8, size/4+1)
		for i, o := range m.offs {
			m.setBits(o, m.states[i])
		}
	}
	m.setBits(off, s)
}

func (m *marks) setBits(off uint32, s state) {
	b, shift := &m.bits[off/4], off%4*2
	*b = *b&^(3<<shift) | uint8(s)<<shift
}
