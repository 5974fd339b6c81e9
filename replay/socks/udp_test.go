package socks

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// listenUDP is what the associations of these tests are carried on.
func listenUDP(context.Context) (net.PacketConn, error) {
	return net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

func udpSocket(t *testing.T, ip string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second)) // so that a failure is no hang
	return c
}

// udpEcho answers each datagram with itself.
func udpEcho(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 65536)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func datagramTo(t *testing.T, frag byte, to, payload string) []byte {
	return append(append([]byte{0, 0, frag}, address(t, to)...), payload...)
}

// exchange sends a datagram and checks the answer.
func exchange(t *testing.T, c *net.UDPConn, relay netip.AddrPort, msg []byte, from netip.AddrPort, want string) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(msg, relay); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 65536)
	n, _, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := datagramTo(t, 0, from.String(), want); !bytes.Equal(b[:n], got) {
		t.Fatalf("got %q, want %q", b[:n], got)
	}
}

func TestAssociate(t *testing.T) {
	resolved := make(chan string, 10)
	addr := serve(t, &Server{ListenPacket: listenUDP, Resolve: func(_ context.Context, name string) ([]netip.Addr, error) {
		resolved <- name
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	peer, other := udpEcho(t), udpEcho(t)
	c := dial(t, addr)
	code, relay := ask(t, c, cmdUDPAssociate, "0.0.0.0:0")
	if code != Succeeded {
		t.Fatal(code)
	}
	s := udpSocket(t, "127.0.0.1")
	exchange(t, s, relay, datagramTo(t, 0, peer.String(), "one"), peer, "one")
	exchange(t, s, relay, datagramTo(t, 0, other.String(), "two"), other, "two")
	exchange(t, s, relay, datagramTo(t, 0, peer.String(), ""), peer, "")
	big := string(bytes.Repeat([]byte("x"), 60_000))
	exchange(t, s, relay, datagramTo(t, 0, peer.String(), big), peer, big)
	byName := netip.AddrPortFrom(peer.Addr(), peer.Port())
	named := net.JoinHostPort("echo.test", udpPort(peer))
	exchange(t, s, relay, datagramTo(t, 0, named, "named"), byName, "named")
	exchange(t, s, relay, datagramTo(t, 0, named, "again"), byName, "again")
	if got := <-resolved; got != "echo.test" || len(resolved) != 0 {
		t.Errorf("resolved %q and %d more, want the name once", got, len(resolved))
	}

	// None of these gets an answer: the next answer is that of the last.
	stranger, elsewhere := udpSocket(t, "127.0.0.1"), udpSocket(t, "127.0.0.2")
	stranger.WriteToUDPAddrPort(datagramTo(t, 0, peer.String(), "a stranger"), relay)
	elsewhere.WriteToUDPAddrPort(datagramTo(t, 0, peer.String(), "another host"), relay)
	for _, bad := range [][]byte{nil, {0, 0}, {0, 0, 0, 9, 1, 2, 3}, {0, 0, 0, 1, 127, 0, 0}, datagramTo(t, 1, peer.String(), "a fragment"), datagramTo(t, 0, "127.0.0.1:0", "port 0")} {
		s.WriteToUDPAddrPort(bad, relay)
	}
	exchange(t, s, relay, datagramTo(t, 0, peer.String(), "last"), peer, "last")

	// The association ends with its connection.
	c.CloseWrite()
	if _, err := io.ReadAll(c); err != nil {
		t.Error(err)
	}
	again, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(relay))
	if err != nil {
		t.Error("the association's port is still in use:", err)
	} else {
		again.Close()
	}
}

func udpPort(a netip.AddrPort) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// A client that names its socket is heard from that one alone.
func TestAssociateNamedPort(t *testing.T) {
	addr, peer := serve(t, &Server{ListenPacket: listenUDP}), udpEcho(t)
	s, early := udpSocket(t, "127.0.0.1"), udpSocket(t, "127.0.0.1")
	code, relay := ask(t, dial(t, addr), cmdUDPAssociate, s.LocalAddr().String())
	if code != Succeeded {
		t.Fatal(code)
	}
	early.WriteToUDPAddrPort(datagramTo(t, 0, peer.String(), "too early"), relay)
	exchange(t, s, relay, datagramTo(t, 0, peer.String(), "mine"), peer, "mine")
}

// When what carries an association ends, so does its connection.
func TestAssociationRemoteEnds(t *testing.T) {
	opened := make(chan net.PacketConn, 1)
	addr := serve(t, &Server{ListenPacket: func(ctx context.Context) (net.PacketConn, error) {
		c, err := listenUDP(ctx)
		opened <- c
		return c, err
	}})
	c := dial(t, addr)
	if code, _ := ask(t, c, cmdUDPAssociate, "0.0.0.0:0"); code != Succeeded {
		t.Fatal(code)
	}
	(<-opened).Close()
	if _, err := io.ReadAll(c); err != nil {
		t.Error(err)
	}
}

// A name that takes its time holds up nothing, and what is held for it and
// asked at once is bounded.
func TestSlowNames(t *testing.T) {
	asked, release := make(chan string, 1000), make(chan struct{})
	addr := serve(t, &Server{ListenPacket: listenUDP, Resolve: func(ctx context.Context, name string) ([]netip.Addr, error) {
		asked <- name
		select {
		case <-release:
		case <-ctx.Done():
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, ctx.Err()
	}})
	peer, s := udpEcho(t), udpSocket(t, "127.0.0.1")
	_, relay := ask(t, dial(t, addr), cmdUDPAssociate, "0.0.0.0:0")
	for i := range 10 * maxLookups {
		name := net.JoinHostPort(string(rune('a'+i%26))+string(rune('a'+i/26))+".test", udpPort(peer))
		for range 2 * maxHeld {
			s.WriteToUDPAddrPort(datagramTo(t, 0, name, "held"), relay)
		}
		exchange(t, s, relay, datagramTo(t, 0, peer.String(), "not held"), peer, "not held")
	}
	if n := len(asked); n != maxLookups {
		t.Errorf("%d names asked for at once, want %d", n, maxLookups)
	}
	close(release)
	b := make([]byte, 2000)
	for range maxHeld * maxLookups {
		n, _, err := s.ReadFromUDPAddrPort(b)
		if err != nil || !bytes.HasSuffix(b[:n], []byte("held")) {
			t.Fatalf("%q, %v", b[:n], err)
		}
	}
}

func TestAssociationLimit(t *testing.T) {
	addr := serve(t, &Server{ListenPacket: listenUDP, Limits: Limits{Associations: 1}})
	if code, _ := ask(t, dial(t, addr), cmdUDPAssociate, "0.0.0.0:0"); code != Succeeded {
		t.Fatal(code)
	}
	if code, _ := ask(t, dial(t, addr), cmdUDPAssociate, "0.0.0.0:0"); code != GeneralFailure {
		t.Errorf("the second association: %v", code)
	}
}
