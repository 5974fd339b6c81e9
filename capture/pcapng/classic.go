package pcapng

// AppendClassicHeader appends the head of a classic pcap file with
// nanoseconds.
//
// Source: draft-ietf-opsawg-pcap, section 4.
func AppendClassicHeader(dst []byte, linkType uint16, snapLen uint32) []byte {
	dst = le.AppendUint32(dst, 0xa1b23c4d)
	dst = le.AppendUint16(dst, 2)
	dst = le.AppendUint16(dst, 4)
	dst = le.AppendUint64(dst, 0)
	dst = le.AppendUint32(dst, snapLen)
	return le.AppendUint32(dst, uint32(linkType))
}

// AppendClassicPacket appends a packet, of which classic pcap keeps time,
// length and data. A time that its 32 bits of seconds cannot hold becomes the
// nearest that they can.
func AppendClassicPacket(dst []byte, p *Packet) []byte {
	length := p.Length
	if length == 0 {
		length = len(p.Data)
	}
	const last = (1<<32)*1e9 - 1
	stamp := uint64(min(max(0, p.Time), last))
	dst = le.AppendUint32(dst, uint32(stamp/1e9))
	dst = le.AppendUint32(dst, uint32(stamp%1e9))
	dst = le.AppendUint32(dst, uint32(len(p.Data)))
	dst = le.AppendUint32(dst, uint32(length))
	return append(dst, p.Data...)
}
