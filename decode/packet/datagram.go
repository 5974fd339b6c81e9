package packet

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

const (
	// maxDatagrams and maxFragmentBytes bound what is held of datagrams that
	// are not complete; the oldest go first.
	maxDatagrams     = 256
	maxFragmentBytes = 4 << 20
	// maxFragments is how many pieces of one datagram are held: of 65,535
	// bytes in pieces of 68 there are fewer.
	maxFragments = 1024
)

// datagram names what fragments belong to: RFC 791, section 3.2, RFC 8200,
// section 4.5.
type datagram struct {
	tunnel   uint32
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
	number int64
	off    int
	b      []byte
}

// Whole is a datagram that came in fragments.
type Whole struct {
	Segment []byte  // what all of its fragments carry, put together
	Pieces  []Piece // in their order in the datagram
}

// Piece is what one packet has of a datagram.
type Piece struct {
	Number   int64 // of the packet
	Off, Len int   // in the segment
}

// Datagrams puts fragmented datagrams together. The zero value is ready. Its
// memory is bounded by 4 MiB of fragments; of datagrams that are not complete,
// the oldest are forgotten first.
type Datagrams struct {
	open  map[datagram]*partial
	order []datagram // oldest first
	bytes int
}

// Held returns how many datagrams are not complete, and the bytes of their
// fragments.
func (x *Datagrams) Held() (datagrams, bytes int) { return len(x.order), x.bytes }

// Add takes the fragment that f describes, of a tunnel's own addresses, in
// packet number; what lies in tunnels is told apart by tunnel. When this was
// what the datagram waited for, it returns the whole, in memory of its own, for
// [Parser.Join]; else nil. It keeps nothing of f.
func (x *Datagrams) Add(tunnel uint32, number int64, f *Facts) *Whole {
	// A fragment that was captured in part still says where it ends; the
	// datagram can only be completed by another copy.
	end := f.FragOffset + len(f.Segment)
	if !f.Dst.IsValid() || len(f.Segment) == 0 || end > maxDatagramLen {
		return nil
	}
	key := datagram{tunnel, f.Src, f.Dst, f.ID, f.Proto}
	d := x.open[key]
	if d == nil {
		d = &partial{total: -1}
		if x.open == nil {
			x.open = make(map[datagram]*partial)
		}
		x.open[key] = d
		x.order = append(x.order, key)
	}
	if !f.MF && f.Problem != ProblemCut {
		d.total = end
	}
	if len(d.pieces) < maxFragments {
		n := d.insert(number, f.FragOffset, f.Segment)
		d.have += n
		x.bytes += n
	}
	if d.total >= 0 && d.have >= d.total {
		x.forget(key)
		return d.join()
	}
	for len(x.order) > maxDatagrams || x.bytes > maxFragmentBytes {
		x.forget(x.order[0])
	}
	return nil
}

// AppendWhole appends the packet that w, which [Datagrams.Add] returned for the
// fragment f, was before it was cut: with a plain header, without
// options and identification. It appends nothing if it would be larger than a
// packet can be.
func AppendWhole(dst []byte, f *Facts, w *Whole) []byte {
	start, segment := len(dst), w.Segment
	if f.Version == 4 {
		const header = 20
		if len(segment)+header > 65535 {
			return dst
		}
		dst = append(dst, make([]byte, header)...)
		h := dst[start:]
		h[0], h[8], h[9] = 0x45, f.TTL, f.Proto
		binary.BigEndian.PutUint16(h[2:], uint16(header+len(segment)))
		copy(h[12:], f.Src.AsSlice())
		copy(h[16:], f.Dst.AsSlice())
		binary.BigEndian.PutUint16(h[10:], ^Fold(Sum(h, 0)))
	} else {
		dst = append(dst, make([]byte, 40)...)
		h := dst[start:]
		h[0], h[6], h[7] = 0x60, f.Proto, f.TTL
		binary.BigEndian.PutUint16(h[4:], uint16(len(segment)))
		copy(h[8:], f.Src.AsSlice())
		copy(h[24:], f.Dst.AsSlice())
	}
	return append(dst, segment...)
}

// insert copies what is new of b and returns how much that is.
func (d *partial) insert(number int64, off int, b []byte) int {
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
			d.pieces = slices.Insert(d.pieces, i, fragment{number, off, slices.Clone(b[:free])})
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

func (x *Datagrams) forget(key datagram) {
	if d := x.open[key]; d != nil {
		x.bytes -= d.have
		delete(x.open, key)
	}
	if i := slices.Index(x.order, key); i >= 0 {
		x.order = slices.Delete(x.order, i, i+1)
	}
}

// join returns the datagram, nil if a piece is missing: fragments that disagree
// about the end can have bytes enough and a gap.
func (d *partial) join() *Whole {
	w := &Whole{Segment: make([]byte, 0, d.total), Pieces: make([]Piece, 0, len(d.pieces))}
	for _, p := range d.pieces {
		if p.off != len(w.Segment) {
			return nil
		}
		b := p.b[:min(len(p.b), d.total-p.off)]
		w.Segment = append(w.Segment, b...)
		w.Pieces = append(w.Pieces, Piece{p.number, p.off, len(b)})
		if len(w.Segment) == d.total {
			return w
		}
	}
	return nil
}
