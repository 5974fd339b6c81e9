package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"tundump/replay"
)

// Limits bound what clients can make a server hold. Zero fields are the
// defaults.
type Limits struct {
	Tunnels     int           // at once; more are closed as they come. 1024
	Connections int           // of one tunnel; more are refused. 4096
	IP          int           // IP connections of one tunnel; more are refused. 8
	Sockets     int           // outer TCP and UDP sockets of one tunnel. 256
	DialTimeout time.Duration // for one app-proxy flow. 30 s
	Stall       time.Duration // how long a remote host may take nothing while its backlog is full. 30 s
	UDPIdle     time.Duration // after which a UDP flow forgets a remote host. 1 minute
}

func (l Limits) withDefaults() Limits {
	def := Limits{Tunnels: 1024, Connections: 4096, IP: 8, Sockets: 256, DialTimeout: 30 * time.Second, Stall: 30 * time.Second, UDPIdle: time.Minute}
	for _, f := range []struct{ v, def *int }{
		{&l.Tunnels, &def.Tunnels}, {&l.Connections, &def.Connections}, {&l.IP, &def.IP}, {&l.Sockets, &def.Sockets},
	} {
		if *f.v <= 0 {
			*f.v = *f.def
		}
	}
	for _, f := range []struct{ v, def *time.Duration }{
		{&l.DialTimeout, &def.DialTimeout}, {&l.Stall, &def.Stall}, {&l.UDPIdle, &def.UDPIdle},
	} {
		if *f.v <= 0 {
			*f.v = *f.def
		}
	}
	return l
}

// Server is Apple's tunnel_server. Its fields are set before Serve and not
// changed. A Server serves once.
type Server struct {
	// Configuration is what clients are told, and the address pools. nil is
	// [DefaultConfiguration].
	Configuration *Configuration
	// Device takes the packets of all IP connections; what it sends goes to
	// the client that has the destination address. Serve closes it. nil: IP
	// connections are answered with internalError.
	Device replay.Device
	// Dial reaches the remote host of an app-proxy flow. network is "tcp" or
	// "udp"; address is host:port as the client gave it, the host a name or
	// numeric. nil refuses every flow. An error is told the client as the
	// protocol's code for it: refused for fs.ErrPermission and
	// ECONNREFUSED, noSuchHost, timeout, else internalError.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Limits Limits
	Logger *slog.Logger // nil is silent
}

// Serve accepts tunnels on ln until ctx ends or accepting fails. It closes ln,
// the tunnels and the device, and waits for everything that it started. The
// error is nil if ctx ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	r := serverState(s)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() { // ends with ctx
		<-ctx.Done()
		ln.Close()
		if r.dev != nil {
			r.dev.Close()
		}
	})
	if r.dev != nil {
		wg.Go(func() { // ends when dev is closed or fails
			if err := r.distribute(); ctx.Err() == nil {
				cancel(fmt.Errorf("peer: read from the device: %w", err))
			}
		})
	}
	err := r.accept(ctx, ln, &wg)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return err
}

// serving is a Server that serves.
type serving struct {
	conf    *Configuration
	dev     replay.Device
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	limits  Limits
	log     *slog.Logger
	routes  router
	tunnels chan struct{} // holds one token a tunnel
}

func serverState(s *Server) *serving {
	limits := s.Limits.withDefaults()
	r := &serving{conf: s.Configuration, dev: s.Device, dial: s.Dial, limits: limits, log: s.Logger, tunnels: make(chan struct{}, limits.Tunnels)}
	if r.conf == nil {
		r.conf = DefaultConfiguration()
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.routes = router{conf: r.conf, conns: make(map[netip.Addr]*ipConn)}
	return r
}

// accept starts a goroutine for each tunnel, which ends with its connection or
// with ctx.
func (r *serving) accept(ctx context.Context, ln net.Listener, wg *sync.WaitGroup) error {
	for pause := time.Duration(0); ; {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("peer: accept: %w", err)
			}
			// Out of descriptors, or a connection that was gone before it was
			// accepted: the tunnels that are there go on.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			r.log.Warn("cannot accept a tunnel", "err", err, "again in", pause)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		select {
		case r.tunnels <- struct{}{}:
		default:
			r.log.Warn("tunnel closed: too many", "client", conn.RemoteAddr(), "limit", cap(r.tunnels))
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-r.tunnels }()
			newTunnel(r, conn).run(ctx)
		})
	}
}

// distribute reads the device and gives each client its packets, until the
// device fails.
func (r *serving) distribute() error {
	bufs, sizes := replay.Buffers(128, r.dev.MTU())
	for {
		n, err := r.dev.Read(bufs, sizes)
		if err != nil {
			return err
		}
		for i := range n {
			r.routes.deliver(bufs[i][:sizes[i]])
		}
	}
}
