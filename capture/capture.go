// Package capture holds the words that the sources of events (the proxy, a
// sniffer, a file) share with their sinks (the recorder, an analysis):
// a [Batch] of events over one buffer, and the [Tap] that takes batches.
//
// A source fills a batch, offers it, uses the bytes itself and lets go:
//
//	b := capture.NewBatch()
//	n, err := conn.Read(b.Grow(256 << 10))
//	b.Events = append(b.Events, ev) // ev.Raw aliases b's buffer
//	tap.Offer(b)                    // a tap that keeps b calls Retain first
//	peer.Write(bytes)
//	b.Release()
package capture

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"tundump/decode"
)

// Tap takes what passes. Offer is called from many goroutines, in order for
// each direction of each tunnel. It must not change b, and not keep it beyond
// the call unless it calls [Batch.Retain] first. It may block: that is how a
// full recorder slows a tunnel.
type Tap interface {
	Offer(b *Batch)
}

// Batch is some events of one direction of one tunnel, and the buffer that
// their bytes lie in. It is reference-counted: NewBatch's caller holds the
// first reference, and whoever holds one may read Events and the bytes they
// alias until it calls Release.
type Batch struct {
	Events []decode.Event

	buf  []byte
	refs atomic.Int32
}

// bufferSize is what one read of a busy connection can bring, and what a
// pooled batch keeps; larger buffers go back to the collector.
const bufferSize = 256 << 10

var pool = sync.Pool{New: func() any { return new(Batch) }}

// NewBatch returns an empty batch with one reference. It may come from a pool.
func NewBatch() *Batch {
	b := pool.Get().(*Batch)
	b.refs.Store(1)
	return b
}

// Grow returns the batch's buffer with a length of at least n bytes, and at
// least the standard read size. What an earlier Grow returned keeps its bytes
// but is no longer the batch's buffer if it was too small.
func (b *Batch) Grow(n int) []byte {
	if cap(b.buf) < n {
		old := b.buf
		b.buf = make([]byte, max(n, bufferSize))
		copy(b.buf, old)
	}
	return b.buf[:cap(b.buf)]
}

// Size reports the memory that the batch pins, in bytes.
func (b *Batch) Size() int { return cap(b.buf) + cap(b.Events)*EventSize }

// EventSize is the memory that one event takes besides its bytes.
const EventSize = int(unsafe.Sizeof(decode.Event{}))

// Retain adds a reference.
func (b *Batch) Retain() { b.refs.Add(1) }

// Release gives a reference back. After the last one the batch is reused, and
// its events and bytes are no longer valid.
func (b *Batch) Release() {
	switch n := b.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("capture: Batch released more often than retained")
	}
	clear(b.Events)
	b.Events = b.Events[:0]
	if cap(b.buf) > bufferSize {
		b.buf = nil
	}
	pool.Put(b)
}
