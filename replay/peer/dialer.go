package peer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Dialer reaches the outside for a tunnel's clients, and holds the policy
// what they may reach. Refused are loopback, link-local (the cloud metadata
// address 169.254.169.254 among them), multicast, unspecified and broadcast
// addresses, the metadata address fd00:ec2::254, and this process's own
// listeners. The error then is fs.ErrPermission.
//
// A name is resolved first, and what is checked is the address that is
// dialled: a name cannot lead anywhere that an address could not.
//
// The zero value is ready. The fields are set before the first use. A Dialer
// is safe for concurrent use.
type Dialer struct {
	// Allow is reached although it would be refused. Only, if it is not empty,
	// is all that is reached; what is refused still needs Allow.
	Allow, Only []netip.Prefix
	// Refuse is refused too: for example the address pools, which lead
	// nowhere but back.
	Refuse []netip.Prefix
	// Own is the listeners of this process. An unspecified address stands for
	// every address of this machine.
	Own []netip.AddrPort
	// Redirect is dialled instead of an address, unchecked: it is the
	// operator's choice. For example DNS at the gateway's address.
	Redirect map[netip.AddrPort]string

	// Resolver resolves names. nil is net.DefaultResolver.
	Resolver *net.Resolver
	// Connect dials a numeric address. nil is a net.Dialer's.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
}

// nextTry is how long one address of a name may take before the next one is
// tried.
const nextTry = 5 * time.Second

var metadata6 = netip.MustParseAddr("fd00:ec2::254")

// DialContext reaches address, host:port, the host a name or numeric. network
// is "tcp" or "udp". It is what [Server.Dial] wants.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("peer: dial: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("peer: dial %q: port %q is no number up to 65535", address, port)
	}
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("peer: dial: %w", err)
	}
	var errs []error
	for i, a := range addrs {
		try, cancel := ctx, context.CancelFunc(func() {})
		if i < len(addrs)-1 {
			try, cancel = context.WithTimeout(ctx, nextTry)
		}
		conn, err := d.DialAddrPort(try, network, netip.AddrPortFrom(a, uint16(number)))
		cancel()
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// maxAddresses is how many addresses of a name are tried.
const maxAddresses = 8

func (d *Dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	r := d.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return addrs[:min(len(addrs), maxAddresses)], nil
}

// DialAddrPort reaches a numeric address. It is what netstack's Config.Dial
// wants.
func (d *Dialer) DialAddrPort(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	address, redirected := d.Redirect[to]
	if !redirected {
		if err := d.check(to); err != nil {
			return nil, err
		}
		address = to.String()
	}
	connect := d.Connect
	if connect == nil {
		connect = new(net.Dialer).DialContext
	}
	return connect(ctx, network, address)
}

// Check reports why addr must not be reached, nil if it may be. It is
// fs.ErrPermission.
func (d *Dialer) Check(addr netip.Addr) error { return d.check(netip.AddrPortFrom(addr, 0)) }

func (d *Dialer) check(to netip.AddrPort) error {
	a := to.Addr().Unmap()
	refuse := func(why string) error {
		return fmt.Errorf("peer: %s is not reached: %s: %w", to, why, fs.ErrPermission)
	}
	if a.Zone() != "" {
		return refuse("it has a zone")
	}
	if len(d.Only) > 0 && !covered(d.Only, a) {
		return refuse("it is not among the addresses that the server is limited to")
	}
	if covered(d.Allow, a) {
		return nil
	}
	if why := special(a); why != "" {
		return refuse(why)
	}
	if covered(d.Refuse, a) {
		return refuse("its network is refused")
	}
	own, err := d.own(to)
	if err != nil {
		return fmt.Errorf("peer: %s is not reached: cannot tell whether it is this machine: %w", to, err)
	}
	if own {
		return refuse("it is a listener of this process")
	}
	return nil
}

func covered(nets []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// special returns what is special about an address that is no ordinary host's.
func special(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "it is a loopback address"
	case a.IsUnspecified(), a.Is4() && a.As4()[0] == 0:
		return "it is unspecified"
	case a.IsLinkLocalUnicast():
		return "it is a link-local address"
	case a.IsMulticast():
		return "it is a multicast address"
	case a.Is4() && a.As4()[0] >= 240:
		return "it is a reserved or broadcast address"
	case a == metadata6:
		return "it is a cloud metadata address"
	}
	return ""
}

// own reports whether to is one of d.Own.
func (d *Dialer) own(to netip.AddrPort) (bool, error) {
	for _, o := range d.Own {
		if to.Port() != o.Port() {
			continue
		}
		if o.Addr().Unmap() == to.Addr().Unmap() {
			return true, nil
		}
		if !o.Addr().IsUnspecified() {
			continue
		}
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return false, err
		}
		for _, ia := range addrs {
			if n, ok := ia.(*net.IPNet); ok {
				if a, ok := netip.AddrFromSlice(n.IP); ok && a.Unmap() == to.Addr().Unmap() {
					return true, nil
				}
			}
		}
	}
	return false, nil
}
