package rewrite

import (
	"encoding/binary"

	"tundump/decode/packet"
)

// icmp removes what an ICMP or ICMPv6 message says but its type, its numbers
// and mapped addresses. Its checksum is the caller's.
//
// Source: RFC 792, RFC 4443, RFC 4861, RFC 2710, RFC 3810.
func (a *Anonymizer) icmp(s []byte, f *packet.Facts, depth int, erase func([]byte)) {
	if len(s) < 8 {
		clear(s[min(4, len(s)):])
		return
	}
	quoted := len(f.Quoted())
	switch {
	case quoted > 0 && f.MF:
		erase(s[8:])
	case quoted > 0:
		if f.Transport == packet.ICMP && f.Type == 5 {
			a.mapper.addr(s, packet.Span{Off: 4, Len: 4})
		}
		a.packet(s[8:], depth+1)
	case f.Transport == packet.ICMPv6 && f.Type >= 130 && f.Type <= 137 && len(s) >= 8 && !f.MF:
		a.discovery(s, f.Type)
	case f.Transport == packet.ICMPv6 && f.Type == 143 && !f.MF:
		a.records(s[8:], 16)
	case f.HasICMPID():
		erase(s[8:])
	default:
		clear(s[4:8])
		erase(s[8:])
	}
}

// discovery maps and clears what multicast listener and neighbour discovery
// messages hold.
func (a *Anonymizer) discovery(s []byte, typ uint8) {
	addrs, opts := 0, 8
	switch typ {
	case 130, 131, 132: // MLD; a query of version 2 has sources behind
		addrs, opts = 1, len(s)
	case 134: // router advertisement
		opts = 16
	case 135, 136:
		addrs, opts = 1, 24
	case 137:
		addrs, opts = 2, 40
	}
	off := 8
	for ; addrs > 0 && off+16 <= len(s); addrs-- {
		a.mapper.addr(s, packet.Span{Off: off, Len: 16})
		off += 16
	}
	if opts >= len(s) {
		clear(s[min(off, len(s)):])
		return
	}
	a.discoveryOptions(s[opts:])
}

func (a *Anonymizer) discoveryOptions(o []byte) {
	for len(o) > 0 {
		n := 0
		if len(o) >= 2 {
			n = int(o[1]) * 8
		}
		if n == 0 || n > len(o) {
			clear(o)
			return
		}
		switch o[0] {
		case 3: // prefix information
			if n == 32 {
				a.mapper.addr(o, packet.Span{Off: 16, Len: 16})
			} else {
				clear(o[2:n])
			}
		case 5: // MTU
		case 25: // recursive DNS servers
			for i := 8; i+16 <= n; i += 16 {
				a.mapper.addr(o, packet.Span{Off: i, Len: 16})
			}
		default:
			clear(o[2:n])
		}
		o = o[n:]
	}
}

// igmp maps the groups and sources of an IGMP message. Source: RFC 2236, RFC 3376.
func (a *Anonymizer) igmp(s []byte) {
	if len(s) < 8 {
		clear(s)
		return
	}
	switch s[0] {
	case 0x11, 0x12, 0x16, 0x17:
		a.mapper.addr(s, packet.Span{Off: 4, Len: 4})
		i := 8
		if s[0] == 0x11 && len(s) >= 12 { // a query of version 3 lists sources
			for i = 12; i+4 <= len(s); i += 4 {
				a.mapper.addr(s, packet.Span{Off: i, Len: 4})
			}
		}
		clear(s[i:])
	case 0x22:
		a.records(s[8:], 4)
	default:
		clear(s[1:])
	}
}

// records maps the addresses in the group records of IGMP or MLD reports,
// which have size bytes each, and clears what else there is.
func (a *Anonymizer) records(b []byte, size int) {
	for len(b) >= 4+size {
		n := size * (1 + int(binary.BigEndian.Uint16(b[2:])))
		aux := 4 * int(b[1])
		if 4+n+aux > len(b) {
			break
		}
		for i := 4; i < 4+n; i += size {
			a.mapper.addr(b, packet.Span{Off: i, Len: size})
		}
		clear(b[4+n : 4+n+aux])
		b = b[4+n+aux:]
	}
	clear(b)
}
