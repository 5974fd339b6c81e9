package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tundump/capture"
	"tundump/decode"
	"tundump/decode/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// watcher is a tap that keeps a copy of everything.
type watcher struct {
	mu     sync.Mutex
	events []decode.Event
	more   chan struct{} // closed and replaced when events grows
}

func newWatcher() *watcher { return &watcher{more: make(chan struct{})} }

func (w *watcher) Offer(b *capture.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ev := range b.Events {
		ev.Raw = bytes.Clone(ev.Raw)
		w.events = append(w.events, ev)
	}
	close(w.more)
	w.more = make(chan struct{})
}

func (w *watcher) all() []decode.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events[:len(w.events):len(w.events)]
}

// forget makes the next tunnel the first.
func (w *watcher) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = nil
}

// wait returns the first event that match reports true for.
func (w *watcher) wait(t testing.TB, what string, match func(decode.Event) bool) decode.Event {
	t.Helper()
	late := time.After(patience)
	for seen := 0; ; {
		w.mu.Lock()
		evs, more := w.events, w.more
		w.mu.Unlock()
		for ; seen < len(evs); seen++ {
			if match(evs[seen]) {
				return evs[seen]
			}
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("no event: %s; there are:\n%s", what, describe(evs))
		}
	}
}

func (w *watcher) waitKind(t testing.TB, k decode.Kind) decode.Event {
	t.Helper()
	return w.wait(t, k.String(), func(ev decode.Event) bool { return ev.Kind == k })
}

func describe(evs []decode.Event) string {
	var b bytes.Buffer
	for _, ev := range evs {
		fmt.Fprintf(&b, "T%d %v %v off=%d len=%d flags=%s sides=%v", ev.Tunnel, ev.Dir, ev.Kind, ev.Offset, len(ev.Raw),
			ev.Flags.AppendNames(nil), ev.Flags&(decode.OnClientSide|decode.OnServerSide))
		if ev.Detail != nil {
			fmt.Fprintf(&b, " %+v", *ev.Detail)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// stream joins what one side saw of one direction, and checks that the events
// of the sender's bytes follow each other without a gap.
func stream(t testing.TB, evs []decode.Event, tunnel uint32, dir decode.Direction, side decode.Flags) []byte {
	t.Helper()
	var b []byte
	var next, last int64
	for _, ev := range evs {
		if ev.Tunnel != tunnel || ev.Dir != dir || !ev.Kind.Counts() {
			continue
		}
		want := next
		if ev.Flags&(decode.Injected|decode.Edited) == decode.Injected|decode.Edited {
			want = last // of the record that it stands for
		}
		if ev.Offset != want {
			t.Errorf("T%d %v: event at offset %d, want %d", tunnel, dir, ev.Offset, want)
		}
		last = ev.Offset
		if ev.Flags&decode.Injected == 0 {
			next += int64(len(ev.Raw))
		}
		if ev.Flags&side != 0 {
			b = append(b, ev.Raw...)
		}
	}
	return b
}

// link is a proxy with its listener, and the server behind it.
type link struct {
	*Proxy
	tap    *watcher
	addr   string
	server *net.TCPListener
	plain  bool   // its connections have no raw access
	stop   func() // ends Serve and waits for it
}

// start serves cfg on address, with a server that the test accepts from. It
// sets Upstream and, unless there is one, the tap.
func start(t testing.TB, address string, cfg Config) *link {
	t.Helper()
	server, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Skipf("no listener on %s: %v", address, err)
	}
	t.Cleanup(func() { server.Close() })
	l := &link{server: server.(*net.TCPListener)}
	if cfg.Upstream == "" {
		cfg.Upstream = server.Addr().String()
	}
	if cfg.Tap == nil {
		l.tap = newWatcher()
		cfg.Tap = l.tap
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	l.addr = ln.Addr().String()
	l.Proxy = New(cfg)
	l.stop = serve(t, l.Proxy, ln)
	return l
}

// serve runs Serve; stop is called at the end of the test in any case.
func serve(t testing.TB, p *Proxy, ln net.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, ln) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve returned %v, want nil", err)
			}
		case <-time.After(patience):
			t.Errorf("Serve did not return")
		}
	})
	t.Cleanup(stop)
	return stop
}

// dial connects a client.
func dial(t testing.TB, l *link) *net.TCPConn {
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Error(err)
		return new(net.TCPConn)
	}
	c.SetDeadline(time.Now().Add(3 * patience))
	return c.(*net.TCPConn)
}

// pair returns both ends of a new tunnel.
func (l *link) pair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	l.server.SetDeadline(time.Now().Add(patience))
	s, err := l.server.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	client, server = c.(*net.TCPConn), s
	for _, c := range []*net.TCPConn{client, server} {
		c.SetDeadline(time.Now().Add(3 * patience))
		t.Cleanup(func() { c.Close() })
	}
	return client, server
}

// rawPair returns both ends of a connection without the proxy, the accepted
// one as the link's listener would have it.
func (l *link) rawPair(t testing.TB) (dialled *net.TCPConn, accepted net.Conn) {
	t.Helper()
	c, err := net.Dial("tcp", l.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.server.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	if l.plain {
		return c.(*net.TCPConn), plain{s}
	}
	return c.(*net.TCPConn), s
}

func send(t testing.TB, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func expect(t testing.TB, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("received %d of %d bytes: %v", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("received %q, want %q", short(got), short(want))
	}
}

func expectEOF(t testing.TB, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d bytes and %v, want EOF", n, err)
	}
}

func short(b []byte) []byte { return b[:min(len(b), 80)] }

// record returns a record whose property list is data of n bytes, made from
// seed.
func record(seed, n int) []byte {
	b := frame.Reserve(nil)
	b = append(b, "bplist00\x4f\x12"...)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	for i := range n {
		b = append(b, byte(seed+i*7))
	}
	table := len(b) - frame.HeaderLen
	b = append(b, 8, 0, 0, 0, 0, 0, 0, 1, 1)
	b = binary.BigEndian.AppendUint64(b, 1)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(table))
	if err := frame.PutLength(b, 0); err != nil {
		panic(err)
	}
	return b
}

// numbered returns a record that number reads n from again.
func numbered(n uint32) []byte {
	r := record(0, 60)
	binary.BigEndian.PutUint32(r[frame.HeaderLen+14:], n)
	return r
}

func number(rec []byte) uint32 { return binary.BigEndian.Uint32(rec[frame.HeaderLen+14:]) }
