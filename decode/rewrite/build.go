package rewrite

import (
	"encoding/binary"
	"net/netip"

	"tundump/decode/packet"
)

// MaxPayload is the most that AppendTCP and AppendUDP put into one packet: what
// an IPv4 datagram has room for behind a TCP header with options.
const MaxPayload = 65535 - 20 - 60

// TCP is the header of a segment.
type TCP struct {
	Src, Dst netip.AddrPort // of the same family
	Seq, Ack uint32
	Flags    uint16 // packet.SYN and the others
	Window   uint16
	Options  []byte // a multiple of 4 bytes, up to 40
}

// AppendTCP appends an IP packet with the segment h and its payload, at most
// [MaxPayload] bytes.
func AppendTCP(dst []byte, h *TCP, payload []byte) []byte {
	dst, start := appendIP(dst, packet.ProtoTCP, h.Src.Addr(), h.Dst.Addr(), 20+len(h.Options)+len(payload))
	dst = binary.BigEndian.AppendUint16(dst, h.Src.Port())
	dst = binary.BigEndian.AppendUint16(dst, h.Dst.Port())
	dst = binary.BigEndian.AppendUint32(dst, h.Seq)
	dst = binary.BigEndian.AppendUint32(dst, h.Ack)
	dst = binary.BigEndian.AppendUint16(dst, uint16(5+len(h.Options)/4)<<12|h.Flags)
	dst = binary.BigEndian.AppendUint16(dst, h.Window)
	dst = append(dst, 0, 0, 0, 0)
	dst = append(append(dst, h.Options...), payload...)
	return finish(dst, start)
}

// AppendUDP appends an IP packet with one datagram, of at most [MaxPayload]
// bytes.
func AppendUDP(dst []byte, src, to netip.AddrPort, payload []byte) []byte {
	n := 8 + len(payload)
	dst, start := appendIP(dst, packet.ProtoUDP, src.Addr(), to.Addr(), n)
	dst = binary.BigEndian.AppendUint16(dst, src.Port())
	dst = binary.BigEndian.AppendUint16(dst, to.Port())
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	dst = append(dst, 0xff, 0xff) // not 0, which would say that there is none
	return finish(append(dst, payload...), start)
}

// appendIP appends a header for n bytes of proto. start is where it begins. Its
// checksum is left to finish.
func appendIP(dst []byte, proto uint8, src, to netip.Addr, n int) (out []byte, start int) {
	if src.Is4() {
		return appendIPv4(dst, proto, src, to, n)
	}
	return appendIPv6(dst, proto, src, to, n)
}
