package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tundump/decode"
	"tundump/replay"
)

// PlayerConfig describes a [Player].
type PlayerConfig struct {
	// Dial connects to the server.
	Dial func(ctx context.Context) (net.Conn, error)
	// Tunnels are the recorded ones, of the plan that is played.
	Tunnels []replay.TunnelInfo
	// Map is what the plan's Rewrite does to addresses; nil: nothing.
	Map func(netip.Addr) netip.Addr
	// Stack makes the stack that flows are dialled in, with the addresses that
	// the server assigned. The player closes it. nil: no flow inside the
	// packets can be dialled.
	Stack func(addrs []netip.Prefix) (FlowStack, error)
	// Timeout bounds each wait for what nothing can go on without: a
	// connection, the answer to Open. 0 is 10 seconds.
	Timeout time.Duration
	// Tap, if set, is told of every item that is sent and that came, in the
	// recording's words; from several goroutines, and must not keep them.
	Tap func(sent bool, items []replay.Item)
}

// FlowStack is a device that connections are dialled in; a netstack.Stack is
// one.
type FlowStack interface {
	replay.Device
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Player is the client of recorded tunnels once more, against a live server: a
// [replay.Peer] with one connection to the server for each recorded tunnel.
// Messages get new identifiers, and packets the address that the server assigns
// now; what comes back is put into the recording's words.
type Player struct {
	cfg     PlayerConfig
	ctx     context.Context // of the connections; done after Close
	cancel  context.CancelFunc
	in      chan []replay.Item
	rest    []replay.Item // of what Receive got last
	garbage atomic.Int64  // records that are no messages

	mu     sync.Mutex
	links  map[uint32]*link
	closed bool
	ends   []string
}

var _ replay.Peer = (*Player)(nil)

// NewPlayer returns a player, which connects when something is sent.
func NewPlayer(cfg PlayerConfig) *Player {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Map == nil {
		cfg.Map = func(a netip.Addr) netip.Addr { return a }
	}
	if cfg.Tap == nil {
		cfg.Tap = func(bool, []replay.Item) {}
	}
	p := &Player{cfg: cfg, in: make(chan []replay.Item, 256), links: make(map[uint32]*link)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Send implements [replay.Peer]. Packets wait until the server has assigned an
// address.
func (p *Player) Send(items []replay.Item) (int, error) {
	for i := 0; i < len(items); {
		n := 1
		for items[i].Kind == decode.Packet && n < decode.MaxPacketsPerMessage && i+n < len(items) &&
			items[i+n].Kind == decode.Packet && items[i+n].Tunnel == items[i].Tunnel {
			n++
		}
		l, err := p.link(p.ctx, items[i].Tunnel)
		if err == nil {
			err = l.send(items[i : i+n])
		}
		if err != nil {
			return i, fmt.Errorf("peer: tunnel %d: %w", items[i].Tunnel, err)
		}
		i += n
	}
	return len(items), nil
}

// link returns the connection that stands for a recorded tunnel.
func (p *Player) link(ctx context.Context, tunnel uint32) (*link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, net.ErrClosed
	}
	if l := p.links[tunnel]; l != nil {
		return l, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	conn, err := p.cfg.Dial(ctx)
	if err != nil {
		return nil, err
	}
	l := newLink(p, tunnel)
	p.links[tunnel] = l
	l.start(conn)
	return l, nil
}

// recorded returns what a tunnel's server said last in the recording.
func (p *Player) recorded(tunnel uint32) []byte {
	for i := range p.cfg.Tunnels {
		if p.cfg.Tunnels[i].Number == tunnel {
			return p.cfg.Tunnels[i].Record
		}
	}
	return nil
}

// push hands over what came. It waits for Receive.
func (p *Player) push(items []replay.Item) {
	p.cfg.Tap(false, items)
	select {
	case p.in <- items:
	case <-p.ctx.Done():
	}
}

// Receive implements [replay.Peer].
func (p *Player) Receive(items []replay.Item) (int, error) {
	if len(p.rest) == 0 {
		select {
		case p.rest = <-p.in:
		case <-p.ctx.Done():
			return 0, net.ErrClosed
		}
	}
	n := copy(items, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// Refused implements [replay.Peer]. What a tunnel does not take is an error.
func (p *Player) Refused() int64 { return 0 }

// Restart closes the tunnels, for another loop.
func (p *Player) Restart() {
	p.mu.Lock()
	links := p.links
	p.links = make(map[uint32]*link)
	p.mu.Unlock()
	for _, l := range links {
		p.end(l)
	}
}

// Close implements [replay.Peer].
func (p *Player) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.Restart()
	return nil
}

// end closes a tunnel, and notes it if the server did so before.
func (p *Player) end(l *link) {
	if err := l.client.Err(); err != nil {
		p.mu.Lock()
		p.ends = append(p.ends, fmt.Sprintf("tunnel %d: %v", l.tunnel, ended(err)))
		p.mu.Unlock()
	}
	l.close()
}

// Notes says, one line each, what the server did that is no answer: closed
// tunnels, sent garbage. It is complete after Close.
func (p *Player) Notes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	notes := slices.Clone(p.ends)
	if n := p.garbage.Load(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d records of the server's are no messages", n))
	}
	return notes
}

var errEnded = errors.New("the server closed the connection")

// ended says why a tunnel is over.
func ended(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return errEnded
	case errors.Is(err, net.ErrClosed):
		return err
	}
	return fmt.Errorf("the tunnel ended: %w", err)
}
