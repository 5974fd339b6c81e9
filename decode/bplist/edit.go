package bplist

import (
	"errors"
	"fmt"
	"slices"
)

// Change is a new value for one place of a property list.
type Change struct {
	Value  Value  // the scalar to replace, as Get, At or Pair found it
	Object []byte // one encoded scalar, as AppendInt or AppendData returns it
}

// Edit appends a copy of a binary property list to dst in which some scalars
// are replaced. All else stays as it was: the order of keys and objects, the
// widths of integers, what lies between objects and in the trailer. Offsets
// and references get wider only where they must.
//
// A replaced object takes the old one's place. Where other places share the
// old one, it stays for them and the new one comes last; so a command can be
// changed without changing the equal number in "protocols".
//
// It fails, and returns dst as it was, if d is no binary property list, if a
// change is no scalar, or if objects overlap, which no encoder writes.
func Edit(dst []byte, d *Doc, changes ...Change) ([]byte, error) {
	e := editor{d: d, refSize: int(d.refSize)}
	if d.enc != Binary {
		return dst, fmt.Errorf("bplist: editing: the encoding is %s, not binary: write it anew", d.enc)
	}
	e.collect()
	for _, c := range changes {
		if err := e.plan(c); err != nil {
			return dst, err
		}
	}
	e.refSize = max(e.refSize, width(uint64(int(d.objects)+len(e.added))))
	start := len(dst)
	out, err := e.write(dst)
	if err != nil {
		return dst, err
	}
	if _, err := Parse(out[start:], Limits{Depth: max(appleDepth, d.MaxDepth())}); err != nil {
		return dst, fmt.Errorf("bplist: editing: the result would be refused: %w", err)
	}
	return out, nil
}

// editor holds what [Edit] finds out about a property list.
type editor struct {
	d       *Doc
	refSize int
	uses    []uint32          // the offset of each reference's object, ascending
	objects []uint32          // the same without repetitions
	placed  []uint32          // where each of objects is in the copy
	tail    uint32            // where the end of the objects is in the copy
	replace map[uint32][]byte // by offset
	repoint map[uint32]int    // by the reference's place: which of added
	added   [][]byte
}

// collect finds all objects that can be reached, and how often each is
// referred to.
func (e *editor) collect() {
	e.replace, e.repoint = map[uint32][]byte{}, map[uint32]int{}
	e.uses = append(e.uses, e.d.root)
	expanded := map[uint32]bool{}
	todo := []uint32{e.d.root}
	for len(todo) > 0 {
		off := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		h, f := e.d.head(off)
		if f != sound || !h.typ.container() || expanded[off] {
			continue
		}
		expanded[off] = true
		for slot, end := h.body, e.d.end(off, h); slot < end; slot += uint32(e.d.refSize) {
			if to, ok := e.d.follow(slot); ok {
				e.uses = append(e.uses, to)
				todo = append(todo, to)
			}
		}
	}
	slices.Sort(e.uses)
	e.objects = slices.Compact(slices.Clone(e.uses))
}

// shared reports whether more than one reference leads to the object at off.
func (e *editor) shared(off uint32) bool {
	i, found := slices.BinarySearch(e.uses, off)
	return found && i+1 < len(e.uses) && e.uses[i+1] == off
}

// plan notes one change.
func (e *editor) plan(c Change) error {
	switch {
	case c.Value.d != e.d:
		return errors.New("bplist: editing: the value is not of this property list")
	case c.Value.typ.container() || !scalarObject(c.Object):
		return errors.New("bplist: editing: only scalars can be replaced, and only by one encoded scalar")
	case !e.shared(c.Value.off):
		e.replace[c.Value.off] = c.Object
	default:
		e.repoint[c.Value.slot] = len(e.added)
		e.added = append(e.added, c.Object)
	}
	return nil
}

// scalarObject reports whether b is exactly one encoded scalar.
func scalarObject(b []byte) bool {
	d := Doc{b: append(make([]byte, headerLen, headerLen+len(b)), b...), refSize: 1}
	d.table = uint32(len(d.b))
	h, f := d.head(headerLen)
	return f == sound && !h.typ.container() && d.end(headerLen, h) == d.table
}

func (e *editor) write(dst []byte) ([]byte, error) {
	d, start := e.d, len(dst)
	from := uint32(0)
	for _, off := range e.objects {
		if off < from {
			return nil, errors.New("bplist: editing: objects overlap: write it anew")
		}
		dst = append(dst, d.b[from:off]...)
		e.placed = append(e.placed, uint32(len(dst)-start))
		h, _ := d.head(off)
		from = d.end(off, h)
		if object, ok := e.replace[off]; ok {
			dst = append(dst, object...)
		} else {
			dst = e.copyObject(dst, off, h)
		}
	}
	dst = append(dst, d.b[from:d.table]...)
	last := len(dst) - start // what is added begins here
	e.tail = uint32(last)
	for _, object := range e.added {
		dst = append(dst, object...)
	}
	table := len(dst) - start

	offSize := int(d.offSize)
	if offSize < 8 && table>>(8*offSize) != 0 {
		offSize = width(uint64(table))
	}
	for n := range uint64(d.objects) {
		off, _ := d.offset(n)
		dst = appendSized(dst, uint64(e.moved(off)), offSize)
	}
	for _, object := range e.added {
		dst = appendSized(dst, uint64(last), offSize)
		last += len(object)
	}
	t := d.b[len(d.b)-trailerLen:]
	root := int(sized(t[16:24]))
	return appendTrailer(dst, [6]byte(t), offSize, e.refSize, int(d.objects)+len(e.added), root, table), nil
}

// copyObject appends the object at off, with its references in the new width
// and led to where they now belong.
func (e *editor) copyObject(dst []byte, off uint32, h head) []byte {
	end := e.d.end(off, h)
	if !h.typ.container() {
		return append(dst, e.d.b[off:end]...)
	}
	dst = append(dst, e.d.b[off:h.body]...)
	old := uint32(e.d.refSize)
	for slot := h.body; slot < end; slot += old {
		number := sized(e.d.b[slot : slot+old])
		if i, ok := e.repoint[slot]; ok {
			number = uint64(e.d.objects) + uint64(i)
		}
		dst = appendSized(dst, number, e.refSize)
	}
	return dst
}

// moved returns where the bytes at off are in the copy. What cannot be reached
// moves along with what is in front of it; where that was replaced, any place
// among the objects will do.
func (e *editor) moved(off uint32) uint32 {
	i, found := slices.BinarySearch(e.objects, off)
	switch {
	case found:
		return e.placed[i]
	case i == 0:
		return off
	}
	before := e.objects[i-1]
	h, _ := e.d.head(before)
	switch {
	case off < e.d.end(before, h):
		return min(e.placed[i-1]+off-before, e.tail-1)
	case i == len(e.objects):
		return e.tail - (e.d.table - off)
	}
	return e.placed[i] - (e.objects[i] - off)
}
