package proxy

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"tundump/capture"
	"tundump/decode"
	"tundump/decode/frame"
)

const (
	// room is how much a read may bring at least, smallRead how much the first
	// read after a pause may bring where a pipe cannot wait without a buffer.
	room, smallRead = 32 << 10, 2 << 10
	// idleAfter is how long bytes that may still become a record stay unshown,
	// and how long a pipe that waits for more of them keeps a large buffer.
	idleAfter = 200 * time.Millisecond
	// maxEvents bounds a batch of very small records.
	maxEvents = 4096
	// infoEvery is the time between two measurements of a connection that
	// carries traffic, blockedFor the shortest wait of a write that is told.
	infoEvery, blockedFor = time.Second, time.Millisecond
)

// pipe relays one direction of a tunnel. One goroutine, that of run, owns it
// and is the only one to read src, to write dst and to offer the direction's
// bytes. Of its fields only withheld and those of queue are for others.
//
// The bytes that no event has told yet are pending:
//
//	buf   +--------------+------------------------------+-------+
//	      0             head             sent          end
//	                     |-- passed on ---|-- not yet ---|
//
// With no interceptor all of them have been passed on when the pipe waits;
// with one, at most the beginning of a record that was on its way before.
//
// buf is the buffer of b, the batch being filled. A pipe that waits is parked:
// it has no batch, and buf is nil, or a slice of the pending bytes' size. Only
// for a moment after some bytes came, and for long records, it is not.
type pipe struct {
	t        *tunnel
	dir      decode.Direction
	src, dst *side
	tap      capture.Tap // nil for none

	scan            frame.Scanner
	b               *capture.Batch
	buf             []byte
	head, sent, end int
	offset          int64     // of buf[head] in the sender's stream
	read            time.Time // when the newest bytes came; zero if nobody asks
	told            time.Time // when dst was measured last
	chain           *chain    // as looked up last
	whole           bool      // chain wants this direction
	dead            bool      // nothing can be passed on any more
	out             output

	// Reading and writing: the arguments and results of readable and writable,
	// which are kept as method values because making one allocates.
	onReadable, onWritable func(uintptr) bool
	n                      int       // bytes read
	err                    error     // of the read or the write
	rest                   []byte    // to be written
	blocked                time.Time // when the write began to wait
	small                  []byte    // the buffer of smallRead
	hungry                 bool      // the last read filled smallRead, or more
	deadline               bool      // src has a read deadline
	rested                 bool      // nothing has come since idleAfter passed
	holding                bool      // the owner's copy of withheld

	withheld atomic.Bool // waiting with bytes that an interceptor has to see whole
	queue    queue
}

func (p *pipe) init(t *tunnel, dir decode.Direction, src, dst *side) {
	p.t, p.dir, p.src, p.dst, p.tap = t, dir, src, dst, t.proxy.cfg.Tap
	p.onReadable, p.onWritable = p.readable, p.writable
	p.queue.wake = make(chan struct{}, 1)
	p.queue.framed.Store(true)
}

// A wakeup is why a wait ended.
type wakeup uint8

const (
	arrived wakeup = iota // bytes came
	idle                  // none came for idleAfter
	poked                 // somebody called poke
	ended                 // FIN
)

// run relays until FIN, which it passes on, or until the tunnel breaks. The
// goroutine belongs to the tunnel and is counted by its service.
func (p *pipe) run() {
	defer p.t.leave()
	for {
		why, err := p.wait()
		if err != nil {
			p.fail(sender(p.dir), err)
			return
		}
		switch why {
		case arrived, poked:
			err = p.relay(frame.More)
		case idle:
			if err = p.relay(frame.Flush); err == nil {
				p.park()
			}
		case ended:
			err = p.relay(frame.End)
		}
		if err != nil {
			p.fail(sender(p.dir.Opposite()), err)
			return
		}
		if why == ended {
			p.finish()
			return
		}
	}
}

// finish passes a FIN on.
func (p *pipe) finish() {
	p.closeQueue()
	by := sender(p.dir)
	p.t.halfClosed(by)
	p.t.emit(decode.Event{Kind: decode.HalfClosed, Dir: p.dir, Offset: p.offset, Detail: &decode.Detail{By: by}})
	half, err := p.dst.closeWrite()
	switch {
	case !half:
		p.t.over(by, "FIN", false)
	case err != nil: // the receiver is gone; the other pipe says how, if it runs
		p.t.proxy.cfg.Logger.Debug("passing on FIN failed", "tunnel", p.t.id, "dir", p.dir, "err", err)
	}
}

// fail breaks the tunnel, unless it is over already, because the connection
// of by failed; and then tells what was read and not told.
func (p *pipe) fail(by decode.Party, err error) {
	p.t.over(by, reasonOf(err), true)
	p.closeQueue()
	p.dead = true
	if err := p.relay(frame.End); err != nil {
		p.t.proxy.cfg.Logger.Error("telling the last bytes failed", "tunnel", p.t.id, "dir", p.dir, "err", err)
	}
}

// wait waits until there is something to do. It reads what there is.
func (p *pipe) wait() (wakeup, error) {
	if p.b != nil && len(p.buf)-p.end < room {
		p.buf = p.b.Grow(2 * len(p.buf))
	}
	for {
		if p.queue.poked.Swap(false) {
			return poked, nil
		}
		p.n, p.err = 0, nil
		err := p.fill()
		switch {
		case p.n > 0:
			p.rested = false
			if p.tap != nil || p.chain != nil || p.t.proxy.chain.Load() != nil {
				p.read = p.t.proxy.cfg.Now()
			}
			return arrived, nil
		case err == nil:
			return ended, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		}
		if err := p.setDeadline(time.Time{}); err != nil {
			return 0, err
		}
		if p.b != nil && !p.queue.poked.Load() {
			p.rested, p.hungry = true, false
			return idle, nil
		}
	}
}

// fill reads once. p.n is 0 with a nil error for FIN.
func (p *pipe) fill() error {
	if p.src.raw == nil {
		return p.fillSmall()
	}
	if err := p.src.raw.Read(p.onReadable); err != nil {
		return err
	}
	return p.err
}

// fillSmall is for connections that cannot say that there is something to
// read before they are given a buffer for it: the first read after a pause
// uses a small one.
func (p *pipe) fillSmall() error {
	if p.hungry && p.b == nil {
		p.adopt(capture.NewBatch())
	}
	if err := p.arm(); err != nil {
		return err
	}
	into := p.buf[p.end:]
	if p.b == nil {
		if p.small == nil {
			p.small = make([]byte, smallRead)
		}
		into = p.small
	}
	n, err := p.src.conn.Read(into)
	if n <= 0 {
		if err == io.EOF {
			err = nil
		}
		return err
	}
	if p.b == nil {
		p.adopt(capture.NewBatch())
		copy(p.buf[p.end:], into[:n])
	}
	p.end += n
	p.n, p.hungry = n, n >= smallRead
	return nil // an error that came with bytes comes again
}

// arm prepares a read that may wait. An error says not to wait.
func (p *pipe) arm() error {
	var err error
	switch {
	case p.b != nil && !p.rested:
		err = p.setDeadline(time.Now().Add(idleAfter))
	case p.deadline:
		err = p.setDeadline(time.Time{})
	}
	if err != nil {
		return err
	}
	if holding := p.end > p.sent; holding != p.holding {
		p.holding = holding
		p.withheld.Store(holding)
	}
	// Only now: whoever wants something sets its flag first and the deadline
	// second, so one of the two is seen. SetChain looks at withheld.
	if p.holding && p.t.proxy.chain.Load() != p.chain {
		p.queue.poked.Store(true)
	}
	if p.queue.poked.Load() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (p *pipe) setDeadline(at time.Time) error {
	p.deadline = !at.IsZero()
	return p.src.conn.SetReadDeadline(at)
}

// poke wakes the pipe up. Anybody may call it.
func (p *pipe) poke() {
	p.queue.poked.Store(true)
	_ = p.src.conn.SetReadDeadline(time.Unix(1, 0)) // fails only if it is closed: then the pipe is awake
	select {
	case p.queue.wake <- struct{}{}:
	default:
	}
}

// adopt makes a new batch the pipe's, with what was parked in front.
func (p *pipe) adopt(b *capture.Batch) {
	buf := b.Grow(p.end + room)
	copy(buf, p.buf[:p.end])
	p.b, p.buf = b, buf
}

// park lets go of a large buffer for a small rest.
func (p *pipe) park() {
	if p.b == nil || p.end >= len(p.buf)/4 {
		return
	}
	rest := append([]byte(nil), p.buf[:p.end]...)
	p.b.Release()
	p.b, p.buf = nil, rest
}
