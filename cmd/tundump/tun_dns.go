package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	maxQueries   = 256 // at once; more are dropped, and asked again
	queryTimeout = 5 * time.Second
)

// dnsRelay passes on what clients ask the server's own addresses, as the
// user-space stack does by its dialer's Redirect.
type dnsRelay struct {
	udp   []*net.UDPConn
	tcp   []net.Listener
	to    []string // of udp and tcp alike
	slots chan struct{}
	log   *slog.Logger
	wg    sync.WaitGroup
}

// listenDNS takes the ports that it can have. Where it can have none somebody
// else answers there, or nobody does: the log says so.
func listenDNS(redirect map[netip.AddrPort]string, gateways []netip.Prefix, log *slog.Logger) *dnsRelay {
	r := &dnsRelay{slots: make(chan struct{}, maxQueries), log: log}
	for _, g := range gateways {
		at := netip.AddrPortFrom(g.Addr(), 53)
		to, ok := redirect[at]
		if !ok {
			continue
		}
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			log.Warn("clients' DNS queries are not passed on", "at", at, "why", cause(err))
			continue
		}
		tcp, err := net.Listen("tcp", at.String())
		if err != nil {
			log.Warn("clients' DNS queries are not passed on", "at", at, "why", cause(err))
			udp.Close()
			continue
		}
		r.udp, r.tcp, r.to = append(r.udp, udp), append(r.tcp, tcp), append(r.to, to)
	}
	return r
}

// start passes queries on until close.
func (r *dnsRelay) start(ctx context.Context) {
	for i := range r.to {
		r.wg.Go(func() { r.datagrams(ctx, r.udp[i], r.to[i]) })
		r.wg.Go(func() { r.streams(ctx, r.tcp[i], r.to[i]) })
	}
}

// close ends the relay and waits for it. What is under way ends with start's
// ctx.
func (r *dnsRelay) close() {
	for i := range r.to {
		r.udp[i].Close()
		r.tcp[i].Close()
	}
	r.wg.Wait()
}

// take reports whether there is room for one query more.
func (r *dnsRelay) take() bool {
	select {
	case r.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// datagrams ends when from is closed.
func (r *dnsRelay) datagrams(ctx context.Context, from *net.UDPConn, to string) {
	buf := make([]byte, 4096)
	for {
		n, client, err := from.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || !r.take() {
			continue // an error is an earlier answer's, that found nobody
		}
		query := append([]byte(nil), buf[:n]...)
		r.wg.Go(func() { // ends with the answer, ctx or queryTimeout
			defer func() { <-r.slots }()
			b, err := ask(ctx, to, query)
			if err == nil {
				_, err = from.WriteToUDPAddrPort(b, client)
			}
			if err != nil {
				r.log.Debug("DNS query without an answer", "client", client, "why", err)
			}
		})
	}
}

func ask(ctx context.Context, to string, query []byte) ([]byte, error) {
	conn, err := dialResolver(ctx, "udp", to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	b := make([]byte, 65535)
	n, err := conn.Read(b)
	return b[:n], err
}

func dialResolver(ctx context.Context, network, to string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: queryTimeout}).DialContext(ctx, network, to)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(queryTimeout))
}

// streams ends when ln is closed.
func (r *dnsRelay) streams(ctx context.Context, ln net.Listener, to string) {
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, for one
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if !r.take() {
			conn.Close()
			continue
		}
		r.wg.Go(func() { // ends with either end, ctx or queryTimeout
			defer func() { <-r.slots }()
			defer conn.Close()
			if err := exchange(ctx, conn, to); err != nil {
				r.log.Debug("DNS query without an answer", "client", conn.RemoteAddr(), "why", err)
			}
		})
	}
}

func exchange(ctx context.Context, client net.Conn, to string) error {
	server, err := dialResolver(ctx, "tcp", to)
	if err != nil {
		return err
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := client.SetDeadline(time.Now().Add(queryTimeout)); err != nil {
		return err
	}
	asked := make(chan error, 1)
	go func() { // ends with client, which the caller closes, or at the deadline
		_, err := io.Copy(server, client)
		asked <- errors.Join(err, server.Close())
	}()
	_, err = io.Copy(client, server)
	return errors.Join(err, client.Close(), ignoreClosed(<-asked))
}
