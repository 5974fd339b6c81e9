package packet

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the 16-bit words of b, big-endian, to start, in one's complement
// over 64 bits. An odd last byte counts as the upper half of a word.
//
// Source: RFC 1071, section 2, which allows any width of addition.
func Sum(b []byte, start uint64) uint64 {
	s, c := start, uint64(0)
	for len(b) >= 32 {
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b), c)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b[8:]), c)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b[16:]), c)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b[24:]), c)
		b = b[32:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b), c)
		b = b[8:]
	}
	if len(b) >= 4 {
		s, c = bits.Add64(s, uint64(binary.BigEndian.Uint32(b)), c)
		b = b[4:]
	}
	if len(b) >= 2 {
		s, c = bits.Add64(s, uint64(binary.BigEndian.Uint16(b)), c)
		b = b[2:]
	}
	if len(b) == 1 {
		s, c = bits.Add64(s, uint64(b[0])<<8, c)
	}
	s, c = bits.Add64(s, 0, c)
	return s + c
}

// Fold brings a sum to 16 bits.
func Fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// verify sets L4Status, if all of the segment is there.
//
// Source: RFC 9293 section 3.1, RFC 768, RFC 792, RFC 4443 section 2.3, RFC
// 8200 section 8.1.
func (f *Facts) verify() {
	s := f.Segment
	switch {
	case !f.L4Complete || f.IsFragment():
		return
	case f.Transport > UDPLite:
		return
	case f.Transport == UDP && f.L4Checksum == 0 && f.Version == 4:
		f.L4Status = NotPresent
		return
	case f.Transport == UDP:
		if f.UDPLen < udpLen || f.UDPLen > len(s) {
			return
		}
		s = s[:f.UDPLen]
	}
	// What an ICMP error quotes is looked at as tshark does: UDP only.
	if f.Carried == Quoted && f.Transport != UDP || f.TotalLen > f.Len && f.Whole == nil {
		return
	}
	pseudo := uint64(0)
	if f.Transport != ICMP {
		pseudo = f.pseudoHeader(len(s))
	}
	switch {
	case Fold(Sum(s, pseudo)) == 0xffff && (f.Transport != UDP || f.L4Checksum != 0):
		f.L4Status = Good
		return
	case f.Transport != ICMP && f.L4Checksum == Fold(pseudo):
		f.L4Status = Partial
		return
	}
	f.L4Status = Bad
}

// checksumOff returns where in the transport header the checksum is.
func (f *Facts) checksumOff() int {
	switch f.Transport {
	case TCP:
		return 16
	case UDP:
		return 6
	}
	return 2
}

func (f *Facts) pseudoHeader(n int) uint64 {
	s := uint64(n) + uint64(f.Proto)
	if f.Version == 4 {
		src, dst := f.Src.As4(), f.Dst.As4()
		return s + uint64(binary.BigEndian.Uint32(src[:])) + uint64(binary.BigEndian.Uint32(dst[:]))
	}
	src, dst := f.Src.As16(), f.Dst.As16()
	return Sum(dst[:], Sum(src[:], s))
}
