package stream

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"tundump/decode/packet"
)

const (
	// maxDatagrams and maxFragmentBytes bound what is held of datagrams that
	// are not complete; the oldest go first.
	maxDatagrams     = 256
	maxFragmentBytes = 4 << 20
	// maxFragments is how many pieces of one datagram are held: of 65,535
	// bytes in pieces of 68 there are fewer.
	maxFragments = 1024

	maxDatagram = 65535
)

// datagram names what fragments belong to: RFC 791, section 3.2, RFC 8200,
// section 4.5.
type datagram struct {
	src, dst netip.Addr
	id       uint32
	proto    uint8
}

// partial is a datagram that is not complete. Its fragments are copies, sorted
// and apart: the first copy of a byte wins.
type partial struct {
	pieces []fragment
	have   int // bytes in pieces
	total  int // bytes of payload; -1 until the last fragment came
}

type fragment struct {
	off int
	b   []byte
}

// fragments puts datagrams together.
type fragments struct {
	open  map[datagram]*partial
	order []datagram // oldest first
	bytes int
	whole []byte // the datagram that was completed last
}

// add takes the fragment that facts describe. It returns the datagram when
// this was the last of it: a packet with a plain header, valid until the next
// call.
func (x *fragments) add(f *packet.Facts) []byte {
	// A fragment that was captured in part still says where it ends; the
	// datagram can only be completed by another copy.
	end := f.FragOffset + len(f.Segment)
	if !f.Dst.IsValid() || len(f.Segment) == 0 || end > maxDatagram {
		return nil
	}
	key := datagram{f.Src, f.Dst, f.ID, f.Proto}
	d := x.open[key]
	if d == nil {
		d = &partial{total: -1}
		if x.open == nil {
			x.open = make(map[datagram]*partial)
		}
		x.open[key] = d
		x.order = append(x.order, key)
	}
	if !f.MF && f.Problem != packet.ProblemCut {
		d.total = end
	}
	if len(d.pieces) < maxFragments {
		n := d.insert(f.FragOffset, f.Segment)
		d.have += n
		x.bytes += n
	}
	if d.total >= 0 && d.have >= d.total {
		x.forget(key)
		return x.build(f, d)
	}
	for len(x.order) > maxDatagrams || x.bytes > maxFragmentBytes {
		x.forget(x.order[0])
	}
	return nil
}

// insert copies what is new of b and returns how much that is.
func (d *partial) insert(off int, b []byte) int {
	n := 0
	for i := 0; len(b) > 0; i++ {
		free := len(b)
		if i < len(d.pieces) {
			p := &d.pieces[i]
			if end := p.off + len(p.b); end <= off {
				continue
			}
			free = min(free, max(0, p.off-off))
		}
		if free > 0 {
			d.pieces = slices.Insert(d.pieces, i, fragment{off, slices.Clone(b[:free])})
			n += free
			off, b = off+free, b[free:]
			continue
		}
		p := &d.pieces[i]
		skip := min(len(b), p.off+len(p.b)-off)
		off, b = off+skip, b[skip:]
	}
	return n
}

func (x *fragments) forget(key datagram) {
	if d := x.open[key]; d != nil {
		x.bytes -= d.have
		delete(x.open, key)
	}
	if i := slices.Index(x.order, key); i >= 0 {
		x.order = slices.Delete(x.order, i, i+1)
	}
}

// build writes the packet that was never fragmented.
func (x *fragments) build(f *packet.Facts, d *partial) []byte {
	n := d.total
	b := x.whole[:0]
	if f.Version == 4 {
		const header = 20
		if n+header > maxDatagram {
			return nil
		}
		b = append(b, make([]byte, header)...)
		b[0], b[8], b[9] = 0x45, f.TTL, f.Proto
		binary.BigEndian.PutUint16(b[2:], uint16(header+n))
		copy(b[12:], f.Src.AsSlice())
		copy(b[16:], f.Dst.AsSlice())
	} else {
		b = append(b, make([]byte, 40)...)
		b[0], b[6], b[7] = 0x60, f.Proto, f.TTL
		binary.BigEndian.PutUint16(b[4:], uint16(n))
		copy(b[8:], f.Src.AsSlice())
		copy(b[24:], f.Dst.AsSlice())
	}
	header, at := len(b), 0
	for _, p := range d.pieces {
		if p.off != at {
			return nil
		}
		b = append(b, p.b[:min(len(p.b), n-min(n, p.off))]...)
		at = p.off + len(p.b)
	}
	x.whole = b
	if len(b) != header+n {
		return nil
	}
	return b
}
