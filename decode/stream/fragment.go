package stream

import "tundump/decode/packet"

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
	if x.whole = packet.AppendWhole(x.whole[:0], f, w); len(x.whole) == 0 {
		return nil
	}
	return x.whole
}
