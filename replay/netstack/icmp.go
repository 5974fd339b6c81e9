package netstack

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// echo is an ICMP or ICMPv6 echo request or reply, or the beginning of one.
type echo struct {
	src, dst   netip.Addr
	request    bool
	fragment   bool // the first fragment of a larger one
	ident, seq uint16
	payload    []byte // aliases the packet
}

// icmpOf finds the ICMP message in p. It does not look behind extension
// headers other than a fragment header. A fragment that is not the first has
// none.
func icmpOf(p []byte) (src, dst netip.Addr, msg []byte, fragment, ok bool) {
	proto, version := versionOf(p)
	switch {
	case !version:
	case proto == header.IPv4ProtocolNumber:
		h := header.IPv4(p)
		if !h.IsValid(len(p)) || h.Protocol() != uint8(header.ICMPv4ProtocolNumber) || h.FragmentOffset() != 0 {
			break
		}
		msg = p[h.HeaderLength():h.TotalLength()]
		return fromAddress(h.SourceAddress()), fromAddress(h.DestinationAddress()), msg, h.More(), true
	default:
		h := header.IPv6(p)
		if !h.IsValid(len(p)) {
			break
		}
		next := h.NextHeader()
		msg = p[header.IPv6MinimumSize : header.IPv6MinimumSize+int(h.PayloadLength())]
		if next == uint8(header.IPv6FragmentHeader) && len(msg) >= header.IPv6FragmentHeaderSize {
			f := header.IPv6Fragment(msg)
			if f.FragmentOffset() != 0 {
				break
			}
			next, fragment, msg = f.NextHeader(), f.More(), msg[header.IPv6FragmentHeaderSize:]
		}
		if next == uint8(header.ICMPv6ProtocolNumber) {
			return fromAddress(h.SourceAddress()), fromAddress(h.DestinationAddress()), msg, fragment, true
		}
	}
	return src, dst, nil, false, false
}

// parseEcho reads an echo request or reply. The ICMP checksum is not looked
// at: the tunnel's TCP has brought the packet unharmed, and what is sent on
// for it is a message of its own.
func parseEcho(p []byte) (e echo, ok bool) {
	src, dst, msg, fragment, ok := icmpOf(p)
	if !ok || len(msg) < header.ICMPv4MinimumSize || msg[1] != 0 {
		return echo{}, false
	}
	request, reply := echoTypes(src)
	if msg[0] != request && msg[0] != reply {
		return echo{}, false
	}
	return echo{
		src: src, dst: dst, request: msg[0] == request, fragment: fragment,
		ident: binary.BigEndian.Uint16(msg[4:]), seq: binary.BigEndian.Uint16(msg[6:]), payload: msg[8:],
	}, true
}

func echoTypes(a netip.Addr) (request, reply byte) {
	if a.Is4() {
		return byte(header.ICMPv4Echo), byte(header.ICMPv4EchoReply)
	}
	return byte(header.ICMPv6EchoRequest), byte(header.ICMPv6EchoReply)
}

// packet returns e as a new IP packet.
func (e echo) packet() []byte {
	p, msg := newICMP(e.src, e.dst, len(e.payload))
	request, reply := echoTypes(e.src)
	msg[0] = reply
	if e.request {
		msg[0] = request
	}
	binary.BigEndian.PutUint16(msg[4:], e.ident)
	binary.BigEndian.PutUint16(msg[6:], e.seq)
	copy(msg[8:], e.payload)
	sumICMP(e.src, e.dst, msg)
	return p
}

// answer returns the reply to a request.
func (e echo) answer() echo {
	e.src, e.dst, e.request = e.dst, e.src, false
	return e
}

// newICMP returns an IP packet with room for an ICMP header and n bytes
// behind it, and the part of it that is the ICMP message.
func newICMP(src, dst netip.Addr, n int) (p, msg []byte) {
	n += header.ICMPv4MinimumSize
	if src.Is4() {
		p = make([]byte, header.IPv4MinimumSize+n)
		h := header.IPv4(p)
		h.Encode(&header.IPv4Fields{
			TotalLength: uint16(len(p)), TTL: 64, Protocol: uint8(header.ICMPv4ProtocolNumber),
			SrcAddr: toAddress(src), DstAddr: toAddress(dst),
		})
		h.SetChecksum(^h.CalculateChecksum())
		return p, p[header.IPv4MinimumSize:]
	}
	p = make([]byte, header.IPv6MinimumSize+n)
	header.IPv6(p).Encode(&header.IPv6Fields{
		PayloadLength: uint16(n), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 64,
		SrcAddr: toAddress(src), DstAddr: toAddress(dst),
	})
	return p, p[header.IPv6MinimumSize:]
}

func sumICMP(src, dst netip.Addr, msg []byte) {
	var sum uint16
	if src.Is6() {
		sum = header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, toAddress(src), toAddress(dst), uint16(len(msg)))
	}
	binary.BigEndian.PutUint16(msg[2:], ^checksum.Checksum(msg, sum))
}

// reason is why a packet could not be delivered.
type reason int

const (
	prohibited reason = iota
	hostUnreachable
	portUnreachable
)

// Codes of "destination unreachable": RFC 792 and RFC 1812 section 5.2.7.1
// for ICMP type 3, RFC 4443 section 3.1 for ICMPv6 type 1.
var (
	codes4 = [...]byte{prohibited: 13, hostUnreachable: 1, portUnreachable: 3}
	codes6 = [...]byte{prohibited: 1, hostUnreachable: 3, portUnreachable: 4}
)

const (
	unreachable4 = 3
	unreachable6 = 1
	// maxQuote is the most of a packet that an error quotes: RFC 1812 section
	// 4.3.2.3 for IPv4, and within RFC 4443's limit for IPv6.
	maxQuote = 576 - header.IPv4MinimumSize - header.ICMPv4MinimumSize
)

// unreachable returns the ICMP error that tells the sender of p why it was
// not delivered, or nil where RFC 1122 section 3.2.2 allows none. from is the
// address it comes from; if that is not valid, p's destination.
func unreachable(p []byte, from netip.Addr, why reason) []byte {
	src, dst, ok := endpoints(p)
	if !ok || src.IsUnspecified() || src.IsMulticast() || dst.IsMulticast() || dst == broadcast {
		return nil
	}
	if !from.IsValid() {
		from = dst
	}
	quote := p[:min(len(p), maxQuote)]
	out, msg := newICMP(from, src, len(quote))
	msg[0], msg[1] = unreachable4, codes4[why]
	if src.Is6() {
		msg[0], msg[1] = unreachable6, codes6[why]
	}
	copy(msg[8:], quote)
	sumICMP(from, src, msg)
	return out
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// endpoints returns the addresses of an IP packet, or of the beginning of
// one.
func endpoints(p []byte) (src, dst netip.Addr, ok bool) {
	proto, ok := versionOf(p)
	var s, d tcpip.Address
	switch {
	case !ok:
		return src, dst, false
	case proto == header.IPv4ProtocolNumber && len(p) >= header.IPv4MinimumSize:
		s, d = header.IPv4(p).SourceAddress(), header.IPv4(p).DestinationAddress()
	case proto == header.IPv6ProtocolNumber && len(p) >= header.IPv6MinimumSize:
		s, d = header.IPv6(p).SourceAddress(), header.IPv6(p).DestinationAddress()
	default:
		return src, dst, false
	}
	return fromAddress(s), fromAddress(d), true
}
