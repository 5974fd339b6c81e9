package netstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

// DialContext connects inside the stack, over the device. network is "tcp" or
// "udp", with or without a 4 or 6 behind it; address is numeric, host:port:
// the stack has no resolver. The connection is closed when the stack is. An
// error of the connection itself is one of package syscall's, such as
// ECONNREFUSED.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := resolve(network, address)
	if err != nil {
		return nil, err
	}
	if !s.begin() {
		return nil, net.ErrClosed
	}
	defer s.wg.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	full := fullAddress(to)
	var c net.Conn
	if strings.HasPrefix(network, "tcp") {
		c, err = gonet.DialContextTCP(ctx, s.stack, full, protocolOf(to.Addr()))
	} else {
		c, err = gonet.DialUDP(s.stack, nil, &full, protocolOf(to.Addr()))
	}
	if err != nil {
		return nil, fmt.Errorf("netstack: dial %s %s: %w", network, to, systemError(err))
	}
	oc := &ownedConn{Conn: c, owner: s}
	if !s.adopt(oc) {
		return nil, net.ErrClosed
	}
	return oc, nil
}

// Listen waits for TCP connections inside the stack. address is numeric; an
// empty or unspecified host is any of the stack's addresses, of both families
// when it is empty or "::".
func (s *Stack) Listen(network, address string) (net.Listener, error) {
	at, err := resolve(network, address)
	if err != nil {
		return nil, err
	}
	l, err := gonet.ListenTCP(s.stack, fullAddress(at), protocolOf(at.Addr()))
	if err != nil {
		return nil, fmt.Errorf("netstack: listen on %s: %w", at, err)
	}
	ol := &ownedListener{TCPListener: l, owner: s}
	if !s.adopt(ol) {
		return nil, net.ErrClosed
	}
	return ol, nil
}

// ListenPacket receives and sends UDP datagrams inside the stack. address is
// as for [Stack.Listen].
func (s *Stack) ListenPacket(network, address string) (net.PacketConn, error) {
	at, err := resolve(network, address)
	if err != nil {
		return nil, err
	}
	full := fullAddress(at)
	c, err := gonet.DialUDP(s.stack, &full, nil, protocolOf(at.Addr()))
	if err != nil {
		return nil, fmt.Errorf("netstack: listen on %s: %w", at, err)
	}
	oc := &ownedPacketConn{UDPConn: c, owner: s}
	if !s.adopt(oc) {
		return nil, net.ErrClosed
	}
	return oc, nil
}

func resolve(network, address string) (netip.AddrPort, error) {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return netip.AddrPort{}, fmt.Errorf("netstack: network %q: want tcp or udp", network)
	}
	if strings.HasPrefix(address, ":") {
		address = "[::]" + address
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("netstack: address %q: want a numeric host:port: %w", address, err)
	}
	a = netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
	if strings.HasSuffix(network, "4") && !a.Addr().Is4() || strings.HasSuffix(network, "6") && !a.Addr().Is6() {
		return netip.AddrPort{}, fmt.Errorf("netstack: address %s is not of network %s", a, network)
	}
	return a, nil
}

// fullAddress turns the unspecified address into gVisor's word for any.
func fullAddress(a netip.AddrPort) tcpip.FullAddress {
	full := tcpip.FullAddress{NIC: nicID, Port: a.Port()}
	if !a.Addr().IsUnspecified() {
		full.Addr = toAddress(a.Addr())
	}
	return full
}

// ownedConn is a connection that the stack closes with itself.
type ownedConn struct {
	net.Conn
	owner *Stack
	once  sync.Once
}

func (c *ownedConn) Close() error {
	c.once.Do(func() {
		c.owner.release(c)
		c.Conn.Close()
	})
	return nil
}

// CloseWrite sends FIN on a TCP connection.
func (c *ownedConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

type ownedPacketConn struct {
	*gonet.UDPConn
	owner *Stack
	once  sync.Once
}

func (c *ownedPacketConn) Close() error {
	c.once.Do(func() {
		c.owner.release(c)
		c.UDPConn.Close()
	})
	return nil
}

type ownedListener struct {
	*gonet.TCPListener
	owner *Stack
	once  sync.Once
}

// Accept returns the next connection. After Close the error is net.ErrClosed.
func (l *ownedListener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil {
		return nil, fmt.Errorf("netstack: accept on %v: %w", l.Addr(), net.ErrClosed)
	}
	oc := &ownedConn{Conn: c, owner: l.owner}
	if !l.owner.adopt(oc) {
		return nil, net.ErrClosed
	}
	return oc, nil
}

// Close ends a pending Accept, which Close of gonet's listener alone does not.
func (l *ownedListener) Close() error {
	l.once.Do(func() {
		l.owner.release(l)
		l.TCPListener.Shutdown()
		l.TCPListener.Close()
	})
	return nil
}
