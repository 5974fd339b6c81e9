package record

import (
	"sync"
	"time"

	"tundump/capture"
	"tundump/decode"
)

const (
	chunkBytes  = 64 << 10 // of copied records
	chunkEvents = 256
	maxFree     = 8 // chunks kept for the next burst

	// reserve is what tunnel events may take beyond the limit where records
	// are dropped: without them the rest would make no sense.
	reserve = 1 << 20
)

// chunk is where events are copied to whose batch would pin far more memory
// than they need: a relay reads into 256 KiB however little comes.
type chunk struct {
	buf    []byte
	events []decode.Event
}

func (c *chunk) size() int { return cap(c.buf) + cap(c.events)*capture.EventSize }

// item is one element of the queue: a batch that is held, or a chunk.
type item struct {
	batch *capture.Batch
	chunk *chunk
}

func (it item) size() int {
	if it.batch != nil {
		return it.batch.Size()
	}
	return it.chunk.size()
}

func (it item) events() []decode.Event {
	if it.batch != nil {
		return it.batch.Events
	}
	return it.chunk.events
}

// queue is what waits to be written. Memory in it is counted as what it pins,
// until it is released.
type queue struct {
	limit    int
	overload Overload
	now      func() time.Time

	mu     sync.Mutex
	room   sync.Cond // something was released, or the queue is shut
	wake   chan struct{}
	items  []item
	pinned int
	paused bool // what passes is counted, and not recorded
	shut   bool // takes no more: closed, or writing failed
	closed bool
	poked  bool // the writer is to look up, whatever is there
	needs  need
	free   []*chunk
	losses map[stream]*loss
	stats  Stats
}

// need is what the writer wants to be woken for.
type need uint8

const (
	nothing need = iota
	anything
	plenty
)

// stream is one direction of one tunnel.
type stream struct {
	tunnel uint32
	dir    decode.Direction
}

// loss is what was dropped of a stream since the last event that was kept.
type loss struct {
	bytes  int64
	offset int64
	time   int64
	flags  decode.Flags
}

func newQueue(limit int, overload Overload, now func() time.Time) *queue {
	q := &queue{limit: limit, overload: overload, now: now, wake: make(chan struct{}, 1), losses: map[stream]*loss{}}
	q.room.L = &q.mu
	return q
}

// offer takes the batch's events, waits until there is room, or drops them.
func (q *queue) offer(b *capture.Batch) {
	used := 0
	for i := range b.Events {
		used += len(b.Events[i].Raw)
	}
	hold := b.Size() < 2*used+len(b.Events)*capture.EventSize
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.paused || q.overload == Drop && q.full(q.cost(b, hold, used)) {
		q.dropped(b.Events)
		return
	}
	if !q.admit(q.cost(b, hold, used), q.limit) {
		return
	}
	if len(q.losses) > 0 {
		q.fillGaps(b.Events[0].Tunnel, b.Events[0].Dir, closes(b.Events))
	}
	if hold {
		b.Retain()
		q.push(item{batch: b})
	} else {
		for i := range b.Events {
			q.copy(&b.Events[i])
		}
	}
	q.signal()
}

// cost is how much more would be pinned.
func (q *queue) cost(b *capture.Batch, hold bool, used int) int {
	switch {
	case hold:
		return b.Size()
	case q.fits(used, len(b.Events)):
		return 0
	}
	return max(chunkBytes, used) + max(chunkEvents, len(b.Events))*capture.EventSize
}

func (q *queue) full(cost int) bool { return q.pinned > 0 && q.pinned+cost > q.limit }

// admit waits until cost more bytes may be pinned. It reports false if the
// queue takes nothing any more.
func (q *queue) admit(cost, limit int) bool {
	if q.pinned == 0 || q.pinned+cost <= limit {
		return !q.shut
	}
	q.stats.Waits++
	began := q.now()
	for q.pinned > 0 && q.pinned+cost > limit && !q.shut {
		q.signal()
		q.room.Wait()
	}
	q.stats.Waited += q.now().Sub(began)
	return !q.shut
}

func (q *queue) push(it item) {
	q.items = append(q.items, it)
	q.pinned += it.size()
}

// signal wakes the writer if it waits for what is there now.
func (q *queue) signal() {
	if q.needs == anything && len(q.items) > 0 || q.needs == plenty && q.pinned >= q.limit/8 {
		q.needs = nothing
		q.wake <- struct{}{} // has room: the writer takes it before it needs something again
	}
}

// open is the chunk at the queue's end that can take more, or nil.
func (q *queue) open() *chunk {
	if n := len(q.items); n > 0 {
		return q.items[n-1].chunk
	}
	return nil
}

func (q *queue) fits(bytes, events int) bool {
	c := q.open()
	return c != nil && cap(c.buf)-len(c.buf) >= bytes && cap(c.events)-len(c.events) >= events
}

// copy adds one event and its bytes to a chunk.
func (q *queue) copy(ev *decode.Event) {
	if !q.fits(len(ev.Raw), 1) {
		q.push(item{chunk: q.chunk(len(ev.Raw))})
	}
	c := q.open()
	at := len(c.buf)
	c.buf = append(c.buf, ev.Raw...)
	c.events = append(c.events, *ev)
	kept := &c.events[len(c.events)-1]
	kept.Raw = c.buf[at:len(c.buf):len(c.buf)]
	if ev.Detail != nil {
		d := *ev.Detail
		kept.Detail = &d
	}
}

func (q *queue) chunk(bytes int) *chunk {
	if n := len(q.free); n > 0 && bytes <= chunkBytes {
		c := q.free[n-1]
		q.free = q.free[:n-1]
		return c
	}
	return &chunk{buf: make([]byte, 0, max(chunkBytes, bytes)), events: make([]decode.Event, 0, chunkEvents)}
}

// take waits until there is something, or poke was called, and a moment longer for more, and takes
// all there is. more is false when the queue is closed and empty. spare is an
// emptied slice to use again.
func (q *queue) take(spare []item) (items []item, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 && !q.closed && !q.poked {
		q.await(anything, nil)
	}
	if !q.closed && !q.poked && q.pinned < q.limit/8 {
		t := time.NewTimer(gather)
		q.await(plenty, t.C)
		t.Stop()
	}
	items, q.items, q.poked = q.items, spare[:0], false
	return items, len(items) > 0 || !q.closed
}

// gather is how long the writer lets events collect: a wake-up and a write for
// each record would cost more than the relay itself.
const gather = time.Millisecond

// await lets go of the lock until signal finds what is needed, or time is up.
func (q *queue) await(n need, timeout <-chan time.Time) {
	q.needs = n
	q.mu.Unlock()
	select {
	case <-q.wake:
	case <-timeout:
	}
	q.mu.Lock()
	q.needs = nothing
	select {
	case <-q.wake: // signalled while time was up
	default:
	}
}

// release gives back what an item pins.
func (q *queue) release(it item) {
	size := it.size()
	if it.batch != nil {
		it.batch.Release()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pinned -= size
	if c := it.chunk; c != nil && cap(c.buf) == chunkBytes && len(q.free) < maxFree {
		clear(c.events)
		c.buf, c.events = c.buf[:0], c.events[:0]
		q.free = append(q.free, c)
	}
	q.room.Broadcast()
}

// stop makes the queue take no more, whatever waits in offer included.
func (q *queue) stop(closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut = true
	q.closed = q.closed || closed
	q.room.Broadcast()
	if closed {
		q.rouse()
	}
}

// poke makes take return, if with nothing.
func (q *queue) poke() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.poked = true
	q.rouse()
}

// rouse wakes the writer, whatever it waits for.
func (q *queue) rouse() {
	if q.needs != nothing {
		q.needs = nothing
		q.wake <- struct{}{}
	}
}
