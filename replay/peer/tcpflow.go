package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"tundump/decode"
)

// maxChunk is how many bytes of a TCP flow Apple's server sends in a message.
const maxChunk = 8192

// tcpFlow is an app-proxy TCP flow at the server. Its run dials and then reads
// the remote host; a second goroutine writes to it.
type tcpFlow struct {
	t        *tunnel
	id       int64
	in       *backlog // from the client, for the remote host
	throttle *throttle
	gate     gate // shut while the client wants nothing
	cancel   context.CancelFunc
	over     chan struct{} // closed when the client is to hear no more
	once     sync.Once

	mu     sync.Mutex
	remote net.Conn
	ended  bool // whoever has the remote connection next closes it
}

func (t *tunnel) openTCP(ctx context.Context, s step) error {
	if !t.socket() {
		t.log.Warn("open refused", "id", s.id, "why", "too many sockets in one tunnel", "limit", t.limits.Sockets)
		return t.refuse(s.id, kindTCP, decode.ResultRefused)
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &tcpFlow{t: t, id: s.id, in: newBacklog(), throttle: &throttle{id: s.id, out: t.out}, cancel: cancel, over: make(chan struct{})}
	if !t.admit(s.id, f) {
		cancel()
		t.unsocket()
		t.log.Warn("open refused", "id", s.id, "why", "too many connections in one tunnel", "limit", t.limits.Connections)
		return t.refuse(s.id, kindTCP, decode.ResultRefused)
	}
	t.wg.Go(func() { // ends when the flow or the tunnel does
		defer t.unsocket()
		defer cancel()
		f.run(ctx, net.JoinHostPort(s.host, strconv.Itoa(int(s.port))))
	})
	return nil
}

func (f *tcpFlow) kind() kind { return kindTCP }

func (f *tcpFlow) suspend(on bool) { f.gate.set(on) }

// data queues what the client sent. It waits while the backlog is full.
//
// While it waits no message is read, and so no Resume: it may be in the stream
// behind this very data, and a remote host that answers before it reads on
// would wait for it for ever. So a Suspend counts no more then.
func (f *tcpFlow) data(b []byte) {
	if f.in.full() {
		f.gate.set(false)
	}
	if err := f.in.put(b, f.t.out.done, f.t.limits.Stall); errors.Is(err, errStalled) {
		f.t.log.Info("flow ended: the remote host takes nothing", "id", f.id)
		f.finish(decode.CloseAll)
		return
	}
	f.throttle.check(f.in)
}

// close ends the flow because the client, or the tunnel, has.
func (f *tcpFlow) close(flush bool) {
	f.once.Do(func() { close(f.over) })
	f.throttle.end()
	if flush {
		f.in.end(io.EOF)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.limitFlush()
		return
	}
	f.in.abort(net.ErrClosed)
	f.cancel()
	f.hangUp()
}

// limitFlush bounds how long what is queued may take. It is called with mu
// held.
func (f *tcpFlow) limitFlush() {
	if f.remote != nil {
		_ = f.remote.SetWriteDeadline(time.Now().Add(f.t.limits.Stall)) // without it, the tunnel's end has to do
	}
}

// hangUp closes the remote connection, now or as soon as there is one.
func (f *tcpFlow) hangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if f.remote != nil {
		f.remote.Close()
	}
}

// finish ends the flow from the server's side and tells the client how, if
// the client still knows it.
func (f *tcpFlow) finish(how int) {
	if f.t.take(f.id, f) == nil {
		return
	}
	// The tunnel's end is the only error there can be, and ends the flow too.
	_ = f.t.sendClose(f.id, how)
	f.close(how == decode.CloseWrite)
}

func (f *tcpFlow) run(ctx context.Context, address string) {
	remote, err := f.t.reach(ctx, "tcp", address)
	if err != nil {
		if f.t.take(f.id, f) != nil {
			_ = f.t.openFailed(f.id, kindTCP, address, err)
		}
		f.in.abort(net.ErrClosed)
		return
	}
	defer remote.Close()
	defer context.AfterFunc(ctx, f.hangUp)()
	if !f.connected(remote) {
		return
	}
	if !f.isOver() && f.t.send(func(e *encoder) ([]byte, error) { return e.openResult(f.id, decode.ResultSuccess) }) != nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(f.outward)
	switch err := f.inward(); {
	case err == nil:
		f.finish(decode.CloseWrite)
	case !errors.Is(err, net.ErrClosed):
		f.t.log.Debug("flow failed", "id", f.id, "err", err)
		f.finish(decode.CloseAll)
	}
}

// connected notes the remote connection and reports whether it is still
// wanted.
func (f *tcpFlow) connected(remote net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remote = remote
	if f.isOver() {
		f.limitFlush()
	}
	return !f.ended
}

// inward sends what the remote host says, until its end, which is no error.
// When the client has closed, the rest is read and thrown away, so that the
// remote host is not reset before it has read what it was sent.
func (f *tcpFlow) inward() error {
	buf := make([]byte, maxChunk)
	for {
		select {
		case <-f.over:
			_ = f.remote.SetReadDeadline(time.Now().Add(linger)) // without it, the tunnel's end has to do
			_, _ = io.Copy(io.Discard, f.remote)
			f.remote.Close()
			return net.ErrClosed
		default:
		}
		if shut := f.gate.opened(); shut != nil {
			select {
			case <-shut:
			case <-f.over:
			}
			continue
		}
		n, err := f.remote.Read(buf)
		if n > 0 && !f.isOver() {
			if err := f.t.send(func(e *encoder) ([]byte, error) { return e.data(f.id, buf[:n]) }); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (f *tcpFlow) isOver() bool {
	select {
	case <-f.over:
		return true
	default:
		return false
	}
}

// outward writes what the client says to the remote host, and then the end.
func (f *tcpFlow) outward() {
	var buf []byte
	for {
		var err error
		if buf, err = f.in.takeAll(buf); err != nil {
			if w, ok := f.remote.(interface{ CloseWrite() error }); !ok || err != io.EOF || w.CloseWrite() != nil {
				f.hangUp()
			}
			// inward may wait in Read, and has to see that it is over.
			_ = f.remote.SetReadDeadline(time.Now().Add(linger))
			return
		}
		if _, err := f.remote.Write(buf); err != nil {
			f.finish(decode.CloseAll)
			f.hangUp()
			return
		}
		f.throttle.check(f.in)
		if cap(buf) > 4*highWater {
			buf = nil
		}
	}
}
