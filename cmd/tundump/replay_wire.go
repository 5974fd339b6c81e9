package main

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tundump/capture"
	"tundump/decode"
	"tundump/decode/frame"
)

// wireTap records the tunnels of one's own connections, as the proxy records
// those that pass through it.
type wireTap struct {
	tap  capture.Tap
	last atomic.Uint32 // tunnel
}

// client records a connection that was made to a server.
func (w *wireTap) client(c net.Conn) net.Conn {
	return w.open(c, c.LocalAddr(), c.RemoteAddr(), decode.Client)
}

// server records a connection that a client made.
func (w *wireTap) server(c net.Conn) net.Conn {
	return w.open(c, c.RemoteAddr(), c.LocalAddr(), decode.Server)
}

func (w *wireTap) open(c net.Conn, client, server net.Addr, us decode.Party) net.Conn {
	r := &wireConn{Conn: c, tap: w.tap, tunnel: w.last.Add(1), us: us}
	r.in.dir, r.out.dir = decode.ServerToClient, decode.ClientToServer
	if us == decode.Server {
		r.in.dir, r.out.dir = r.out.dir, r.in.dir
	}
	r.emit(decode.Event{Kind: decode.Opened, Detail: &decode.Detail{Client: tcpAddr(client), Listener: tcpAddr(server), Upstream: server.String()}})
	return r
}

// tcpAddr returns the zero value for an address that is no IP address.
func tcpAddr(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// wireListener records the tunnels of all connections that are accepted.
type wireListener struct {
	net.Listener
	tap *wireTap
}

func (l wireListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.tap.server(c), nil
}

// wireConn is one end of a tunnel, and records both directions. What is sent
// is recorded before it is, so that it stands before its answer.
type wireConn struct {
	net.Conn
	tap     capture.Tap
	tunnel  uint32
	us      decode.Party
	in, out wireSide

	mu     sync.Mutex
	by     decode.Party // who ended it first
	reset  bool
	closed bool
}

// wireSide is the bytes of one direction that are not yet told.
type wireSide struct {
	dir decode.Direction

	mu     sync.Mutex
	scan   frame.Scanner
	offset int64
	buf    []byte
}

func (c *wireConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.pass(&c.in, b[:n], frame.More)
	}
	if err != nil {
		c.failed(err)
	}
	return n, err
}

func (c *wireConn) Write(b []byte) (int, error) {
	c.pass(&c.out, b, frame.More)
	n, err := c.Conn.Write(b)
	if err != nil {
		c.failed(err)
	}
	return n, err
}

// failed notes who ended the tunnel, if the peer did.
func (c *wireConn) failed(err error) {
	reset := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if err != io.EOF && !reset {
		return // it was closed here, or a deadline passed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == decode.Nobody {
		if c.by, c.reset = decode.Server, reset; c.us == decode.Server {
			c.by = decode.Client
		}
	}
}

// Close ends the tunnel, and tells what ended it.
func (c *wireConn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return err
	}
	c.closed = true
	if c.by == decode.Nobody {
		c.by = c.us
	}
	by, reset := c.by, c.reset
	c.mu.Unlock()
	c.pass(&c.in, nil, frame.End)
	c.pass(&c.out, nil, frame.End)
	dir, why := decode.ClientToServer, &decode.Detail{By: by, Reason: "FIN"}
	if by == decode.Server {
		dir = decode.ServerToClient
	}
	if reset {
		why.Reason = "connection reset by peer"
		c.emit(decode.Event{Kind: decode.Reset, Dir: dir, Detail: why})
	}
	c.emit(decode.Event{Kind: decode.Closed, Dir: dir, Detail: why})
	return err
}

// pass tells what is whole with b.
func (c *wireConn) pass(s *wireSide, b []byte, mode frame.Mode) {
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = append(s.buf, b...)
	var batch *capture.Batch
	var all []byte
	head := 0
	for {
		span, ok := s.scan.Next(s.buf[head:], mode)
		if !ok {
			break
		}
		if batch == nil {
			batch = capture.NewBatch()
			all = batch.Grow(len(s.buf))
			copy(all, s.buf)
		}
		raw := all[head : head+span.Len : head+span.Len]
		ev := decode.Event{Kind: decode.Record, Dir: s.dir, Flags: decode.OnClientSide, Tunnel: c.tunnel, Time: now, Offset: s.offset, Raw: raw}
		switch {
		case span.Kind == frame.Cutoff:
			ev.Kind = decode.Unframed
			ev.Flags |= decode.Partial
		case span.Kind == frame.Unframed:
			ev.Kind = decode.Unframed
			if span.Lost {
				ev.Detail = &decode.Detail{Reason: span.Reason(raw)}
			}
		}
		batch.Events = append(batch.Events, ev)
		head += span.Len
		s.offset += int64(span.Len)
	}
	if batch == nil {
		return
	}
	s.buf = s.buf[:copy(s.buf, s.buf[head:])]
	c.tap.Offer(batch)
	batch.Release()
}

// emit offers an event that is no bytes.
func (c *wireConn) emit(ev decode.Event) {
	ev.Tunnel, ev.Time = c.tunnel, time.Now().UnixNano()
	b := capture.NewBatch()
	b.Events = append(b.Events, ev)
	c.tap.Offer(b)
	b.Release()
}
