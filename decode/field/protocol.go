package field

import (
	"bytes"
	"slices"
	"strings"
)

// protocols are the names of protocols that a filter can ask for without any
// field: those that frame.protocols can have.
var protocols = []string{
	"frame", "raw", "ip", "ipv6", "ipv6.hopopts", "ipv6.routing", "ipv6.fraghdr", "ipv6.dstopts", "ah",
	"tcp", "udp", "icmp", "icmpv6", "dns", "mdns", "data",
}

// Protocols returns the names of the protocols that a filter can ask for. The
// slice must not be changed.
func Protocols() []string { return protocols }

// IsProtocol reports whether name is that of a protocol.
func IsProtocol(name string) bool { return slices.Contains(protocols, name) }

// AppendProtocols appends the protocols in r's packet as HasProtocol reads
// them; r must have a packet.
func AppendProtocols(dst []byte, r *Row) []byte {
	dst = append(dst, "frame:"...)
	return append(r.Parser.AppendProtocols(dst, r.Packet), ':')
}

// HasProtocol reports whether the protocol is among those of AppendProtocols.
func HasProtocol(list []byte, name string) bool {
	for {
		i := bytes.IndexByte(list, ':')
		if i < 0 {
			return false
		}
		if string(list[:i]) == name {
			return true
		}
		list = list[i+1:]
	}
}

// ProtocolBytes returns the bytes of a protocol in r's packet, from its header
// to the end of the packet; ok is false if it is not there.
func ProtocolBytes(name string, r *Row) (v Value, ok bool) {
	f := r.Packet
	switch name {
	case "frame", "raw":
		return bytesValue(r.Data), true
	case "ip":
		return bytesValue(r.Data), f.Version == 4
	case "ipv6":
		return bytesValue(r.Data), f.Version == 6
	case "tcp", "udp", "icmp", "icmpv6":
		return bytesValue(f.Segment), len(f.Segment) > 0
	}
	return bytesValue(f.Payload), len(f.Payload) > 0
}

// Below returns the fields whose names begin with name and a dot.
func Below(name string) []*Field {
	var list []*Field
	for i := range table {
		if strings.HasPrefix(table[i].Name, name+".") {
			list = append(list, &table[i])
		}
	}
	return list
}
