package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"tundump/decode"
)

// life returns the kinds of a tunnel's events that are no bytes and no
// measurements, in order.
func life(evs []decode.Event, tunnel uint32) []decode.Kind {
	var kinds []decode.Kind
	for _, ev := range evs {
		if ev.Tunnel == tunnel && !ev.Kind.Counts() && ev.Kind != decode.TCPInfo && ev.Kind != decode.Blocked {
			kinds = append(kinds, ev.Kind)
		}
	}
	return kinds
}

func only(t testing.TB, l *link) *tunnel {
	t.Helper()
	l.tap.waitKind(t, decode.Connected)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tunnel := range l.tunnels {
		return tunnel
	}
	t.Fatal("no tunnel is open")
	return nil
}

// waitFor is for states that no event tells.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func TestHalfClose(t *testing.T) {
	for _, who := range []decode.Party{decode.Client, decode.Server} {
		t.Run(who.String(), func(t *testing.T) {
			l := start(t, "127.0.0.1", Config{})
			first, second := l.pair(t)
			if who == decode.Server {
				first, second = second, first
			}
			send(t, first, []byte("last words"))
			first.CloseWrite()
			expect(t, second, []byte("last words"))
			expectEOF(t, second)
			for i := range 3 { // the other direction runs on
				rec := record(i, 2000)
				send(t, second, rec)
				expect(t, first, rec)
			}
			second.CloseWrite()
			expectEOF(t, first)
			closed := l.tap.waitKind(t, decode.Closed)
			if closed.Detail.By != who || closed.Detail.Reason != "FIN" {
				t.Errorf("closed by %v, %q; want %v, FIN", closed.Detail.By, closed.Detail.Reason, who)
			}
			want := []decode.Kind{decode.Opened, decode.Connected, decode.HalfClosed, decode.HalfClosed, decode.Closed}
			if got := life(l.tap.all(), 1); !slices.Equal(got, want) {
				t.Errorf("events %v, want %v", got, want)
			}
			if ev := l.tap.waitKind(t, decode.HalfClosed); ev.Detail.By != who || sender(ev.Dir) != who {
				t.Errorf("half-closed by %v in %v, want %v first", ev.Detail.By, ev.Dir, who)
			}
		})
	}
}

func TestReset(t *testing.T) {
	for _, start := range map[string]func() *link{
		"raw":   func() *link { return start(t, "127.0.0.1", Config{}) },
		"plain": func() *link { return startPlain(t) },
	} {
		for _, who := range []decode.Party{decode.Client, decode.Server} {
			t.Run(who.String(), func(t *testing.T) {
				l := start()
				defer l.stop()
				first, second := l.pair(t)
				if who == decode.Server {
					first, second = second, first
				}
				rec := record(1, 100)
				send(t, first, rec)
				expect(t, second, rec)
				send(t, first, rec[:50])
				expect(t, second, rec[:50])
				first.SetLinger(0)
				first.Close()
				if _, err := second.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the other end read %v, want ECONNRESET", err)
				}
				closed := l.tap.waitKind(t, decode.Closed)
				if closed.Detail.By != who || closed.Detail.Reason != syscall.ECONNRESET.Error() {
					t.Errorf("closed by %v, %q", closed.Detail.By, closed.Detail.Reason)
				}
				evs := l.tap.all()
				if got, want := life(evs, 1), []decode.Kind{decode.Opened, decode.Connected, decode.Reset, decode.Closed}; !slices.Equal(got, want) {
					t.Errorf("events %v, want %v", got, want)
				}
				dir := decode.ClientToServer
				if who == decode.Server {
					dir = decode.ServerToClient
				}
				if got := stream(t, evs, 1, dir, decode.OnClientSide); !bytes.Equal(got, append(rec, rec[:50]...)) {
					t.Errorf("the tap saw %d bytes", len(got))
				}
			})
		}
	}
}

// A reset reaches a pipe that has passed on a FIN and waits for nothing.
func TestResetAfterHalfClose(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	client, server := l.pair(t)
	client.CloseWrite()
	expectEOF(t, server)
	server.SetLinger(0)
	server.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client read %v, want ECONNRESET", err)
	}
	l.tap.waitKind(t, decode.Closed)
	want := []decode.Kind{decode.Opened, decode.Connected, decode.HalfClosed, decode.Reset, decode.Closed}
	if got := life(l.tap.all(), 1); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestUpstreamRefused(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := gone.Addr().String()
	gone.Close()
	l := start(t, "127.0.0.1", Config{Upstream: nobody})
	for i := uint32(1); i <= 3; i++ { // the proxy lives on
		c, err := net.Dial("tcp", l.addr)
		if err == nil { // else the reset came before the dial was over
			c.SetDeadline(time.Now().Add(patience))
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client got %v, want ECONNRESET", err)
		}
		refused := l.tap.wait(t, "refused", func(ev decode.Event) bool { return ev.Kind == decode.Refused && ev.Tunnel == i })
		if refused.Detail.Reason != syscall.ECONNREFUSED.Error() {
			t.Errorf("reason %q", refused.Detail.Reason)
		}
		l.tap.wait(t, "closed", func(ev decode.Event) bool { return ev.Kind == decode.Closed && ev.Tunnel == i })
		if got, want := life(l.tap.all(), i), []decode.Kind{decode.Opened, decode.Refused, decode.Closed}; !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
	}
}

// flaky fails before each connection, and for good when it is told to.
type flaky struct {
	net.Listener
	failed bool
}

func (l *flaky) Accept() (net.Conn, error) {
	if l.failed = !l.failed; l.failed {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestListenerErrors(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.addr = ln.Addr().String()
	stop := serve(t, l.Proxy, &flaky{Listener: ln})
	for range 3 {
		client, server := l.pair(t)
		send(t, client, []byte("hello"))
		expect(t, server, []byte("hello"))
	}
	stop()
	if _, err := net.Dial("tcp", l.addr); err == nil {
		t.Error("the listener is open after Serve has returned")
	}
}

// A listener that somebody else closes ends Serve with an error, and its
// tunnels with it.
func TestListenerClosed(t *testing.T) {
	tap := newWatcher()
	l := start(t, "127.0.0.1", Config{Tap: tap})
	l.tap = tap
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- l.Serve(t.Context(), ln) }()
	l.addr = ln.Addr().String()
	client, _ := l.pair(t)
	tap.waitKind(t, decode.Connected)
	ln.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v, want net.ErrClosed", err)
	}
	expectEOF(t, client)
}

func TestShutdown(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	client, server := l.pair(t)
	rec := record(1, 300)
	send(t, client, append(bytes.Clone(rec), rec[:70]...))
	expect(t, server, append(bytes.Clone(rec), rec[:70]...))
	l.stop()
	expectEOF(t, client)
	expectEOF(t, server)
	evs := l.tap.all()
	last := evs[len(evs)-1]
	if last.Kind != decode.Closed || last.Detail.By != decode.Proxy || last.Detail.Reason == "" {
		t.Errorf("the last event is %s", describe([]decode.Event{last}))
	}
	cut := l.tap.waitKind(t, decode.Unframed)
	if cut.Flags != decode.Partial|decode.OnClientSide || !bytes.Equal(cut.Raw, rec[:70]) || cut.Offset != int64(len(rec)) {
		t.Errorf("the half record is told as %s", describe([]decode.Event{cut}))
	}
}

// A client whose server is still being dialled does not delay the end.
func TestShutdownWhileDialling(t *testing.T) {
	var dialling = make(chan struct{})
	l := start(t, "127.0.0.1", Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		close(dialling)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-dialling
	l.stop()
	if got, want := life(l.tap.all(), 1), []decode.Kind{decode.Opened, decode.Closed}; !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// A reader that does not read stops the sender, and nothing piles up between.
func TestBackPressure(t *testing.T) {
	l := start(t, "127.0.0.1", Config{Tap: new(counter)})
	client, server := l.pair(t)
	server.SetReadBuffer(64 << 10)
	client.SetWriteBuffer(64 << 10)
	sent := fillUp(t, client)
	client.CloseWrite()
	n, err := io.Copy(io.Discard, server)
	if err != nil || n != sent {
		t.Errorf("received %d bytes of %d: %v", n, sent, err)
	}
}

// fillUp writes until nothing more fits, and returns how many bytes did.
func fillUp(t testing.TB, c *net.TCPConn) (sent int64) {
	t.Helper()
	block := bytes.Repeat(record(1, 1400), 100)
	for {
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := c.Write(block)
		sent += int64(n)
		if err != nil {
			return sent
		}
		if sent > 64<<20 {
			t.Fatalf("%d bytes went into a tunnel that nobody reads", sent)
		}
	}
}

// A proxy whose upstream is its own listener must not open tunnels without
// end.
func TestUpstreamIsTheProxyItself(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0"} {
		t.Run(host, func(t *testing.T) {
			ln, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			_, port, err := net.SplitHostPort(ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			tap := newWatcher()
			stop := serve(t, New(Config{Upstream: net.JoinHostPort(host, port), Tap: tap}), ln)
			if c, err := net.Dial("tcp", ln.Addr().String()); err == nil { // else the reset came first
				defer c.Close()
			}
			if refused := tap.waitKind(t, decode.Refused); refused.Tunnel != 1 || refused.Detail.Reason != errSelf.Error() {
				t.Errorf("T%d refused: %q", refused.Tunnel, refused.Detail.Reason)
			}
			tap.waitKind(t, decode.Closed)
			stop()
			if got, want := life(tap.all(), 1), []decode.Kind{decode.Opened, decode.Refused, decode.Closed}; !slices.Equal(got, want) {
				t.Errorf("events %v, want %v", got, want)
			}
			if life(tap.all(), 2) != nil {
				t.Error("the proxy connected to itself")
			}
		})
	}
}
