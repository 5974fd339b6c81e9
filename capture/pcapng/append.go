package pcapng

import "encoding/binary"

var le = binary.LittleEndian

// begin appends the head of a block; end puts its length in, at both ends.
func begin(dst []byte, typ uint32) (_ []byte, start int) {
	start = len(dst)
	dst = le.AppendUint32(dst, typ)
	return le.AppendUint32(dst, 0), start
}

func end(dst []byte, start int) []byte {
	n := uint32(len(dst) - start + 4)
	le.PutUint32(dst[start+4:], n)
	return le.AppendUint32(dst, n)
}

func endOptions(dst []byte) []byte { return le.AppendUint32(dst, 0) }

// AppendSection appends a section header of unstated length, little-endian,
// that names the program which writes the file.
func AppendSection(dst []byte, application string) []byte {
	dst, start := begin(dst, SectionHeader)
	dst = le.AppendUint32(dst, byteOrder)
	dst = le.AppendUint16(dst, 1)
	dst = le.AppendUint16(dst, 0)
	dst = le.AppendUint64(dst, 1<<64-1)
	if application != "" {
		dst = endOptions(appendOption(dst, optApplication, application))
	}
	return end(dst, start)
}

// AppendInterface appends an interface description. Its time stamps are
// nanoseconds: [AppendPacket] writes no others.
func AppendInterface(dst []byte, i *Interface) []byte {
	dst, start := begin(dst, InterfaceDescription)
	dst = le.AppendUint16(dst, i.LinkType)
	dst = le.AppendUint16(dst, 0)
	dst = le.AppendUint32(dst, i.SnapLen)
	if i.Name != "" {
		dst = appendOption(dst, optIfName, i.Name)
	}
	if i.Description != "" {
		dst = appendOption(dst, optIfDescription, i.Description)
	}
	dst = appendOption(dst, optIfResolution, "\x09")
	return end(endOptions(dst), start)
}

// AppendPacket appends an enhanced packet block. The packet's data is p.Data
// and then parts, so that a header and a record from elsewhere need not be put
// together first. A time before 1970 is written as 0. It keeps nothing.
func AppendPacket(dst []byte, p *Packet, parts ...[]byte) []byte {
	n := len(p.Data)
	for _, part := range parts {
		n += len(part)
	}
	length := p.Length
	if length == 0 {
		length = n
	}
	stamp := uint64(max(0, p.Time))
	dst, start := begin(dst, EnhancedPacket)
	dst = le.AppendUint32(dst, uint32(p.Interface))
	dst = le.AppendUint32(dst, uint32(stamp>>32))
	dst = le.AppendUint32(dst, uint32(stamp))
	dst = le.AppendUint32(dst, uint32(n))
	dst = le.AppendUint32(dst, uint32(length))
	dst = append(dst, p.Data...)
	for _, part := range parts {
		dst = append(dst, part...)
	}
	dst = append(dst, zeros[:pad4(n)-n]...)
	if p.Flags == 0 && len(p.Comments) == 0 {
		return end(dst, start)
	}
	for _, c := range p.Comments {
		dst = appendOption(dst, optComment, c)
	}
	if p.Flags != 0 {
		dst = le.AppendUint16(dst, optFlags)
		dst = le.AppendUint16(dst, 4)
		dst = le.AppendUint32(dst, p.Flags)
	}
	return end(endOptions(dst), start)
}

// Statistics is what an interface statistics block says.
type Statistics struct {
	Interface int
	Time      int64 // nanoseconds since the Unix epoch
	Start     int64 // when capturing began; 0: not stated
	Received  uint64
	Dropped   uint64
	Comment   string
}

// AppendStatistics appends an interface statistics block.
func AppendStatistics(dst []byte, st *Statistics) []byte {
	dst, start := begin(dst, InterfaceStatistics)
	dst = le.AppendUint32(dst, uint32(st.Interface))
	dst = appendStamp(dst, st.Time)
	if st.Comment != "" {
		dst = appendOption(dst, optComment, st.Comment)
	}
	if st.Start != 0 {
		dst = appendStampOption(dst, optStatStart, st.Start)
		dst = appendStampOption(dst, optStatEnd, st.Time)
	}
	dst = appendCount(dst, optStatReceived, st.Received)
	dst = appendCount(dst, optStatDropped, st.Dropped)
	return end(endOptions(dst), start)
}

// appendStamp appends a time as packet and statistics blocks have it, the
// upper half first.
func appendStamp(dst []byte, ns int64) []byte {
	stamp := uint64(max(0, ns))
	dst = le.AppendUint32(dst, uint32(stamp>>32))
	return le.AppendUint32(dst, uint32(stamp))
}

func appendStampOption(dst []byte, code uint16, ns int64) []byte {
	dst = le.AppendUint16(dst, code)
	dst = le.AppendUint16(dst, 8)
	return appendStamp(dst, ns)
}

func appendCount(dst []byte, code uint16, n uint64) []byte {
	dst = le.AppendUint16(dst, code)
	dst = le.AppendUint16(dst, 8)
	return le.AppendUint64(dst, n)
}
