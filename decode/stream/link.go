package stream

import "encoding/binary"

// The link types that are known, by their numbers in capture files.
//
// Source: https://www.tcpdump.org/linktypes.html
const (
	linkNull      = 0
	linkEthernet  = 1
	linkPPP       = 9
	linkRawBSD    = 12
	linkRawOpen   = 14
	linkPPPHDLC   = 50
	linkPPPoE     = 51
	linkRaw       = 101
	linkLoop      = 108
	linkSLL       = 113
	linkPktapUser = 149 // Apple's tools write USER2 for PKTAP
	linkIPv4      = 228
	linkIPv6      = 229
	linkPktap     = 258
	linkSLL2      = 276
)

var linkNames = map[uint16]string{
	linkNull: "NULL", linkEthernet: "Ethernet", linkPPP: "PPP", linkRawBSD: "RAW", linkRawOpen: "RAW",
	linkPPPHDLC: "PPP", linkPPPoE: "PPPoE", linkRaw: "RAW", linkLoop: "LOOP", linkSLL: "Linux SLL",
	linkPktapUser: "PKTAP", linkIPv4: "RAW IPv4", linkIPv6: "RAW IPv6", linkPktap: "PKTAP", linkSLL2: "Linux SLL2",
}

// LinkName returns the name of a link type that this package knows, else "".
func LinkName(link uint16) string { return linkNames[link] }

// IsRaw reports whether a link type's packets begin with the IP header.
func IsRaw(link uint16) bool {
	switch link {
	case linkRawBSD, linkRawOpen, linkRaw, linkIPv4, linkIPv6:
		return true
	}
	return false
}

const (
	typeIPv4  = 0x0800
	typeIPv6  = 0x86dd
	typeVLAN  = 0x8100
	typeQinQ  = 0x88a8
	typeOldQ  = 0x9100
	typePPPoE = 0x8864

	pppIPv4 = 0x0021
	pppIPv6 = 0x0057

	// maxTags bounds VLAN tags and headers inside headers.
	maxTags = 8
)

// network returns the IP packet in a captured frame, with what may be behind
// it; ok is false if there is none.
func network(link uint16, b []byte) (ip []byte, ok bool) {
	for range maxTags {
		switch link {
		case linkRawBSD, linkRawOpen, linkRaw, linkIPv4, linkIPv6:
			return versioned(b)
		case linkNull, linkLoop:
			return loopback(b)
		case linkEthernet:
			return ethernet(b)
		case linkSLL:
			if len(b) < 16 {
				return nil, false
			}
			return etherType(binary.BigEndian.Uint16(b[14:]), b[16:])
		case linkSLL2:
			if len(b) < 20 {
				return nil, false
			}
			return etherType(binary.BigEndian.Uint16(b), b[20:])
		case linkPPP, linkPPPHDLC:
			return ppp(b)
		case linkPPPoE:
			return pppoe(b)
		case linkPktap, linkPktapUser:
			link, b, ok = pktap(b)
			if !ok {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	return nil, false
}

func versioned(b []byte) ([]byte, bool) {
	if len(b) == 0 {
		return nil, false
	}
	v := b[0] >> 4
	return b, v == 4 || v == 6
}

// loopback takes off the address family, which is in the byte order of the
// machine that captured, or in the network's. Its numbers for IPv6 differ by
// system; the version in the packet does not.
func loopback(b []byte) ([]byte, bool) {
	if len(b) < 4 {
		return nil, false
	}
	return versioned(b[4:])
}

func ethernet(b []byte) ([]byte, bool) {
	if len(b) < 14 {
		return nil, false
	}
	return etherType(binary.BigEndian.Uint16(b[12:]), b[14:])
}

// etherType goes on with what is behind an EtherType; tags are taken off.
func etherType(t uint16, b []byte) ([]byte, bool) {
	for range maxTags {
		switch t {
		case typeIPv4, typeIPv6:
			return versioned(b)
		case typeVLAN, typeQinQ, typeOldQ:
			if len(b) < 4 {
				return nil, false
			}
			t, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		case typePPPoE:
			return pppoe(b)
		default:
			return nil, false
		}
	}
	return nil, false
}

// pppoe reads RFC 2516's session header.
func pppoe(b []byte) ([]byte, bool) {
	if len(b) < 6 || b[0] != 0x11 || b[1] != 0 {
		return nil, false
	}
	return ppp(b[6:])
}

// ppp reads RFC 1661's protocol field, which may be one byte, behind address
// and control, which may be left out.
func ppp(b []byte) ([]byte, bool) {
	if len(b) >= 2 && b[1] == 0x03 && (b[0] == 0xff || b[0] == 0x0f) {
		b = b[2:]
	}
	if len(b) == 0 {
		return nil, false
	}
	protocol, n := uint16(b[0]), 1
	if b[0]&1 == 0 {
		if len(b) < 2 {
			return nil, false
		}
		protocol, n = binary.BigEndian.Uint16(b), 2
	}
	if protocol != pppIPv4 && protocol != pppIPv6 {
		return nil, false
	}
	return versioned(b[n:])
}

// pktap takes off Apple's header, which says how long it is and which link
// type follows.
//
// Source: bsd/net/pktap.h in Apple's xnu, struct pktap_header.
func pktap(b []byte) (link uint16, rest []byte, ok bool) {
	const minHeader, packet = 108, 1
	if len(b) < minHeader {
		return 0, nil, false
	}
	n, kind, dlt := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	if n < minHeader || uint64(n) > uint64(len(b)) || kind != packet || dlt > 0xffff {
		return 0, nil, false
	}
	return uint16(dlt), b[n:], true
}
