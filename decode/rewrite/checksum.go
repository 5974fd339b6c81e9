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

// adjust changes the checksum that b begins with by a difference. UDP's 0
// means that there is none: it stays, and a sum that comes to it is written
// as its other form.
func adjust(b []byte, change uint64, udp bool) {
	sum := binary.BigEndian.Uint16(b)
	if change == 0 || udp && sum == 0 {
		return
	}
	sum = ^packet.Fold(uint64(^sum) + change)
	if udp && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b, sum)
}

// transportSum is what is known about the checksum in a transport header.
type transportSum struct {
	at      int  // where in the segment
	present bool // it is there to be changed
	whole   bool // and all that it covers is: it can be computed
	udp     bool
	alone   bool   // covers no pseudo-header
	len     int    // of what it covers of the segment
	pseudo  uint64 // sum of the pseudo-header but the addresses
}

// checksumOf says about the checksum what f does.
func checksumOf(f *packet.Facts) transportSum {
	n := len(f.Segment)
	s := transportSum{at: 2, len: n, alone: f.Transport == packet.ICMP}
	switch f.Transport {
	case packet.TCP:
		s.at = 16
	case packet.UDP:
		s.at, s.udp, s.len = 6, true, f.UDPLen
	}
	s.pseudo = uint64(f.Proto) + uint64(s.len)
	s.present = n >= s.at+2 && !(s.udp && f.Version == 4 && f.L4Checksum == 0)
	s.whole = f.L4Complete && !f.IsFragment() && f.TotalLen <= f.Len && s.len <= n && s.len >= s.at+2
	return s
}

// partial reports whether the checksum is the sum of the pseudo-header alone,
// as an offloading sender leaves it. addrs is the addresses' sum.
func (t *transportSum) partial(addrs uint64, f *packet.Facts) bool {
	return t.whole && !t.alone && f.L4Checksum == packet.Fold(uint64(packet.Fold(addrs))+t.pseudo)
}

// compute writes the checksum of segment s between addrs.
func (t *transportSum) compute(s, addrs []byte) {
	s = s[:t.len]
	s[t.at], s[t.at+1] = 0, 0
	pseudo := uint64(0)
	if !t.alone {
		pseudo = packet.Sum(addrs, t.pseudo)
	}
	sum := ^packet.Fold(packet.Sum(s, pseudo))
	if t.udp && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(s[t.at:], sum)
}

// FixChecksums computes the checksums of pkt in full: that of the IPv4 header,
// and that of TCP, UDP, ICMP or ICMPv6 where all it covers is there. A UDP
// checksum over IPv4 that is not there stays away.
func FixChecksums(pkt []byte) {
	r := Rewriter{FixChecksums: true}
	r.Rewrite(pkt)
}
