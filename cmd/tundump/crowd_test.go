package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

// digest is what went one way, as one end or the capture saw it.
type digest struct {
	sum   hash.Hash
	bytes int64
}

func newDigest() *digest { return &digest{sum: sha256.New()} }

func (d *digest) Write(b []byte) (int, error) {
	d.bytes += int64(len(b))
	return d.sum.Write(b)
}

func (d *digest) String() string { return fmt.Sprintf("%d bytes %x", d.bytes, d.sum.Sum(nil)[:8]) }

// ledger compares what client, server and capture say of each honest tunnel.
type ledger struct {
	t       *testing.T
	mu      sync.Mutex
	entries map[int64]map[string][2]string // by identifier and witness, by direction
	want    int                            // witnesses
	settled int
	bytes   int64
}

func (l *ledger) say(id int64, who string, both [2]*digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		e = map[string][2]string{}
		l.entries[id] = e
	}
	e[who] = [2]string{both[0].String(), both[1].String()}
	if len(e) < l.want {
		return
	}
	delete(l.entries, id)
	l.settled++
	l.bytes += both[0].bytes + both[1].bytes
	for _, said := range e {
		if said != e["client"] {
			l.t.Errorf("tunnel %d: %v", id, e)
			return
		}
	}
}

// open is how many tunnels not all have been heard of yet.
func (l *ledger) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// crowd is a server and the clients that come to it through a proxy.
type crowd struct {
	t      *testing.T
	ln     net.Listener
	proxy  string
	ledger ledger
	served sync.WaitGroup
	ids    atomic.Int64
	flood  chan struct{} // one element for each client that is flooded
}

// newCrowd starts the server. witnesses is how many have to speak of a tunnel.
func newCrowd(t *testing.T, witnesses int) *crowd {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, ln: ln, flood: make(chan struct{}, 1000)}
	c.ledger = ledger{t: t, entries: map[int64]map[string][2]string{}, want: witnesses}
	c.served.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			c.served.Go(func() {
				defer conn.Close()
				c.serve(conn)
			})
		}
	})
	return c
}

// close ends the server when its last client has gone.
func (c *crowd) close() {
	c.ln.Close()
	c.served.Wait()
}

// The identifiers of a client that wants to be flooded, and of one that only
// stays.
const (
	floodMe = -1
	idleMe  = -2
)

// message makes a record: the first of a tunnel opens its connection, the
// others carry packets.
func message(id int64, n int, r *rand.Rand) []byte {
	var w bplist.Writer
	var root bplist.Ref
	if n == 0 {
		root = w.Dict(w.String("command"), w.Int(int64(decode.Open)), w.String("identifier"), w.Int(id), w.String("tunnel-type"), w.Int(decode.TunnelIP))
	} else {
		pkts := make([][]byte, 1+r.IntN(4))
		families := make([]int64, len(pkts))
		for i := range pkts {
			pkts[i], families[i] = datagram(r), decode.FamilyIPv4
		}
		root = w.Dict(w.String("command"), w.Int(int64(decode.Packets)), w.String("identifier"), w.Int(id),
			w.String("packets"), w.DataArray(pkts), w.String("protocols"), w.IntArray(families))
	}
	b, err := w.Append(frame.Reserve(nil), root)
	if err == nil {
		err = frame.PutLength(b, 0)
	}
	if err != nil {
		panic(err)
	}
	return b
}

// datagram is a valid UDP packet of ports that no dissector knows.
func datagram(r *rand.Rand) []byte {
	n := 28 + 8*r.IntN(160)
	p := make([]byte, n)
	copy(p, []byte{0x45, 0, byte(n >> 8), byte(n), byte(r.Uint32()), byte(r.Uint32()), 0, 0, 64, 17, 0, 0, 10, 8, 0, 2, 10, 8, 0, 1})
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(p[i])<<8 | uint32(p[i+1])
	}
	sum = sum&0xffff + sum>>16
	sum = ^(sum&0xffff + sum>>16)
	p[10], p[11] = byte(sum>>8), byte(sum)
	copy(p[20:], []byte{0xc3, 0x50, 0xc3, 0x51, byte((n - 20) >> 8), byte(n - 20), 0, 0})
	return p
}

// serve answers each record of an honest client with one of its own.
func (c *crowd) serve(conn net.Conn) {
	both := [2]*digest{newDigest(), newDigest()}
	var id int64
	var buf []byte
	r := rand.New(rand.NewPCG(1, 2))
	chunk := make([]byte, 16<<10)
	for answers := 0; ; {
		n, err := conn.Read(chunk)
		both[0].Write(chunk[:n])
		buf = append(buf, chunk[:n]...)
		for {
			k, cerr := frame.Cut(buf, frame.MaxLen)
			if cerr != nil {
				io.Copy(io.Discard, conn)
				return
			}
			if k == 0 {
				break
			}
			if answers == 0 {
				if id = identifier(buf[:k]); id == 0 {
					io.Copy(io.Discard, conn)
					return
				}
				if id == floodMe {
					c.flooding(conn)
					return
				}
			}
			answers++
			answer := message(id, answers, r)
			both[1].Write(answer)
			if _, err := conn.Write(answer); err != nil {
				c.t.Errorf("server of %d: %v", id, err)
				return
			}
			buf = buf[k:]
		}
		if err != nil {
			break
		}
	}
	if id > 0 {
		c.ledger.say(id, "server", both)
	}
}

func identifier(rec []byte) int64 {
	var m decode.Message
	if m.Decode(decode.Event{Kind: decode.Record, Raw: rec}) != nil || m.Command != decode.Open {
		return 0
	}
	return m.Identifier
}

// flooding sends to a client that does not read, until it is gone. It says
// when nothing more fits in between.
func (c *crowd) flooding(conn net.Conn) {
	r := rand.New(rand.NewPCG(3, 4))
	rec := message(floodMe, 1, r)
	for {
		conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := conn.Write(rec); isTimeout(err) {
			c.flood <- struct{}{}
			io.Copy(io.Discard, conn) // until it goes
			return
		} else if err != nil {
			return
		}
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// dial comes to the proxy.
func (c *crowd) dial() (*net.TCPConn, error) {
	conn, err := net.Dial("tcp", c.proxy)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// tunnel is one honest client from its beginning to its end: records of its
// own, then FIN, then all that still comes. pause is called behind each record.
func (c *crowd) tunnel(r *rand.Rand, records int, pause func()) error {
	id := c.ids.Add(1)
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	both := [2]*digest{newDigest(), newDigest()}
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(both[1], conn)
		read <- err
	}()
	for n := range records {
		rec := message(id, n, r)
		both[0].Write(rec)
		if _, err := conn.Write(rec); err != nil {
			return errors.Join(fmt.Errorf("tunnel %d: %w", id, err), conn.Close(), <-read)
		}
		pause()
	}
	if err := errors.Join(conn.CloseWrite(), <-read); err != nil {
		return fmt.Errorf("tunnel %d: %w", id, err)
	}
	c.ledger.say(id, "client", both)
	return nil
}

// nonsense sends what is no stream of records, or ends inside one.
func (c *crowd) nonsense(r *rand.Rand) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	b := make([]byte, 1+r.IntN(20_000))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	switch r.IntN(4) {
	case 0: // half a record
		whole := message(1<<40, 1, r)
		b = whole[:1+r.IntN(len(whole)-1)]
	case 1: // a length that never comes
		copy(b, []byte{0, 0, 1, 0})
	case 2: // ends by a reset
		conn.SetLinger(0)
	}
	conn.Write(b) // whether it fails is the proxy's affair
	return nil
}

// stuck makes n clients that ask to be flooded, and do not read. It returns when
// nothing more fits; the caller closes the connections.
func (c *crowd) stuck(n int) ([]net.Conn, error) {
	var conns []net.Conn
	for range n {
		conn, err := c.dial()
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
		if err := conn.SetReadBuffer(4096); err != nil {
			return conns, err
		}
		if _, err := conn.Write(message(floodMe, 0, nil)); err != nil {
			return conns, err
		}
	}
	for range n {
		<-c.flood
	}
	return conns, nil
}
