package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"

	"tundump/decode"
)

// Dial opens an app-proxy flow. network is "tcp" or "udp". A TCP address may
// have a name, which the server resolves; a UDP address is numeric. A refusal
// is a [*ResultError]. The connection has no half close: the protocol's first
// close, in whichever direction, ends a flow.
func (c *Client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("peer: dial: %w", err)
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 || host == "" || len(host) > maxHost {
			return nil, fmt.Errorf("peer: dial %q: want host:port with a port from 1 to 65535", address)
		}
		if c.cfg.IntegerPort {
			port = ""
		}
		return c.open(ctx, kindTCP, address, func(e *encoder, id int64) ([]byte, error) {
			return e.openTCP(id, host, port, int64(number))
		})
	case "udp", "udp4", "udp6":
		to, err := netip.ParseAddrPort(address)
		if err != nil || to.Port() == 0 {
			return nil, fmt.Errorf("peer: dial %q: want a numeric address and a port from 1 to 65535", address)
		}
		f, err := c.open(ctx, kindUDP, address, (*encoder).openUDP)
		if err != nil {
			return nil, err
		}
		f.remote = netip.AddrPortFrom(to.Addr().Unmap().WithZone(""), to.Port())
		return f, nil
	}
	return nil, fmt.Errorf("peer: dial: network %q: want tcp or udp", network)
}

// ListenPacket opens an app-proxy UDP flow that can talk to any address.
func (c *Client) ListenPacket(ctx context.Context) (net.PacketConn, error) {
	f, err := c.open(ctx, kindUDP, "any address", (*encoder).openUDP)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// open registers a flow, asks for it and waits for the answer.
func (c *Client) open(ctx context.Context, k kind, address string, build func(e *encoder, id int64) ([]byte, error)) (*clientFlow, error) {
	f := newClientFlow(c, k, address)
	if err := c.register(f); err != nil {
		return nil, fmt.Errorf("peer: dial %s: %w", address, err)
	}
	err := c.send(func(e *encoder) ([]byte, error) { return build(e, f.id) })
	if err == nil {
		var answer error
		if answer, err = wait(ctx, c, f.opened); err == nil {
			err = answer
		}
	}
	if err != nil {
		// As a genuine client does after any failure.
		f.hangUp(decode.CloseAll)
		return nil, fmt.Errorf("peer: dial %s: %w", address, err)
	}
	return f, nil
}

// register gives f an identifier that is not in use: 32 bits, as those of the
// genuine clients are.
func (c *Client) register(f *clientFlow) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	for {
		f.id = int64(rand.Uint32())
		f.throttle.id, f.throttle.out = f.id, c.out
		if c.flows[f.id] == nil && (c.ip == nil || c.ip.id != f.id) {
			c.flows[f.id] = f
			return nil
		}
	}
}

// unregister reports whether f was there.
func (c *Client) unregister(f *clientFlow) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flows[f.id] != f {
		return false
	}
	delete(c.flows, f.id)
	return true
}

var errReset = errors.New("peer: the server ended the flow")

// endOfFlow is what a reader gets at the end of a flow.
func endOfFlow(finished bool) error {
	if finished {
		return io.EOF
	}
	return errReset
}
