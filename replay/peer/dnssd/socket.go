package dnssd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const port = 5353

var (
	group4 = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: port}
	group6 = &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: port}
)

// link is a network that this machine is on, and its addresses there.
type link struct {
	ifi   net.Interface
	addrs []netip.Addr
}

// findLinks returns the interfaces that multicast DNS is spoken on. If only is
// a specific address, it is the one that has it.
func findLinks(only netip.Addr) ([]link, error) {
	ifis, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("dnssd: %w", err)
	}
	const want = net.FlagUp | net.FlagMulticast
	var found []link
	for _, ifi := range ifis {
		if ifi.Flags&(want|net.FlagLoopback|net.FlagPointToPoint) != want {
			continue
		}
		as, err := ifi.Addrs()
		if err != nil {
			continue // it has gone
		}
		l := link{ifi: ifi}
		for _, a := range as {
			p, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			if addr, ok := netip.AddrFromSlice(p.IP); ok && (!only.IsValid() || only.IsUnspecified() || only == addr.Unmap()) {
				l.addrs = append(l.addrs, addr.Unmap())
			}
		}
		if len(l.addrs) > 0 {
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("dnssd: there is no network interface for multicast DNS")
	}
	return found, nil
}

// sockets is a multicast socket of each family. Each goroutine that receives
// ends with close.
type sockets struct {
	v4 *ipv4.PacketConn // nil: none
	v6 *ipv6.PacketConn
	// Received is called for each message, on two goroutines; index is the
	// interface's, 0 if the system does not say.
	received func(b []byte, index int, from netip.AddrPort)
	log      *slog.Logger

	mu sync.Mutex // held while sending: the interface is a setting of the socket
	wg sync.WaitGroup
}

// openSockets joins the groups on the links, and starts receiving.
func openSockets(links []link, log *slog.Logger, received func(b []byte, index int, from netip.AddrPort)) (*sockets, error) {
	s := &sockets{received: received, log: log}
	// The system's choice of an interface needs a multicast route: name one.
	c4, err4 := net.ListenMulticastUDP("udp4", &links[0].ifi, group4)
	if err4 == nil {
		s.v4 = ipv4.NewPacketConn(c4)
	}
	c6, err6 := net.ListenMulticastUDP("udp6", &links[0].ifi, group6)
	if err6 == nil {
		s.v6 = ipv6.NewPacketConn(c6)
	}
	if err4 != nil && err6 != nil {
		return nil, fmt.Errorf("dnssd: cannot listen for multicast DNS: %w", err4)
	}
	for _, l := range links[1:] {
		s.join(l)
	}
	s.start()
	return s, nil
}

// start sets what is optional, so that its errors are passed over: not every
// system has all of it; and starts receiving.
func (s *sockets) start() {
	if s.v4 != nil {
		_ = s.v4.SetMulticastTTL(255) // RFC 6762 section 11
		_ = s.v4.SetMulticastLoopback(true)
		_ = s.v4.SetControlMessage(ipv4.FlagInterface, true)
		s.wg.Go(func() { // ends with close
			s.receive(func(b []byte) (int, int, net.Addr, error) {
				n, cm, from, err := s.v4.ReadFrom(b)
				if cm == nil {
					cm = new(ipv4.ControlMessage)
				}
				return n, cm.IfIndex, from, err
			})
		})
	}
	if s.v6 != nil {
		_ = s.v6.SetMulticastHopLimit(255)
		_ = s.v6.SetMulticastLoopback(true)
		_ = s.v6.SetControlMessage(ipv6.FlagInterface, true)
		s.wg.Go(func() { // ends with close
			s.receive(func(b []byte) (int, int, net.Addr, error) {
				n, cm, from, err := s.v6.ReadFrom(b)
				if cm == nil {
					cm = new(ipv6.ControlMessage)
				}
				return n, cm.IfIndex, from, err
			})
		})
	}
}

func (s *sockets) receive(read func(b []byte) (n, index int, from net.Addr, err error)) {
	b := make([]byte, maxMessage+1)
	for failed := 0; failed < 100; { // in a row: then the socket is broken
		n, index, from, err := read(b)
		switch a, ok := from.(*net.UDPAddr); {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			failed++
		case ok:
			failed = 0
			s.received(b[:n], index, a.AddrPort())
		}
	}
	s.log.Warn("multicast DNS: the socket does not receive any more")
}

// join makes messages of another link be received.
func (s *sockets) join(l link) {
	if s.v4 != nil {
		if err := s.v4.JoinGroup(&l.ifi, group4); err != nil {
			s.log.Debug("multicast DNS: cannot join", "interface", l.ifi.Name, "err", err)
		}
	}
	if s.v6 != nil {
		if err := s.v6.JoinGroup(&l.ifi, group6); err != nil {
			s.log.Debug("multicast DNS: cannot join", "interface", l.ifi.Name, "err", err)
		}
	}
}

// multicast sends a message on a link, over each family that it has. Datagrams
// may be lost: that one could not be sent is no more than that.
func (s *sockets) multicast(l link, msg []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	has := func(is func(netip.Addr) bool) bool { return slices.ContainsFunc(l.addrs, is) }
	var errs []error
	if s.v4 != nil && has(netip.Addr.Is4) {
		err := s.v4.SetMulticastInterface(&l.ifi)
		if err == nil {
			_, err = s.v4.WriteTo(msg, nil, group4)
		}
		errs = append(errs, err)
	}
	if s.v6 != nil && has(netip.Addr.Is6) {
		err := s.v6.SetMulticastInterface(&l.ifi)
		if err == nil {
			_, err = s.v6.WriteTo(msg, nil, group6)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Debug("multicast DNS: cannot send", "interface", l.ifi.Name, "err", err)
	}
}

// unicast sends a message to one host.
func (s *sockets) unicast(to netip.AddrPort, msg []byte) {
	addr := net.UDPAddrFromAddrPort(to)
	var err error
	if to.Addr().Unmap().Is4() && s.v4 != nil {
		_, err = s.v4.WriteTo(msg, nil, addr)
	} else if s.v6 != nil {
		_, err = s.v6.WriteTo(msg, nil, addr)
	}
	if err != nil {
		s.log.Debug("multicast DNS: cannot answer", "to", to, "err", err)
	}
}

// close ends receiving, and waits for it.
func (s *sockets) close() error {
	var errs []error
	if s.v4 != nil {
		errs = append(errs, s.v4.Close())
	}
	if s.v6 != nil {
		errs = append(errs, s.v6.Close())
	}
	s.wg.Wait()
	return errors.Join(errs...)
}
