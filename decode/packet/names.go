package packet

// The names in this file are those of tshark 4.0, which takes them from the
// IANA registries "Protocol Numbers", "ICMP Parameters", "ICMPv6 Parameters"
// and "DNS Parameters".

// lookup returns names[i], or "" if there is none.
func lookup(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return ""
}

// appendProtoName appends the name of an IP protocol number; "Unknown" for
// one that is rarely seen.
func appendProtoName(dst []byte, proto uint8) []byte {
	return append(dst, protoName(proto)...)
}

func protoName(proto uint8) string {
	switch proto {
	case ProtoHopByHop:
		return "IPv6 Hop-by-Hop Option"
	case ProtoICMP:
		return "ICMP"
	case 2:
		return "IGMP"
	case 4:
		return "IPIP"
	case ProtoTCP:
		return "TCP"
	case ProtoUDP:
		return "UDP"
	case 33:
		return "Datagram Congestion Control Protocol"
	case ProtoIPv6:
		return "IPv6"
	case ProtoRouting:
		return "Routing Header for IPv6"
	case ProtoFragment:
		return "Fragment Header for IPv6"
	case 46:
		return "Reservation Protocol"
	case 47:
		return "Generic Routing Encapsulation"
	case 50:
		return "Encap Security Payload"
	case ProtoAH:
		return "Authentication Header"
	case ProtoICMPv6:
		return "ICMPv6"
	case ProtoNoNext:
		return "No Next Header for IPv6"
	case ProtoDstOpts:
		return "Destination Options for IPv6"
	case 88:
		return "EIGRP"
	case 89:
		return "OSPF IGP"
	case 103:
		return "PIM"
	case 108:
		return "IPComp"
	case 112:
		return "VRRP"
	case 115:
		return "Layer 2 Tunneling"
	case 132:
		return "SCTP"
	case 135:
		return "Mobile IPv6"
	case 136:
		return "UDPLite"
	case 139:
		return "HIP"
	case 140:
		return "Shim6 header"
	}
	return "Unknown"
}

var icmpTypes = [...]string{
	0: "Echo (ping) reply", 1: "Reserved", 2: "Reserved",
	3: "Destination unreachable", 4: "Source quench (flow control)",
	5: "Redirect", 6: "Alternate host address", 8: "Echo (ping) request",
	9: "Router advertisement", 10: "Router solicitation",
	11: "Time-to-live exceeded", 12: "Parameter problem",
	13: "Timestamp request", 14: "Timestamp reply",
	15: "Information request", 16: "Information reply",
	17: "Address mask request", 18: "Address mask reply",
	19: "Reserved (for security)",
	30: "Traceroute", 31: "Datagram Conversion Error",
	32: "Mobile Host Redirect", 40: "Photuris",
	42: "Extended Echo request", 43: "Extended Echo reply",
}

var (
	icmpUnreachable = [...]string{
		"Network unreachable", "Host unreachable", "Protocol unreachable",
		"Port unreachable", "Fragmentation needed", "Source route failed",
		"Destination network unknown", "Destination host unknown",
		"Source host isolated", "Network administratively prohibited",
		"Host administratively prohibited", "Network unreachable for TOS",
		"Host unreachable for TOS", "Communication administratively filtered",
		"Host precedence violation", "Precedence cutoff in effect",
	}
	icmpRedirect = [...]string{
		"Redirect for network", "Redirect for host",
		"Redirect for TOS and network", "Redirect for TOS and host",
	}
	icmpAlternate = [...]string{"Alternate address for host"}
	icmpRouter    = [...]string{"Normal router advertisement", 16: "Does not route common traffic"}
	icmpExceeded  = [...]string{
		"Time to live exceeded in transit", "Fragment reassembly time exceeded",
	}
	icmpParameter = [...]string{
		"Pointer indicates the error", "Required option missing", "Bad length",
	}
)

// icmpCodes returns the names of the codes of an ICMP type, nil if its code
// says nothing.
func icmpCodes(typ uint8) []string {
	switch typ {
	case 3:
		return icmpUnreachable[:]
	case 5:
		return icmpRedirect[:]
	case 6:
		return icmpAlternate[:]
	case 9:
		return icmpRouter[:]
	case 11:
		return icmpExceeded[:]
	case 12:
		return icmpParameter[:]
	}
	return nil
}

var icmpv6Infos = [...]string{ // from type 128 on
	"Echo (ping) request", "Echo (ping) reply",
	"Multicast Listener Query", "Multicast Listener Report",
	"Multicast Listener Done", "Router Solicitation",
	"Router Advertisement", "Neighbor Solicitation",
	"Neighbor Advertisement", "Redirect", "Router Renumbering",
	"Node Information Query", "Node Information Reply",
	"Inverse Neighbor Discovery Solicitation",
	"Inverse Neighbor Discovery Advertisement",
	"Multicast Listener Report Message v2",
	"Home Agent Address Discovery Request",
	"Home Agent Address Discovery Reply", "Mobile Prefix Solicitation",
	"Mobile Prefix Advertisement", "Certification Path Solicitation",
	"Certification Path Advertisement", "Experimental Mobility",
	"Multicast Router Advertisement", "Multicast Router Solicitation",
	"Multicast Router Termination", "FMIPv6", "RPL Control",
}

func icmpv6Name(typ uint8) string {
	switch typ {
	case 1:
		return "Destination Unreachable"
	case 2:
		return "Packet Too Big"
	case 3:
		return "Time Exceeded"
	case 4:
		return "Parameter Problem"
	}
	if typ < 128 {
		return ""
	}
	return lookup(icmpv6Infos[:], int(typ)-128)
}

var (
	icmpv6Unreachable = [...]string{
		"no route to destination", "Administratively prohibited",
		"Beyond scope of source address", "Address unreachable",
		"Port unreachable", "Source address failed ingress/egress policy",
		"Reject route to destination", "Error in Source Routing Header",
	}
	icmpv6Exceeded = [...]string{
		"hop limit exceeded in transit", "fragment reassembly time exceeded",
	}
	icmpv6Parameter = [...]string{
		"erroneous header field encountered",
		"unrecognized Next Header type encountered",
		"unrecognized IPv6 option encountered",
		"IPv6 First Fragment has incomplete IPv6 Header Chain",
	}
)

func icmpv6Codes(typ uint8) []string {
	switch typ {
	case 1:
		return icmpv6Unreachable[:]
	case 3:
		return icmpv6Exceeded[:]
	}
	return icmpv6Parameter[:]
}

var dnsOpcodes = [...]string{
	0: "Standard query", 1: "Inverse query", 2: "Server status request",
	4: "Zone change notification", 5: "Dynamic update",
	6: "DNS Stateful operations (DSO)",
}

var dnsRCodes = [...]string{
	"No error", "Format error", "Server failure", "No such name",
	"Not implemented", "Refused", "Name exists", "RRset exists",
	"RRset does not exist", "Not authoritative", "Name out of zone",
	"DSO-Type not implemented",
}

// AppendRCode appends the name of the response code: "No such name".
func (m *DNSMessage) AppendRCode(dst []byte) []byte {
	if name := lookup(dnsRCodes[:], int(m.RCode)); name != "" {
		return append(dst, name...)
	}
	dst = appendInt(append(dst, "Unknown error ("...), int(m.RCode))
	return append(dst, ')')
}

var dnsTypes = [...]string{
	"Unused", "A", "NS", "MD", "MF", "CNAME", "SOA", "MB", "MG", "MR", "NULL",
	"WKS", "PTR", "HINFO", "MINFO", "MX", "TXT", "RP", "AFSDB", "X25", "ISDN",
	"RT", "NSAP", "NSAP-PTR", "SIG", "KEY", "PX", "GPOS", "AAAA", "LOC", "NXT",
	"EID", "NIMLOC", "SRV", "ATMA", "NAPTR", "KX", "CERT", "A6", "DNAME",
	"SINK", "OPT", "APL", "DS", "SSHFP", "IPSECKEY", "RRSIG", "NSEC", "DNSKEY",
	"DHCID", "NSEC3", "NSEC3PARAM", "TLSA", 55: "HIP", 57: "RKEY", "TALINK",
	"CDS", "CDNSKEY", "OPENPGPKEY", "CSYNC", "ZONEMD", "SVCB", "HTTPS",
	99: "SPF", 108: "EUI48", "EUI64", 249: "TKEY", "TSIG", "IXFR", "AXFR",
	"MAILA", "MAILB", "ANY", "URI", "CAA",
}

// AppendDNSType appends the name of a record type: "AAAA", or "Unknown (53)".
func AppendDNSType(dst []byte, t uint16) []byte {
	if name := lookup(dnsTypes[:], int(t)); name != "" {
		return append(dst, name...)
	}
	dst = appendInt(append(dst, "Unknown ("...), int(t))
	return append(dst, ')')
}
