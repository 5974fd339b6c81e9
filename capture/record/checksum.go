package record

import (
	"encoding/binary"
	"math/bits"
)

// sum is the ones' complement sum of b's 16-bit words, most significant byte
// first; a last odd byte is the upper half of a word. The byte order cancels
// out up to one swap at the end (RFC 1071, 2.B), so it adds 64 bits at a time
// in the order that the processor likes.
func sum(b []byte) uint32 {
	var s, carry uint64
	for len(b) >= 32 {
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[8:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[16:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	var tail [8]byte
	copy(tail[:], b)
	s, carry = bits.Add64(s, binary.LittleEndian.Uint64(tail[:]), carry)
	s, carry = bits.Add64(s, carry, 0)
	s = s>>32 + s&0xffffffff + carry
	s = s>>32 + s&0xffffffff
	return uint32(bits.ReverseBytes16(fold(uint32(s>>16) + uint32(s&0xffff))))
}

// fold reduces a sum of fewer than 65,536 words to 16 bits.
func fold(s uint32) uint16 {
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}
