package netstack

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tundump/replay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStack(t testing.TB, cfg Config) *Stack {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// join carries packets between two devices until one is closed.
func join(t testing.TB, a, b replay.Device) {
	t.Helper()
	var wg sync.WaitGroup
	pump := func(from, to replay.Device) {
		bufs, sizes := replay.Buffers(32, from.MTU())
		pkts := make([][]byte, 0, 32)
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
	}
	wg.Go(func() { pump(a, b) })
	wg.Go(func() { pump(b, a) })
	t.Cleanup(func() {
		a.Close()
		b.Close()
		wg.Wait()
	})
}

var clientAddresses = []netip.Prefix{netip.MustParsePrefix("10.8.0.2/32"), netip.MustParsePrefix("fd00:8::2/128")}
var gatewayAddresses = []netip.Prefix{netip.MustParsePrefix("10.8.0.1/24"), netip.MustParsePrefix("fd00:8::1/64")}

// world is the outside: what Dial and Echo of a gateway lead to.
type world struct {
	tcp, udp string // addresses of loopback services
}

func (w world) dial(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
	switch addr.Port() {
	case 81:
		return nil, fs.ErrPermission
	case 82:
		return nil, context.DeadlineExceeded
	}
	var d net.Dialer
	if network == "tcp" {
		return d.DialContext(ctx, network, w.tcp)
	}
	return d.DialContext(ctx, network, w.udp)
}

func (w world) echo(_ context.Context, dst netip.Addr, _ []byte) error {
	switch dst.String() {
	case "192.0.2.1", "2001:db8::1":
		return nil
	case "192.0.2.2", "2001:db8::2":
		return errors.ErrUnsupported
	}
	return errors.New("no route")
}

func gateway(t testing.TB, w world, change func(*Config)) (client, gw *Stack) {
	cfg := Config{Addresses: gatewayAddresses, Dial: w.dial, Echo: w.echo}
	if change != nil {
		change(&cfg)
	}
	client, gw = newStack(t, Config{Addresses: clientAddresses}), newStack(t, cfg)
	join(t, client, gw)
	return client, gw
}

func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func echoTCP(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				io.Copy(c, c)
				c.Close()
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func echoUDP(t testing.TB) string {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			c.WriteTo(buf[:n], from)
		}
	})
	t.Cleanup(func() { c.Close(); wg.Wait() })
	return c.LocalAddr().String()
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// bothWays sends data and wants it back, all of it, and then the end.
func bothWays(t testing.TB, c net.Conn, data []byte) {
	t.Helper()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Write(data); err != nil {
			t.Error(err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(c)
	wg.Wait()
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("got %d of %d bytes back, err %v", len(got), len(data), err)
	}
}

func TestPing(t *testing.T) {
	client, gw := gateway(t, world{}, nil)
	for _, tt := range []struct {
		dst        string
		payload    int
		ok         bool
		prohibited bool
	}{
		{"10.8.0.1", 56, true, false}, {"fd00:8::1", 56, true, false},
		{"192.0.2.1", 0, true, false}, {"192.0.2.1", 1200, true, false}, {"2001:db8::1", 56, true, false},
		{"192.0.2.2", 56, false, true}, {"2001:db8::2", 56, false, true}, {"192.0.2.2", 1200, false, true},
		{"192.0.2.3", 56, false, false}, {"2001:db8::3", 56, false, false},
	} {
		_, err := client.Ping(timeout(t), netip.MustParseAddr(tt.dst), random(tt.payload))
		if (err == nil) != tt.ok || errors.Is(err, fs.ErrPermission) != tt.prohibited || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	if _, err := gw.Ping(timeout(t), netip.MustParseAddr("10.8.0.2"), nil); err != nil {
		t.Error("the client does not answer:", err)
	}
}

// Echo requests that the filter in front of the stack cannot see whole.
func TestNoFalseEchoAnswers(t *testing.T) {
	_, gw := gateway(t, world{}, nil)
	gw.Close()
	gw = newStack(t, Config{Addresses: gatewayAddresses, Dial: world{}.dial, Echo: world{}.echo})
	for _, hidden := range [][]byte{
		behindOptions(echo{src: netip.MustParseAddr("fd00:8::2"), dst: netip.MustParseAddr("2001:db8::9"), request: true, payload: []byte("x")}),
	} {
		if _, err := gw.Write([][]byte{hidden}); err != nil {
			t.Fatal(err)
		}
	}
	// A packet that is answered for certain comes last.
	own := echo{src: netip.MustParseAddr("fd00:8::2"), dst: netip.MustParseAddr("fd00:8::1"), request: true, payload: []byte("last")}
	if _, err := gw.Write([][]byte{own.packet()}); err != nil {
		t.Fatal(err)
	}
	bufs, sizes := replay.Buffers(1, gw.MTU())
	if _, err := gw.Read(bufs, sizes); err != nil {
		t.Fatal(err)
	}
	if e, ok := parseEcho(bufs[0][:sizes[0]]); !ok || string(e.payload) != "last" {
		t.Fatalf("the stack answered for another host: %+v", e)
	}
	if gw.Dropped() != 1 {
		t.Fatalf("dropped %d, want the one false answer", gw.Dropped())
	}
}

// behindOptions puts an empty destination options header before the ICMPv6
// message.
func behindOptions(e echo) []byte {
	p := e.packet()
	out := append([]byte(nil), p[:40]...)
	out[6] = 60
	out[5] += 8
	out = append(out, 58, 0, 1, 4, 0, 0, 0, 0)
	return append(out, p[40:]...)
}

func TestListenInside(t *testing.T) {
	a, b := newStack(t, Config{Addresses: clientAddresses}), newStack(t, Config{Addresses: gatewayAddresses})
	join(t, a, b)
	l, err := b.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := b.ListenPacket("udp", "10.8.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	go func() {
		buf := make([]byte, 100)
		if n, from, err := pc.ReadFrom(buf); err == nil {
			pc.WriteTo(buf[:n], from)
		}
	}()
	c, err := a.DialContext(timeout(t), "tcp", "[fd00:8::1]:80")
	if err != nil {
		t.Fatal(err)
	}
	bothWays(t, c, random(16<<20))
	c.Close()
	u, err := a.DialContext(timeout(t), "udp", "10.8.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	u.Write([]byte("ask"))
	got := make([]byte, 10)
	if n, err := u.Read(got); err != nil || string(got[:n]) != "ask" {
		t.Fatal(string(got[:n]), err)
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	b.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestCloseUnderLoad(t *testing.T) {
	client, gw := gateway(t, world{tcp: echoTCP(t), udp: echoUDP(t)}, nil)
	var wg sync.WaitGroup
	first := make(chan struct{}, 100)
	for i := range 20 {
		network := []string{"tcp", "udp"}[i%2]
		wg.Go(func() {
			c, err := client.DialContext(timeout(t), network, "192.0.2.7:80")
			if err != nil {
				return
			}
			defer c.Close()
			for {
				if _, err := c.Write(make([]byte, 1000)); err != nil {
					return
				}
				select {
				case first <- struct{}{}:
				default:
				}
				c.SetReadDeadline(time.Now().Add(time.Second))
				if _, err := c.Read(make([]byte, 1000)); err != nil {
					return
				}
			}
		})
	}
	for range 50 {
		<-first
	}
	gw.Close()
	client.Close()
	wg.Wait()
	if _, err := client.DialContext(timeout(t), "tcp", "192.0.2.7:80"); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, cfg := range []Config{{MTU: 100}, {MTU: 70000}, {Addresses: []netip.Prefix{{}}}} {
		if s, err := New(cfg); err == nil {
			s.Close()
			t.Errorf("%+v: no error", cfg)
		}
	}
	s := newStack(t, Config{})
	for _, addr := range []string{"example.org:80", "1.2.3.4", "[::1]:x", ""} {
		if _, err := s.DialContext(timeout(t), "tcp", addr); err == nil {
			t.Errorf("%q: no error", addr)
		}
	}
	if _, err := s.DialContext(timeout(t), "unix", "1.2.3.4:5"); err == nil {
		t.Error("network unix: no error")
	}
	if _, err := s.DialContext(timeout(t), "tcp6", "1.2.3.4:5"); err == nil {
		t.Error("tcp6 to an IPv4 address: no error")
	}
}

// FuzzWrite throws packets at a gateway: it must neither panic nor answer an
// echo request for a host that Echo did not reach.
func FuzzWrite(f *testing.F) {
	e := echo{src: netip.MustParseAddr("10.8.0.2"), dst: netip.MustParseAddr("192.0.2.3"), request: true, ident: 1, seq: 2, payload: []byte("abcdefgh")}
	f.Add(e.packet())
	e.src, e.dst = netip.MustParseAddr("fd00:8::2"), netip.MustParseAddr("2001:db8::3")
	f.Add(e.packet())
	f.Add(behindOptions(e))
	f.Add(unreachable(e.packet(), netip.Addr{}, prohibited))
	f.Fuzz(func(t *testing.T, p []byte) {
		gw, err := New(Config{Addresses: gatewayAddresses, Echo: world{}.echo, Dial: func(context.Context, string, netip.AddrPort) (net.Conn, error) {
			return nil, fs.ErrPermission
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer gw.Close()
		if _, err := gw.Write([][]byte{p}); err != nil {
			t.Fatal(err)
		}
		last := echo{src: netip.MustParseAddr("10.8.0.2"), dst: netip.MustParseAddr("10.8.0.1"), request: true, payload: []byte("the last one")}
		if _, err := gw.Write([][]byte{last.packet()}); err != nil {
			t.Fatal(err)
		}
		bufs, sizes := replay.Buffers(4, gw.MTU())
		for {
			n, err := gw.Read(bufs, sizes)
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				out := bufs[i][:sizes[i]]
				a, ok := parseEcho(out)
				if ok && string(a.payload) == "the last one" {
					return
				}
				if ok && !a.request && !gw.own[a.src] && a.src.String() != "192.0.2.1" && a.src.String() != "2001:db8::1" {
					t.Fatalf("answered for %v: %x", a.src, out)
				}
			}
		}
	})
}

func BenchmarkTCP(b *testing.B) {
	client, gw := newStack(b, Config{Addresses: clientAddresses}), newStack(b, Config{Addresses: gatewayAddresses})
	join(b, client, gw)
	l, err := gw.Listen("tcp", "10.8.0.1:80")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err == nil {
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	c, err := client.DialContext(context.Background(), "tcp", "10.8.0.1:80")
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	c.Close()
	<-done
}
