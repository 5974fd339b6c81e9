package packet

import (
	"encoding/binary"
	"hash/crc32"
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
// 8200 section 8.1, RFC 3376 section 4.1.2, RFC 3828 section 3.1.
func (f *Facts) verify() {
	s := f.Segment
	switch {
	case !f.L4Complete || f.IsFragment():
		return
	case f.Transport > SCTP:
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
	n := len(s)
	if f.Transport == UDPLite {
		switch cover := uint16At(s, 4); {
		case cover == 0:
		case cover < udpLen || cover > n:
			return
		default:
			s = s[:cover]
		}
	}
	// What an ICMP error quotes is looked at as tshark does: UDP only.
	if f.Carried == Quoted && f.Transport != UDP || f.TotalLen > f.Len && f.Whole == nil {
		return
	}
	f.L4Status = f.sumStatus(s, n)
}

// sumStatus judges the checksum over s; n is the length of all that the IP
// header carries.
func (f *Facts) sumStatus(s []byte, n int) Status {
	pseudo := uint64(0)
	switch f.Transport {
	case SCTP:
		return sctpStatus(s)
	case ICMP, IGMP:
	default:
		pseudo = f.pseudoHeader(n)
	}
	must := f.Transport == UDP || f.Transport == UDPLite // be other than 0
	switch {
	case Fold(Sum(s, pseudo)) == 0xffff && (!must || f.L4Checksum != 0):
		return Good
	case pseudo != 0 && f.Transport != UDPLite && f.L4Checksum == Fold(pseudo):
		return Partial
	}
	return Bad
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SCTPChecksum returns the checksum of a segment of at least a header's 12
// bytes: a CRC32c with its own field taken as 0, which stands in the header
// with the least significant byte first.
//
// Source: RFC 9260, section 6.8 and appendix A.
func SCTPChecksum(s []byte) uint32 {
	var zero [4]byte
	sum := crc32.Update(0, castagnoli, s[:8])
	sum = crc32.Update(sum, castagnoli, zero[:])
	return crc32.Update(sum, castagnoli, s[sctpHeaderLen:])
}

// sctpStatus judges SCTP's checksum. Checksum offload leaves a 0.
func sctpStatus(s []byte) Status {
	if len(s) < sctpHeaderLen {
		return Unverified
	}
	switch binary.LittleEndian.Uint32(s[8:]) {
	case SCTPChecksum(s):
		return Good
	case 0:
		return Partial
	}
	return Bad
}

// checksumPlace returns where in the transport header the checksum is, and its
// length.
func (f *Facts) checksumPlace() (off, n int) {
	switch f.Transport {
	case TCP:
		return 16, 2
	case UDP, UDPLite:
		return 6, 2
	case SCTP:
		return 8, 4
	}
	return 2, 2
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
