package peer

import (
	"io"
	"net"
	"sync"

	"tundump/decode"
)

const (
	// maxPending is how many bytes of records wait for the tunnel's TCP
	// connection before whoever has more must wait. One record more fits.
	maxPending = 256 << 10
	// maxPackets bounds the packets that wait behind it, for each connection.
	maxPackets     = 512
	maxPacketBytes = 512 << 10
)

// outbox is what one end of a tunnel has to send. Any number of goroutines
// put records into it; one, run, writes them, as many at once as there are.
type outbox struct {
	mu     sync.Mutex
	next   outgoing
	room   chan struct{} // closed, and a new one made, when next was taken
	closed bool

	wake chan struct{} // has room for one
	done chan struct{} // closed by close
}

// outgoing is what the writer sends next.
type outgoing struct {
	records   []byte         // whole ones
	queues    []*packetQueue // that have packets
	throttles []*throttle    // that have something to ask
}

func newOutbox() *outbox {
	return &outbox{room: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// put queues a record, which it does not keep. It waits while the tunnel is
// congested. The error is net.ErrClosed: after close, or when stop is closed.
func (o *outbox) put(rec []byte, stop <-chan struct{}) error {
	for {
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			return net.ErrClosed
		}
		if len(o.next.records) < maxPending {
			o.next.records = append(o.next.records, rec...)
			o.mu.Unlock()
			o.signal()
			return nil
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-stop:
			return net.ErrClosed
		case <-o.done:
		}
	}
}

// force queues a record without waiting, for the few that may be sent where
// nothing may wait.
func (o *outbox) force(rec []byte) {
	o.mu.Lock()
	if !o.closed {
		o.next.records = append(o.next.records, rec...)
	}
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// announce tells the writer that q has packets.
func (o *outbox) announce(q *packetQueue) {
	o.mu.Lock()
	o.next.queues = append(o.next.queues, q)
	o.mu.Unlock()
	o.signal()
}

// announceThrottle tells the writer that t has something to ask.
func (o *outbox) announceThrottle(t *throttle) {
	o.mu.Lock()
	o.next.throttles = append(o.next.throttles, t)
	o.mu.Unlock()
	o.signal()
}

// close ends put at once, and run after it has written what is there.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		close(o.done)
	}
}

// take exchanges what is there for empty buffers.
func (o *outbox) take(out *outgoing) {
	out.records, out.queues, out.throttles = out.records[:0], out.queues[:0], out.throttles[:0]
	o.mu.Lock()
	defer o.mu.Unlock()
	*out, o.next = o.next, *out
	if len(out.records) > 0 {
		close(o.room)
		o.room = make(chan struct{})
	}
}

// run writes to w until close or the first error, which it returns. A packet
// waits in its queue while w is congested, and is batched with those that
// came meanwhile.
func (o *outbox) run(w io.Writer) error {
	var (
		out outgoing
		got drained
		enc encoder
	)
	for closing := false; !closing; {
		select {
		case <-o.wake:
		case <-o.done:
			closing = true
		}
		for {
			o.take(&out)
			if err := enc.append(&out, &got); err != nil {
				return err
			}
			if len(out.records) == 0 {
				break
			}
			if _, err := w.Write(out.records); err != nil {
				return err
			}
			if cap(out.records) > 2*maxPending {
				out.records = nil // a burst of batches; put bounds the rest
			}
		}
	}
	return nil
}

// append makes records of the queues and throttles in out. got is scratch.
func (e *encoder) append(out *outgoing, got *drained) (err error) {
	for _, t := range out.throttles {
		suspend, ok := t.next()
		if !ok {
			continue
		}
		cmd := decode.Resume
		if suspend {
			cmd = decode.Suspend
		}
		rec, err := e.plain(cmd, t.id)
		if err != nil {
			return err
		}
		out.records = append(out.records, rec...)
	}
	for _, q := range out.queues {
		q.drain(got)
		if out.records, err = e.batches(out.records, q.id, got.pkts); err != nil {
			return err
		}
	}
	clear(out.throttles)
	clear(out.queues)
	return nil
}

// packetQueue is the packets that wait for the writer of one tunnel, for one
// IP connection. When it is full more are dropped, as any IP network does.
type packetQueue struct {
	id  int64
	out *outbox

	mu        sync.Mutex
	buf       []byte // the packets, back to back
	ends      []int  // of each packet in buf
	suspended bool
	announced bool // the writer knows
	closed    bool
	dropped   int64
}

// drained is what the writer took from a queue. pkts alias buf.
type drained struct {
	buf  []byte
	ends []int
	pkts [][]byte
}

// push copies a packet into the queue.
func (q *packetQueue) push(p []byte) {
	q.mu.Lock()
	if q.closed || len(q.ends) >= maxPackets || len(q.buf)+len(p) > maxPacketBytes {
		q.dropped++
		q.mu.Unlock()
		return
	}
	q.buf = append(q.buf, p...)
	q.ends = append(q.ends, len(q.buf))
	q.unlockAnnounced()
}

// unlockAnnounced tells the writer, if there is anything to tell.
func (q *packetQueue) unlockAnnounced() {
	tell := !q.announced && !q.suspended && len(q.ends) > 0
	q.announced = q.announced || tell
	q.mu.Unlock()
	if tell {
		q.out.announce(q)
	}
}

// drain moves the packets to d.
func (q *packetQueue) drain(d *drained) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.announced = false
	clear(d.pkts)
	d.pkts = d.pkts[:0]
	if q.suspended {
		return
	}
	d.buf, q.buf = q.buf, d.buf[:0]
	d.ends, q.ends = q.ends, d.ends[:0]
	start := 0
	for _, end := range d.ends {
		d.pkts = append(d.pkts, d.buf[start:end])
		start = end
	}
}

// suspend holds the packets back, or lets them go on. Either may come twice.
func (q *packetQueue) suspend(on bool) {
	q.mu.Lock()
	q.suspended = on
	q.unlockAnnounced()
}

// close drops what waits and what comes.
func (q *packetQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.buf, q.ends = true, nil, nil
}
