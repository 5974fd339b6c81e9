package store

import (
	"math"
	"sync/atomic"

	"tundump/decode"
)

// Entry is what is kept in memory of a row.
type Entry struct {
	pos    uint64 // offset of the row's first block in its file, and in the low 16 bits the comment, from 1, that stands for the row; 0 is the block itself
	span   uint32 // bytes from there that hold the row
	Tunnel uint32
	Len    uint32 // of Raw, in bytes; of what is missing, for a gap
	Flags  decode.Flags
	Kind   decode.Kind
	Dir    decode.Direction
}

const commentBits = 16

// NewEntry describes a row whose blocks are the span bytes at offset. comment
// is 0 for the block's own event, else the place of the comment that stands
// for it among the block's comments, from 1.
func NewEntry(ev *decode.Event, offset int64, span, comment int) Entry {
	e := Entry{
		pos: uint64(offset)<<commentBits | uint64(comment), span: uint32(span), Tunnel: ev.Tunnel,
		Len: uint32(len(ev.Raw)), Flags: ev.Flags, Kind: ev.Kind, Dir: ev.Dir,
	}
	if ev.Kind == decode.Gap && ev.Detail != nil {
		e.Len = uint32(min(max(0, ev.Detail.Len), math.MaxUint32))
	}
	return e
}

// Place says where the row's blocks turned out to be: the span bytes at offset.
func (e *Entry) Place(offset int64, span int) {
	e.pos = uint64(offset)<<commentBits | e.pos&(1<<commentBits-1)
	e.span = uint32(span)
}

// End is the offset behind the row's blocks.
func (e *Entry) End() int64 { return e.offset() + int64(e.span) }

func (e *Entry) offset() int64 { return int64(e.pos >> commentBits) }
func (e *Entry) comment() int  { return int(e.pos & (1<<commentBits - 1)) }

const chunkRows = 4096

type chunk [chunkRows]Entry

// rows is an array that grows without moving: one goroutine appends, any
// number read at the same time and without a lock.
type rows struct {
	chunks atomic.Pointer[[]*chunk] // a nil chunk was given up
	n      atomic.Int64             // entries below n are written
}

func (r *rows) len() int { return int(r.n.Load()) }

// at returns entry i; ok is false if it is not, or no longer, there.
func (r *rows) at(i int) (e *Entry, ok bool) {
	if i < 0 || i >= r.len() {
		return nil, false
	}
	c := (*r.chunks.Load())[i/chunkRows]
	if c == nil {
		return nil, false
	}
	return &c[i%chunkRows], true
}

// append adds entries; they can be read once it has returned.
func (r *rows) append(entries []Entry) {
	n := r.len()
	for len(entries) > 0 {
		list := r.list()
		if n/chunkRows == len(list) {
			list = append(list, new(chunk)) // readers of the old length never look at the new element
			r.chunks.Store(&list)
		}
		k := copy(list[n/chunkRows][n%chunkRows:], entries)
		entries = entries[k:]
		n += k
	}
	r.n.Store(int64(n))
}

func (r *rows) list() []*chunk {
	if p := r.chunks.Load(); p != nil {
		return *p
	}
	return nil
}

// drop gives up the memory of the rows before first, as far as whole chunks
// go.
func (r *rows) drop(first int) {
	list := append([]*chunk(nil), r.list()...)
	clear(list[:min(len(list), first/chunkRows)])
	r.chunks.Store(&list)
}
