package field

import (
	"strings"

	"tundump/decode"
	"tundump/decode/packet"
)

// Name is a word that a filter takes for a number.
type Name struct {
	Text   string
	Number uint64
}

// named returns the words that stand for the values of a field, tshark's own;
// of DNS types also the short ones.
func named(field string) []Name {
	switch {
	case strings.HasPrefix(field, "tcp.flags."), strings.HasPrefix(field, "ip.flags."):
		return setNames
	case strings.HasSuffix(field, ".checksum.status"):
		return statusNames
	}
	switch field {
	case "tunnel.command":
		return commandNames
	case "ip.proto", "ipv6.nxt":
		return protoNames
	case "dns.qry.type", "dns.resp.type":
		return dnsTypeNames
	case "dns.flags.rcode":
		return rcodeNames
	case "icmpv6.type":
		return icmpv6Names
	case "tls.handshake.type":
		return handshakeNames
	case "tls.record.content_type":
		return contentNames
	case "tls.record.version", "tls.handshake.version":
		return versionNames
	}
	return nil
}

var (
	setNames    = []Name{{"Set", 1}, {"Not set", 0}}
	statusNames = []Name{{"Bad", 0}, {"Good", 1}, {"Unverified", 2}, {"Not present", 3}}
	protoNames  = []Name{
		{"ICMP", 1}, {"IGMP", 2}, {"IPIP", 4}, {"TCP", 6}, {"UDP", 17}, {"IPv6", 41}, {"Generic Routing Encapsulation", 47},
		{"Encap Security Payload", 50}, {"Authentication Header", 51}, {"ICMPv6", 58}, {"No Next Header for IPv6", 59},
		{"OSPF IGP", 89}, {"PIM", 103}, {"IPComp", 108}, {"VRRP", 112}, {"SCTP", 132}, {"UDPLite", 136},
		{"IPv6 Hop-by-Hop Option", 0}, {"Routing Header for IPv6", 43}, {"Fragment Header for IPv6", 44}, {"Destination Options for IPv6", 60},
	}
	rcodeNames = []Name{
		{"No error", 0}, {"Format error", 1}, {"Server failure", 2}, {"No such name", 3}, {"Not implemented", 4}, {"Refused", 5},
		{"Name exists", 6}, {"RRset exists", 7}, {"RRset does not exist", 8}, {"Not authoritative", 9}, {"Name out of zone", 10},
	}
	icmpv6Names = []Name{
		{"Destination Unreachable", 1}, {"Packet Too Big", 2}, {"Time Exceeded", 3}, {"Parameter Problem", 4},
		{"Echo (ping) request", 128}, {"Echo (ping) reply", 129},
		{"Multicast Listener Query", 130}, {"Multicast Listener Report", 131}, {"Multicast Listener Done", 132},
		{"Router Solicitation", 133}, {"Router Advertisement", 134}, {"Neighbor Solicitation", 135}, {"Neighbor Advertisement", 136},
		{"Redirect", 137}, {"Multicast Listener Report Message v2", 143},
	}
	handshakeNames = []Name{
		{"Hello Request", 0}, {"Client Hello", 1}, {"Server Hello", 2}, {"Hello Verify Request", 3}, {"New Session Ticket", 4},
		{"End of Early Data", 5}, {"Hello Retry Request", 6}, {"Encrypted Extensions", 8}, {"Certificate", 11}, {"Server Key Exchange", 12},
		{"Certificate Request", 13}, {"Server Hello Done", 14}, {"Certificate Verify", 15}, {"Client Key Exchange", 16}, {"Finished", 20},
		{"Certificate Status", 22}, {"Key Update", 24}, {"Compressed Certificate", 25},
	}
	contentNames = []Name{{"Change Cipher Spec", 20}, {"Alert", 21}, {"Handshake", 22}, {"Application Data", 23}, {"Heartbeat", 24}}
	versionNames = []Name{{"SSL 3.0", 0x300}, {"TLS 1.0", 0x301}, {"TLS 1.1", 0x302}, {"TLS 1.2", 0x303}, {"TLS 1.3", 0x304}}
)

var commandNames = func() (list []Name) {
	for c := decode.Data; c <= decode.FetchConfiguration; c++ {
		list = append(list, Name{c.String(), uint64(c)})
	}
	return list
}()

// dnsTypeNames are the names of packet.AppendDNSType, and the long ones that
// tshark takes for the common types.
var dnsTypeNames = func() []Name {
	list := []Name{
		{"A (Host Address)", 1}, {"NS (authoritative Name Server)", 2}, {"CNAME (Canonical NAME for an alias)", 5},
		{"SOA (Start Of a zone of Authority)", 6}, {"PTR (domain name PoinTeR)", 12}, {"MX (Mail eXchange)", 15},
		{"TXT (Text strings)", 16}, {"AAAA (IPv6 Address)", 28}, {"SRV (Server Selection)", 33},
		{"SVCB (General Purpose Service Endpoints)", 64}, {"HTTPS (HTTPS Specific Service Endpoints)", 65},
	}
	for t := range uint16(258) {
		if name := string(packet.AppendDNSType(nil, t)); !strings.HasPrefix(name, "Unknown") {
			list = append(list, Name{name, uint64(t)})
		}
	}
	return list
}()
