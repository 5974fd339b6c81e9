package rewrite

import (
	"encoding/binary"
	"net/netip"

	"tundump/decode/packet"
)

// AppendTooBig appends the ICMP message that tells the sender of pkt that it
// does not fit an MTU: "fragmentation needed" (RFC 792, RFC 1191) or "packet
// too big" (RFC 4443, section 3.2). It comes from the address from, or, where
// that is invalid or of the other family, from pkt's destination. ok is false
// where no such message may be sent: about ICMP errors, fragments but the
// first, and packets from or to addresses that are not one host's (RFC 1122,
// section 3.2.2; RFC 4443, section 2.4, which lets this message answer
// multicasts).
func AppendTooBig(dst, pkt []byte, mtu int, from netip.Addr) (out []byte, ok bool) {
	var p packet.Parser
	var f packet.Facts
	p.Facts(pkt, &f)
	if f.Header == nil || f.FragOffset > 0 || f.Quoted() != nil || !oneHost(f.Src) {
		return dst, false
	}
	if from.Is4() != f.Src.Is4() || !from.IsValid() {
		from = f.Dst
	}
	if f.Version == 4 && !oneHost(f.Dst) || !oneHost(from) {
		return dst, false
	}
	if f.Version == 4 {
		return appendTooBig4(dst, pkt, mtu, from, f.Src), true
	}
	return appendTooBig6(dst, pkt, mtu, from, f.Src), true
}

func oneHost(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// quote4 and quote6 are the sizes that an ICMP error must not exceed: RFC
// 1812, section 4.3.2.3; RFC 4443, section 2.4 (c).
const (
	quote4 = 576
	quote6 = 1280
)

func appendTooBig4(dst, pkt []byte, mtu int, src, to netip.Addr) []byte {
	n := min(len(pkt), quote4-28)
	dst, start := appendIPv4(dst, packet.ProtoICMP, src, to, 8+n)
	dst = append(dst, 3, 4, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(min(max(mtu, 0), 0xffff)))
	dst = append(dst, pkt[:n]...)
	return finish(dst, start)
}

func appendTooBig6(dst, pkt []byte, mtu int, src, to netip.Addr) []byte {
	n := min(len(pkt), quote6-48)
	dst, start := appendIPv6(dst, packet.ProtoICMPv6, src, to, 8+n)
	dst = append(dst, 2, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(max(mtu, 0)))
	dst = append(dst, pkt[:n]...)
	return finish(dst, start)
}

// appendIPv4 appends a header for n bytes of proto. start is where it begins.
// Its checksum is left to finish.
func appendIPv4(dst []byte, proto uint8, src, to netip.Addr, n int) (out []byte, start int) {
	start = len(dst)
	dst = append(dst, 0x45, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(20+n))
	dst = append(dst, 0, 0, 0x40, 0, 64, proto, 0, 0) // no identification is needed with DF, RFC 6864
	s, t := src.As4(), to.As4()
	dst = append(dst, s[:]...)
	return append(dst, t[:]...), start
}

func appendIPv6(dst []byte, proto uint8, src, to netip.Addr, n int) (out []byte, start int) {
	start = len(dst)
	dst = append(dst, 0x60, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	dst = append(dst, proto, 64)
	s, t := src.As16(), to.As16()
	dst = append(dst, s[:]...)
	return append(dst, t[:]...), start
}

// finish puts the checksums into the packet that begins at start.
func finish(dst []byte, start int) []byte {
	FixChecksums(dst[start:])
	return dst
}
