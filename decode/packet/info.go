package packet

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Base is what a packet's flow knows and the packet does not: the sequence
// numbers that Seq and Ack are counted from, and the sender's window scale.
// The zero Base prints the numbers as they are on the wire.
type Base struct {
	Seq, Ack uint32
	WScale   uint8 // shift count, 0 to 14; a SYN's window is never scaled
}

const malformed = "[Malformed Packet]"

// AppendProtocol appends the value of the field _ws.col.protocol: the topmost
// protocol that was recognised, in the innermost packet where one carries
// another; "IPv4" or "IPv6" for fragments and for protocols that this package
// does not read, "data" for what is no IP packet.
func (p *Parser) AppendProtocol(dst []byte, f *Facts) []byte {
	return p.Innermost(f).AppendProtocol(dst)
}

// AppendProtocol is [Parser.AppendProtocol] for f's packet alone, whatever is
// inside it.
func (f *Facts) AppendProtocol(dst []byte) []byte { return append(dst, f.protocol()...) }

func (f *Facts) protocol() string {
	switch {
	case f.Version == 0:
		return "data"
	case f.App != NoApp:
		return f.appColumn()
	case f.Transport == NoTransport && f.lastHeader() == ProtoAH:
		return "AH"
	case f.IsFragment(), f.Transport == NoTransport:
		if f.Version == 6 {
			return "IPv6"
		}
		return "IPv4"
	case f.Transport == IGMP:
		return f.igmpColumn()
	case f.Transport == GRE:
		return f.greColumn()
	case f.Transport == PIM && f.Segment[0]>>4 == 1:
		return "PIMv1"
	}
	return transports[f.Transport].column
}

// transports holds what frame.protocols and the protocol column call each.
var transports = [...]struct{ layer, column string }{
	TCP: {"tcp", "TCP"}, UDP: {"udp", "UDP"}, ICMP: {"icmp", "ICMP"}, ICMPv6: {"icmpv6", "ICMPv6"},
	UDPLite: {"udplite", "UDPLite"}, IGMP: {"igmp", "IGMP"}, SCTP: {"sctp", "SCTP"}, GRE: {"gre", "GRE"},
	ESP: {"esp", "ESP"}, AH: {"ah", "AH"}, PIM: {"pim", "PIMv2"}, OSPF: {"ospf", "OSPF"}, VRRP: {"vrrp", "VRRP"},
	RSVP: {"rsvp", "RSVP"}, DCCP: {"dccp", "DCCP"}, EIGRP: {"eigrp", "EIGRP"}, L2TP: {"l2tp", "L2TPv3"},
	HIP: {"", "HIP"}, Shim6: {"", "Shim6"}, MobileIPv6: {"", "MIPv6"}, IPComp: {"ipcomp", "IPComp"},
}

// AppendInfo appends the value of the field _ws.col.info in tshark's words,
// as tshark prints it for a packet whose flow is known by base alone. The text
// is safe to print. It allocates only where a DNS message is larger than any
// before.
func (p *Parser) AppendInfo(dst []byte, f *Facts, base Base) []byte {
	f = p.Innermost(f)
	switch {
	case f.Version == 0 && f.Len == 0:
		return append(dst, "Empty packet"...)
	case f.Version == 0:
		return append(dst, "Not an IP packet"...)
	case f.Header == nil:
		return f.appendBadHeader(dst)
	case f.IsFragment():
		return f.appendFragment(dst)
	case f.App != NoApp:
		if dst, ok := p.appendAppInfo(dst, f); ok {
			return dst
		}
	}
	switch f.Transport {
	case TCP:
		return f.appendTCP(dst, base)
	case UDP:
		return f.appendUDP(dst)
	case ICMP:
		return f.appendICMP(dst)
	case ICMPv6:
		return f.appendICMPv6(dst)
	case NoTransport:
		return f.appendOther(dst)
	}
	return f.appendRare(dst)
}

func (f *Facts) appendBadHeader(dst []byte) []byte {
	switch f.Problem {
	case ProblemHeaderLen:
		dst = appendInt(append(dst, "Bogus IP header length ("...), f.HdrLen)
		return append(dst, ", must be at least 20)"...)
	case ProblemLengthBelow:
		return f.appendBogusLength(dst)
	case ProblemExtensionCut:
		dst = append(dst, "IPv6 extension header "...)
		dst = appendProtoName(dst, f.Proto)
	case ProblemHeaderCut:
		if f.Version == 6 {
			dst = appendInt(append(dst, "Invalid IPv6 header ("...), f.Len)
			dst = append(dst, " bytes, need exactly 40)"...)
		}
	}
	return append(dst, malformed...)
}

func (f *Facts) appendBogusLength(dst []byte) []byte {
	dst = appendInt(append(dst, "Bogus IP length ("...), f.TotalLen)
	dst = appendInt(append(dst, ", less than header length "...), f.HdrLen)
	return append(dst, ')')
}

func (f *Facts) appendFragment(dst []byte) []byte {
	if f.Version == 4 {
		dst = append(dst, "Fragmented IP protocol (proto="...)
		dst = appendProtoName(dst, f.Proto)
		dst = appendInt(append(dst, ' '), int(f.Proto))
		dst = appendInt(append(dst, ", off="...), f.FragOffset)
		dst = appendHex(append(dst, ", ID="...), uint64(f.ID), 4)
		return append(dst, ')')
	}
	more := byte('n')
	if f.MF {
		more = 'y'
	}
	dst = appendInt(append(dst, "IPv6 fragment (off="...), f.FragOffset)
	dst = append(append(dst, " more="...), more)
	dst = appendHex(append(dst, " ident=0x"...), uint64(f.ID), 8)
	dst = appendInt(append(dst, " nxt="...), int(f.Proto))
	return append(dst, ')')
}

// appendOther is for protocols that are not read, and for transport headers
// that are cut before anything could be.
func (f *Facts) appendOther(dst []byte) []byte {
	switch {
	case f.Problem == ProblemLengthBelow:
		return f.appendBogusLength(dst)
	case f.Problem == ProblemTransportCut:
		return append(dst, malformed...)
	case f.Version == 6 && f.Proto == ProtoNoNext:
		return append(dst, "IPv6 no next header"...)
	case f.Version == 6:
		dst = append(dst, "Unknown IP Protocol: "...)
	}
	dst = appendProtoName(dst, f.Proto)
	dst = appendInt(append(dst, " ("...), int(f.Proto))
	return append(dst, ')')
}

func (f *Facts) appendPorts(dst []byte) []byte {
	dst = appendInt(dst, int(f.SrcPort))
	return appendInt(append(dst, " → "...), int(f.DstPort))
}

var flagNames = [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"}

// AppendFlags appends the names of the TCP flags that are set, as in "SYN,
// ACK"; "<None>" if there are none.
func (f *Facts) AppendFlags(dst []byte) []byte {
	if f.Flags == 0 {
		return append(dst, "<None>"...)
	}
	start := len(dst)
	for i, n := range flagNames {
		if f.Flags&(1<<i) != 0 {
			dst = appendListed(dst, start, n)
		}
	}
	if f.Flags>>len(flagNames) != 0 {
		dst = appendListed(dst, start, "Reserved")
	}
	return dst
}

// appendListed appends s, after a comma if anything was appended since start.
func appendListed(dst []byte, start int, s string) []byte {
	if len(dst) > start {
		dst = append(dst, ", "...)
	}
	return append(dst, s...)
}

func (f *Facts) appendTCP(dst []byte, base Base) []byte {
	dst = f.appendPorts(dst)
	if !f.L4Complete {
		return append(dst, malformed...)
	}
	dst = append(f.AppendFlags(append(dst, " ["...)), ']')
	dst = appendUint32(append(dst, " Seq="...), f.Seq-base.Seq)
	if f.Flags&ACK != 0 {
		dst = appendUint32(append(dst, " Ack="...), f.Ack-base.Ack)
	}
	win := int(f.Window)
	if f.Flags&SYN == 0 {
		win <<= min(base.WScale, 14)
	}
	dst = appendInt(append(dst, " Win="...), win)
	if f.Flags&URG != 0 {
		dst = appendInt(append(dst, " Urg="...), int(f.Urgent))
	}
	switch {
	case f.TCPHdrLen < tcpMinLen:
		dst = appendInt(append(dst, ", bogus TCP header length ("...), f.TCPHdrLen)
		return append(dst, ", must be at least 20)"...)
	case f.TCPHdrLen > len(f.Segment):
		return append(dst, malformed...)
	}
	dst = appendInt(append(dst, " Len="...), f.PayloadLen)
	return f.appendTCPOptions(dst, base)
}

// appendTCPOptions appends the usual options, in the order they have in the
// header.
func (f *Facts) appendTCPOptions(dst []byte, base Base) []byte {
	for opts := f.Segment[tcpMinLen:f.TCPHdrLen]; len(opts) > 0; {
		kind, data, n := nextTCPOption(opts)
		if n == 0 || kind == optEnd {
			break
		}
		opts = opts[n:]
		switch {
		case kind == optMSS && len(data) == 2:
			dst = appendInt(append(dst, " MSS="...), int(binary.BigEndian.Uint16(data)))
		case kind == optWScale && len(data) == 1:
			dst = appendInt(append(dst, " WS="...), 1<<min(data[0], 14))
		case kind == optSACKPermitted && len(data) == 0:
			dst = append(dst, " SACK_PERM"...)
		case kind == optTimestamps && len(data) == 8:
			dst = appendUint32(append(dst, " TSval="...), binary.BigEndian.Uint32(data))
			dst = appendUint32(append(dst, " TSecr="...), binary.BigEndian.Uint32(data[4:]))
		case kind == optSACK:
			for ; len(data) >= 8; data = data[8:] {
				dst = appendUint32(append(dst, " SLE="...), binary.BigEndian.Uint32(data)-base.Ack)
				dst = appendUint32(append(dst, " SRE="...), binary.BigEndian.Uint32(data[4:])-base.Ack)
			}
		}
	}
	return dst
}

func (f *Facts) appendUDP(dst []byte) []byte {
	dst = f.appendPorts(dst)
	switch {
	case !f.L4Complete:
		return append(dst, malformed...)
	case f.UDPLen < udpLen:
		dst = appendInt(append(dst, " [BAD UDP LENGTH "...), f.UDPLen)
		return append(dst, " < 8]"...)
	case f.UDPLen > len(f.Segment):
		dst = appendInt(append(dst, " [BAD UDP LENGTH "...), f.UDPLen)
		dst = append(dst, " > IP PAYLOAD LENGTH]"...)
	}
	dst = appendInt(append(dst, " Len="...), f.UDPLen-udpLen)
	if f.Version == 6 && f.L4Checksum == 0 {
		dst = append(dst, " [ILLEGAL CHECKSUM (0)]"...)
	}
	return dst
}

// appendICMP pads the type's name to 20 columns, as tshark does.
func (f *Facts) appendICMP(dst []byte) []byte {
	start := len(dst)
	name := lookup(icmpTypes[:], int(f.Type))
	if name == "" {
		name = "Unknown ICMP (obsolete or malformed?)"
	}
	dst = append(dst, name...)
	if !f.L4Complete {
		return append(dst, malformed...)
	}
	for len(dst)-start < 20 {
		dst = append(dst, ' ')
	}
	codes := icmpCodes(f.Type)
	if f.isQuery() {
		dst = appendHex(append(dst, " id=0x"...), uint64(f.ICMPID), 4)
		dst = appendInt(append(dst, ", seq="...), int(f.ICMPSeq))
		dst = appendInt(append(dst, '/'), int(f.ICMPSeq>>8|f.ICMPSeq<<8))
		return appendInt(append(dst, ", ttl="...), int(f.TTL))
	}
	if codes == nil {
		return dst
	}
	dst = append(dst, " ("...)
	if code := lookup(codes, int(f.Code)); code != "" {
		dst = append(dst, code...)
	} else {
		dst = appendInt(append(dst, "Unknown code: "...), int(f.Code))
	}
	return append(dst, ')')
}

func (f *Facts) appendICMPv6(dst []byte) []byte {
	name := icmpv6Name(f.Type)
	if name == "" {
		dst = appendInt(append(dst, "Unknown ("...), int(f.Type))
		dst = append(dst, ')')
	} else {
		dst = append(dst, name...)
	}
	if !f.L4Complete {
		return append(dst, malformed...)
	}
	switch f.Type {
	case 1, 3, 4:
		dst = append(dst, " ("...)
		code := lookup(icmpv6Codes(f.Type), int(f.Code))
		switch {
		case code != "":
			dst = append(dst, code...)
		case f.Type == 1:
			dst = append(dst, "Unknown"...)
		default:
			dst = appendInt(append(dst, "Unknown ("...), int(f.Code))
			dst = append(dst, ')')
		}
		return append(dst, ')')
	case 128, 129:
		dst = appendHex(append(dst, " id=0x"...), uint64(f.ICMPID), 4)
		dst = appendInt(append(dst, ", seq="...), int(f.ICMPSeq))
		return appendInt(append(dst, ", hop limit="...), int(f.TTL))
	case 133, 134, 135, 136, 137:
		return f.appendNeighbor(dst)
	}
	return dst
}

// appendNeighbor is for neighbour discovery: the target, the flags and the
// link-layer address. Source: RFC 4861, sections 4.1 to 4.5.
func (f *Facts) appendNeighbor(dst []byte) []byte {
	fixed, option, words := neighborLayout(f.Type)
	if len(f.Segment) < fixed {
		return append(dst, malformed...)
	}
	if f.Type == 135 || f.Type == 136 {
		if f.Type == 135 {
			dst = append(dst, " for"...)
		}
		dst = netip.AddrFrom16([16]byte(f.Segment[8:])).AppendTo(append(dst, ' '))
	}
	if f.Type == 136 {
		dst = append(dst, " ("...)
		start := len(dst)
		for i, n := range [...]string{"rtr", "sol", "ovr"} {
			if f.Segment[4]<<i&0x80 != 0 {
				dst = appendListed(dst, start, n)
			}
		}
		if len(dst) == start {
			dst = append(dst, "none"...)
		}
		dst = append(dst, ')')
	}
	for opts := f.Segment[fixed:]; len(opts) >= 8; {
		n := int(opts[1]) * 8
		if n == 0 || n > len(opts) {
			break
		}
		if opts[0] == option && n == 8 {
			return appendMAC(append(dst, words...), opts[2:8])
		}
		opts = opts[n:]
	}
	return dst
}

// neighborLayout returns the length of the fixed part of a neighbour discovery
// message, the type of its link-layer address option, and what tshark says in
// front of that.
func neighborLayout(typ uint8) (fixed int, option uint8, words string) {
	switch typ {
	case 133:
		return 8, 1, " from "
	case 134:
		return 16, 1, " from "
	case 135:
		return 24, 1, " from "
	case 136:
		return 24, 2, " is at "
	}
	return 40, 2, " is at "
}

func (m *DNSMessage) appendInfo(dst []byte) []byte {
	if name := lookup(dnsOpcodes[:], int(m.Opcode)); name != "" {
		dst = append(dst, name...)
	} else {
		dst = appendInt(append(dst, "Unknown operation ("...), int(m.Opcode))
		dst = append(dst, ')')
	}
	if m.Response {
		dst = append(dst, " response"...)
	}
	dst = appendHex(append(dst, " 0x"...), uint64(m.ID), 4)
	if m.Response && m.RCode != 0 {
		dst = m.AppendRCode(append(dst, ' '))
	}
	for i := range m.Questions {
		q := &m.Questions[i]
		dst = AppendDNSType(append(dst, ' '), q.Type)
		dst = append(append(dst, ' '), q.Name...)
		if m.Multicast {
			if q.Class&0x8000 != 0 {
				dst = append(dst, `, "QU" question`...)
			} else {
				dst = append(dst, `, "QM" question`...)
			}
		}
	}
	for i := range m.Records {
		r := &m.Records[i]
		dst = AppendDNSType(append(dst, ' '), r.Type)
		if m.Multicast && r.Class&0x8000 != 0 {
			dst = append(dst, ", cache flush"...)
		}
		if len(r.Data) > 0 {
			dst = append(append(dst, ' '), r.Data...)
		}
	}
	if m.More {
		dst = append(dst, " …"...)
	}
	if m.Malformed {
		dst = append(dst, malformed...)
	}
	return dst
}

func appendInt(dst []byte, v int) []byte       { return strconv.AppendInt(dst, int64(v), 10) }
func appendUint64(dst []byte, v uint64) []byte { return strconv.AppendUint(dst, v, 10) }
func appendUint32(dst []byte, v uint32) []byte { return strconv.AppendUint(dst, uint64(v), 10) }

// appendHex appends the lowest digits hexadecimal digits of v.
func appendHex(dst []byte, v uint64, digits int) []byte {
	for digits--; digits >= 0; digits-- {
		dst = append(dst, hexDigits[v>>(4*digits)&15])
	}
	return dst
}

func appendMAC(dst, mac []byte) []byte {
	for i, c := range mac {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}
