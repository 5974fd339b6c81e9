package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tundump/replay"
	"tundump/replay/netstack"
)

// The demo's internet: a second user-space stack with documentation addresses
// (RFC 5737, RFC 3849), joined to the server's uplink. No inner flow reaches a
// socket of the host.
const (
	demoName  = "www.tundump.example"
	demoBulk  = 256 << 10 // bytes each way
	bulkPort  = "5001"
	demoPage  = "It works: this page came through the tunnel.\n"
	pumpBatch = 64
)

var (
	demoWeb4 = netip.MustParseAddr("198.51.100.80")
	demoWeb6 = netip.MustParseAddr("2001:db8:100::80")
)

// demoInternet is the two stacks, what listens in one of them, and the
// goroutines between.
type demoInternet struct {
	uplink *netstack.Stack // the server dials from here
	net    *netstack.Stack // the services listen here
	http   *http.Server
	closer []io.Closer
	wg     sync.WaitGroup
}

// startInternet starts the services. close ends them.
func startInternet() (*demoInternet, error) {
	prefix := func(s string) netip.Prefix { return netip.MustParsePrefix(s) }
	uplink, err := netstack.New(netstack.Config{Addresses: []netip.Prefix{prefix("203.0.113.1/24"), prefix("2001:db8:1::1/64")}})
	if err != nil {
		return nil, err
	}
	inside, err := netstack.New(netstack.Config{Addresses: []netip.Prefix{netip.PrefixFrom(demoWeb4, 24), netip.PrefixFrom(demoWeb6, 64)}})
	if err != nil {
		return nil, errors.Join(err, uplink.Close())
	}
	d := &demoInternet{uplink: uplink, net: inside}
	d.pump(uplink, inside)
	d.pump(inside, uplink)
	if err := d.serve(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *demoInternet) close() error {
	var err error
	if d.http != nil {
		err = d.http.Close()
	}
	for _, c := range d.closer {
		err = errors.Join(err, ignoreClosed(c.Close()))
	}
	err = errors.Join(err, d.uplink.Close(), d.net.Close())
	d.wg.Wait()
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// pump carries packets from one device to the other until one is closed.
func (d *demoInternet) pump(from, to replay.Device) {
	d.wg.Go(func() {
		bufs, sizes := replay.Buffers(pumpBatch, from.MTU())
		pkts := make([][]byte, 0, pumpBatch)
		for {
			n, err := from.Read(bufs, sizes)
			if err != nil {
				return
			}
			pkts = pkts[:0]
			for i := range n {
				pkts = append(pkts, bufs[i][:sizes[i]])
			}
			if _, err := to.Write(pkts); err != nil {
				return
			}
		}
	})
}

// serve starts DNS, HTTP and the bulk service on both families.
func (d *demoInternet) serve() error {
	d.http = &http.Server{Handler: http.HandlerFunc(servePage), ReadHeaderTimeout: 10 * time.Second}
	for _, a := range [...]netip.Addr{demoWeb4, demoWeb6} {
		dns, err := d.net.ListenPacket("udp", net.JoinHostPort(a.String(), "53"))
		if err != nil {
			return err
		}
		d.closer = append(d.closer, dns)
		d.wg.Go(func() { serveDNS(dns) })
		web, err := d.net.Listen("tcp", net.JoinHostPort(a.String(), "80"))
		if err != nil {
			return err
		}
		d.wg.Go(func() { d.http.Serve(web) }) // its error is that it was closed
		bulk, err := d.net.Listen("tcp", net.JoinHostPort(a.String(), bulkPort))
		if err != nil {
			return err
		}
		d.closer = append(d.closer, bulk)
		d.wg.Go(func() { d.serveBulk(bulk) })
	}
	return nil
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header()["Date"] = nil    // so that every answer has the same bytes
	io.WriteString(w, demoPage) // a client that went away is its own affair
}

// serveBulk answers each connection with the SHA-256 of what it sent, and as
// many bytes back.
func (d *demoInternet) serveBulk(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		d.wg.Go(func() {
			defer c.Close()
			b := make([]byte, demoBulk)
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			sum := sha256.Sum256(b)
			fmt.Fprintf(c, "%s\n", hex.EncodeToString(sum[:]))
			c.Write(b)
		})
	}
}

// serveDNS answers for demoName, and says of every other name that it does not
// exist.
func serveDNS(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer, err := answerDNS(buf[:n]); err == nil {
			conn.WriteTo(answer, from) // a datagram may be lost
		}
	}
}

func answerDNS(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	known := q.Name.String() == demoName+"."
	rcode := dnsmessage.RCodeSuccess
	if !known {
		rcode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true, RCode: rcode})
	if err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers()); err != nil {
		return nil, err
	}
	rh := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}
	switch {
	case known && q.Type == dnsmessage.TypeA:
		err = b.AResource(rh, dnsmessage.AResource{A: demoWeb4.As4()})
	case known && q.Type == dnsmessage.TypeAAAA:
		err = b.AAAAResource(rh, dnsmessage.AAAAResource{AAAA: demoWeb6.As16()})
	}
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

// dial is how the demo's server reaches the demo's internet. The server's own
// address, which clients are given for DNS, stands for the internet's.
func (d *demoInternet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	a, err := netip.ParseAddr(host)
	switch {
	case host == demoName, err == nil && port == "53" && a.Is4():
		a = demoWeb4
	case err == nil && port == "53":
		a = demoWeb6
	case err != nil:
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return d.uplink.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
}

func (d *demoInternet) dialAddrPort(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	return d.dial(ctx, network, to.String())
}

// echo asks the demo's internet for an answer to an echo request.
func (d *demoInternet) echo(ctx context.Context, dst netip.Addr, payload []byte) error {
	_, err := d.uplink.Ping(ctx, dst, payload)
	return err
}
