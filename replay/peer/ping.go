package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// protocols of ICMP messages, as icmp.ParseMessage wants them.
const (
	protocolICMP   = 1
	protocolICMPv6 = 58
)

// Echo sends one echo request to dst, under the policy of [Dialer], and
// reports nil once dst has answered with the same payload. It is what
// netstack's Config.Echo wants. It needs no privileges where the system has
// ICMP datagram sockets for this user; elsewhere the error is
// errors.ErrUnsupported.
func (d *Dialer) Echo(ctx context.Context, dst netip.Addr, payload []byte) error {
	dst = dst.Unmap()
	if err := d.Check(dst); err != nil {
		return err
	}
	network, local, proto := "udp4", "0.0.0.0", protocolICMP
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if dst.Is6() {
		network, local, proto = "udp6", "::", protocolICMPv6
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	conn, err := icmp.ListenPacket(network, local)
	if err != nil {
		return fmt.Errorf("peer: no ICMP socket for this user (%w): %w", err, errors.ErrUnsupported)
	}
	defer conn.Close()
	// The system puts its own identifier in, and gives us answers to it only.
	msg, err := (&icmp.Message{Type: request, Body: &icmp.Echo{Seq: 1, Data: payload}}).Marshal(nil)
	if err != nil {
		return fmt.Errorf("peer: echo request to %s: %w", dst, err)
	}
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	if _, err := conn.WriteTo(msg, net.UDPAddrFromAddrPort(netip.AddrPortFrom(dst, 0))); err != nil {
		return fmt.Errorf("peer: echo request to %s: %w", dst, err)
	}
	buf := make([]byte, len(msg)+1)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return fmt.Errorf("peer: echo request to %s: %w", dst, err)
		}
		if answers(buf[:n], proto, reply, payload) && sameHost(from, dst) {
			return nil
		}
	}
}

func answers(msg []byte, proto int, reply icmp.Type, payload []byte) bool {
	m, err := icmp.ParseMessage(proto, msg)
	if err != nil || m.Type != reply {
		return false
	}
	e, ok := m.Body.(*icmp.Echo)
	return ok && bytes.Equal(e.Data, payload)
}

func sameHost(from net.Addr, dst netip.Addr) bool {
	u, ok := from.(*net.UDPAddr)
	return ok && u.AddrPort().Addr().Unmap() == dst
}
