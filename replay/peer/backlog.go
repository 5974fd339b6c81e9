package peer

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	highWater = 64 << 10 // over this the sender is asked to suspend
	lowWater  = 16 << 10 // under this, to resume
	// fullWater is where the tunnel itself is no longer read: genuine clients
	// ignore suspend, and nothing may be lost.
	fullWater = 256 << 10
)

// errStalled ends a connection whose backlog stayed full.
var errStalled = errors.New("peer: the receiver took nothing for too long")

// backlog is the bytes of one flow that came through the tunnel and wait for
// whoever takes them. One goroutine puts, one takes.
type backlog struct {
	mu     sync.Mutex
	buf    []byte
	err    error         // what take reports once buf is empty; put fails at once
	data   chan struct{} // has room for one: there may be something to take
	room   chan struct{} // has room for one: something was taken
	closed chan struct{} // closed with err
}

func newBacklog() *backlog {
	return &backlog{data: make(chan struct{}, 1), room: make(chan struct{}, 1), closed: make(chan struct{})}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put appends b. While the backlog is full it waits, until stop is closed or
// nothing was taken for as long as stall.
func (q *backlog) put(b []byte, stop <-chan struct{}, stall time.Duration) error {
	for {
		q.mu.Lock()
		if q.err != nil {
			q.mu.Unlock()
			return net.ErrClosed
		}
		if len(q.buf) < fullWater {
			q.buf = append(q.buf, b...)
			q.mu.Unlock()
			notify(q.data)
			return nil
		}
		q.mu.Unlock()
		timer := time.NewTimer(stall)
		select {
		case <-q.room:
		case <-q.closed:
		case <-stop:
			timer.Stop()
			return net.ErrClosed
		case <-timer.C:
			return errStalled
		}
		timer.Stop()
	}
}

// len reports how many bytes wait.
func (q *backlog) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.buf)
}

// full reports whether put would wait now.
func (q *backlog) full() bool { return q.len() >= fullWater }

// end makes take report err once it has given out everything. The first call
// counts.
func (q *backlog) end(err error) { q.finish(err, false) }

// abort is end, and drops what waits.
func (q *backlog) abort(err error) { q.finish(err, true) }

func (q *backlog) finish(err error, drop bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if drop {
		q.buf = nil
	}
	if q.err == nil {
		q.err = err
		close(q.closed)
	}
}

// takeAll waits for something and exchanges it for spare.
func (q *backlog) takeAll(spare []byte) ([]byte, error) {
	for {
		q.mu.Lock()
		if len(q.buf) > 0 {
			spare, q.buf = q.buf, spare[:0]
			q.mu.Unlock()
			notify(q.room)
			return spare, nil
		}
		err := q.err
		q.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-q.data:
		case <-q.closed:
		}
	}
}

// read waits for something, until expired is closed, and takes what fits into
// b.
func (q *backlog) read(b []byte, expired <-chan struct{}) (int, error) {
	for {
		select {
		case <-expired:
			return 0, os.ErrDeadlineExceeded
		default:
		}
		q.mu.Lock()
		if len(q.buf) > 0 {
			n := copy(b, q.buf)
			if q.buf = q.buf[n:]; len(q.buf) == 0 {
				q.buf = nil
			}
			q.mu.Unlock()
			notify(q.room)
			return n, nil
		}
		err := q.err
		q.mu.Unlock()
		if err != nil || len(b) == 0 {
			return 0, err
		}
		select {
		case <-q.data:
		case <-q.closed:
		case <-expired:
		}
	}
}

// throttle asks the sender of a backlog to suspend and to resume. Asking never
// waits: the tunnel's writer sends what is wanted when it gets to it, and a
// wish that was taken back meanwhile is not sent at all.
type throttle struct {
	id  int64
	out *outbox

	mu         sync.Mutex
	want, sent bool // suspended
	announced  bool // the writer knows
	ended      bool
}

// check compares what waits with the marks.
func (t *throttle) check(q *backlog) {
	n := q.len()
	t.mu.Lock()
	switch {
	case n > highWater:
		t.want = true
	case n < lowWater:
		t.want = false
	}
	tell := t.want != t.sent && !t.announced && !t.ended
	t.announced = t.announced || tell
	t.mu.Unlock()
	if tell {
		t.out.announceThrottle(t)
	}
}

// next returns what the writer has to send, if anything.
func (t *throttle) next() (suspend, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.announced = false
	if t.ended || t.want == t.sent {
		return false, false
	}
	t.sent = t.want
	return t.sent, true
}

// end keeps the throttle silent from now on.
func (t *throttle) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

// gate holds a sender back while the receiver has asked for it.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed by open; nil while the gate is open
}

// set shuts or opens the gate. Either may come twice.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case shut && g.shut == nil:
		g.shut = make(chan struct{})
	case !shut && g.shut != nil:
		close(g.shut)
		g.shut = nil
	}
}

// opened returns a channel that is closed when the gate opens, nil if it is
// open.
func (g *gate) opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut
}
