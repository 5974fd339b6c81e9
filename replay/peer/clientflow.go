package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"tundump/decode"
)

const (
	// clientChunk is how many bytes a client puts into one data message.
	clientChunk = 16 << 10
	// maxDatagrams is how many datagrams wait for a reader; more are dropped.
	maxDatagrams = 64
)

// clientFlow is an app-proxy flow at the client. It is a net.Conn, and a UDP
// flow is a net.PacketConn too.
type clientFlow struct {
	c       *Client
	kind    kind
	id      int64
	address string
	remote  netip.AddrPort // of a UDP flow that was dialled

	opened   chan error    // has room for one
	once     sync.Once     // the first answer
	in       *backlog      // of a TCP flow
	throttle throttle      // of in
	grams    chan datagram // of a UDP flow
	gate     gate          // shut while the server wants nothing
	over     chan struct{} // closed when the flow has ended

	endOnce sync.Once
	endErr  error // set before over is closed

	readDeadline, writeDeadline deadline
}

type datagram struct {
	b    []byte
	from netip.AddrPort
}

var (
	_ net.Conn       = (*clientFlow)(nil)
	_ net.PacketConn = (*clientFlow)(nil)
)

func newClientFlow(c *Client, k kind, address string) *clientFlow {
	f := &clientFlow{c: c, kind: k, address: address, opened: make(chan error, 1), over: make(chan struct{})}
	if k == kindTCP {
		f.in = newBacklog()
	} else {
		f.grams = make(chan datagram, maxDatagrams)
	}
	return f
}

func (f *clientFlow) answered(err error) {
	f.once.Do(func() { f.opened <- err })
}

// end makes Read report err, after what has arrived.
func (f *clientFlow) end(err error) {
	f.endOnce.Do(func() {
		f.endErr = err
		close(f.over)
		if f.in != nil {
			f.in.end(err)
		}
	})
}

func (f *clientFlow) closedByServer(finished bool) {
	if f.c.unregister(f) {
		f.throttle.end()
		f.answered(errReset) // if there was none
		f.end(endOfFlow(finished))
	}
}

// hangUp ends the flow from the client's side.
func (f *clientFlow) hangUp(how int) {
	f.throttle.end()
	if f.c.unregister(f) {
		var e encoder
		if rec, err := e.close(f.id, how); err == nil {
			f.c.out.force(rec)
		}
	}
	f.end(net.ErrClosed)
	if f.in != nil {
		f.in.abort(net.ErrClosed)
	}
}

// data takes stream data. It runs on the client's reader, and holds it up
// while a full backlog is not read.
func (f *clientFlow) data(b []byte) {
	if err := f.in.put(b, f.c.done, maxStall); errors.Is(err, errStalled) {
		f.c.cfg.Logger.Warn("flow ended: nobody reads it", "id", f.id, "to", f.address)
		f.hangUp(decode.CloseAll)
		return
	}
	f.throttle.check(f.in)
}

func (f *clientFlow) datagram(b []byte, from netip.AddrPort) {
	select {
	case f.grams <- datagram{append([]byte(nil), b...), from}:
	default:
	}
}

// Read implements net.Conn. A UDP flow drops what does not fit into b.
func (f *clientFlow) Read(b []byte) (int, error) {
	if f.kind == kindUDP {
		n, _, err := f.readDatagram(b)
		return n, err
	}
	n, err := f.in.read(b, f.readDeadline.expired())
	f.throttle.check(f.in)
	return n, f.failed("read", err)
}

// ReadFrom implements net.PacketConn, for UDP flows.
func (f *clientFlow) ReadFrom(b []byte) (int, net.Addr, error) {
	if f.kind != kindUDP {
		return 0, nil, f.failed("read", errors.ErrUnsupported)
	}
	n, from, err := f.readDatagram(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// readDatagram returns the next datagram; of a flow that was dialled, the
// next from its remote address.
func (f *clientFlow) readDatagram(b []byte) (int, netip.AddrPort, error) {
	expired := f.readDeadline.expired()
	for {
		var d datagram
		select {
		case d = <-f.grams:
		default:
			select {
			case d = <-f.grams:
			case <-f.over:
				return 0, d.from, f.failed("read", f.endErr)
			case <-expired:
				return 0, d.from, f.failed("read", os.ErrDeadlineExceeded)
			}
		}
		if !f.remote.IsValid() || f.remote == d.from {
			return copy(b, d.b), d.from, nil
		}
	}
}

// Write implements net.Conn. It waits while the tunnel is congested, and for
// a while when the server has asked for it.
func (f *clientFlow) Write(b []byte) (int, error) {
	if f.kind == kindUDP {
		if !f.remote.IsValid() {
			return 0, f.failed("write", errors.New("no remote address: use WriteTo"))
		}
		return f.writeDatagram(b, f.remote)
	}
	n := 0
	for n < len(b) {
		chunk := b[n:min(len(b), n+clientChunk)]
		if err := f.sendData(func(e *encoder) ([]byte, error) { return e.data(f.id, chunk) }); err != nil {
			return n, err
		}
		n += len(chunk)
	}
	return n, nil
}

// WriteTo implements net.PacketConn, for UDP flows.
func (f *clientFlow) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok || f.kind != kindUDP {
		return 0, f.failed("write", errors.ErrUnsupported)
	}
	ap := to.AddrPort()
	return f.writeDatagram(b, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
}

func (f *clientFlow) writeDatagram(b []byte, to netip.AddrPort) (int, error) {
	if err := f.sendData(func(e *encoder) ([]byte, error) { return e.datagram(f.id, b, to) }); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *clientFlow) sendData(build func(e *encoder) ([]byte, error)) error {
	expired := f.writeDeadline.expired()
	if err := pass(&f.gate, expired, f.over); err != nil {
		return f.failed("write", err)
	}
	select {
	case <-f.over:
		return f.failed("write", net.ErrClosed)
	case <-expired:
		return f.failed("write", os.ErrDeadlineExceeded)
	default:
	}
	err := f.c.sendUntil(expired, build)
	if err != nil {
		select {
		case <-expired:
			err = os.ErrDeadlineExceeded
		default:
		}
	}
	return f.failed("write", err)
}

// failed says of which flow an error is. The end of a stream stays as it is.
func (f *clientFlow) failed(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("peer: %s %s flow to %s: %w", op, f.kind, f.address, err)
}

// Close implements net.Conn. What was written is still sent: it says that the
// application has finished, as a genuine client does.
func (f *clientFlow) Close() error {
	f.hangUp(decode.CloseWrite)
	return nil
}

// LocalAddr implements net.Conn. A flow has no address of its own; it is that
// of the tunnel's connection.
func (f *clientFlow) LocalAddr() net.Addr { return f.c.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (f *clientFlow) RemoteAddr() net.Addr { return flowAddr{f.kind, f.address} }

type flowAddr struct {
	kind    kind
	address string
}

func (a flowAddr) Network() string { return a.kind.String() }
func (a flowAddr) String() string  { return a.address }

// SetDeadline implements net.Conn.
func (f *clientFlow) SetDeadline(t time.Time) error {
	f.readDeadline.set(t)
	f.writeDeadline.set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (f *clientFlow) SetReadDeadline(t time.Time) error {
	f.readDeadline.set(t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (f *clientFlow) SetWriteDeadline(t time.Time) error {
	f.writeDeadline.set(t)
	return nil
}

// deadline is a point in time that can be waited for. The zero value is none.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	ch    chan struct{} // closed when the deadline has passed; nil: none was set
}

// set changes the deadline. Whoever waits already sees an earlier one, and
// one that has passed; a later one counts for the next wait.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		d.ch = nil // it has passed, or is about to: its channel is used up
	}
	d.timer = nil
	if d.ch != nil {
		select {
		case <-d.ch:
			d.ch = nil
		default:
		}
	}
	if d.ch == nil {
		d.ch = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	ch := d.ch
	if rest := time.Until(t); rest > 0 {
		d.timer = time.AfterFunc(rest, func() { close(ch) })
		return
	}
	close(ch)
}

// expired returns a channel that is closed when the deadline passes.
func (d *deadline) expired() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ch == nil {
		d.ch = make(chan struct{})
	}
	return d.ch
}
