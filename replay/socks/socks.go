// Package socks is a SOCKS 5 server (RFC 1928) without authentication: TCP
// connections (CONNECT) and UDP (UDP ASSOCIATE), over whatever dials. BIND is
// answered with "command not supported".
//
//	srv := &socks.Server{
//		Dial:         tunnel.Dial,         // names are its business
//		ListenPacket: tunnel.ListenPacket, // nil: no UDP
//		Resolve:      tunnel.Resolve,      // of names in datagrams
//	}
//	ln, err := net.Listen("tcp", "127.0.0.1:1080")
//	...
//	err = srv.Serve(ctx, ln) // until ctx ends; closes ln
//
// A connection goes greeting, request, reply, and is a pipe from then on:
//
//	client                        server
//	  05 n methods            ▶
//	                          ◀   05 method
//	  05 cmd 00 address port  ▶
//	                          ◀   05 code 00 address port
//
// Whoever reaches the listener may use it: let it listen on a loopback
// address. A client that does not keep to the protocol, or is slow about it,
// is closed; what is held at once is bounded by [Limits].
package socks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a SOCKS 5 server. Only Dial is needed. The fields are set before
// Serve, which may run more than once.
type Server struct {
	// Dial connects to what a client asked for: network is "tcp", address is
	// host:port with a name or a numeric address. Its error becomes the reply,
	// see [CodeOf]. The server closes the connection. A half close is carried
	// on if it has CloseWrite() error.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// ListenPacket opens what carries the datagrams of one association; the
	// server closes it. Addresses are *net.UDPAddr both ways. nil refuses
	// associations with "command not supported".
	ListenPacket func(ctx context.Context) (net.PacketConn, error)
	// Resolve finds the addresses of a name that a datagram is for; the first
	// one is used. nil drops such datagrams.
	Resolve func(ctx context.Context, name string) ([]netip.Addr, error)

	Limits Limits
	Logger *slog.Logger // nil is silent
}

// Limits bounds what clients can take. Zero stands for the default.
type Limits struct {
	// Connections is how many clients there are at once; more are closed. 1024.
	// A connection that is a pipe has two buffers of 32 KiB.
	Connections int
	// Associations is how many of them may be UDP associations; more are
	// answered with "general failure". 128. Each has two buffers of 64 KiB.
	Associations int
	// Handshake is how long greeting and request may take. 10 seconds.
	Handshake time.Duration
	// Dial bounds Dial, ListenPacket and Resolve. 30 seconds.
	Dial time.Duration
	// Linger is how long a connection that one side has half-closed, and where
	// the other side has no half close, is silent before it is closed. 30
	// seconds.
	Linger time.Duration
}

func (l Limits) withDefaults() Limits {
	l.Connections = orDefault(l.Connections, 1024)
	l.Associations = orDefault(l.Associations, 128)
	l.Handshake = orDefault(l.Handshake, 10*time.Second)
	l.Dial = orDefault(l.Dial, 30*time.Second)
	l.Linger = orDefault(l.Linger, 30*time.Second)
	return l
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// serving is a Server that serves.
type serving struct {
	Server
	clients      chan struct{} // holds one token a client
	associations chan struct{} // holds one token an association
	full         atomic.Bool   // the limit was reached, and that was logged
}

// Serve accepts clients on ln until ctx ends or ln fails. It closes ln and
// the clients, and waits for everything that it started. The error is nil if
// ctx ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	r := &serving{Server: *s}
	r.Limits = s.Limits.withDefaults()
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	r.clients = make(chan struct{}, r.Limits.Connections)
	r.associations = make(chan struct{}, r.Limits.Associations)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { // ends with ctx
		<-ctx.Done()
		ln.Close()
	})
	return r.accept(ctx, ln, &wg)
}

// accept starts a goroutine for each client, which ends with its connection
// or with ctx.
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
				return fmt.Errorf("socks: accept: %w", err)
			}
			// Out of descriptors, or a connection that was gone before it was
			// accepted: the clients that are there go on.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			r.Logger.Warn("cannot accept a SOCKS client", "err", err, "again in", pause)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		select {
		case r.clients <- struct{}{}:
		default:
			if !r.full.Swap(true) {
				r.Logger.Warn("SOCKS client closed: too many", "client", conn.RemoteAddr(), "limit", cap(r.clients))
			}
			conn.Close()
			continue
		}
		r.full.Store(false)
		wg.Go(func() {
			defer func() { <-r.clients }()
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			if err := r.client(ctx, conn); err != nil && ctx.Err() == nil {
				r.Logger.Debug("SOCKS client closed", "client", conn.RemoteAddr(), "err", err)
			}
		})
	}
}

// client serves one client to its end.
func (r *serving) client(ctx context.Context, conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(r.Limits.Handshake)); err != nil {
		return err
	}
	in := newReader(conn)
	command, to, err := r.handshake(conn, in)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	switch {
	case command == cmdConnect:
		return r.connect(ctx, conn, in, to)
	case command == cmdUDPAssociate && r.ListenPacket != nil:
		return r.associate(ctx, conn, in, to)
	}
	return refuse(conn, CommandNotSupported, fmt.Errorf("command %d is not supported", command))
}

// handshake reads greeting and request, and answers what is wrong with them.
func (r *serving) handshake(conn net.Conn, in *reader) (command byte, to destination, err error) {
	var none bool
	err = in.next(func(b []byte) (n int, err error) {
		none, n, err = parseGreeting(b)
		return n, err
	})
	if err != nil {
		return 0, to, err
	}
	method := byte(methodNone)
	if !none {
		method = methodUnacceptable
	}
	if _, err := conn.Write([]byte{version, method}); err != nil {
		return 0, to, err
	}
	if !none {
		return 0, to, errors.New("the client wants authentication, which there is none of")
	}
	err = in.next(func(b []byte) (n int, err error) {
		command, to, n, err = parseRequest(b)
		return n, err
	})
	if errors.Is(err, errAddressType) {
		return 0, to, refuse(conn, AddressNotSupported, err)
	}
	return command, to, err
}

// refuse answers a request with a code, and returns why.
func refuse(conn net.Conn, code Code, why error) error {
	_, err := conn.Write(appendReply(nil, code, netip.AddrPort{}))
	return errors.Join(why, err)
}

// connect answers a CONNECT and carries the connection.
func (r *serving) connect(ctx context.Context, conn net.Conn, in *reader, to destination) error {
	dial, cancel := context.WithTimeout(ctx, r.Limits.Dial)
	defer cancel()
	out, err := r.Dial(dial, "tcp", to.String())
	if err != nil {
		return refuse(conn, CodeOf(err), fmt.Errorf("cannot connect to %s: %w", to, err))
	}
	defer out.Close()
	defer context.AfterFunc(ctx, func() { out.Close() })()
	if _, err := conn.Write(appendReply(nil, Succeeded, addrPortOf(out.LocalAddr()))); err != nil {
		return err
	}
	p := pipe{client: conn, in: in, remote: out, linger: r.Limits.Linger}
	return p.carry()
}

// addrPortOf returns a socket's address, the zero value if it has none.
func addrPortOf(a net.Addr) netip.AddrPort {
	s, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.AddrPort{}
	}
	ap := s.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
