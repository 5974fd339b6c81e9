package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tundump/replay/netstack"
	"tundump/replay/peer"
)

// tunnel is a tunnel that something dials through: over a user-space stack,
// or as app-proxy flows.
type tunnel struct {
	client   *peer.Client
	assigned peer.Assigned
	stack    *netstack.Stack // nil with flows

	cancel context.CancelFunc
	done   chan struct{} // closed when the tunnel has ended
	err    error         // why, set before
}

// openTunnel reaches a server and opens a tunnel, or with appProxy fetches
// the configuration for one. The caller closes it.
func openTunnel(ctx context.Context, server string, appProxy bool, cfg peer.ClientConfig) (*tunnel, error) {
	open, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := dialServer(open, server)
	if err != nil {
		return nil, err
	}
	t := &tunnel{client: peer.NewClient(conn, cfg), done: make(chan struct{})}
	if appProxy {
		t.assigned, err = t.client.FetchConfiguration(open)
	} else {
		err = t.openStack(open, cfg.Logger)
	}
	if err != nil {
		return nil, errors.Join(err, ignoreClosed(t.client.Close()))
	}
	ctx, t.cancel = context.WithCancel(ctx)
	go func() { // ends with the tunnel or ctx
		defer close(t.done)
		if t.stack != nil {
			t.err = t.client.Carry(ctx, t.stack) // closes the stack
			return
		}
		select {
		case <-ctx.Done():
		case <-t.client.Done():
			t.err = fmt.Errorf("peer: the tunnel ended: %w", t.client.Err())
		}
	}()
	return t, nil
}

// dialServer connects to a tunnel's server.
func dialServer(ctx context.Context, server string) (net.Conn, error) {
	conn, err := new(serverDialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, fmt.Errorf("cannot reach %s: %w; is a server listening there?", server, cause(err))
	}
	return conn, nil
}

func (t *tunnel) openStack(ctx context.Context, log *slog.Logger) (err error) {
	if t.assigned, err = t.client.Open(ctx); err != nil {
		return err
	}
	t.stack, err = netstack.New(netstack.Config{Addresses: t.assigned.Addresses, Logger: log})
	return err
}

// close ends the tunnel and everything in it.
func (t *tunnel) close() error {
	t.cancel()
	err := t.client.Close()
	<-t.done
	return ignoreClosed(err)
}

// ended reports whether the tunnel has ended.
func (t *tunnel) ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// nextAddress is how long one address of a name may take before the next one
// is tried.
const nextAddress = 5 * time.Second

// dial connects inside the tunnel. Names are resolved by the server in a TCP
// flow, and by the tunnel's DNS servers otherwise.
func (t *tunnel) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if t.stack == nil {
		return t.client.Dial(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := t.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for i, a := range addrs {
		c, err := t.dialAddr(ctx, network, net.JoinHostPort(a.String(), port), i == len(addrs)-1)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (t *tunnel) dialAddr(ctx context.Context, network, address string, last bool) (net.Conn, error) {
	if !last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, nextAddress)
		defer cancel()
	}
	return t.stack.DialContext(ctx, network, address)
}

// listenPacket opens what sends datagrams to any address inside the tunnel.
func (t *tunnel) listenPacket(ctx context.Context) (net.PacketConn, error) {
	if t.stack == nil {
		return t.client.ListenPacket(ctx)
	}
	return t.stack.ListenPacket("udp", ":0")
}

// lookupPatience is how long one DNS server may take before the next one is
// asked.
const lookupPatience = 2 * lookupTry

// resolve asks the tunnel's DNS servers in turn for the addresses of a name,
// of the families that the tunnel has. An address is its own.
func (t *tunnel) resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	if len(t.assigned.DNS) == 0 {
		return nil, fmt.Errorf("cannot resolve %s: the server assigned no DNS server; give an address", name)
	}
	var errs []error
	for _, server := range t.assigned.DNS {
		found, err := t.ask(ctx, net.JoinHostPort(server.String(), "53"), name)
		if len(found) > 0 {
			return found, nil
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s has no address", name)
}

// ask asks one DNS server. With an error there may be addresses all the same.
func (t *tunnel) ask(ctx context.Context, server, name string) (found []netip.Addr, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	r := requester{dial: t.client.Dial}
	types := []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}
	if t.stack != nil {
		r.dial, types = t.stack.DialContext, types[:0]
		for _, own := range t.assigned.Addresses {
			if own.Addr().Is4() {
				types = append(types, dnsmessage.TypeA)
			} else {
				types = append(types, dnsmessage.TypeAAAA)
			}
		}
	}
	var errs []error
	for _, typ := range types {
		addrs, err := r.lookup(ctx, server, name, typ)
		found, errs = append(found, addrs...), append(errs, err)
	}
	return found, errors.Join(errs...)
}
