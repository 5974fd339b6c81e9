package netstack

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"tundump/replay"
)

func TestForwardTCP(t *testing.T) {
	client, _ := gateway(t, world{tcp: echoTCP(t)}, nil)
	for _, addr := range []string{"192.0.2.7:80", "[2001:db8::7]:80", "10.8.0.1:80"} {
		t.Run(addr, func(t *testing.T) {
			c, err := client.DialContext(timeout(t), "tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if c.RemoteAddr().String() != addr {
				t.Fatalf("remote address %v", c.RemoteAddr())
			}
			bothWays(t, c, random(4<<20))
		})
	}
}

func TestForwardHTTP(t *testing.T) {
	page := random(1 << 20)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	client, _ := gateway(t, world{tcp: l.Addr().String()}, nil)
	h := &http.Client{Transport: &http.Transport{DialContext: client.DialContext, DisableKeepAlives: true}}
	resp, err := h.Get("http://192.0.2.7/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, page) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

// A SYN must not be answered for a host that was not reached.
func TestForwardTCPRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := l.Addr().String()
	l.Close()
	client, gw := gateway(t, world{tcp: gone}, nil)
	for _, addr := range []string{"192.0.2.7:80", "192.0.2.7:81", "192.0.2.7:82", "[2001:db8::7]:80"} {
		if c, err := client.DialContext(timeout(t), "tcp", addr); err == nil {
			c.Close()
			t.Fatalf("%s: connected", addr)
		}
	}
	waitIdle(t, gw)
}

// The SYN-ACK waits for the outer connection.
func TestForwardTCPDialsFirst(t *testing.T) {
	dialled, let := make(chan struct{}), make(chan struct{})
	outside, far := net.Pipe()
	defer far.Close()
	client, _ := gateway(t, world{}, func(c *Config) {
		c.Dial = func(context.Context, string, netip.AddrPort) (net.Conn, error) {
			close(dialled)
			<-let
			return outside, nil
		}
	})
	got := make(chan error, 1)
	go func() {
		c, err := client.DialContext(timeout(t), "tcp", "192.0.2.7:80")
		if err == nil {
			c.Close()
		}
		got <- err
	}()
	<-dialled
	select {
	case err := <-got:
		t.Fatalf("the handshake was over before the outer connection stood: %v", err)
	default:
	}
	close(let)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func waitIdle(t testing.TB, s *Stack) {
	t.Helper()
	for ctx := timeout(t); s.flows.inUse() != 0; {
		select {
		case <-ctx.Done():
			t.Fatalf("%d flows still there", s.flows.inUse())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestForwardUDP(t *testing.T) {
	client, gw := gateway(t, world{udp: echoUDP(t)}, func(c *Config) { c.UDPIdle = 100 * time.Millisecond })
	for _, addr := range []string{"192.0.2.7:53", "[2001:db8::7]:53"} {
		c, err := client.DialContext(timeout(t), "udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		for _, n := range []int{1, 500, 4000, 0} {
			want := random(n)
			if _, err := c.Write(want); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 5000)
			n, err := c.Read(got)
			if err != nil || !bytes.Equal(got[:n], want) {
				t.Fatalf("%s: %d bytes came back for %d, %v", addr, n, len(want), err)
			}
		}
	}
	waitIdle(t, gw)
}

func TestUDPFlowsAreBoundedOldestFirst(t *testing.T) {
	client, gw := gateway(t, world{udp: echoUDP(t)}, func(c *Config) { c.FlowsPerSource = 4 })
	conns := make([]net.Conn, 10)
	ask := func(i int) {
		t.Helper()
		conns[i].SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := conns[i].Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 2)
		if n, err := conns[i].Read(got); n != 1 || got[0] != byte(i) || err != nil {
			t.Fatalf("flow %d: %v %v", i, got[:n], err)
		}
		if n := gw.flows.inUse(); n > 4 {
			t.Fatalf("%d flows", n)
		}
	}
	for i := range conns {
		c, err := client.DialContext(timeout(t), "udp", fmt.Sprintf("192.0.2.7:%d", 1000+i))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
		ask(i)
	}
	ask(0) // evicted long ago; begins anew
}

// The sender of a datagram that cannot be delivered is told why.
func TestForwardUDPRefused(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := c.LocalAddr().String()
	c.Close()
	gw := newStack(t, Config{Addresses: gatewayAddresses, Dial: world{udp: gone}.dial})
	bufs, sizes := replay.Buffers(1, gw.MTU())
	for _, tt := range []struct {
		src, dst string
		code     byte
	}{
		{"10.8.0.2:9", "192.0.2.7:80", 3}, {"10.8.0.2:9", "192.0.2.7:81", 13}, {"10.8.0.2:9", "192.0.2.7:82", 1},
		{"[fd00:8::2]:9", "[2001:db8::7]:80", 4}, {"[fd00:8::2]:9", "[2001:db8::7]:81", 1}, {"[fd00:8::2]:9", "[2001:db8::7]:82", 3},
	} {
		src, dst := netip.MustParseAddrPort(tt.src), netip.MustParseAddrPort(tt.dst)
		if _, err := gw.Write([][]byte{datagram(src, dst, []byte("hello"))}); err != nil {
			t.Fatal(err)
		}
		if _, err := gw.Read(bufs, sizes); err != nil {
			t.Fatal(err)
		}
		from, to, msg, _, ok := icmpOf(bufs[0][:sizes[0]])
		if !ok || from != gw.address(src.Addr().Is4()) || to != src.Addr() || msg[1] != tt.code {
			t.Fatalf("%+v: ok %v, from %v to %v: %x", tt, ok, from, to, msg)
		}
		if _, quoted, _ := endpoints(msg[8:]); quoted != dst.Addr() {
			t.Fatalf("%+v: quotes %x", tt, msg[8:])
		}
	}
	waitIdle(t, gw)
}

func datagram(src, dst netip.AddrPort, payload []byte) []byte {
	p, udp := newICMP(src.Addr(), dst.Addr(), len(payload)) // an ICMP and a UDP header are of one size
	binary.BigEndian.PutUint16(udp, src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	copy(udp[8:], payload)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, toAddress(src.Addr()), toAddress(dst.Addr()), uint16(len(udp)))
	binary.BigEndian.PutUint16(udp[6:], ^checksum.Checksum(udp, sum))
	if src.Addr().Is6() {
		p[6] = byte(header.UDPProtocolNumber)
		return p
	}
	h := header.IPv4(p)
	p[9] = byte(header.UDPProtocolNumber)
	h.SetChecksum(0)
	h.SetChecksum(^h.CalculateChecksum())
	return p
}
