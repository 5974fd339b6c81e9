package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"tundump/capture/intercept"
	"tundump/decode"
)

// passAll wants everything and changes nothing.
type passAll struct{}

func (passAll) Wants(uint32, decode.Direction) bool             { return true }
func (passAll) Intercept(ev decode.Event) (v intercept.Verdict) { return v }

// plain hides what kind of connection it is, so that reads and writes go
// through net.Conn as they do on systems other than Unix.
type plain struct{ net.Conn }

func (c plain) CloseWrite() error     { return c.Conn.(*net.TCPConn).CloseWrite() }
func (c plain) SetLinger(s int) error { return c.Conn.(*net.TCPConn).SetLinger(s) }

// plainListener accepts and dials plain connections.
type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return plain{c}, nil
}

func dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return plain{c}, nil
}

func startPlain(t testing.TB) *link {
	t.Helper()
	l := start(t, "127.0.0.1", Config{Dial: dialPlain})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.addr, l.plain = ln.Addr().String(), true
	stop := l.stop
	second := serve(t, l.Proxy, plainListener{ln})
	l.stop = func() { stop(); second() }
	return l
}

// streams are what a tunnel may carry, and what it may not.
func streams() map[string][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	junk := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	length := func(n uint32, rest string) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, n), rest...)
	}
	var records []byte
	for i := range 60 {
		records = append(records, record(i, 37*i*i%1500)...)
	}
	huge := record(9, 300_000)
	s := map[string][]byte{
		"records":       records,
		"huge record":   append(huge, record(1, 5)...),
		"cut record":    append(bytes.Clone(records), record(3, 1000)[:700]...),
		"no tunnel":     []byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
		"noise":         junk(300_000),
		"zeroes":        make([]byte, 100_000),
		"empty records": bytes.Repeat(length(4, ""), 20_000),
		"length 0":      append(append(bytes.Clone(records), length(0, "")...), records...),
		"length 3":      append(append(bytes.Clone(records), length(3, "x")...), records...),
		"length 2^32-1": append(append(bytes.Clone(records), length(1<<32-1, "bplist00")...), records...),
		"length 16 MiB": append(length(16<<20, "bplist00"), records...),
		"waits":         append(bytes.Clone(records), length(100_000, "bplist00")...),
		"xml":           append(length(60, "<?xml version=\"1.0\"?><plist><dict/></plist>          xxxxxx"), records...),
		"three bytes":   {9, 0, 0},
		"nothing":       nil,
	}
	damaged := bytes.Clone(records)
	for range 40 {
		damaged[rnd.IntN(len(damaged))] ^= byte(1 << rnd.IntN(8))
	}
	s["damaged"] = damaged
	return s
}

// chunks writes b in pieces of random sizes and ends with FIN.
func chunks(c *net.TCPConn, b []byte, rnd *rand.Rand, largest int) error {
	for len(b) > 0 {
		n := min(len(b), 1+rnd.IntN(largest))
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return c.CloseWrite()
}

// carry sends both streams at once and compares everything that anybody saw.
func carry(t *testing.T, l *link, c2s, s2c []byte, largest int) {
	t.Helper()
	l.tap.forget()
	client, server := l.pair(t)
	opened := l.tap.wait(t, "the tunnel", func(ev decode.Event) bool {
		return ev.Kind == decode.Opened && ev.Detail.Client == addrPort(client.LocalAddr())
	})
	var wg sync.WaitGroup
	for i, c := range []*net.TCPConn{client, server} {
		mine, theirs := c2s, s2c
		if c == server {
			mine, theirs = s2c, c2s
		}
		wg.Go(func() {
			if err := chunks(c, mine, rand.New(rand.NewPCG(uint64(i), 3)), largest); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			h := sha256.New()
			n, err := io.Copy(h, c)
			if err != nil || n != int64(len(theirs)) || [32]byte(h.Sum(nil)) != sha256.Sum256(theirs) {
				t.Errorf("end %d received %d bytes of %d (%v), or others", i, n, len(theirs), err)
			}
		})
	}
	wg.Wait()
	l.tap.wait(t, "closed", func(ev decode.Event) bool { return ev.Kind == decode.Closed && ev.Tunnel == opened.Tunnel })
	for dir, want := range [][]byte{c2s, s2c} {
		for _, side := range []decode.Flags{decode.OnClientSide, decode.OnServerSide} {
			got := stream(t, l.tap.all(), opened.Tunnel, decode.Direction(dir), side)
			if side == decode.OnServerSide && len(got) == 0 {
				continue // nothing is said about a side that cannot differ
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%v: the tap saw %d bytes of %d, or others", decode.Direction(dir), len(got), len(want))
			}
		}
	}
}

func TestTransparent(t *testing.T) {
	all := streams()
	for _, setup := range []struct {
		name  string
		start func(t testing.TB) *link
		chain intercept.Interceptor
	}{
		{"IPv4", func(t testing.TB) *link { return start(t, "127.0.0.1", Config{}) }, nil},
		{"IPv6", func(t testing.TB) *link { return start(t, "::1", Config{}) }, nil},
		{"intercepted", func(t testing.TB) *link { return start(t, "127.0.0.1", Config{}) }, passAll{}},
		{"plain", startPlain, nil},
		{"plain, intercepted", startPlain, passAll{}},
	} {
		t.Run(setup.name, func(t *testing.T) {
			l := setup.start(t)
			l.SetChain(setup.chain)
			for name, b := range all {
				for _, largest := range []int{700, 200_000} {
					t.Run(fmt.Sprintf("%s/%d", name, largest), func(t *testing.T) {
						carry(t, l, b, all["records"], largest)
						carry(t, l, all["damaged"], b, largest)
					})
				}
			}
		})
	}
}

func TestOneByteAtATime(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	all := streams()
	for _, name := range []string{"records", "damaged", "length 3"} {
		b := all[name][:min(len(all[name]), 6000)]
		for _, i := range []intercept.Interceptor{nil, passAll{}} {
			l.SetChain(i)
			carry(t, l, b, b, 1)
		}
	}
}

func TestHundredMebibytesInOneGo(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 200 MiB")
	}
	var sum counter
	l := start(t, "127.0.0.1", Config{Tap: &sum})
	client, server := l.pair(t)
	var rec []byte
	for i := range 1000 {
		rec = append(rec, record(i, 1400)...)
	}
	b := bytes.Repeat(rec, 100<<20/len(rec)+1)
	b = b[:100<<20]
	go func() {
		client.Write(b)
		client.CloseWrite()
	}()
	h := sha256.New()
	if n, err := io.Copy(h, server); err != nil || n != int64(len(b)) || [32]byte(h.Sum(nil)) != sha256.Sum256(b) {
		t.Fatalf("received %d bytes of %d (%v), or others", n, len(b), err)
	}
	server.Close()
	expectEOF(t, client)
	l.stop()
	if sum.bytes.Load() != int64(len(b)) {
		t.Errorf("the tap saw %d bytes of %d", sum.bytes.Load(), len(b))
	}
}

// A half-sent record is passed on; the event comes when it is whole.
func TestHalfRecordIsPassedOn(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	client, server := l.pair(t)
	rec := record(1, 500)
	send(t, client, rec[:100])
	expect(t, server, rec[:100])
	for _, ev := range l.tap.all() {
		if ev.Kind.Counts() {
			t.Fatalf("an event before the record is whole:\n%s", describe(l.tap.all()))
		}
	}
	send(t, client, rec[100:])
	expect(t, server, rec[100:])
	if ev := l.tap.waitKind(t, decode.Record); !bytes.Equal(ev.Raw, rec) || ev.Flags != decode.OnClientSide {
		t.Errorf("got %s", describe([]decode.Event{ev}))
	}
}

// With an interceptor, the beginning of a record waits; anything else passes.
func TestInterceptedWaitsForRecordsOnly(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	l.SetChain(passAll{})
	client, server := l.pair(t)
	rec := record(1, 500)
	send(t, client, []byte("EHLO example.org\r\n"))
	expect(t, server, []byte("EHLO example.org\r\n"))
	send(t, client, rec[:400])
	// The other direction is a clock: what comes back through the proxy came
	// after the half record had been read only if the pipe says so.
	waitFor(t, "bytes kept back", func() bool { return only(t, l).c2s.withheld.Load() })
	l.SetChain(nil) // nobody wants to see it whole any more
	expect(t, server, rec[:400])
	send(t, client, rec[400:])
	expect(t, server, rec[400:])
}

// Bytes that no record was found in are shown although no more come.
func TestUndecidedBytesAreShownWhenIdle(t *testing.T) {
	l := start(t, "127.0.0.1", Config{})
	client, server := l.pair(t)
	send(t, client, []byte("SSH-2.0-nonsense\r\n"))
	expect(t, server, []byte("SSH-2.0-nonsense\r\n"))
	ev := l.tap.waitKind(t, decode.Unframed)
	if string(ev.Raw) != "SSH-2.0-nonsense\r\n" || ev.Detail == nil || ev.Detail.Reason != "length 759714643 is more than 131072" {
		t.Errorf("got %s", describe([]decode.Event{ev}))
	}
}
