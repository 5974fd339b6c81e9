package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tundump/decode"
	"tundump/decode/frame"
	"tundump/replay"
)

// connection is what an identifier names: an IP connection or a flow.
type connection interface {
	kind() kind
	// close ends it; flush: after what waits for the remote host is written.
	// It does not wait, and may be called more than once.
	close(flush bool)
}

// tunnel is one client's TCP connection at the server. Its run is the reader;
// it starts one writer, and two goroutines for each flow.
type tunnel struct {
	*serving
	conn net.Conn
	log  *slog.Logger
	out  *outbox
	wg   sync.WaitGroup

	mu      sync.Mutex
	conns   map[int64]connection
	ips     int
	sockets int

	waiting atomic.Int64 // bytes of datagrams that wait to be sent

	pkts [][]byte // scratch of the reader
}

func newTunnel(r *serving, conn net.Conn) *tunnel {
	return &tunnel{
		serving: r, conn: conn, log: r.log.With("client", conn.RemoteAddr()), out: newOutbox(),
		conns: make(map[int64]connection),
	}
}

// run reads until the tunnel ends, then ends everything in it.
func (t *tunnel) run(ctx context.Context) {
	t.log.Info("tunnel opened")
	defer context.AfterFunc(ctx, func() { t.conn.Close() })()
	ctx, cancel := context.WithCancel(ctx)
	t.wg.Go(func() { // ends when out or conn is closed
		if err := t.out.run(t.conn); err != nil {
			t.out.close() // so that the reader ends too
			t.conn.Close()
		}
	})
	err := t.read(ctx)
	cancel()
	t.out.close()
	t.conn.Close()
	for id, c := range t.drop() {
		t.log.Debug("connection ended with its tunnel", "id", id, "kind", c.kind())
		c.close(false)
	}
	t.wg.Wait()
	t.log.Info("tunnel closed", "why", err)
}

// drop empties the table of connections.
func (t *tunnel) drop() map[int64]connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	conns := t.conns
	t.conns = nil
	return conns
}

const readBuffer = 64 << 10

// read handles messages until the stream ends. io.EOF is the usual end: a
// half close ends a tunnel too.
//
// Source: handleBytesAvailable in ServerTunnel.swift.
func (t *tunnel) read(ctx context.Context) error {
	return readRecords(t.conn, func() func(rec []byte) error {
		var m decode.Message
		return func(rec []byte) error {
			ok, err := readRecord(&m, rec)
			if err != nil || !ok {
				return err
			}
			return t.perform(ctx, decide(&m, t.kindOf), &m)
		}
	}())
}

// readRecords cuts what r brings into records and hands them out, until r or
// handle fails. It holds no more than one record and one read.
func readRecords(r io.Reader, handle func(rec []byte) error) error {
	buf := make([]byte, readBuffer)
	have := 0
	for {
		if have == len(buf) {
			buf = append(buf, make([]byte, min(len(buf), frame.MaxLen+readBuffer-len(buf)))...)
		}
		n, err := r.Read(buf[have:])
		if n == 0 && err != nil {
			return err
		}
		have += n
		rest := buf[:have]
		for {
			n, err := frame.Cut(rest, frame.MaxLen)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			if err := handle(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		have = copy(buf, rest)
	}
}

func (t *tunnel) kindOf(id int64) kind {
	if c := t.lookup(id); c != nil {
		return c.kind()
	}
	return kindUnknown
}

func (t *tunnel) lookup(id int64) connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conns[id]
}

// perform does what decide said. An error ends the tunnel.
func (t *tunnel) perform(ctx context.Context, s step, m *decode.Message) error {
	switch s.do {
	case doNothing:
		if s.why != "" {
			t.log.Debug("message ignored", "command", m.Command, "id", s.id, "why", s.why)
		}
	case doFetch:
		return t.send(func(e *encoder) ([]byte, error) { return e.fetchAnswer(t.conf) })
	case doOpenIP:
		return t.openIP(s.id)
	case doOpenTCP:
		return t.openTCP(ctx, s)
	case doOpenUDP:
		return t.openUDP(s.id)
	case doRefuse:
		t.log.Warn("open refused", "id", s.id, "code", decode.ResultName(int64(s.code)), "why", s.why)
		return t.refuse(s.id, s.kind, s.code)
	case doPackets:
		if c, ok := t.lookup(s.id).(*ipHandle); ok {
			return t.packets(c, m)
		}
	case doData:
		if c, ok := t.lookup(s.id).(*tcpFlow); ok {
			c.data(s.data)
		}
	case doDatagram:
		if c, ok := t.lookup(s.id).(*udpFlow); ok {
			c.datagram(ctx, s.endpoint, s.data)
		}
	case doSuspend, doResume:
		if c, ok := t.lookup(s.id).(interface{ suspend(on bool) }); ok {
			c.suspend(s.do == doSuspend)
		}
	case doClose:
		if c := t.take(s.id, nil); c != nil {
			c.close(s.flush)
		}
	}
	return nil
}

// send queues the record that build makes. It waits while the tunnel is
// congested; the error is net.ErrClosed once the tunnel has ended.
func (t *tunnel) send(build func(e *encoder) ([]byte, error)) error {
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	rec, err := build(e)
	if err != nil {
		return err
	}
	return t.out.put(rec, nil)
}

// refuse answers an open with a code, and for a flow ends it as Apple's server
// does.
func (t *tunnel) refuse(id int64, k kind, code int) error {
	err := t.send(func(e *encoder) ([]byte, error) { return e.openResult(id, code) })
	if err == nil && (k == kindTCP || k == kindUDP) {
		err = t.sendClose(id, decode.CloseAll)
	}
	return err
}

func (t *tunnel) sendClose(id int64, how int) error {
	return t.send(func(e *encoder) ([]byte, error) { return e.close(id, how) })
}

// admit puts a new connection into the table and reports whether there was
// room. What the identifier named before is ended: it would go on under a
// name that is no longer its own.
func (t *tunnel) admit(id int64, c connection) bool {
	if old := t.take(id, nil); old != nil {
		t.log.Debug("identifier opened again", "id", id, "was", old.kind())
		old.close(false)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns == nil || len(t.conns) >= t.limits.Connections {
		return false
	}
	t.conns[id] = c
	return true
}

// take removes and returns what id names; if only is not nil, nothing else
// than that.
func (t *tunnel) take(id int64, only connection) connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.conns[id]
	if c == nil || only != nil && c != only {
		return nil
	}
	delete(t.conns, id)
	return c
}

// socket reports whether the tunnel may have one more outer socket, and counts
// it; unsocket gives it back.
func (t *tunnel) socket() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sockets >= t.limits.Sockets {
		return false
	}
	t.sockets++
	return true
}

func (t *tunnel) unsocket() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sockets--
}

// reach dials the outside for a flow.
func (t *tunnel) reach(ctx context.Context, network, address string) (net.Conn, error) {
	if t.dial == nil {
		return nil, fmt.Errorf("peer: app-proxy flows are not served: %w", errRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, t.limits.DialTimeout)
	defer cancel()
	return t.dial(ctx, network, address)
}

// ipHandle is an IP connection in its tunnel's table.
type ipHandle struct {
	ipConn
	t *tunnel
}

func (c *ipHandle) kind() kind { return kindIP }

func (c *ipHandle) suspend(on bool) { c.queue.suspend(on) }

// close gives the addresses back. It runs on the tunnel's reader, once: who
// takes a connection out of the table closes it.
func (c *ipHandle) close(bool) {
	c.t.routes.remove(&c.ipConn)
	c.queue.close()
	if f, ok := c.t.dev.(replay.Forgetter); ok {
		f.Forget(slices.Collect(maps.Keys(c.sources))...)
	}
	c.t.conf.giveBack(c.assigned)
	c.t.ips--
}

// openIP answers with an address, if there is one.
//
// Source: ServerTunnelConnection.swift.
func (t *tunnel) openIP(id int64) error {
	if old := t.take(id, nil); old != nil {
		old.close(false)
	}
	if t.dev == nil {
		t.log.Warn("open refused", "id", id, "why", "there is no device for IP connections")
		return t.refuse(id, kindIP, decode.ResultInternalError)
	}
	if t.ips >= t.limits.IP {
		t.log.Warn("open refused", "id", id, "why", "too many IP connections in one tunnel", "limit", t.limits.IP)
		return t.refuse(id, kindIP, decode.ResultRefused)
	}
	a, ok := t.conf.assign()
	if !ok {
		t.log.Warn("open refused", "id", id, "why", "the address pool is exhausted")
		return t.refuse(id, kindIP, decode.ResultRefused)
	}
	c := &ipHandle{ipConn: ipConn{assigned: a, queue: &packetQueue{id: id, out: t.out}}, t: t}
	t.ips++
	if !t.admit(id, c) {
		c.close(false)
		return t.refuse(id, kindIP, decode.ResultRefused)
	}
	t.log.Info("IP connection opened", "id", id, "address", a.v4, "address6", a.v6)
	err := t.send(func(e *encoder) ([]byte, error) { return e.openResultIP(id, t.conf, a) })
	t.routes.add(&c.ipConn) // now, so that no packet comes before the answer
	return err
}

// packets hands the packets of a message to the device.
func (t *tunnel) packets(c *ipHandle, m *decode.Message) error {
	t.pkts = t.routes.admitted(t.pkts[:0], &c.ipConn, m)
	if n := m.PacketTotal() - len(t.pkts); n > 0 {
		t.log.Debug("packets dropped: no IP packet, or a source address that is not the client's", "id", c.queue.id, "packets", n)
	}
	if len(t.pkts) == 0 {
		return nil
	}
	_, err := t.dev.Write(t.pkts)
	clear(t.pkts)
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	if err != nil {
		t.log.Warn("the device does not take packets", "err", err)
	}
	return nil
}

// openFailed tells the client why a flow could not be opened.
func (t *tunnel) openFailed(id int64, k kind, address string, err error) error {
	code := resultOf(err)
	t.log.Info("flow failed", "id", id, "kind", k, "to", address, "code", decode.ResultName(int64(code)), "err", err)
	return t.refuse(id, k, code)
}

// linger is how long a remote host has to close after the client has.
const linger = 5 * time.Second
