package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/replay"
)

// ClientConfig describes a [Client]. The zero value is right for servers of
// the networkextension fork and for [Server].
type ClientConfig struct {
	// IntegerPort sends the port of a TCP flow as a number, which Apple's
	// original server wants, instead of a string, which the networkextension
	// fork wants.
	IntegerPort bool
	Logger      *slog.Logger // nil is silent

	// see, if set, is shown every record first, with its message or nil; it
	// reports whether the client has nothing more to do with it.
	see func(rec []byte, m *decode.Message) bool
}

const (
	// maxSuspend is how long a flow waits for the resume that belongs to a
	// suspend. Apple's servers often never send it, and its clients never
	// wait.
	maxSuspend = 2 * time.Second
	// maxStall is how long a flow's reader may take nothing while its backlog
	// is full before the flow is ended for the sake of the others.
	maxStall = 30 * time.Second
	// closeTimeout bounds what Close waits for.
	closeTimeout = 2 * time.Second
)

// Client is a tunnel's client: one IP connection at most, and app-proxy flows.
// Its methods are safe for concurrent use.
type Client struct {
	conn net.Conn
	cfg  ClientConfig
	out  *outbox
	done chan struct{} // closed when the tunnel has ended
	wg   sync.WaitGroup

	mu      sync.Mutex
	err     error // why the tunnel ended
	flows   map[int64]*clientFlow
	ip      *clientIP
	fetches []chan Assigned
}

// clientIP is the client's IP connection.
type clientIP struct {
	id     int64
	gate   gate
	opened chan openAnswer // has room for one
	answer bool            // it came

	mu  sync.Mutex
	dev replay.Device // nil before Carry
}

type openAnswer struct {
	assigned Assigned
	err      error
}

// NewClient starts a client on a connection to a server, and takes the
// connection over. The caller closes the client.
func NewClient(conn net.Conn, cfg ClientConfig) *Client {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{conn: conn, cfg: cfg, out: newOutbox(), done: make(chan struct{}), flows: make(map[int64]*clientFlow)}
	c.wg.Go(func() { // ends with the connection, or after Close has flushed
		if err := c.out.run(conn); err != nil {
			c.fail(err)
		}
		c.out.close()
		conn.Close()
	})
	c.wg.Go(func() { // ends with the connection
		c.fail(c.read())
		c.out.close()
		conn.Close()
	})
	return c
}

// Done is closed when the tunnel has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err reports why the tunnel ended, nil if it has not: net.ErrClosed after
// Close, io.EOF when the server closed it.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close writes what is queued, ends the tunnel and everything in it, and
// waits for the client's goroutines.
func (c *Client) Close() error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(closeTimeout)) // fails only if the connection has ended
	c.fail(net.ErrClosed)
	c.out.close()
	c.wg.Wait()
	return nil
}

// fail ends everything in the tunnel. The first error counts.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	close(c.done)
	flows := c.flows
	c.flows = nil
	c.mu.Unlock()
	for _, f := range flows {
		f.end(fmt.Errorf("peer: the tunnel ended: %w", err))
	}
}

func (c *Client) send(build func(e *encoder) ([]byte, error)) error {
	return c.sendUntil(nil, build)
}

// sendUntil queues a record; it waits while the tunnel is congested, until
// stop is closed.
func (c *Client) sendUntil(stop <-chan struct{}, build func(e *encoder) ([]byte, error)) error {
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	rec, err := build(e)
	if err != nil {
		return err
	}
	return c.out.put(rec, stop)
}

// wait waits for a value, the end of ctx or of the tunnel.
func wait[T any](ctx context.Context, c *Client, ch <-chan T) (v T, err error) {
	select {
	case v = <-ch:
		return v, nil
	case <-ctx.Done():
		return v, ctx.Err()
	case <-c.done:
		return v, fmt.Errorf("peer: the tunnel ended: %w", c.Err())
	}
}

// FetchConfiguration asks for the configuration as the app proxy does. It has
// no addresses.
func (c *Client) FetchConfiguration(ctx context.Context) (Assigned, error) {
	ch := make(chan Assigned, 1)
	c.mu.Lock()
	c.fetches = append(c.fetches, ch)
	c.mu.Unlock()
	if err := c.send(func(e *encoder) ([]byte, error) { return e.plain(decode.FetchConfiguration, 0) }); err != nil {
		return Assigned{}, fmt.Errorf("peer: fetch the configuration: %w", err)
	}
	a, err := wait(ctx, c, ch)
	if err != nil {
		return Assigned{}, fmt.Errorf("peer: fetch the configuration: %w", err)
	}
	return a, nil
}

// Open opens the tunnel's IP connection and returns what the server assigned.
// A refusal is a [*ResultError]. A client has one IP connection.
func (c *Client) Open(ctx context.Context) (Assigned, error) {
	ip := &clientIP{id: int64(rand.Uint32()), opened: make(chan openAnswer, 1)}
	c.mu.Lock()
	taken := c.ip != nil
	if !taken {
		c.ip = ip
	}
	c.mu.Unlock()
	if taken {
		return Assigned{}, errors.New("peer: open: the client has an IP connection already")
	}
	if err := c.send(func(e *encoder) ([]byte, error) { return e.openIP(ip.id) }); err != nil {
		return Assigned{}, fmt.Errorf("peer: open: %w", err)
	}
	a, err := wait(ctx, c, ip.opened)
	if err == nil {
		err = a.err
	}
	if err != nil {
		return Assigned{}, fmt.Errorf("peer: open: %w", err)
	}
	return a.assigned, nil
}

// Carry takes packets from dev to the tunnel and back until ctx, the tunnel
// or the device ends, and closes dev. It is called once, after Open. The
// error is nil if ctx ended it.
func (c *Client) Carry(ctx context.Context, dev replay.Device) error {
	c.mu.Lock()
	ip := c.ip
	c.mu.Unlock()
	if ip == nil {
		dev.Close()
		return errors.New("peer: carry: Open comes first")
	}
	ip.mu.Lock()
	ip.dev = dev
	ip.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { // ends with Carry
		select {
		case <-ctx.Done():
		case <-c.done:
		}
		dev.Close()
	})
	err := c.pump(ip, dev)
	ended := ctx.Err() != nil
	cancel()
	wg.Wait()
	if ended {
		return nil
	}
	if cerr := c.Err(); cerr != nil {
		return fmt.Errorf("peer: the tunnel ended: %w", cerr)
	}
	return fmt.Errorf("peer: carry: %w", err)
}

// pump sends what the device brings. While the tunnel is congested it does
// not read, and packets are dropped where they come from.
func (c *Client) pump(ip *clientIP, dev replay.Device) error {
	bufs, sizes := replay.Buffers(64, dev.MTU())
	pkts := make([][]byte, 0, len(bufs))
	var enc encoder
	var rec []byte
	for {
		n, err := dev.Read(bufs, sizes)
		if err != nil {
			return err
		}
		pkts = pkts[:0]
		for i := range n {
			pkts = append(pkts, bufs[i][:sizes[i]])
		}
		if rec, err = enc.batches(rec[:0], ip.id, pkts); err != nil {
			return err
		}
		if err := pass(&ip.gate, nil, c.done); err != nil {
			return err
		}
		if err := c.out.put(rec, nil); err != nil {
			return err
		}
	}
}

// pass waits at a gate for at most maxSuspend, then opens it.
func pass(g *gate, expired, done <-chan struct{}) error {
	shut := g.opened()
	if shut == nil {
		return nil
	}
	timer := time.NewTimer(maxSuspend)
	defer timer.Stop()
	select {
	case <-shut:
	case <-timer.C:
		g.set(false)
	case <-expired:
	case <-done:
		return net.ErrClosed
	}
	return nil
}

// read handles what the server sends until the connection ends.
func (c *Client) read() error {
	var m decode.Message
	var pkts [][]byte
	return readRecords(c.conn, func(rec []byte) error {
		// A genuine client ignores what it cannot read.
		bad := m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: rec}) != nil
		if see := c.cfg.see; see != nil {
			seen := &m
			if bad {
				seen = nil
			}
			if see(rec, seen) {
				return nil
			}
		}
		if bad {
			return nil
		}
		switch m.Command {
		case decode.FetchConfiguration:
			c.fetched(m.Configuration())
		case decode.OpenResult:
			c.openResult(&m)
		case decode.Packets:
			pkts = c.packets(pkts[:0], &m)
		case decode.Data, decode.Close, decode.Suspend, decode.Resume:
			c.forFlow(&m)
		}
		return nil
	})
}

func (c *Client) fetched(v bplist.Value) {
	if v.Type() != bplist.Dict {
		return
	}
	a := ParseAssigned(v)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.fetches {
		ch <- a // has room
	}
	c.fetches = nil
}

// openResult is ignored without a code from 0 to 5, as a genuine client does.
func (c *Client) openResult(m *decode.Message) {
	code, ok := m.Int(decode.KeyResultCode)
	if !ok || code < decode.ResultSuccess || code > decode.ResultInternalError || !m.HasIdentifier {
		return
	}
	var err error
	if code != decode.ResultSuccess {
		err = &ResultError{Code: int(code)}
	}
	ip, f := c.lookup(m.Identifier)
	switch {
	case ip != nil && !ip.answer:
		ip.answer = true
		a := openAnswer{err: err}
		if err == nil {
			if a.assigned = ParseAssigned(m.Configuration()); len(a.assigned.Addresses) == 0 {
				a.err = errors.New("the server assigned no address")
			}
		}
		ip.opened <- a
	case f != nil:
		f.answered(err)
	}
}

// lookup returns what an identifier names.
func (c *Client) lookup(id int64) (*clientIP, *clientFlow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ip != nil && c.ip.id == id {
		return c.ip, nil
	}
	return nil, c.flows[id]
}

// packets hands the packets of a message to the device, if Carry has begun.
func (c *Client) packets(pkts [][]byte, m *decode.Message) [][]byte {
	ip, _ := c.lookup(m.Identifier)
	if ip == nil || !m.HasIdentifier || decidePackets(m, step{}).do != doPackets {
		return pkts
	}
	ip.mu.Lock()
	dev := ip.dev
	ip.mu.Unlock()
	if dev == nil {
		return pkts
	}
	for i := range m.PacketCount() {
		p, _ := m.Packet(i)
		pkts = append(pkts, p)
	}
	if _, err := dev.Write(pkts); err != nil && !errors.Is(err, net.ErrClosed) {
		c.cfg.Logger.Warn("the device does not take packets", "err", err)
	}
	clear(pkts)
	return pkts
}

func (c *Client) forFlow(m *decode.Message) {
	if !m.HasIdentifier {
		return
	}
	ip, f := c.lookup(m.Identifier)
	if on := m.Command == decode.Suspend; on || m.Command == decode.Resume {
		switch {
		case ip != nil:
			ip.gate.set(on)
		case f != nil:
			f.gate.set(on)
		}
		return
	}
	if f == nil {
		return
	}
	if m.Command == decode.Close {
		if how, ok := m.Int(decode.KeyCloseType); !ok || how != decode.CloseNone {
			f.closedByServer(ok && how == decode.CloseWrite)
		}
		return
	}
	s := decideData(m, step{}, f.kind)
	switch s.do {
	case doData:
		f.data(s.data)
	case doDatagram:
		f.datagram(s.data, s.endpoint)
	}
}
