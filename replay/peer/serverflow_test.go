package peer

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"tundump/decode"
)

// pipeServer is a server whose flows end at the test.
func pipeServer(t testing.TB, limits Limits) (addr string, remotes chan *net.TCPConn) {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	remotes = make(chan *net.TCPConn, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			remotes <- c.(*net.TCPConn)
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	o := outside{tcp: ln.Addr().String()}
	return serve(t, &Server{Dial: o.dial, Limits: limits}), remotes
}

func TestTCPFlowCloses(t *testing.T) {
	addr, remotes := pipeServer(t, Limits{})
	p := newRaw(t, addr)
	open := func(id int64) *net.TCPConn {
		t.Helper()
		p.send(p.enc.openTCP(id, "192.0.2.1", "80", 80))
		p.wantResult(id, 0)
		c := <-remotes
		c.SetDeadline(time.Now().Add(60 * time.Second))
		return c
	}
	readAll := func(c net.Conn, want string) {
		t.Helper()
		if got, err := io.ReadAll(c); string(got) != want || err != nil {
			t.Fatalf("%q %v, want %q", got, err, want)
		}
		c.Close()
	}

	c := open(1) // the remote host finishes
	c.Write([]byte("bye"))
	c.CloseWrite()
	if b, _ := p.want(decode.Data, 1).Data(); string(b) != "bye" {
		t.Fatal(string(b))
	}
	p.wantClose(1, decode.CloseWrite)
	readAll(c, "")

	c = open(2) // the client finishes: what it sent arrives, nothing comes back
	p.send(p.enc.data(2, []byte("last words")))
	p.send(p.enc.close(2, decode.CloseWrite))
	p.send(p.enc.data(2, []byte("too late")))
	p.alive()
	c.Write([]byte("for nobody"))
	readAll(c, "last words")
	p.alive()

	c = open(3) // the remote host resets
	c.SetLinger(0)
	c.Close()
	p.wantClose(3, decode.CloseAll)

	c = open(4) // close none is no close; data with an endpoint is not a stream's
	p.send(p.enc.close(4, decode.CloseNone))
	p.send(p.enc.datagram(4, []byte("datagram"), netip.MustParseAddrPort("192.0.2.1:80")))
	p.send(p.enc.data(4, []byte("stream")))
	p.send(p.message(decode.Close, "identifier", int64(4), "close-type", "none")) // no number: all
	buf, err := io.ReadAll(c)
	if err == nil && len(buf) > 0 && string(buf) != "stream" {
		t.Fatalf("%q", buf)
	}
	c.Close()

	c = open(5) // the same identifier again ends the first flow, silently
	d := open(5)
	if _, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	c.Close()
	d.Write([]byte("second"))
	if b, _ := p.want(decode.Data, 5).Data(); string(b) != "second" {
		t.Fatal(string(b))
	}
	d.Close()
	p.wantClose(5, decode.CloseWrite)
	p.alive()
}

// A remote host that does not read makes the server send suspend, and resume
// when it reads again; nothing is lost although the client takes no notice.
func TestSlowRemoteHost(t *testing.T) {
	addr, remotes := pipeServer(t, Limits{})
	p := newRaw(t, addr)
	p.send(p.enc.openTCP(1, "192.0.2.1", "80", 80))
	p.wantResult(1, 0)
	c := <-remotes
	defer c.Close()
	data := random(24 << 20)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		var e encoder
		for b := data; len(b) > 0; b = b[min(len(b), 50000):] {
			rec, err := e.data(1, b[:min(len(b), 50000)])
			if err == nil {
				_, err = p.conn.Write(rec)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	p.want(decode.Suspend, 1)
	got := make([]byte, len(data))
	c.SetDeadline(time.Now().Add(60 * time.Second))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
		t.Fatal(n, err)
	}
	<-sent
	for last := decode.Suspend; ; { // in turns, and resume is last
		m := p.next()
		if m.Command == last || m.Command != decode.Suspend && m.Command != decode.Resume {
			t.Fatalf("%s after %s", m.Command, last)
		}
		if last = m.Command; last == decode.Resume && len(p.buf) == 0 {
			break
		}
	}
}

// A remote host that never reads ends its own flow, not the tunnel.
func TestStalledRemoteHost(t *testing.T) {
	addr, remotes := pipeServer(t, Limits{Stall: 50 * time.Millisecond})
	p := newRaw(t, addr)
	p.send(p.enc.openTCP(1, "192.0.2.1", "80", 80))
	p.wantResult(1, 0)
	c := <-remotes
	defer c.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var e encoder
		for {
			select {
			case <-stop:
				return
			default:
			}
			rec, err := e.data(1, make([]byte, 100000))
			if err == nil {
				_, err = p.conn.Write(rec)
			}
			if err != nil {
				return
			}
		}
	}()
	p.want(decode.Suspend, 1)
	for m := p.next(); m.Command != decode.Close; m = p.next() {
		if m.Command != decode.Suspend && m.Command != decode.Resume {
			t.Fatal(m.Command)
		}
	}
	close(stop)
	<-stopped
	p.alive()
}

// A client that suspends a flow gets at most what was under way.
func TestSuspendedFlow(t *testing.T) {
	addr, remotes := pipeServer(t, Limits{})
	p := newRaw(t, addr)
	p.send(p.enc.openTCP(1, "192.0.2.1", "80", 80))
	p.wantResult(1, 0)
	c := <-remotes
	defer c.Close()
	p.send(p.enc.plain(decode.Resume, 1))
	p.send(p.enc.plain(decode.Suspend, 1))
	p.alive()
	data := random(64 << 10)
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
	var got []byte
	messages := 0
	take := func(m *decode.Message) {
		b, ok := m.Data()
		if !ok {
			t.Fatal(m.Command)
		}
		got = append(got, b...)
		messages++
	}
	for range 20 {
		p.send(p.enc.plain(decode.FetchConfiguration, 0))
		for m := p.next(); m.Command != decode.FetchConfiguration; m = p.next() {
			take(m)
		}
	}
	if messages > 1 {
		t.Fatalf("%d messages of a suspended flow", messages)
	}
	p.send(p.enc.plain(decode.Resume, 1))
	for len(got) < len(data) {
		take(p.next())
	}
	if !bytes.Equal(got, data) {
		t.Fatal("data differ")
	}
}

// A client that asks for a pause, and then sends so much that its Resume
// is behind what the server cannot take, gets its answer all the same.
func TestSuspendDoesNotHoldUpItsOwnResume(t *testing.T) {
	p := newRaw(t, serve(t, &Server{Dial: newOutside(t).dial}))
	p.send(p.enc.openTCP(1, "192.0.2.1", "80", 80))
	p.wantResult(1, decode.ResultSuccess)
	p.send(p.enc.plain(decode.Suspend, 1))
	data := random(64 << 20) // more than the sockets on the way take
	writer := rawPeer{t: t, conn: p.conn}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for b := data; len(b) > 0; {
			n := min(len(b), clientChunk)
			rec, err := writer.enc.data(1, b[:n])
			if err == nil {
				_, err = p.conn.Write(rec)
			}
			if err != nil {
				t.Error(err)
				return
			}
			b = b[n:]
		}
		rec, err := writer.enc.plain(decode.Resume, 1)
		if err == nil {
			_, err = p.conn.Write(rec)
		}
		if err != nil {
			t.Error(err)
		}
	})
	for got := 0; got < len(data); {
		m := p.next()
		if m == nil || m.Command == decode.Close {
			t.Fatalf("the flow ended after %d of %d bytes", got, len(data))
		}
		if b, ok := m.Data(); ok { // else the server's own Suspend or Resume, which this client ignores
			if !bytes.Equal(b, data[got:got+len(b)]) {
				t.Fatalf("other bytes after %d", got)
			}
			got += len(b)
		}
	}
}
