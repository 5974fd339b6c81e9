package rewrite

import (
	"encoding/binary"

	"tundump/decode/packet"
)

// difference is what a checksum's sum must grow by when the sum of what it
// covers went from before to after: RFC 1624, equation 3. It is 0 only if the
// two are alike.
func difference(before, after uint64) uint64 {
	b, a := packet.Fold(before), packet.Fold(after)
	if b == a {
		return 0
	}
	return uint64(^b) + uint64(a)
}

// adjust changes the checksum that b begins with by a difference. Where it is
// never 0 (UDP: there is none) a 0 stays, and a sum that comes to it is written
// as its other form.
func adjust(b []byte, change uint64, nonzero bool) {
	sum := binary.BigEndian.Uint16(b)
	if change == 0 || nonzero && sum == 0 {
		return
	}
	sum = ^packet.Fold(uint64(^sum) + change)
	if nonzero && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b, sum)
}

// transportSum is what is known about the checksum in a transport header.
type transportSum struct {
	at      int    // where in the segment
	present bool   // it is there to be changed
	whole   bool   // and all that it covers is: it can be computed
	nonzero bool   // 0 stands for another sum, or for none
	alone   bool   // covers no pseudo-header
	crc     bool   // SCTP's, which is no sum
	offload bool   // may be left to the network card
	len     int    // of what it covers of the segment
	pseudo  uint64 // sum of the pseudo-header but the addresses
}

// checksumOf says about the checksum what f does. Of a transport that has none
// none is present.
func checksumOf(f *packet.Facts) transportSum {
	n := len(f.Segment)
	s := transportSum{at: 2, len: n, pseudo: uint64(f.Proto) + uint64(n), offload: true}
	size := 2
	switch f.Transport {
	case packet.TCP:
		s.at = 16
	case packet.UDP:
		s.at, s.nonzero, s.len = 6, true, f.UDPLen
		s.pseudo = uint64(f.Proto) + uint64(f.UDPLen)
	case packet.UDPLite:
		s.at, s.nonzero, s.offload = 6, true, false
		if s.len = coverage(f.Segment); s.len < 8 {
			return transportSum{}
		}
	case packet.SCTP:
		s.at, size, s.alone, s.crc = 8, 4, true, true
	case packet.ICMP, packet.IGMP:
		s.alone, s.offload = true, false
	case packet.ICMPv6:
	default:
		return transportSum{}
	}
	s.present = n >= s.at+size && !(f.Transport == packet.UDP && f.Version == 4 && f.L4Checksum == 0)
	s.whole = f.L4Complete && !f.IsFragment() && f.TotalLen <= f.Len && s.len <= n && s.len >= s.at+size
	return s
}

// coverage is how much of a UDP-Lite segment the checksum covers, 0 if that
// cannot be: RFC 3828, section 3.1.
func coverage(s []byte) int {
	if len(s) < 8 {
		return 0
	}
	n := int(binary.BigEndian.Uint16(s[4:]))
	switch {
	case n == 0:
		return len(s)
	case n < 8 || n > len(s):
		return 0
	}
	return n
}

// partial reports whether the checksum of segment s is what an offloading
// sender leaves: the sum of the pseudo-header alone, and 0 for SCTP. addrs is
// the addresses' sum.
func (t *transportSum) partial(addrs uint64, s []byte) bool {
	switch {
	case !t.whole || !t.offload:
		return false
	case t.crc:
		return binary.LittleEndian.Uint32(s[t.at:]) == 0
	}
	return binary.BigEndian.Uint16(s[t.at:]) == packet.Fold(uint64(packet.Fold(addrs))+t.pseudo)
}

// compute writes the checksum of segment s between addrs.
func (t *transportSum) compute(s, addrs []byte) {
	s = s[:t.len]
	if t.crc {
		binary.LittleEndian.PutUint32(s[t.at:], packet.SCTPChecksum(s))
		return
	}
	s[t.at], s[t.at+1] = 0, 0
	pseudo := uint64(0)
	if !t.alone {
		pseudo = packet.Sum(addrs, t.pseudo)
	}
	sum := ^packet.Fold(packet.Sum(s, pseudo))
	if t.nonzero && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(s[t.at:], sum)
}

// adjust changes the checksum of segment s by a difference. SCTP's cannot be.
func (t *transportSum) adjust(s []byte, change uint64) {
	if !t.crc {
		adjust(s[t.at:], change, t.nonzero)
	}
}

// clear removes the checksum of segment s.
func (t *transportSum) clear(s []byte) {
	n := 2
	if t.crc {
		n = 4
	}
	clear(s[t.at : t.at+n])
}

// FixChecksums computes the checksums of pkt in full: that of the IPv4 header,
// and that of the transport (TCP, UDP, UDP-Lite, SCTP, ICMP, ICMPv6, IGMP) where
// all it covers is there. A UDP checksum over IPv4 that is not there stays away.
func FixChecksums(pkt []byte) {
	r := Rewriter{FixChecksums: true}
	r.Rewrite(pkt)
}
