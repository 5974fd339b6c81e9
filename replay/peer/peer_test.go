package peer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tundump/replay"
	"tundump/replay/netstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// serve runs s on loopback until the test ends, and returns its address.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Serve:", err)
		}
	})
	return ln.Addr().String()
}

func dialServer(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn := must(net.Dial("tcp", addr))(t)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func newClient(t testing.TB, addr string) *Client {
	t.Helper()
	c := NewClient(dialServer(t, addr), ClientConfig{})
	t.Cleanup(func() { c.Close() })
	return c
}

// outside is the services that a server's flows end at. Whatever address a
// client asks for, it is one of these; nothing leaves the process.
type outside struct{ tcp, udp string }

func newOutside(t testing.TB) outside {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	pc := must(net.ListenPacket("udp", "127.0.0.1:0"))(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	wg.Go(func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(buf[:n], from)
		}
	})
	t.Cleanup(func() { ln.Close(); pc.Close(); wg.Wait() })
	return outside{ln.Addr().String(), pc.LocalAddr().String()}
}

func (o outside) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var d net.Dialer
	if network == "tcp" {
		return d.DialContext(ctx, network, o.tcp)
	}
	return d.DialContext(ctx, network, o.udp)
}

func (o outside) dialAddr(ctx context.Context, network string, _ netip.AddrPort) (net.Conn, error) {
	return o.dial(ctx, network, "")
}

func echoes(context.Context, netip.Addr, []byte) error { return nil }

// ipServer is a server whose back end is a stack that leads to o.
func ipServer(t testing.TB, o outside) *Server {
	conf := DefaultConfiguration()
	dev := must(netstack.New(netstack.Config{Addresses: conf.Gateways(), Dial: o.dialAddr, Echo: echoes}))(t)
	return &Server{Configuration: conf, Device: dev, Dial: o.dial}
}

// connect opens an IP connection and returns a stack at its end.
func connect(t testing.TB, addr string) (*netstack.Stack, Assigned) {
	t.Helper()
	c := newClient(t, addr)
	a := must(c.Open(within(t)))(t)
	st := must(netstack.New(netstack.Config{Addresses: a.Addresses}))(t)
	carry(t, c, st)
	return st, a
}

func carry(t testing.TB, c *Client, dev replay.Device) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Carry(ctx, dev) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error("Carry:", err)
		}
	})
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// echo sends data over c and wants the same back.
func echo(t testing.TB, c net.Conn, data []byte) {
	t.Helper()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if _, err := c.Write(data); err != nil {
			t.Error(err)
		}
	})
	got := make([]byte, len(data))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d of %d bytes came back, %v", n, len(data), err)
	}
}

func TestIPConnection(t *testing.T) {
	addr := serve(t, ipServer(t, newOutside(t)))
	st, a := connect(t, addr)
	if got := a.Addresses[0].String() + " " + a.Addresses[1].String() + " " + a.DNS[0].String(); got != "10.8.0.2/32 fd00:8::2/128 10.8.0.1" {
		t.Fatal(got)
	}
	for _, to := range []string{"192.0.2.1:80", "[2001:db8::1]:80"} {
		c := must(st.DialContext(within(t), "tcp", to))(t)
		echo(t, c, random(16<<20))
		c.Close()
		u := must(st.DialContext(within(t), "udp", to))(t)
		echo(t, u, random(500))
		u.Close()
	}
	for _, to := range []string{"192.0.2.1", "2001:db8::1", "10.8.0.1", "fd00:8::1"} {
		if _, err := st.Ping(within(t), netip.MustParseAddr(to), random(56)); err != nil {
			t.Error(err)
		}
	}
}

func TestHTTP(t *testing.T) {
	page := random(1 << 20)
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	o := outside{tcp: ln.Addr().String()}
	addr := serve(t, ipServer(t, o))
	st, _ := connect(t, addr)
	app := newClient(t, addr)
	for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){"ip": st.DialContext, "app": app.Dial} {
		h := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
		resp, err := h.Get("http://192.0.2.1/")
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, page) {
			t.Fatal(name, len(got), err)
		}
	}
}

func TestAppProxy(t *testing.T) {
	addr := serve(t, &Server{Dial: newOutside(t).dial})
	for _, cfg := range []ClientConfig{{}, {IntegerPort: true}} {
		c := NewClient(dialServer(t, addr), cfg)
		defer c.Close()
		a := must(c.FetchConfiguration(within(t)))(t)
		if len(a.Addresses) != 0 || len(a.DNS) == 0 {
			t.Fatalf("%+v", a)
		}
		f := must(c.Dial(within(t), "tcp", "example.org:443"))(t)
		echo(t, f, random(16<<20))
		f.Close()
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		u := must(c.Dial(within(t), "udp", "192.0.2.1:53"))(t)
		for _, n := range []int{1, 0, 1400, 4096} {
			echo(t, u, random(n))
		}
		long := random(5000)
		u.Write(long)
		got := make([]byte, 8000)
		if n, err := u.Read(got); err != nil || !bytes.Equal(got[:n], long[:4096]) {
			t.Fatal("an answer must be cut to 4096 bytes:", n, err)
		}
		u.Close()
		pc := must(c.ListenPacket(within(t)))(t)
		to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("[2001:db8::1]:53"))
		if _, err := pc.WriteTo([]byte("ask"), to); err != nil {
			t.Fatal(err)
		}
		n, from, err := pc.ReadFrom(got)
		if err != nil || string(got[:n]) != "ask" || from.String() != to.String() {
			t.Fatal(string(got[:n]), from, err)
		}
	}
}
