package replay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"tundump/decode"
	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

// The client's end of an app-proxy flow has no address; these stand for it.
var (
	flowClient4 = netip.MustParseAddrPort("192.0.2.1:49152")
	flowClient6 = netip.MustParseAddrPort("[2001:db8::1]:49152")
)

// datagrams is a source of the datagrams of app-proxy flows, as packets.
type datagrams struct {
	Source
	message decode.Message
}

// At returns a packet for a message with a datagram, and for anything else an
// event of a kind that has no bytes.
func (d *datagrams) At(i int, buf []byte) (decode.Event, error) {
	ev, err := d.Source.At(i, buf)
	if err != nil {
		return ev, err
	}
	pkt := d.packet(ev)
	if ev.Kind, ev.Raw = decode.Packet, pkt; pkt == nil {
		ev.Kind = decode.Opened
	}
	return ev, nil
}

func (d *datagrams) packet(ev decode.Event) []byte {
	m := &d.message
	if ev.Kind != decode.Record || m.Decode(ev) != nil || m.Command != decode.Data || !m.HasEndpoint() {
		return nil
	}
	b, ok := m.Data()
	host, _ := m.Host()
	port, _ := m.Port()
	addr, err := netip.ParseAddr(host)
	if !ok || err != nil || port < 1 || port > 65535 || len(b) > rewrite.MaxPayload {
		return nil
	}
	server := netip.AddrPortFrom(addr.WithZone("").Unmap(), uint16(port))
	if ev.Dir == decode.ServerToClient {
		return rewrite.AppendUDP(nil, server, flowClient(server), b)
	}
	return rewrite.AppendUDP(nil, flowClient(server), server, b)
}

func flowClient(server netip.AddrPort) netip.AddrPort {
	if server.Addr().Is4() {
		return flowClient4
	}
	return flowClient6
}

// DialDatagrams returns a connection that answers datagrams to an address, with
// what app-proxy flows carried. The error is ECONNREFUSED for what is no numeric
// address.
func (r *Responder) DialDatagrams(_ context.Context, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("replay: %s: %w", address, syscall.ECONNREFUSED)
	}
	near, far := net.Pipe()
	r.talking.Go(func() { // ends when the client's end is closed
		defer far.Close()
		parser := packet.NewParser()
		var facts packet.Facts
		buf := make([]byte, rewrite.MaxPayload)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			answers, _, err := r.flows.Answer(nil, rewrite.AppendUDP(nil, flowClient(to), to, buf[:n]))
			if err != nil {
				return
			}
			for _, a := range answers {
				parser.Facts(a, &facts)
				if facts.Transport != packet.UDP {
					continue
				}
				if _, err := far.Write(facts.Payload); err != nil {
					return
				}
			}
		}
	})
	return near, nil
}
