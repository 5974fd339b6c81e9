package packet

import (
	"encoding/binary"
	"net/netip"
)

// lastHeader returns the number of the last IPv6 extension header, or of AH
// behind IPv4; ProtoNoNext if there is none.
func (f *Facts) lastHeader() (last uint8) {
	last = ProtoNoNext
	if f.Version == 4 && f.NextHeader != ProtoAH || f.Version == 6 && !isExtension(f.NextHeader) {
		return last
	}
	for proto := range f.extensions {
		last = proto
	}
	return last
}

// appendRare is the info column of the transports that are rarely seen.
func (f *Facts) appendRare(dst []byte) []byte {
	s := f.Segment
	switch f.Transport {
	case UDPLite:
		return f.appendUDP(dst)
	case IGMP:
		return f.appendIGMP(dst)
	case SCTP:
		return f.appendSCTP(dst)
	case GRE:
		return f.appendGREInfo(dst)
	case ESP:
		if f.L4Complete {
			return appendESP(dst, s)
		}
	case PIM:
		return appendNamed(dst, pimTypes[:], int(s[0]&15))
	case OSPF:
		if f.L4Complete {
			return appendNamed(dst, ospfTypes[:], int(s[1]))
		}
	case VRRP:
		if f.L4Complete {
			if s[0]&15 == 1 {
				dst = append(dst, "Announcement"...)
			} else {
				dst = append(dst, "Unknown"...)
			}
			dst = appendInt(append(dst, " (v"...), int(s[0]>>4))
			return append(dst, ')')
		}
	case IPComp:
		if len(s) >= 4 {
			dst = appendHex(append(dst, "IPComp (CPI=0x"...), uint64(binary.BigEndian.Uint16(s[2:])), 4)
			return append(dst, ')')
		}
	case MobileIPv6, HIP, Shim6:
		return append(dst, transports[f.Transport].column...)
	default:
		return appendProtoName(dst, f.Proto)
	}
	return append(dst, malformed...)
}

func appendNamed(dst []byte, names []string, i int) []byte {
	if name := lookup(names, i); name != "" {
		return append(dst, name...)
	}
	dst = appendInt(append(dst, "Unknown ("...), i)
	return append(dst, ')')
}

var pimTypes = [...]string{
	"Hello", "Register", "Register-stop", "Join/Prune", "Bootstrap", "Assert",
	"Graft", "Graft-Ack", "Candidate-RP-Advertisement", "State-Refresh", "DF election",
}

var ospfTypes = [...]string{1: "Hello Packet", "DB Description", "LS Request", "LS Update", "LS Acknowledge"}

func (f *Facts) greColumn() string {
	n, proto, _ := greHeader(f.Segment)
	w := unwrapper{proto: proto, rest: f.Segment[n:]}
	last := ""
	for w.next() {
		last = w.layer
	}
	switch last {
	case "erspan":
		return "ERSPAN"
	case "ppp":
		return "PPP"
	}
	return "GRE"
}

// appendGREInfo is for what is inside GRE and not read.
func (f *Facts) appendGREInfo(dst []byte) []byte {
	_, proto, ok := greHeader(f.Segment)
	if !ok {
		return append(dst, malformed...)
	}
	dst = append(dst, "Encapsulated "...)
	switch proto {
	case 0:
		return append(dst, "Possible GRE keepalive packet"...)
	case etherIPv4:
		return append(dst, "IP"...)
	case etherIPv6:
		return append(dst, "IPv6"...)
	case etherPPP:
		return append(dst, "PPP"...)
	case etherTEB:
		return append(dst, "Transparent Ethernet bridging"...)
	case etherERSPAN, etherERSP3:
		return append(dst, "ERSPAN"...)
	}
	dst = appendHex(append(dst, "0x"...), uint64(proto), 4)
	return append(dst, " (unknown)"...)
}

// igmpVersion tells the versions apart: by type, and a query's by its length.
//
// Source: RFC 3376, section 7.1.
func (f *Facts) igmpVersion() int {
	switch f.Segment[0] {
	case 0x11:
		switch {
		case len(f.Segment) >= 12:
			return 3
		case f.Segment[1] != 0:
			return 2
		}
		return 1
	case 0x12:
		return 1
	case 0x16, 0x17:
		return 2
	case 0x22:
		return 3
	}
	return 0
}

func (f *Facts) igmpColumn() string {
	if !f.L4Complete {
		return "IGMP"
	}
	switch f.igmpVersion() {
	case 1:
		return "IGMPv1"
	case 2:
		return "IGMPv2"
	case 3:
		return "IGMPv3"
	}
	return "IGMP"
}

func (f *Facts) appendIGMP(dst []byte) []byte {
	if !f.L4Complete {
		return append(dst, malformed...)
	}
	s := f.Segment
	group := netip.AddrFrom4([4]byte(s[4:]))
	switch s[0] {
	case 0x11:
		dst = append(dst, "Membership Query"...)
		if group.IsUnspecified() {
			return append(dst, ", general"...)
		}
		return group.AppendTo(append(dst, ", specific for group "...))
	case 0x12, 0x16:
		return group.AppendTo(append(dst, "Membership Report group "...))
	case 0x17:
		return group.AppendTo(append(dst, "Leave Group "...))
	case 0x22:
		return f.appendReport(append(dst, "Membership Report"...), s, 4)
	}
	return appendHex(append(dst, "Unknown Type:0x"...), uint64(s[0]), 2)
}

// appendReport appends the records of an IGMPv3 or MLDv2 report in s, whose
// addresses have n bytes. Source: RFC 3376 section 4.2, RFC 3810 section 5.2.
func (f *Facts) appendReport(dst, s []byte, n int) []byte {
	records := int(binary.BigEndian.Uint16(s[6:]))
	for s = s[8:]; records > 0 && len(s) >= 4+n; records-- {
		sources := int(binary.BigEndian.Uint16(s[2:]))
		end := 4 + n + sources*n + int(s[1])*4
		a, _ := netip.AddrFromSlice(s[4 : 4+n])
		dst = append(dst, " / "...)
		dst = appendRecord(dst, s[0], a, s[4+n:min(len(s), 4+n+sources*n)], n)
		if end > len(s) {
			return append(dst, malformed...)
		}
		s = s[end:]
	}
	return dst
}

func appendRecord(dst []byte, typ uint8, group netip.Addr, sources []byte, n int) []byte {
	switch {
	case (typ == 1 || typ == 3) && len(sources) == 0:
		return group.AppendTo(append(dst, "Leave group "...))
	case (typ == 2 || typ == 4) && len(sources) == 0:
		return append(group.AppendTo(append(dst, "Join group "...)), " for any sources"...)
	}
	switch typ {
	case 1, 3:
		dst = append(group.AppendTo(append(dst, "Join group "...)), " for source"...)
	case 2, 4:
		dst = append(group.AppendTo(append(dst, "Join group "...)), ", not for source"...)
	case 5:
		dst = append(group.AppendTo(append(dst, "Group "...)), ", ALLOW source"...)
	case 6:
		dst = append(group.AppendTo(append(dst, "Group "...)), ", BLOCK source"...)
	default:
		dst = group.AppendTo(append(dst, "Group "...))
		return append(dst, ", unknown record"...)
	}
	if len(sources) > n {
		dst = append(dst, 's')
	}
	dst = append(dst, ' ')
	if typ != 5 && typ != 6 || len(sources) > 0 {
		dst = append(dst, '{')
		for i := 0; i+n <= len(sources); i += n {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			a, _ := netip.AddrFromSlice(sources[i : i+n])
			dst = a.AppendTo(dst)
		}
		dst = append(dst, '}')
	}
	return dst
}

var sctpChunks = [...]string{
	"DATA", "INIT", "INIT_ACK", "SACK", "HEARTBEAT", "HEARTBEAT_ACK", "ABORT",
	"SHUTDOWN", "SHUTDOWN_ACK", "ERROR", "COOKIE_ECHO", "COOKIE_ACK", "ECNE", "CWR",
	"SHUTDOWN_COMPLETE", "AUTH", 64: "I_DATA", 128: "ASCONF_ACK", 130: "RE_CONFIG", 132: "PAD",
	192: "FORWARD_TSN", 193: "ASCONF", 194: "I_FORWARD_TSN",
}

// sctpHeaderLen is RFC 9260's common header.
const sctpHeaderLen = 12

// sctpChunks calls yield for each chunk: its type and its bytes, as many as
// are there. Source: RFC 9260, section 3.2.
func (f *Facts) sctpChunks(yield func(typ uint8, chunk []byte) bool) {
	s := f.Segment
	for off := sctpHeaderLen; off+4 <= len(s); {
		n := int(binary.BigEndian.Uint16(s[off+2:]))
		if n < 4 || !yield(s[off], s[off:min(off+n, len(s))]) {
			return
		}
		off += (n + 3) &^ 3
	}
}

// appendSCTP lists the chunks.
func (f *Facts) appendSCTP(dst []byte) []byte {
	if len(f.Segment) < sctpHeaderLen {
		return append(dst, malformed...)
	}
	for typ, chunk := range f.sctpChunks {
		name := lookup(sctpChunks[:], int(typ))
		if name == "" {
			name = "UNKNOWN"
		}
		dst = append(dst, name...)
		switch {
		case typ == 0 && len(chunk) >= 8:
			dst = appendUint32(append(dst, " (TSN="...), binary.BigEndian.Uint32(chunk[4:]))
			dst = append(dst, ')')
		case typ == 3 && len(chunk) >= 12:
			dst = appendUint32(append(dst, " (Ack="...), binary.BigEndian.Uint32(chunk[4:]))
			dst = appendUint32(append(dst, ", Arwnd="...), binary.BigEndian.Uint32(chunk[8:]))
			dst = append(dst, ')')
		}
		dst = append(dst, ' ')
		if len(dst) > 1<<10 {
			return append(dst, "…"...)
		}
	}
	return dst
}
