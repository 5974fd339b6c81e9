package packet

import "encoding/binary"

// other reads the headers of the transports that have no ports or are rarely
// seen.
func (f *Facts) other(s []byte) {
	switch f.Proto {
	case ProtoIPIP, ProtoIPv6:
		if !f.IsFragment() {
			f.carries(Encapsulated, s)
		}
	case ProtoGRE:
		f.gre(s)
	case ProtoUDPLite, ProtoSCTP, 33:
		if f.ports(transportOf(f.Proto), s) {
			f.L4Complete = len(s) >= udpLen
			f.setPayload(s[min(udpLen, len(s)):])
			if f.Transport == UDPLite && f.L4Complete {
				f.L4Checksum = binary.BigEndian.Uint16(s[6:])
			}
		}
	default:
		if t := transportOf(f.Proto); t != NoTransport && len(s) > 0 {
			f.Transport = t
			f.L4Complete = len(s) >= otherLen(t)
			if t == IGMP && f.L4Complete {
				f.Type = s[0]
				f.L4Checksum = binary.BigEndian.Uint16(s[2:])
			}
		}
	}
}

// otherLen is how much of a header has to be there for it to be of use.
func otherLen(t Transport) int {
	switch t {
	case IGMP, ESP:
		return 8
	case PIM, VRRP:
		return 4
	case OSPF:
		return 16
	}
	return 1
}

// transportOf returns the transport of an IP protocol number that other reads.
func transportOf(proto uint8) Transport {
	switch proto {
	case ProtoIGMP:
		return IGMP
	case ProtoUDPLite:
		return UDPLite
	case ProtoSCTP:
		return SCTP
	case ProtoESP:
		return ESP
	case ProtoAH:
		return AH
	case 33:
		return DCCP
	case 46:
		return RSVP
	case 88:
		return EIGRP
	case 89:
		return OSPF
	case 103:
		return PIM
	case 108:
		return IPComp
	case 112:
		return VRRP
	case 115:
		return L2TP
	}
	return NoTransport
}
