package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"tundump/decode"
	"tundump/replay/peer"
	"tundump/replay/socks"
)

// maxTunnels bounds --tunnels.
const maxTunnels = 256

// checkSOCKS checks the flags that belong to --socks.
func (f *connectFlags) checkSOCKS() error {
	switch {
	case f.socks == "" && (f.reconnect || f.tunnels != 1):
		return errors.New("connect: --reconnect and --tunnels belong to --socks, which is missing")
	case f.socks != "" && (f.get != "" || f.tun.on()):
		return errors.New("connect: --socks, --get and --tun exclude each other")
	case f.tunnels < 1 || f.tunnels > maxTunnels:
		return fmt.Errorf("connect: --tunnels %d: want 1 to %d", f.tunnels, maxTunnels)
	}
	return nil
}

// serveSOCKS opens the tunnels and serves SOCKS over them until the command
// is interrupted or, without --reconnect, a tunnel ends.
func (f *connectFlags) serveSOCKS(cmd *cobra.Command, server string, log *slog.Logger) error {
	addr, err := socksAddress(f.socks)
	if err != nil {
		return usage(err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return usage(fmt.Errorf("connect: --socks: cannot listen on %s: %w; choose another address", addr, cause(err)))
	}
	ctx, cancel := context.WithCancelCause(cmd.Context())
	p := &tunnelPool{reconnect: f.reconnect, log: log, tunnels: make([]*tunnel, f.tunnels), open: func(ctx context.Context) (*tunnel, error) {
		return openTunnel(ctx, server, f.appProxy, peer.ClientConfig{IntegerPort: f.integerPort, Logger: log})
	}}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	if err := p.openAll(ctx); err != nil {
		return errors.Join(fmt.Errorf("connect: %w", err), ln.Close())
	}
	for i, t := range p.tunnels {
		printAssigned(cmd.ErrOrStderr(), t.assigned)
		wg.Go(func() { // ends with ctx, or with the tunnel; closes the tunnel
			if err := p.keep(ctx, i, t); err != nil {
				cancel(err)
			}
		})
	}
	if a, ok := ln.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		log.Warn("SOCKS is open to whoever reaches this address, without a password; give --socks a loopback address", "address", a)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "tundump: SOCKS 5 on %s\n", ln.Addr())
	srv := &socks.Server{Dial: p.dial, ListenPacket: p.listenPacket, Resolve: p.resolve, Logger: log}
	err = srv.Serve(ctx, ln)
	if cmd.Context().Err() == nil && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// socksAddress completes what --socks says: without a host it is the loopback
// address.
func socksAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if _, perr := strconv.ParseUint(s, 10, 16); err != nil && perr == nil {
		port, err = s, nil
	}
	if err != nil || port == "" {
		return "", fmt.Errorf("connect: --socks %s: not an address; write 127.0.0.1:1080", s)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// tunnelPool is the tunnels that SOCKS connections are spread over, in turn.
type tunnelPool struct {
	open      func(ctx context.Context) (*tunnel, error)
	reconnect bool
	log       *slog.Logger

	mu      sync.Mutex
	tunnels []*tunnel // nil: being reconnected
	turn    int
}

// openAll opens all tunnels, or none.
func (p *tunnelPool) openAll(ctx context.Context) error {
	for i := range p.tunnels {
		t, err := p.open(ctx)
		if err != nil {
			errs := []error{err}
			for _, t := range p.tunnels[:i] {
				errs = append(errs, t.close())
			}
			return errors.Join(errs...)
		}
		p.tunnels[i] = t
	}
	return nil
}

// keep waits for the end of tunnel i, and with reconnect opens it again, until
// ctx ends. Without, it returns why the tunnel ended.
func (p *tunnelPool) keep(ctx context.Context, i int, t *tunnel) error {
	var again backoff
	for {
		opened := time.Now()
		select {
		case <-ctx.Done():
			return t.close()
		case <-t.done:
		}
		p.set(i, nil)
		why := t.err
		if err := errors.Join(why, t.close()); ctx.Err() != nil || !p.reconnect {
			return err
		}
		if time.Since(opened) > backoffMax {
			again = backoff{}
		}
		for t = nil; t == nil; {
			wait := again.next()
			p.log.Warn("the tunnel is down", "why", why, "again in", wait.Round(10*time.Millisecond))
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
			t, why = p.open(ctx)
		}
		p.set(i, t)
		p.log.Info("the tunnel is up again", "addresses", t.assigned.Addresses)
	}
}

func (p *tunnelPool) set(i int, t *tunnel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tunnels[i] = t
}

// pick returns the next tunnel that is up.
func (p *tunnelPool) pick() (*tunnel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.tunnels {
		t := p.tunnels[p.turn]
		p.turn = (p.turn + 1) % len(p.tunnels)
		if t != nil && !t.ended() {
			return t, nil
		}
	}
	return nil, &socks.Error{Code: socks.HostUnreachable, Err: errors.New("no tunnel is up")}
}

func (p *tunnelPool) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return through(p, func(t *tunnel) (net.Conn, error) { return t.dial(ctx, network, address) })
}

func (p *tunnelPool) listenPacket(ctx context.Context) (net.PacketConn, error) {
	return through(p, func(t *tunnel) (net.PacketConn, error) { return t.listenPacket(ctx) })
}

func (p *tunnelPool) resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	return through(p, func(t *tunnel) ([]netip.Addr, error) { return t.resolve(ctx, name) })
}

// through uses the next tunnel, and gives an error the SOCKS code that it does
// not have by itself.
func through[T any](p *tunnelPool, use func(t *tunnel) (T, error)) (v T, err error) {
	t, err := p.pick()
	if err != nil {
		return v, err
	}
	if v, err = use(t); err == nil {
		return v, nil
	}
	var result *peer.ResultError
	if t.ended() || errors.As(err, &result) && result.Code == decode.ResultNoSuchHost {
		err = &socks.Error{Code: socks.HostUnreachable, Err: err}
	}
	return v, err
}

// backoff is how long to wait before one attempt after the other.
type backoff struct{ wait time.Duration }

const backoffMax = 30 * time.Second

// next returns a second the first time, then twice the time before up to
// backoffMax; and a fifth more or less, so that not all that lost a server
// return to it at once.
func (b *backoff) next() time.Duration {
	b.wait = min(max(2*b.wait, time.Second), backoffMax)
	return b.wait*4/5 + rand.N(b.wait*2/5)
}
