package store

import (
	"errors"
	"io"

	"tundump/capture/pcapng"
	"tundump/decode"
)

// readAhead is how much a Reader reads of a file at a time.
const readAhead = 256 << 10

// Reader reads rows as [Store.At] does, with one read of the file for many
// that follow each other. It is for one goroutine.
//
//	r := st.Reader()
//	for i := st.First(); ; i++ {
//		if _, err := st.Wait(ctx, i); err != nil {
//			return err
//		}
//		ev, err := r.At(i)
//		…
//	}
type Reader struct {
	s      *Store
	packet pcapng.Packet
	file   file
	offset int64  // of window in file
	done   int64  // bytes of window up to which a row was put together in place
	window []byte // what was read
	buf    []byte // memory for it, and more
	piece  int    // the last one that was taken for window
}

// Reader returns a Reader of the store's rows.
func (s *Store) Reader() *Reader { return &Reader{s: s} }

// At returns row i. The event's Raw is valid until the next call, and of a
// store that is indexed in order until Wait is called. The errors
// are those of [Store.At].
func (r *Reader) At(i int) (decode.Event, error) {
	e, g, err := r.s.find(i)
	if err != nil {
		return decode.Event{}, err
	}
	ev, err := r.read(g, e)
	r.packet = pcapng.Packet{Comments: r.packet.Comments[:0]}
	return ev, r.s.rowError(i, err)
}

func (r *Reader) read(g *segment, e *Entry) (decode.Event, error) {
	section, ok := g.section(e.offset())
	if !ok {
		return decode.Event{}, errChanged
	}
	b, err := r.bytes(g.file, e.offset(), int(e.span))
	if err != nil {
		return decode.Event{}, err
	}
	if _, n, _ := section.Cut(b); n < len(b) { // of several blocks
		r.done = e.End() - r.offset
	}
	return assemble(&section, b, e, &r.packet)
}

// bytes returns n bytes at an offset, or those that are there. They may be
// written to.
func (r *Reader) bytes(f file, offset int64, n int) ([]byte, error) {
	if p := &r.s.piece; p.number != r.piece {
		r.piece = p.number
		r.file, r.offset, r.window, r.done = p.file, p.offset, p.bytes, 0
	}
	if at := offset - r.offset; f == r.file && at >= r.done && at+int64(n) <= int64(len(r.window)) {
		return r.window[at:][:n:n], nil
	}
	if size := max(n, readAhead); cap(r.buf) < size || cap(r.buf) > 16*size {
		r.buf = make([]byte, size)
	}
	got, err := f.ReadAt(r.buf[:cap(r.buf)], offset)
	if err != nil && !errors.Is(err, io.EOF) {
		r.file = nil
		return nil, err
	}
	n = min(n, got)
	r.file, r.offset, r.window, r.done = f, offset, r.buf[:got], 0
	return r.window[:n:n], nil
}
