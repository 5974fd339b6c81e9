package packet

import "encoding/binary"

// confirmsUDPEncap tests for ESP in UDP: an SPI that is not zero, as it is in
// front of IKE on the same port. Source: RFC 3948, section 2.
func confirmsUDPEncap(b []byte) bool {
	return len(b) >= 8 && binary.BigEndian.Uint32(b) != 0
}

// appendESP appends the info column of s, which has an ESP header. Source: RFC
// 4303, section 2.
func appendESP(dst, s []byte) []byte {
	dst = appendHex(append(dst, "ESP (SPI=0x"...), uint64(binary.BigEndian.Uint32(s)), 8)
	return append(dst, ')')
}

func (e *emitter) esp() {
	e.uint("esp.spi", "ESP SPI", 0, 4, 8)
	e.uint("esp.sequence", "ESP Sequence", 4, 4, 0)
}
