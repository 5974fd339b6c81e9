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
