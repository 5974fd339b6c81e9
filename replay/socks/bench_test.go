package socks

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
)

// BenchmarkConnect is the time and processor time of 1 MiB through a
// connection over loopback.
func BenchmarkConnect(b *testing.B) {
	sink, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- (&Server{Dial: new(net.Dialer).DialContext}).Serve(ctx, ln) }()
	defer func() { cancel(); <-done }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	to := sink.Addr().(*net.TCPAddr).AddrPort()
	if _, err := c.Write(appendAddrPort([]byte{5, 1, 0, 5, 1, 0}, to)); err != nil {
		b.Fatal(err)
	}
	out, err := sink.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	if _, err := io.ReadFull(c, make([]byte, 12)); err != nil {
		b.Fatal(err)
	}
	const size = 1 << 20
	payload, got := make([]byte, size), make([]byte, size)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		go c.Write(payload)
		if _, err := io.ReadFull(out, got); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDatagram is what a datagram to an address costs beyond its sockets.
func BenchmarkDatagram(b *testing.B) {
	from := netip.MustParseAddrPort("192.0.2.1:53")
	msg := append(appendHeader(nil, from), make([]byte, 1200)...)
	header := make([]byte, 0, maxHeader)
	b.ReportAllocs()
	for b.Loop() {
		to, _, err := parseDatagram(msg)
		if err != nil {
			b.Fatal(err)
		}
		header = appendHeader(header[:0], netip.AddrPortFrom(to.addr, to.port))
	}
}
