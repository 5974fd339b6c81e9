// Package proxy is the man in the middle: it accepts SimpleTunnel clients,
// dials the server for each, relays both directions to the last byte, shows
// what passes to a [capture.Tap], and carries out what interceptors decide.
//
//	p := proxy.New(proxy.Config{Upstream: "tunnel.example:8890", Tap: recorder})
//	ln, err := net.Listen("tcp", ":8890")
//	...
//	err = p.Serve(ctx, ln) // until ctx is done; nil then
//
// One tunnel has two pipes, one for each direction, and a goroutine for each:
//
//	             +--------- tunnel ----------+
//	client <--TCP--> client side  c2s pipe  server side <--TCP--> server
//	             |                s2c pipe   |
//	             +---------------------------+
//
// A pipe reads, cuts records, asks the interceptors, offers one batch to the
// tap, and makes one write. A read is passed on whole and at once, whether or
// not it ends inside a record; only where an interceptor wants a direction is
// the beginning of a record kept back until its end has come. Bytes that are
// no records are passed on untouched in any case. FIN is passed on as FIN
// after the bytes before it, and the other direction runs on; a reset is
// passed on as a reset at once, by whichever pipe comes to see it (a pipe that
// is stuck in a write to a peer that does not read sees it afterwards). There
// is no idle timeout, and the proxy sends no keep-alive probes of its own.
//
// # Events
//
// A tunnel's events are Opened; then Refused, or Connected and what passes;
// last of all Closed. A FIN is a HalfClosed of its direction, behind that
// direction's bytes. A reset is a Reset right before Closed. Closed names who
// began the end, by FIN or reset or, when the proxy was stopped, the proxy.
//
// Records and unframed bytes have the offset of their first byte in the
// sender's stream. An injected record is at the offset where it was put in,
// and takes no bytes of that stream. A replaced record is two events: the
// original, Dropped and Edited, on the side of the sender; what was sent
// instead, Injected and Edited and at the same offset, on the side of the
// receiver. Bytes that were kept back when the tunnel broke are Dropped. Which sides an event names is
// said at [decode.Flags]; a tunnel counts as wanted by an interceptor, too,
// once something has been injected into it.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tundump/capture"
	"tundump/capture/intercept"
	"tundump/decode"
	"tundump/decode/frame"
)

// Config is what a [Proxy] works with. Only Upstream is needed.
type Config struct {
	// Upstream is the server, host:port, dialled for every client.
	Upstream string
	// Dial connects to the server. nil is a net.Dialer that gives up after ten
	// seconds, and does not connect the proxy to itself. A connection that is no *net.TCPConn works as well, but a reset
	// reaches it only if it has SetLinger, a FIN only if it has CloseWrite:
	// otherwise both close it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Tap takes the events; nil is none.
	Tap capture.Tap
	// NoMeasure leaves out the TCPInfo and Blocked events. TCPInfo exists on
	// Linux only, Blocked on Unix systems; without a Tap there is neither.
	NoMeasure bool
	// Logger is told what no event tells; nil is silent.
	Logger *slog.Logger
	// Now is the clock of the events; nil is time.Now.
	Now func() time.Time
}

const connectTimeout = 10 * time.Second

// Proxy relays tunnels. Its methods may be called by any number of goroutines.
type Proxy struct {
	cfg   Config
	chain atomic.Pointer[chain]
	last  atomic.Uint32 // the number of the newest tunnel

	mu      sync.Mutex
	tunnels map[uint32]*tunnel                // those with both sides connected
	held    map[uint64]chan intercept.Verdict // by Verdict.ID; each takes one verdict without waiting
}

// chain makes an interface value something that an atomic pointer can hold.
type chain struct{ intercept.Interceptor }

// New returns a proxy that does nothing until Serve is called.
func New(cfg Config) *Proxy {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Proxy{cfg: cfg, tunnels: map[uint32]*tunnel{}, held: map[uint64]chan intercept.Verdict{}}
}

// Serve accepts clients on ln and relays them until ctx is done. Then it
// closes ln and the tunnels that came from it, waits until the last of their
// goroutines has offered its last event, and returns nil. It owns ln.
//
// An error of the listener that may pass, such as too many open files, is
// logged and tried again. One that ends the listener ends Serve in the same
// way, with that error. Serve may run for several listeners at once.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	closed := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() { ln.Close(); close(closed) })
	s := &service{ctx: ctx}
	err := p.accept(s, ln)
	if unhook() {
		ln.Close()
	} else {
		<-closed
	}
	cancel()
	p.stop(s)
	s.wg.Wait()
	return err
}

// service is one call of Serve: what its tunnels end with, and are counted by.
type service struct {
	ctx context.Context
	wg  sync.WaitGroup // the goroutines of its tunnels
}

func (p *Proxy) accept(s *service, ln net.Listener) error {
	const first, longest = 5 * time.Millisecond, time.Second
	pause := first
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			pause = first
			p.open(s, c)
		case s.ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("proxy: accepting clients on %v: %w", ln.Addr(), err)
		default:
			p.cfg.Logger.Warn("accepting a client failed, trying again", "listener", ln.Addr(), "in", pause, "err", err)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
			pause = min(2*pause, longest)
		}
	}
}

// stop ends the tunnels of s. None is added later: a tunnel that is entered
// after s.ctx is done ends itself.
func (p *Proxy) stop(s *service) {
	p.mu.Lock()
	var mine []*tunnel
	for _, t := range p.tunnels {
		if t.service == s {
			mine = append(mine, t)
		}
	}
	p.mu.Unlock()
	for _, t := range mine {
		t.over(decode.Proxy, stopped, false)
	}
}

// SetChain installs i in place of the interceptor before, or none if i is
// nil. It takes effect at the next record boundary of each direction of each
// tunnel; several interceptors are an [intercept.Chain]. Records that are held
// stay held until they are resolved.
func (p *Proxy) SetChain(i intercept.Interceptor) {
	var c *chain
	if i != nil {
		c = &chain{i}
	}
	p.chain.Store(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tunnels {
		for _, pipe := range [...]*pipe{&t.c2s, &t.s2c} {
			if pipe.withheld.Load() {
				pipe.poke() // nobody may want those bytes whole any more
			}
		}
	}
}

var (
	// ErrNoTunnel: the tunnel has not been connected yet, or is over, or its
	// direction has ended.
	ErrNoTunnel = errors.New("no such tunnel is open in that direction")
	// ErrNoBoundary: the direction is not made of records at present.
	ErrNoBoundary = errors.New("the stream has lost its record boundaries")
	// ErrQueueFull: too much waits for a boundary already.
	ErrQueueFull = errors.New("too many bytes wait for a record boundary")
	// ErrNotHeld: no record is held under that ID.
	ErrNotHeld = errors.New("no record is held under that number")
)

// Inject sends rec, which it copies, to the receiver of direction dir of a
// tunnel: to the server for decode.ClientToServer. It goes out at the next
// record boundary, at once if the direction is at one, and otherwise as soon
// as the record that is half sent has passed. Inject does not wait for that;
// the tap sees an event with the flag Injected when it happens. What still
// waits when the direction ends is logged, and not sent.
//
// The error is about rec if it is not one whole record, else it is
// [ErrNoTunnel], [ErrNoBoundary] or [ErrQueueFull].
func (p *Proxy) Inject(tunnel uint32, dir decode.Direction, rec []byte) error {
	if n, err := frame.Cut(rec, frame.MaxDecode); err != nil {
		return fmt.Errorf("proxy: injecting into T%d %v: %w", tunnel, dir, err)
	} else if n != len(rec) || n == 0 {
		return fmt.Errorf("proxy: injecting into T%d %v: %d bytes are not one whole record", tunnel, dir, len(rec))
	}
	p.mu.Lock()
	t := p.tunnels[tunnel]
	p.mu.Unlock()
	err := ErrNoTunnel
	if t != nil {
		err = t.pipe(dir).enqueue(rec)
	}
	if err != nil {
		return fmt.Errorf("proxy: injecting into T%d %v: %w", tunnel, dir, err)
	}
	return nil
}

// Resolve ends the hold of the record that an interceptor's verdict held
// under id, as v says; the interceptors are not asked again. The error is
// [ErrNotHeld], also for a moment after the interceptor returned, or says that
// v is another Hold.
func (p *Proxy) Resolve(id uint64, v intercept.Verdict) error {
	if v.Action == intercept.Hold {
		return fmt.Errorf("proxy: resolving %d: hold is no way to end a hold", id)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.held[id]
	if !ok {
		return fmt.Errorf("proxy: resolving %d: %w", id, ErrNotHeld)
	}
	delete(p.held, id)
	c <- v
	return nil
}
