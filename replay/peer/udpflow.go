package peer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tundump/decode"
)

const (
	// maxAnswer is Apple's receive buffer: longer answers are cut.
	maxAnswer = 4096
	// maxRemotes is how many hosts one UDP flow talks to at once; the one that
	// was idle for longest is forgotten.
	maxRemotes = 64
	// maxWaiting is how many datagrams wait for a host to be reached, and
	// maxWaitingBytes how many bytes of them in one tunnel.
	maxWaiting      = 16
	maxWaitingBytes = 1 << 20
)

// udpFlow is an app-proxy UDP flow at the server. Each remote host of it has
// a socket and two goroutines.
type udpFlow struct {
	t    *tunnel
	id   int64
	gate gate // shut while the client wants nothing

	mu      sync.Mutex
	remotes map[netip.AddrPort]*udpRemote
	closed  bool
}

// udpRemote is one host that a UDP flow talks to.
type udpRemote struct {
	f      *udpFlow
	addr   netip.AddrPort
	queue  chan []byte // to the host
	used   atomic.Int64
	cancel context.CancelFunc
	done   <-chan struct{}
}

func (t *tunnel) openUDP(id int64) error {
	f := &udpFlow{t: t, id: id, remotes: make(map[netip.AddrPort]*udpRemote)}
	if t.dial == nil || !t.admit(id, f) {
		t.log.Warn("open refused", "id", id, "why", "app-proxy flows are not served, or too many connections in one tunnel")
		return t.refuse(id, kindUDP, decode.ResultRefused)
	}
	return t.send(func(e *encoder) ([]byte, error) { return e.openResult(id, decode.ResultSuccess) })
}

func (f *udpFlow) kind() kind { return kindUDP }

func (f *udpFlow) suspend(on bool) { f.gate.set(on) }

func (f *udpFlow) close(bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, r := range f.remotes {
		r.cancel()
	}
}

// datagram sends one datagram. It does not wait: what cannot be taken is lost.
func (f *udpFlow) datagram(ctx context.Context, to netip.AddrPort, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.remote(ctx, to)
	if r == nil {
		return
	}
	r.used.Store(time.Now().UnixNano())
	if f.t.waiting.Add(int64(len(b))) <= maxWaitingBytes {
		select {
		case r.queue <- append([]byte(nil), b...):
			return
		default:
		}
	}
	f.t.waiting.Add(-int64(len(b)))
}

// remote returns the remote for an address, nil if there can be none now. It
// is called with mu held.
func (f *udpFlow) remote(ctx context.Context, to netip.AddrPort) *udpRemote {
	if r := f.remotes[to]; r != nil || f.closed {
		return r
	}
	if len(f.remotes) >= maxRemotes {
		f.idlest().cancel()
		return nil // there is room when it has ended
	}
	if !f.t.socket() {
		f.t.log.Debug("datagram dropped: too many sockets in one tunnel", "id", f.id, "to", to)
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &udpRemote{f: f, addr: to, queue: make(chan []byte, maxWaiting), cancel: cancel, done: ctx.Done()}
	r.used.Store(time.Now().UnixNano())
	f.remotes[to] = r
	f.t.wg.Go(func() { // ends when idle, with the flow or with the tunnel
		defer f.t.unsocket()
		defer f.forget(r)
		defer cancel()
		r.run(ctx)
	})
	return r
}

// idlest is called with mu held and at least one remote.
func (f *udpFlow) idlest() (idlest *udpRemote) {
	for _, r := range f.remotes {
		if idlest == nil || r.used.Load() < idlest.used.Load() {
			idlest = r
		}
	}
	return idlest
}

func (f *udpFlow) forget(r *udpRemote) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.remotes, r.addr)
	for {
		select {
		case b := <-r.queue:
			f.t.waiting.Add(-int64(len(b)))
		default:
			return
		}
	}
}

func (r *udpRemote) run(ctx context.Context) {
	conn, err := r.f.t.reach(ctx, "udp", r.addr.String())
	if err != nil {
		// The protocol has no way to tell the client about one datagram.
		r.f.t.log.Info("datagram dropped", "id", r.f.id, "to", r.addr, "err", err)
		return
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var wg sync.WaitGroup
	wg.Go(func() { // ends with ctx, or when conn fails
		defer r.cancel()
		for {
			select {
			case <-r.done:
				return
			case b := <-r.queue:
				r.f.t.waiting.Add(-int64(len(b)))
				if _, err := conn.Write(b); err != nil {
					return
				}
			}
		}
	})
	if err := r.answers(conn); err != nil && ctx.Err() == nil {
		r.f.t.log.Debug("UDP host forgotten", "id", r.f.id, "to", r.addr, "err", err)
	}
	r.cancel()
	conn.Close()
	wg.Wait()
}

// answers passes on what the host sends, until it has been idle for too long.
func (r *udpRemote) answers(conn net.Conn) error {
	buf := make([]byte, maxAnswer)
	idle := r.f.t.limits.UDPIdle
	for {
		rest := time.Until(time.Unix(0, r.used.Load()).Add(idle))
		if rest <= 0 {
			return nil
		}
		if err := conn.SetReadDeadline(time.Now().Add(rest)); err != nil {
			return err
		}
		n, err := conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil && n < len(buf) { // Windows calls a cut datagram an error
			return err
		}
		r.used.Store(time.Now().UnixNano())
		if shut := r.f.gate.opened(); shut != nil {
			select {
			case <-shut:
			case <-r.done:
				return nil
			}
		}
		if err := r.f.t.send(func(e *encoder) ([]byte, error) { return e.datagram(r.f.id, buf[:n], r.addr) }); err != nil {
			return err
		}
	}
}
