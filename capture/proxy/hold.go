package proxy

import (
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tundump/capture/intercept"
	"tundump/decode"
	"tundump/decode/frame"
)

// errOver: the tunnel ended while a record was being kept back.
var errOver = errors.New("the tunnel is over")

// queue is what others want from a pipe.
type queue struct {
	framed atomic.Bool   // the last bytes told were a record, or none have come
	poked  atomic.Bool   // see pipe.poke
	wake   chan struct{} // likewise, for a pipe that keeps a record back

	length atomic.Int32 // of recs
	mu     sync.Mutex
	recs   [][]byte // to be sent at the next boundary
	size   int      // of recs, in bytes
	closed bool
}

// maxQueued is how many bytes may wait for a boundary.
const maxQueued = frame.MaxDecode

// enqueue puts a copy of rec in line and wakes the pipe. Anybody may call it.
func (p *pipe) enqueue(rec []byte) error {
	q := &p.queue
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return ErrNoTunnel
	case !q.framed.Load():
		q.mu.Unlock()
		return ErrNoBoundary
	case q.size > 0 && q.size+len(rec) > maxQueued:
		q.mu.Unlock()
		return ErrQueueFull
	}
	p.t.wanted.Store(true)
	q.recs = append(q.recs, append([]byte(nil), rec...))
	q.size += len(rec)
	q.length.Store(int32(len(q.recs)))
	q.mu.Unlock()
	p.poke()
	return nil
}

// take empties the queue.
func (q *queue) take() [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	recs := q.recs
	q.recs, q.size = nil, 0
	q.length.Store(0)
	return recs
}

// closeQueue ends the direction for Inject.
func (p *pipe) closeQueue() {
	p.queue.mu.Lock()
	p.queue.closed = true
	p.queue.mu.Unlock()
	if lost := p.queue.take(); len(lost) > 0 {
		p.t.proxy.cfg.Logger.Warn("the direction ended before injected records could be sent",
			"tunnel", p.t.id, "dir", p.dir, "records", len(lost))
	}
}

// insertQueued sends what is in line, if head is at a record boundary of what
// the receiver gets.
func (p *pipe) insertQueued() {
	if p.queue.length.Load() > 0 && p.sent == p.head && !p.dead && p.queue.framed.Load() {
		p.insert(p.queue.take(), 0)
	}
}

// judge asks what becomes of the record of n bytes at head, and keeps it back
// for as long as the answer says. how is what else its events have to say.
// After an error, which is errOver or the receiver's, the record is pending
// still.
func (p *pipe) judge(n int) (v intercept.Verdict, how decode.Flags, err error) {
	v = p.ask(n)
	if v.Action == intercept.Hold {
		held, ok := p.t.proxy.hold(v.ID)
		if !ok {
			p.t.proxy.cfg.Logger.Error("an interceptor held two records under one number; the second passes",
				"tunnel", p.t.id, "dir", p.dir, "id", v.ID)
			return intercept.Verdict{Before: v.Before, After: v.After}, 0, nil
		}
		defer p.t.proxy.unhold(v.ID, held)
		first := v
		if v, err = p.pause(held, 0); err != nil {
			return v, decode.Held, err
		}
		v.Before = append(first.Before[:len(first.Before):len(first.Before)], v.Before...)
		v.After = append(v.After[:len(v.After):len(v.After)], first.After...)
		v.Delay = max(v.Delay, first.Delay)
		how |= decode.Held
	}
	if v.Delay > 0 {
		how |= decode.Delayed
		if left := v.Delay - p.t.proxy.cfg.Now().Sub(p.read); left > 0 {
			_, err = p.pause(nil, left)
		}
	}
	return v, how, err
}

// ask lets the record pass where the interceptor panics: its mistake about
// one record must not end every tunnel.
func (p *pipe) ask(n int) (v intercept.Verdict) {
	defer func() {
		if r := recover(); r != nil {
			p.t.proxy.cfg.Logger.Error("an interceptor panicked; the record passes",
				"tunnel", p.t.id, "dir", p.dir, "panic", r, "stack", string(debug.Stack()))
			v = intercept.Verdict{}
		}
	}()
	return p.chain.Intercept(decode.Event{
		Kind: decode.Record, Dir: p.dir, Tunnel: p.t.id, Time: p.read.UnixNano(), Offset: p.offset,
		Raw: p.buf[p.head : p.head+n : p.head+n],
	})
}

// pause sends and tells everything before head, and then waits with the
// record at head: for a verdict if held is not nil, else for so long. What is
// injected meanwhile is sent before the record.
func (p *pipe) pause(held <-chan intercept.Verdict, long time.Duration) (intercept.Verdict, error) {
	var due <-chan time.Time
	if held == nil {
		timer := time.NewTimer(long)
		defer timer.Stop()
		due = timer.C
	}
	for {
		p.insertQueued()
		if err := p.flush(); err != nil {
			return intercept.Verdict{}, err
		}
		select {
		case v := <-held:
			p.look()
			return v, nil
		case <-due:
			p.look()
			return intercept.Verdict{}, nil
		case <-p.queue.wake:
		case <-p.t.done:
			return intercept.Verdict{}, errOver
		}
	}
}

// hold makes a record known to Resolve; ok is false if the number is taken.
func (p *Proxy) hold(id uint64) (held chan intercept.Verdict, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[id] != nil {
		return nil, false
	}
	held = make(chan intercept.Verdict, 1) // Resolve does not wait for the pipe
	p.held[id] = held
	return held, true
}

// unhold forgets a record that was not resolved.
func (p *Proxy) unhold(id uint64, held chan intercept.Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[id] == held {
		delete(p.held, id)
	}
}
