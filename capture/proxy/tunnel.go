package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"tundump/capture"
	"tundump/decode"
)

// stopped is the reason of a tunnel's end when Serve's context was done.
const stopped = "the proxy was stopped"

// tunnel is one client, the server dialled for it, and the two pipes between.
//
// Goroutines: first one that dials; if it succeeds, one for each pipe takes
// its place. The last one to leave offers Closed and closes both sides.
type tunnel struct {
	proxy   *Proxy
	service *service
	id      uint32

	client, server *side
	c2s, s2c       pipe

	wanted  atomic.Bool   // the two sides may differ: an interceptor wanted it, or something was injected
	running atomic.Int32  // pipes
	done    chan struct{} // closed when ended is set

	mu    sync.Mutex
	fin   decode.Party // who sent the first FIN
	ended bool         // the fields below are set, and the sides are closed or about to be
	end   end
}

// end says how a tunnel ended.
type end struct {
	by     decode.Party
	reason string
	reset  bool
	at     int64
	info   [2]*decode.Detail // the last measurement, by the direction that the side sends
}

// open takes over a client's connection. It runs in the accept loop, so that
// the tunnels are opened in the order of their numbers; the goroutine that it
// starts, and those that follow, are counted by s.
func (p *Proxy) open(s *service, c net.Conn) {
	t := &tunnel{proxy: p, service: s, id: p.last.Add(1), client: newSide(c), done: make(chan struct{})}
	t.emit(decode.Event{Kind: decode.Opened, Detail: &decode.Detail{
		Client: addrPort(c.RemoteAddr()), Listener: addrPort(c.LocalAddr()), Upstream: p.cfg.Upstream,
	}})
	s.wg.Add(1)
	go t.connect()
}

// connect dials the server and starts the pipes.
func (t *tunnel) connect() {
	defer t.service.wg.Done()
	ctx := t.service.ctx
	c, err := t.dial(ctx)
	if err != nil {
		// A reset, because that is what a client of a server that is down gets:
		// with FIN it would take the tunnel for one that was open.
		t.client.reset()
		if ctx.Err() != nil {
			t.emit(decode.Event{Kind: decode.Closed, Detail: &decode.Detail{By: decode.Proxy, Reason: stopped}})
			return
		}
		t.emit(decode.Event{Kind: decode.Refused, Detail: &decode.Detail{Reason: reasonOf(err)}})
		t.emit(decode.Event{Kind: decode.Closed, Detail: &decode.Detail{By: decode.Proxy, Reason: "upstream refused: " + reasonOf(err)}})
		return
	}
	t.server = newSide(c)
	t.c2s.init(t, decode.ClientToServer, t.client, t.server)
	t.s2c.init(t, decode.ServerToClient, t.server, t.client)
	t.running.Store(2)
	t.proxy.mu.Lock()
	t.proxy.tunnels[t.id] = t
	t.proxy.mu.Unlock()
	t.emit(decode.Event{Kind: decode.Connected, Detail: &decode.Detail{
		Local: addrPort(c.LocalAddr()), Remote: addrPort(c.RemoteAddr()),
	}})
	if ctx.Err() != nil { // Serve may have looked for its tunnels before this one was there
		t.over(decode.Proxy, stopped, false)
	}
	t.service.wg.Add(2)
	go t.c2s.run()
	go t.s2c.run()
}

// errSelf: each tunnel would open the next one, without end.
var errSelf = errors.New("the upstream is this proxy itself")

// dial connects to the server.
func (t *tunnel) dial(ctx context.Context) (net.Conn, error) {
	cfg := &t.proxy.cfg
	if cfg.Dial != nil {
		return cfg.Dial(ctx, "tcp", cfg.Upstream)
	}
	self := addrPort(t.client.conn.LocalAddr())
	d := net.Dialer{Timeout: connectTimeout, KeepAlive: -1, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		// The system takes 0.0.0.0 and :: for loopback.
		same := to.Addr().Unmap() == self.Addr() || to.Addr().IsUnspecified() && self.Addr().IsLoopback()
		if err == nil && same && to.Port() == self.Port() {
			return errSelf
		}
		return nil
	}}
	return d.DialContext(ctx, "tcp", cfg.Upstream)
}

func (t *tunnel) pipe(dir decode.Direction) *pipe {
	if dir == decode.ClientToServer {
		return &t.c2s
	}
	return &t.s2c
}

// sender returns who sends direction dir.
func sender(dir decode.Direction) decode.Party {
	if dir == decode.ClientToServer {
		return decode.Client
	}
	return decode.Server
}

// halfClosed notes a FIN. The first one names who ended the tunnel.
func (t *tunnel) halfClosed(by decode.Party) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fin == decode.Nobody {
		t.fin = by
	}
}

// over ends the tunnel now: both sides are closed, after a reset of by's
// connection the other one by a reset. Only the first end counts. The pipes
// notice, and the last of them tells the tap.
func (t *tunnel) over(by decode.Party, reason string, reset bool) {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return
	}
	t.ended = true
	t.end = end{by: by, reason: reason, reset: reset, at: t.proxy.cfg.Now().UnixNano()}
	if t.measured() {
		t.end.info[decode.ClientToServer], t.end.info[decode.ServerToClient] = t.server.info(), t.client.info()
	}
	t.mu.Unlock()
	close(t.done)
	for _, s := range [...]struct {
		*side
		is decode.Party
	}{{t.client, decode.Client}, {t.server, decode.Server}} {
		if reset && s.is != by {
			s.reset()
		} else {
			s.conn.Close()
		}
	}
}

// leave is what a pipe's goroutine does last.
func (t *tunnel) leave() {
	defer t.service.wg.Done()
	if t.running.Add(-1) > 0 {
		return
	}
	t.over(t.fin, "FIN", false) // both have ended: no lock is needed for fin
	t.proxy.mu.Lock()
	delete(t.proxy.tunnels, t.id)
	t.proxy.mu.Unlock()

	var last []decode.Event
	for dir, info := range t.end.info {
		if info != nil {
			last = append(last, decode.Event{Kind: decode.TCPInfo, Dir: decode.Direction(dir), Time: t.end.at, Detail: info})
		}
	}
	var dir decode.Direction
	if t.end.by == decode.Server {
		dir = decode.ServerToClient
	}
	why := &decode.Detail{By: t.end.by, Reason: t.end.reason}
	if t.end.reset {
		last = append(last, decode.Event{Kind: decode.Reset, Dir: dir, Time: t.end.at, Detail: why})
	}
	t.emit(append(last, decode.Event{Kind: decode.Closed, Dir: dir, Time: t.end.at, Detail: why})...)
}

// measured reports whether anybody wants to know about the sockets.
func (t *tunnel) measured() bool { return t.proxy.cfg.Tap != nil && !t.proxy.cfg.NoMeasure }

// emit offers events that are no bytes, in batches of one because a batch has
// one direction. It fills in the tunnel, and the time where there is none.
func (t *tunnel) emit(evs ...decode.Event) {
	if t.proxy.cfg.Tap == nil {
		return
	}
	for _, ev := range evs {
		ev.Tunnel = t.id
		if ev.Time == 0 {
			ev.Time = t.proxy.cfg.Now().UnixNano()
		}
		b := capture.NewBatch()
		b.Events = append(b.Events, ev)
		t.proxy.cfg.Tap.Offer(b)
		b.Release()
	}
}

// addrPort returns the zero value for an address that is no IP address.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// reasonOf says in a few words why the network failed: the operating system's
// words where it has some, without the addresses that the event has anyway.
func reasonOf(err error) string {
	var no syscall.Errno
	var op *net.OpError
	switch {
	case errors.As(err, &no):
		return no.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timed out"
	case errors.As(err, &op) && op.Err != nil:
		return op.Err.Error()
	}
	return err.Error()
}
