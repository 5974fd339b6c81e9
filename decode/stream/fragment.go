package stream

import (
	"encoding/binary"

	"tundump/decode/packet"
)

// fragments puts datagrams together.
type fragments struct {
	packet.Datagrams
	whole []byte // the datagram that was completed last
}

// add takes the fragment that facts describe. It returns the datagram when
// this was the last of it: a packet with a plain header, valid until the next
// call.
func (x *fragments) add(f *packet.Facts) []byte {
	w := x.Add(0, 0, f)
	if w == nil {
		return nil
	}
	segment := w.Segment
	b := x.whole[:0]
	if f.Version == 4 {
		const header = 20
		if len(segment)+header > 65535 {
			return nil
		}
		b = append(b, make([]byte, header)...)
		b[0], b[8], b[9] = 0x45, f.TTL, f.Proto
		binary.BigEndian.PutUint16(b[2:], uint16(header+len(segment)))
		copy(b[12:], f.Src.AsSlice())
		copy(b[16:], f.Dst.AsSlice())
	} else {
		b = append(b, make([]byte, 40)...)
		b[0], b[6], b[7] = 0x60, f.Proto, f.TTL
		binary.BigEndian.PutUint16(b[4:], uint16(len(segment)))
		copy(b[8:], f.Src.AsSlice())
		copy(b[24:], f.Dst.AsSlice())
	}
	x.whole = append(b, segment...)
	return x.whole
}
