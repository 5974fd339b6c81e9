package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"tundump/replay"
)

var _ replay.FlowDialer = (*Player)(nil)

// DialFlow implements [replay.FlowDialer]: an app-proxy connection is opened as
// one, another from the stack with the assigned addresses.
func (p *Player) DialFlow(ctx context.Context, d *replay.Dialogue) (net.Conn, error) {
	l, err := p.link(ctx, d.Tunnel)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	address := net.JoinHostPort(d.Host, strconv.Itoa(int(d.Port)))
	if d.Message {
		port := strconv.Itoa(int(d.Port))
		if d.IntegerPort {
			port = ""
		}
		f, err := l.client.open(ctx, kindTCP, address, func(e *encoder, id int64) ([]byte, error) {
			return e.openTCP(id, d.Host, port, int64(d.Port))
		})
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	if _, _, err := l.ready(ctx); err != nil {
		return nil, err
	}
	stack, err := l.open()
	if err != nil {
		return nil, err
	}
	return stack.DialContext(ctx, "tcp", address)
}

// open returns the stack with the assigned addresses, whose packets go to the
// tunnel.
func (l *link) open() (FlowStack, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stack != nil {
		return l.stack, nil
	}
	if l.player.cfg.Stack == nil {
		return nil, errors.New("peer: no stack to dial from")
	}
	stack, err := l.player.cfg.Stack(l.assigned)
	if err != nil {
		return nil, fmt.Errorf("peer: dial a flow: %w", err)
	}
	l.stack, l.pumped = stack, make(chan struct{})
	id := l.ip
	go func() { // ends when the stack is closed, or with the tunnel
		defer close(l.pumped)
		l.pump(id, stack)
	}()
	return stack, nil
}

// pump sends what the stack has to say.
func (l *link) pump(id int64, stack FlowStack) {
	bufs, sizes := replay.Buffers(64, stack.MTU())
	pkts := make([][]byte, 0, len(bufs))
	var enc encoder
	var rec []byte
	for {
		n, err := stack.Read(bufs, sizes)
		if err != nil {
			return
		}
		pkts = pkts[:0]
		for i := range n {
			pkts = append(pkts, bufs[i][:sizes[i]])
		}
		if rec, err = enc.batches(rec[:0], id, pkts); err != nil {
			return // a stack's packets are no larger than its MTU
		}
		if l.client.out.put(rec, nil) != nil {
			return // the dialogues end with the tunnel
		}
	}
}
