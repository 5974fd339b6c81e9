package peer

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"tundump/decode"
	"tundump/decode/frame"
	"tundump/replay/devicetest"
)

// fakeServer returns a client and the other end of its connection.
func fakeServer(t testing.TB) (*Client, *rawPeer) {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer ln.Close()
	c := newClient(t, ln.Addr().String())
	conn := must(ln.Accept())(t)
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(60 * time.Second))
	return c, &rawPeer{t: t, conn: conn}
}

// opened dials a flow of c, which s answers.
func opened(t testing.TB, c *Client, s *rawPeer, network string) (net.Conn, int64) {
	t.Helper()
	var f net.Conn
	done := make(chan error, 1)
	go func() {
		var err error
		f, err = c.Dial(within(t), network, "192.0.2.1:80")
		done <- err
	}()
	m := s.next()
	if m.Command != decode.Open {
		t.Fatal(m.Command)
	}
	id := m.Identifier
	s.send(s.enc.openResult(id, decode.ResultSuccess))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return f, id
}

func TestClientFlow(t *testing.T) {
	c, s := fakeServer(t)
	f, id := opened(t, c, s, "tcp")

	f.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	f.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	f.SetReadDeadline(time.Time{})

	// Nonsense in between is ignored.
	s.send(s.enc.openResult(id, 77))
	s.send(s.enc.openResult(12345, 0))
	s.send(s.message(99, "identifier", id))
	s.send(append([]byte{9, 0, 0, 0}, "hello"...), nil)
	s.send(s.enc.datagram(id, []byte("datagram"), netip.MustParseAddrPort("192.0.2.1:80")))
	s.send(s.enc.close(id, decode.CloseNone))
	s.send(s.enc.data(id, []byte("hello")))
	s.send(s.enc.close(id, decode.CloseWrite))
	if got, err := io.ReadAll(f); string(got) != "hello" || err != nil {
		t.Fatal(string(got), err)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Fatal("writing to a flow that has ended")
	}
	f.Close() // the server knows already: nothing is sent

	f, id = opened(t, c, s, "tcp")
	s.send(s.enc.data(id, []byte("x")))
	s.send(s.enc.close(id, decode.CloseAll))
	if got, err := io.ReadAll(f); string(got) != "x" || !errors.Is(err, errReset) {
		t.Fatal(string(got), err)
	}

	f, id = opened(t, c, s, "tcp")
	f.Write([]byte("bye"))
	f.Close()
	if b, _ := s.want(decode.Data, id).Data(); string(b) != "bye" {
		t.Fatal(string(b))
	}
	s.wantClose(id, decode.CloseWrite)
}

func TestClientRefusals(t *testing.T) {
	c, s := fakeServer(t)
	for code, is := range map[int]error{decode.ResultRefused: fs.ErrPermission, decode.ResultNoSuchHost: nil} {
		done := make(chan error, 1)
		go func() {
			_, err := c.Dial(within(t), "tcp", "example.org:80")
			done <- err
		}()
		id := s.next().Identifier
		s.send(s.enc.openResult(id, code))
		var re *ResultError
		if err := <-done; !errors.As(err, &re) || re.Code != code || is != nil && !errors.Is(err, is) {
			t.Fatal(err)
		}
		s.wantClose(id, decode.CloseAll)
	}
	for _, bad := range [][2]string{{"tcp", "host"}, {"tcp", "host:0"}, {"tcp", "host:http"}, {"tcp", ":80"}, {"udp", "host:53"}, {"unix", "x:1"}} {
		if _, err := c.Dial(within(t), bad[0], bad[1]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	done := make(chan error, 2)
	go func() {
		_, err := c.Open(within(t))
		done <- err
	}()
	s.send(s.enc.openResult(s.next().Identifier, decode.ResultRefused))
	var re *ResultError
	if err := <-done; !errors.As(err, &re) || re.Code != decode.ResultRefused {
		t.Fatal(err)
	}
	go func() {
		_, err := c.Dial(within(t), "tcp", "example.org:80")
		done <- err
	}()
	s.next()
	s.conn.Close()
	if err := <-done; err == nil {
		t.Fatal("an open that is never answered must end with the tunnel")
	}
	<-c.Done()
	if c.Err() == nil {
		t.Fatal("no reason")
	}
}

// A flow that is not read makes the client ask for suspend, and nothing is
// lost.
func TestClientSuspends(t *testing.T) {
	c, s := fakeServer(t)
	f, id := opened(t, c, s, "tcp")
	data := random(8 << 20)
	sent := make(chan error, 1)
	go func() {
		var e encoder
		for b := data; len(b) > 0; b = b[min(len(b), maxChunk):] {
			rec, err := e.data(id, b[:min(len(b), maxChunk)])
			if err == nil {
				_, err = s.conn.Write(rec)
			}
			if err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	s.want(decode.Suspend, id)
	got := make([]byte, len(data))
	if n, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, data) {
		t.Fatal(n, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// A suspend without a resume, which Apple's servers send, must not stop a flow
// for good.
func TestClientIsSuspended(t *testing.T) {
	c, s := fakeServer(t)
	f, id := opened(t, c, s, "tcp")
	s.send(s.enc.plain(decode.Suspend, id))
	s.send(s.enc.data(id, []byte("x"))) // so that the client has read the one before
	if _, err := f.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	f.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := f.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	f.SetWriteDeadline(time.Time{})
	if _, err := f.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	if b, _ := s.want(decode.Data, id).Data(); string(b) != "y" {
		t.Fatal(string(b))
	}
}

// What is ready goes into as few messages as it can, none over the limit.
func TestClientBatches(t *testing.T) {
	var e encoder
	for _, tt := range []struct{ packets, size, messages int }{{1, 40, 1}, {32, 1400, 1}, {33, 1400, 2}, {32, 8192, 3}, {3, 65535, 3}, {64, 0, 2}} {
		pkts := make([][]byte, tt.packets)
		for i := range pkts {
			pkts[i] = random(tt.size)
		}
		b := must(e.batches(nil, 1<<40, pkts))(t)
		messages, packets := 0, 0
		for len(b) > 0 {
			n := must(frame.Cut(b, frame.MaxLen))(t)
			var m decode.Message
			if err := m.Decode(decode.Event{Kind: decode.Record, Raw: b[:n]}); err != nil || m.PacketCount() > decode.MaxPacketsPerMessage {
				t.Fatal(m.PacketCount(), err)
			}
			for i := range m.PacketCount() {
				if p, _ := m.Packet(i); !bytes.Equal(p, pkts[packets]) {
					t.Fatal("packets differ")
				}
				packets++
			}
			messages++
			b = b[n:]
		}
		if packets != tt.packets || messages != tt.messages {
			t.Errorf("%+v: %d packets in %d messages", tt, packets, messages)
		}
	}
}

func TestCarryEnds(t *testing.T) {
	addr := serve(t, ipServer(t, newOutside(t)))
	c := newClient(t, addr)
	dev, _ := devicetest.Pipe(1400)
	if err := c.Carry(within(t), dev); err == nil {
		t.Fatal("Carry without Open")
	}
	must(c.Open(within(t)))(t)
	if _, err := c.Open(within(t)); err == nil {
		t.Fatal("a second IP connection")
	}
	dev, far := devicetest.Pipe(1400)
	done := make(chan error, 1)
	go func() { done <- c.Carry(within(t), dev) }()
	far.Write([][]byte{packet4("10.8.0.2", "10.8.0.1", 1)})
	c.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := far.Read([][]byte{make([]byte, 10)}, []int{0}); !errors.Is(err, net.ErrClosed) {
		t.Fatal("Carry must close the device:", err)
	}
}

func BenchmarkBatch(b *testing.B) {
	var e encoder
	pkts := make([][]byte, 32)
	for i := range pkts {
		pkts[i] = random(1400)
	}
	var dst []byte
	b.SetBytes(32 * 1400)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = e.batches(dst[:0], 1, pkts); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReceivePackets(b *testing.B) {
	var e encoder
	pkts := make([][]byte, 32)
	for i := range pkts {
		pkts[i] = packet4("10.8.0.2", "192.0.2.1", 1380)
	}
	rec := must(e.batches(nil, 1, pkts))(b)
	conf := DefaultConfiguration()
	a, _ := conf.assign()
	r := router{conf: conf, conns: make(map[netip.Addr]*ipConn)}
	c := &ipConn{assigned: a}
	r.add(c)
	var m decode.Message
	var got [][]byte
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for b.Loop() {
		ok, err := readRecord(&m, rec)
		s := decide(&m, func(int64) kind { return kindIP })
		if got = r.admitted(got[:0], c, &m); err != nil || !ok || s.do != doPackets || len(got) != 32 {
			b.Fatal(err, s, len(got))
		}
	}
}
