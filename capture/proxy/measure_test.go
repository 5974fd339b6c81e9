package proxy

import (
	"io"
	"runtime"
	"testing"
	"time"

	"tundump/decode"
	"tundump/decode/frame"
)

func TestBlockedWriteIsTold(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("only where a write says that it waits")
	}
	l := start(t, "127.0.0.1", Config{})
	client, server := l.pair(t)
	n := fillUp(t, client)
	client.CloseWrite()
	if got, err := io.Copy(io.Discard, server); err != nil || got != n {
		t.Fatalf("received %d bytes of %d: %v", got, n, err)
	}
	ev := l.tap.waitKind(t, decode.Blocked)
	if ev.Dir != decode.ClientToServer || ev.Detail.Wait < blockedFor {
		t.Errorf("got %s", describe([]decode.Event{ev}))
	}
}

func TestTCPInfo(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux only")
	}
	l := start(t, "127.0.0.1", Config{Now: func() time.Time { return time.Unix(1000, 0) }})
	client, server := l.pair(t)
	for range 5 {
		send(t, client, numbered(1))
		expect(t, server, numbered(1))
	}
	client.CloseWrite()
	expectEOF(t, server)
	server.CloseWrite()
	l.tap.waitKind(t, decode.Closed)
	count := map[decode.Direction]int{}
	for _, ev := range l.tap.all() {
		if ev.Kind == decode.TCPInfo {
			count[ev.Dir]++
			if ev.Detail.RTT <= 0 || ev.Detail.RTT > time.Second {
				t.Errorf("got %s", describe([]decode.Event{ev}))
			}
		}
	}
	// The clock stands: one when the first bytes passed, one at the end.
	if count[decode.ClientToServer] != 2 || count[decode.ServerToClient] != 1 {
		t.Errorf("measured %v times", count)
	}
}

func TestNoMeasure(t *testing.T) {
	l := start(t, "127.0.0.1", Config{NoMeasure: true})
	client, server := l.pair(t)
	send(t, client, numbered(1))
	expect(t, server, numbered(1))
	l.stop()
	for _, ev := range l.tap.all() {
		if ev.Kind == decode.TCPInfo || ev.Kind == decode.Blocked {
			t.Errorf("got %s", describe([]decode.Event{ev}))
		}
	}
}

// A pipe that waits has no large buffer: played step by step, with the test in
// the place of run.
func TestIdlePipeIsParked(t *testing.T) {
	for _, setup := range []func(testing.TB) *link{func(t testing.TB) *link { return start(t, "127.0.0.1", Config{}) }, startPlain} {
		l := setup(t)
		in, src := l.rawPair(t)
		dst, out := l.rawPair(t)
		tun := &tunnel{proxy: l.Proxy, id: 1, client: newSide(src), server: newSide(dst), done: make(chan struct{})}
		p := &tun.c2s
		p.init(tun, decode.ClientToServer, tun.client, tun.server)
		step := func(want wakeup, mode frame.Mode) {
			t.Helper()
			if why, err := p.wait(); why != want || err != nil {
				t.Fatalf("woke up for %d (%v), want %d", why, err, want)
			}
			if err := p.relay(mode); err != nil {
				t.Fatal(err)
			}
			if want == idle {
				p.park()
			}
		}
		rec := record(1, 5000)
		send(t, in, record(2, 100))
		step(arrived, frame.More)
		if p.b != nil || p.buf != nil {
			t.Error("nothing is pending, and there is a buffer")
		}
		send(t, in, rec[:1000])
		step(arrived, frame.More)
		if p.b == nil {
			t.Error("more is likely to come, and there is no buffer")
		}
		step(idle, frame.Flush)
		if p.b != nil || len(p.buf) != 1000 {
			t.Errorf("parked with %d bytes for 1000", len(p.buf))
		}
		send(t, in, rec[1000:])
		for p.end > 0 || p.offset == int64(len(record(2, 100))) {
			step(arrived, frame.More)
		}
		if p.b != nil || p.buf != nil {
			t.Error("nothing is pending, and there is a buffer")
		}
		expect(t, out, append(record(2, 100), rec...))
		if got := stream(t, l.tap.all(), 1, decode.ClientToServer, decode.OnClientSide); len(got) != len(record(2, 100))+len(rec) {
			t.Errorf("the tap saw %d bytes", len(got))
		}
	}
}
