package proxy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"tundump/capture/intercept"
	"tundump/decode"
)

// rule answers for one direction with a function.
type rule struct {
	dir decode.Direction
	f   func(ev decode.Event) intercept.Verdict
}

func (r rule) Wants(_ uint32, dir decode.Direction) bool   { return dir == r.dir }
func (r rule) Intercept(ev decode.Event) intercept.Verdict { return r.f(ev) }
func join(bs ...[]byte) []byte                             { return bytes.Join(bs, nil) }
func only1(n uint32, v intercept.Verdict) func(decode.Event) intercept.Verdict {
	return func(ev decode.Event) intercept.Verdict {
		if number(ev.Raw) == n {
			return v
		}
		return intercept.Verdict{}
	}
}

// Each verdict: what the receiver gets, and what the capture says each side
// saw, in both directions.
func TestVerdicts(t *testing.T) {
	a, b, c, x, y := numbered(1), numbered(2), numbered(3), record(50, 10), record(60, 20)
	const from, to = "from", "to"
	for _, test := range []struct {
		name  string
		v     intercept.Verdict
		want  []byte
		flags []string // of the events, in order
	}{
		{"pass", intercept.Verdict{}, join(a, b, c), []string{"", "", ""}},
		{"drop", intercept.Verdict{Action: intercept.Drop}, join(a, c), []string{"", "dropped from", ""}},
		{"replace", intercept.Verdict{Action: intercept.Replace, Raw: x}, join(a, x, c),
			[]string{"", "edited,dropped from", "edited,injected to", ""}},
		{"around", intercept.Verdict{Before: [][]byte{x}, After: [][]byte{y, x}}, join(a, x, b, y, x, c),
			[]string{"", "injected to", "", "injected to", "injected to", ""}},
		{"instead", intercept.Verdict{Action: intercept.Drop, Before: [][]byte{x}, After: [][]byte{y}}, join(a, x, y, c),
			[]string{"", "injected to", "dropped from", "injected to", ""}},
		{"delay", intercept.Verdict{Delay: 30 * time.Millisecond}, join(a, b, c), []string{"", "delayed", ""}},
		{"replace by nothing", intercept.Verdict{Action: intercept.Replace}, join(a, c), []string{"", "edited,dropped from", ""}},
	} {
		for _, dir := range []decode.Direction{decode.ClientToServer, decode.ServerToClient} {
			t.Run(test.name+" "+dir.String(), func(t *testing.T) {
				l := start(t, "127.0.0.1", Config{})
				l.SetChain(rule{dir, only1(2, test.v)})
				src, dst := l.pair(t)
				sides := map[string]decode.Flags{"": decode.OnClientSide | decode.OnServerSide, from: decode.OnClientSide, to: decode.OnServerSide}
				if dir == decode.ServerToClient {
					src, dst = dst, src
					sides[from], sides[to] = sides[to], sides[from]
				}
				send(t, src, join(a, b, c))
				expect(t, dst, test.want)
				src.CloseWrite()
				expectEOF(t, dst)
				dst.CloseWrite()
				l.tap.waitKind(t, decode.Closed)
				evs := l.tap.all()
				if got := stream(t, evs, 1, dir, sides[from]); !bytes.Equal(got, join(a, b, c)) {
					t.Errorf("the capture of the sender's side is wrong:\n%s", describe(evs))
				}
				if got := stream(t, evs, 1, dir, sides[to]); !bytes.Equal(got, test.want) {
					t.Errorf("the capture of the receiver's side is wrong:\n%s", describe(evs))
				}
				var flags []string
				for _, ev := range evs {
					if !ev.Kind.Counts() {
						continue
					}
					f := string(ev.Flags.AppendNames(nil))
					for _, side := range []string{from, to} {
						if ev.Flags&sides[""] == sides[side] {
							f += " " + side
						}
					}
					flags = append(flags, f)
				}
				if !slices.Equal(flags, test.flags) {
					t.Errorf("flags %q, want %q", flags, test.flags)
				}
			})
		}
	}
}

// The direction that is not wanted says what both sides saw, from then on.
func TestBothSidesAreToldOnceWanted(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	client, server := l.pair(t)
	send(t, server, numbered(1))
	expect(t, client, numbered(1))
	l.tap.wait(t, "a record on the client side", func(ev decode.Event) bool { return ev.Flags == decode.OnClientSide })
	l.SetChain(rule{decode.ClientToServer, only1(0, intercept.Verdict{})})
	send(t, client, numbered(2))
	expect(t, server, numbered(2))
	l.SetChain(nil)
	send(t, server, numbered(3))
	expect(t, client, numbered(3))
	l.tap.wait(t, "a record on both sides", func(ev decode.Event) bool {
		return ev.Dir == decode.ServerToClient && ev.Flags == decode.OnClientSide|decode.OnServerSide && number(ev.Raw) == 3
	})
}

func TestHoldAndResolve(t *testing.T) {
	for _, test := range []struct {
		name string
		v    intercept.Verdict
		want []byte
	}{
		{"pass", intercept.Verdict{}, join(numbered(1), numbered(2), numbered(3))},
		{"drop", intercept.Verdict{Action: intercept.Drop}, join(numbered(1), numbered(3))},
		{"replace", intercept.Verdict{Action: intercept.Replace, Raw: numbered(9)}, join(numbered(1), numbered(9), numbered(3))},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := start(t, "127.0.0.1", Config{})
			l.SetChain(rule{decode.ClientToServer, only1(2, intercept.Verdict{Action: intercept.Hold, ID: 77})})
			client, server := l.pair(t)
			if err := l.Resolve(77, test.v); !errors.Is(err, ErrNotHeld) {
				t.Errorf("resolving nothing: %v, want ErrNotHeld", err)
			}
			send(t, client, join(numbered(1), numbered(2), numbered(3)))
			expect(t, server, test.want[:len(numbered(1))])
			send(t, server, numbered(4)) // the other direction runs on
			expect(t, client, numbered(4))
			waitFor(t, "held", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return l.held[77] != nil
			})
			if err := l.Resolve(77, intercept.Verdict{Action: intercept.Hold}); err == nil {
				t.Error("a hold was resolved with a hold")
			}
			if err := l.Inject(1, decode.ClientToServer, record(5, 5)); err != nil {
				t.Error(err)
			}
			expect(t, server, record(5, 5))
			if err := l.Resolve(77, test.v); err != nil {
				t.Error(err)
			}
			expect(t, server, test.want[len(numbered(1)):])
			l.tap.wait(t, "a held record", func(ev decode.Event) bool { return ev.Flags&decode.Held != 0 && number(ev.Raw) == 2 })
		})
	}
}

// A tunnel that ends while a record is held lets go of it, and says that it
// was never sent.
func TestHeldWhenTheTunnelEnds(t *testing.T) {
	for name, end := range map[string]func(*link, io.Closer){
		"proxy": func(l *link, _ io.Closer) { l.stop() },
		"reset": func(_ *link, server io.Closer) {
			server.(interface{ SetLinger(int) error }).SetLinger(0)
			server.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := start(t, "127.0.0.1", Config{})
			l.SetChain(rule{decode.ClientToServer, only1(2, intercept.Verdict{Action: intercept.Hold, ID: 5})})
			client, server := l.pair(t)
			send(t, client, join(numbered(1), numbered(2)))
			expect(t, server, numbered(1))
			waitFor(t, "held", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return l.held[5] != nil
			})
			end(l, server)
			l.tap.waitKind(t, decode.Closed)
			l.tap.wait(t, "a dropped record", func(ev decode.Event) bool {
				return ev.Flags == decode.Dropped|decode.OnClientSide && number(ev.Raw) == 2
			})
			if err := l.Resolve(5, intercept.Verdict{}); !errors.Is(err, ErrNotHeld) {
				t.Errorf("resolving after the end: %v, want ErrNotHeld", err)
			}
		})
	}
}

func TestInject(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	if err := l.Inject(1, decode.ClientToServer, record(1, 1)); !errors.Is(err, ErrNoTunnel) {
		t.Errorf("no tunnel: %v", err)
	}
	client, server := l.pair(t)
	l.tap.waitKind(t, decode.Connected)
	for _, bad := range [][]byte{nil, {4, 0}, {1, 0, 0, 0}, record(1, 9)[:20], append(record(1, 9), 0)} {
		if err := l.Inject(1, decode.ClientToServer, bad); err == nil {
			t.Errorf("%x was injected", bad)
		}
	}
	inject := func(dir decode.Direction, rec []byte) {
		t.Helper()
		if err := l.Inject(1, dir, rec); err != nil {
			t.Fatal(err)
		}
	}
	x, y, a, b := record(7, 70), record(8, 80), numbered(1), numbered(2)
	inject(decode.ClientToServer, x) // idle, before the first byte
	expect(t, server, x)
	inject(decode.ServerToClient, y)
	expect(t, client, y)
	send(t, client, a[:30]) // half sent: it waits for the boundary
	expect(t, server, a[:30])
	inject(decode.ClientToServer, x)
	inject(decode.ClientToServer, y)
	send(t, client, append(a[30:len(a):len(a)], b...))
	expect(t, server, join(a[30:], x, y, b))
	send(t, client, []byte("no record at all"))
	expect(t, server, []byte("no record at all"))
	l.tap.waitKind(t, decode.Unframed)
	if err := l.Inject(1, decode.ClientToServer, x); !errors.Is(err, ErrNoBoundary) {
		t.Errorf("injecting between bytes that are no records: %v", err)
	}
	client.CloseWrite()
	expectEOF(t, server)
	waitFor(t, "closed for injection", func() bool { return errors.Is(l.Inject(1, decode.ClientToServer, x), ErrNoTunnel) })
	server.CloseWrite()
	l.tap.waitKind(t, decode.Closed)
	evs := l.tap.all()
	if got, want := stream(t, evs, 1, decode.ClientToServer, decode.OnServerSide), join(x, a, x, y, b, []byte("no record at all")); !bytes.Equal(got, want) {
		t.Errorf("the capture of the server side is wrong:\n%s", describe(evs))
	}
	if got, want := stream(t, evs, 1, decode.ClientToServer, decode.OnClientSide), join(a, b, []byte("no record at all")); !bytes.Equal(got, want) {
		t.Errorf("the capture of the client side is wrong:\n%s", describe(evs))
	}
}

// What is injected is bounded while it cannot be sent.
func TestInjectQueueIsBounded(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	client, server := l.pair(t)
	rec := record(1, 100)
	send(t, client, rec[:50])
	expect(t, server, rec[:50])
	l.tap.waitKind(t, decode.Connected)
	big := record(2, 100<<10)
	for i := 0; ; i++ {
		if err := l.Inject(1, decode.ClientToServer, big); errors.Is(err, ErrQueueFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if i*len(big) > maxQueued {
			t.Fatal("the queue has no bound")
		}
	}
}

// An interceptor that panics costs nothing.
func TestInterceptorPanics(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	l.SetChain(rule{decode.ClientToServer, func(decode.Event) intercept.Verdict { panic("a mistake") }})
	client, server := l.pair(t)
	send(t, client, numbered(1))
	expect(t, server, numbered(1))
}

// Numbered records pass in order while an interceptor comes and goes.
func TestNoRecordIsLostWhileTheChainChanges(t *testing.T) {
	const count = 20_000
	l := start(t, "127.0.0.1", Config{Tap: new(counter)})
	client, server := l.pair(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if i%2 == 0 {
				l.SetChain(passAll{})
			} else {
				l.SetChain(nil)
			}
		}
	})
	for _, c := range []io.Writer{client, server} {
		wg.Go(func() {
			var b []byte
			for i := range uint32(count) {
				if b = append(b, numbered(i)...); len(b) > 4000 {
					n := 1000 + int(i)%3000 // never a boundary on purpose
					if _, err := c.Write(b[:n]); err != nil {
						t.Error(err)
						return
					}
					b = b[n:]
				}
			}
			if _, err := c.Write(b); err != nil {
				t.Error(err)
			}
		})
	}
	var readers sync.WaitGroup
	for _, c := range []io.Reader{client, server} {
		readers.Go(func() {
			rec := make([]byte, len(numbered(0)))
			for i := range uint32(count) {
				if _, err := io.ReadFull(c, rec); err != nil || !bytes.Equal(rec, numbered(i)) {
					t.Errorf("record %d: got %d (%v)", i, number(rec), err)
					client.Close()
					return
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	wg.Wait()
}

// Many tunnels at once, while interceptors come and go and some tunnels break.
func TestManyTunnels(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 50
	}
	l := start(t, "127.0.0.1", Config{})
	go func() {
		for {
			c, err := l.server.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	stop := make(chan struct{})
	var others, wg sync.WaitGroup
	others.Go(func() {
		for i := uint32(0); ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			if i%2 == 0 {
				l.SetChain(passAll{})
			} else {
				l.SetChain(nil)
			}
		}
	})
	for i := range n {
		wg.Go(func() {
			c := dial(t, l)
			defer c.Close()
			if i%5 == 0 {
				c.Write([]byte("break"))
				c.SetLinger(0)
				return
			}
			for k := range 20 {
				rec := record(i+k, 100*k)
				c.Write(rec)
				got := make([]byte, len(rec))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, rec) {
					t.Errorf("tunnel %d, record %d: %v", i, k, err)
					return
				}
			}
			c.CloseWrite()
			if rest, err := io.ReadAll(c); err != nil || len(rest) != 0 {
				t.Errorf("tunnel %d: %d bytes and %v at the end", i, len(rest), err)
			}
		})
	}
	wg.Wait()
	close(stop)
	others.Wait()
	l.stop()
	ends := map[uint32]int{}
	for _, ev := range l.tap.all() {
		if ev.Kind == decode.Closed {
			ends[ev.Tunnel]++
		}
	}
	for i := uint32(1); i <= uint32(n); i++ {
		if ends[i] != 1 {
			t.Errorf("T%d was closed %d times", i, ends[i])
		}
	}
}
