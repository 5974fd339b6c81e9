package bplist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf16"
	"unicode/utf8"
)

// Ref is an object that a [Writer] has been given. It is valid until the next
// Reset.
type Ref int32

// Writer builds binary property lists as Apple's encoder does: objects are
// described from the inside out, then [Writer.Append] writes them. The zero
// Writer is ready; one that is reused after [Writer.Reset] does not allocate.
//
//	w.Reset()
//	dst, err = w.Append(dst, w.Dict(
//		w.String("command"), w.Int(8),
//		w.String("identifier"), w.Int(id),
//		w.String("packets"), w.DataArray(packets),
//		w.String("protocols"), w.IntArray(families),
//	))
//
// Integers of one value are one object in a message, because Apple's small
// numbers are tagged pointers; other objects are shared where the same Ref is
// used again. Keys and values are written in the order in which they are
// given. Only what the root refers to is written.
//
// A Writer is for one goroutine at a time.
//
// Source: CFPropertyListWrite's _flattenPlist and _appendObject in
// CFBinaryPList.c.
type Writer struct {
	nodes []node
	refs  []Ref // of the containers, back to back
	ints  map[int64]Ref
	last  Ref // the integer that was given last, from 1; 0: none
	order []Ref
	err   error
}

// node is an object before it is written. Which of the fields count depends on
// its type.
type node struct {
	typ    Type
	number uint32 // in the payload, from 1; 0 while it has none
	off    int    // in the payload
	bits   uint64 // of an integer, real, date, UID or boolean
	str    string
	data   []byte
	wide   bool // an integer above 2^63-1
	first  int  // of a container: where its references are
	n      int  // and how many
}

// Reset forgets all objects and keeps the memory.
func (w *Writer) Reset() {
	clear(w.nodes)
	clear(w.ints)
	w.nodes, w.refs, w.order = w.nodes[:0], w.refs[:0], w.order[:0]
	w.last, w.err = 0, nil
}

func (w *Writer) add(n node) Ref {
	w.nodes = append(w.nodes, n)
	return Ref(len(w.nodes) - 1)
}

// Int describes an integer. One value is one object.
func (w *Writer) Int(v int64) Ref {
	if w.last > 0 && w.nodes[w.last-1].bits == uint64(v) {
		return w.last - 1
	}
	r, known := w.ints[v]
	if !known {
		if w.ints == nil {
			w.ints = make(map[int64]Ref)
		}
		r = w.add(node{typ: Int, bits: uint64(v)})
		w.ints[v] = r
	}
	w.last = r + 1
	return r
}

// Real describes a 64-bit real.
func (w *Writer) Real(v float64) Ref { return w.add(node{typ: Real, bits: math.Float64bits(v)}) }

// Bool describes a boolean.
func (w *Writer) Bool(v bool) Ref {
	n := node{typ: Bool}
	if v {
		n.bits = 1
	}
	return w.add(n)
}

// Date describes a date, in seconds after 2001-01-01 00:00 UTC.
func (w *Writer) Date(seconds float64) Ref {
	return w.add(node{typ: Date, bits: math.Float64bits(seconds)})
}

// UID describes a UID.
func (w *Writer) UID(v uint32) Ref { return w.add(node{typ: UID, bits: uint64(v)}) }

// String describes a string: an ASCII object if it is ASCII, else UTF-16.
// Bytes that are no UTF-8 become U+FFFD.
func (w *Writer) String(s string) Ref { return w.add(node{typ: String, str: s}) }

// Data describes a data object. b is not copied and must stay as it is until
// Append.
func (w *Writer) Data(b []byte) Ref { return w.add(node{typ: Data, data: b}) }

// Array describes an array of objects that have been described before.
func (w *Writer) Array(elements ...Ref) Ref { return w.container(Array, elements) }

// Dict describes a dictionary: key, value, key, value. An odd number of refs
// and keys that are no strings make Append fail.
func (w *Writer) Dict(pairs ...Ref) Ref {
	if len(pairs)%2 != 0 {
		w.fail(errors.New("bplist: writing a dictionary: the last key has no value"))
		return w.Dict()
	}
	n := len(pairs) / 2
	first := len(w.refs)
	for i := range n {
		w.refs = append(w.refs, pairs[2*i])
	}
	for i := range n {
		w.refs = append(w.refs, pairs[2*i+1])
	}
	r := w.add(node{typ: Dict, first: first, n: n})
	w.checkRefs(pairs)
	for _, key := range w.refs[first : first+n] {
		if w.err == nil && w.nodes[key].typ != String {
			w.fail(fmt.Errorf("bplist: writing a dictionary: a key is of type %s, not a string", w.nodes[key].typ))
		}
	}
	return r
}

// DataArray describes an array of data objects, such as "packets".
func (w *Writer) DataArray(elements [][]byte) Ref {
	first := Ref(len(w.nodes))
	for _, b := range elements {
		w.Data(b)
	}
	at := len(w.refs)
	for i := range elements {
		w.refs = append(w.refs, first+Ref(i))
	}
	return w.add(node{typ: Array, first: at, n: len(elements)})
}

// IntArray describes an array of integers, such as "protocols".
func (w *Writer) IntArray(elements []int64) Ref {
	at := len(w.refs)
	for _, v := range elements {
		w.refs = append(w.refs, w.Int(v))
	}
	return w.add(node{typ: Array, first: at, n: len(elements)})
}

func (w *Writer) container(typ Type, elements []Ref) Ref {
	first := len(w.refs)
	w.refs = append(w.refs, elements...)
	r := w.add(node{typ: typ, first: first, n: len(elements)})
	w.checkRefs(elements)
	return r
}

// checkRefs makes Append fail if a ref is none of this message.
func (w *Writer) checkRefs(refs []Ref) {
	for _, r := range refs {
		if r < 0 || int(r) >= len(w.nodes)-1 {
			w.fail(errors.New("bplist: writing a container: an element was not described before it"))
		}
	}
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Append appends the payload with that root to dst. The offsets in it count
// from len(dst), so a length field can be in front. It fails, and returns dst
// as it was, if an object was not described properly.
func (w *Writer) Append(dst []byte, root Ref) ([]byte, error) {
	if root < 0 || int(root) >= len(w.nodes) {
		w.fail(errors.New("bplist: writing a property list: the root was not described"))
	}
	if w.err != nil {
		return dst, w.err
	}
	for _, r := range w.order {
		w.nodes[r].number = 0
	}
	w.order = w.order[:0]
	w.flatten(root)

	start := len(dst)
	refSize := width(uint64(len(w.order)))
	dst = append(dst, "bplist00"...)
	for _, r := range w.order {
		w.nodes[r].off = len(dst) - start
		dst = w.appendNode(dst, &w.nodes[r], refSize)
	}
	table := len(dst) - start
	offSize := width(uint64(table))
	for _, r := range w.order {
		dst = appendSized(dst, uint64(w.nodes[r].off), offSize)
	}
	return appendTrailer(dst, [6]byte{}, offSize, refSize, len(w.order), 0, table), nil
}

// flatten numbers the objects: a container first, then all keys, then all
// values, each with everything in it.
func (w *Writer) flatten(r Ref) {
	n := &w.nodes[r]
	if n.number != 0 {
		return
	}
	w.order = append(w.order, r)
	n.number = uint32(len(w.order))
	for _, e := range w.refs[n.first : n.first+n.refs()] {
		w.flatten(e)
	}
}

func (n *node) refs() int {
	if n.typ == Dict {
		return 2 * n.n
	}
	return n.n
}

func (w *Writer) appendNode(dst []byte, n *node, refSize int) []byte {
	switch n.typ {
	case Int:
		if n.wide {
			return binary.BigEndian.AppendUint64(append(dst, 0x14, 0, 0, 0, 0, 0, 0, 0, 0), n.bits)
		}
		return AppendInt(dst, int64(n.bits))
	case Real:
		return AppendReal(dst, math.Float64frombits(n.bits))
	case Bool:
		return AppendBool(dst, n.bits != 0)
	case Date:
		return AppendDate(dst, math.Float64frombits(n.bits))
	case UID:
		return AppendUID(dst, uint32(n.bits))
	case String:
		return AppendString(dst, n.str)
	case Data:
		return AppendData(dst, n.data)
	case Dict:
		dst = appendCount(dst, 0xd0, n.n)
	default:
		dst = appendCount(dst, 0xa0, n.n)
	}
	for _, e := range w.refs[n.first : n.first+n.refs()] {
		dst = appendSized(dst, uint64(w.nodes[e].number-1), refSize)
	}
	return dst
}

// width returns how many bytes Apple's encoder takes for numbers up to v.
func width(v uint64) int {
	switch {
	case v <= math.MaxUint8:
		return 1
	case v <= math.MaxUint16:
		return 2
	case v <= math.MaxUint32:
		return 4
	}
	return 8
}

// appendSized appends the low n bytes of v, n being at least 1.
func appendSized(dst []byte, v uint64, n int) []byte {
	switch n {
	case 1:
		return append(dst, byte(v))
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(v))
	}
	for ; n > 8; n-- {
		dst = append(dst, 0)
	}
	for n--; n >= 0; n-- {
		dst = append(dst, byte(v>>(8*n)))
	}
	return dst
}

func appendTrailer(dst []byte, unused [6]byte, offSize, refSize, objects, root, table int) []byte {
	dst = append(dst, unused[:]...)
	dst = append(dst, byte(offSize), byte(refSize))
	dst = binary.BigEndian.AppendUint64(dst, uint64(objects))
	dst = binary.BigEndian.AppendUint64(dst, uint64(root))
	return binary.BigEndian.AppendUint64(dst, uint64(table))
}

// appendCount appends a marker with its count.
func appendCount(dst []byte, marker byte, n int) []byte {
	if n < 15 {
		return append(dst, marker|byte(n))
	}
	return AppendInt(append(dst, marker|15), int64(n))
}

// AppendInt appends an integer object: the shortest of 1, 2, 4 and 8 bytes,
// and 8 for negative ones.
func AppendInt(dst []byte, v int64) []byte {
	n := width(uint64(v))
	return appendSized(append(dst, 0x10|byte(log2(n))), uint64(v), n)
}

func log2(n int) (k int) {
	for ; n > 1; n >>= 1 {
		k++
	}
	return k
}

// AppendReal appends a 64-bit real object.
func AppendReal(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0x23), math.Float64bits(v))
}

// AppendBool appends a boolean object.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0x09)
	}
	return append(dst, 0x08)
}

// AppendDate appends a date object, in seconds after 2001-01-01 00:00 UTC.
func AppendDate(dst []byte, seconds float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0x33), math.Float64bits(seconds))
}

// AppendUID appends a UID object.
func AppendUID(dst []byte, v uint32) []byte {
	n := width(uint64(v))
	return appendSized(append(dst, 0x80|byte(n-1)), uint64(v), n)
}

// AppendData appends a data object.
func AppendData(dst, b []byte) []byte {
	return append(appendCount(dst, 0x40, len(b)), b...)
}

// AppendString appends a string object: ASCII if it can be, else UTF-16. Bytes
// that are no UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	units, ascii := 0, true
	for _, r := range s {
		ascii = ascii && r < utf8.RuneSelf
		units += utf16.RuneLen(r)
	}
	if ascii {
		return append(appendCount(dst, 0x50, len(s)), s...)
	}
	dst = appendCount(dst, 0x60, units)
	for _, r := range s {
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			dst = binary.BigEndian.AppendUint16(dst, uint16(hi))
			r = lo
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(r))
	}
	return dst
}
