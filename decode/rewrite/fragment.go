package rewrite

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tundump/decode/packet"
)

// MinMTU is the smallest size that every IPv4 hop must pass: RFC 791, section
// 3.2. IPv6 asks for 1,280 of the links, which says nothing about a packet.
const MinMTU = 68

var (
	// ErrDontFragment: the packet is larger than the MTU and must not be cut
	// on the way: IPv4 with DF, or IPv6. [AppendTooBig] makes the answer.
	ErrDontFragment = errors.New("must not be fragmented")
	// ErrNotIP: it is larger than the MTU and no IP packet that could be cut.
	ErrNotIP = errors.New("not a whole IP packet")
)

// A Fragmenter cuts one IPv4 packet to fit an MTU.
//
//	if err := f.Reset(pkt, mtu); err != nil { … }
//	for f.More() {
//		send(f.Append(buf[:0]))
//	}
type Fragmenter struct {
	pkt  []byte
	hdr  int // length of the header of the first fragment
	off  int // of the next fragment's first byte in pkt; 0: pkt fits as it is
	mtu  int
	done bool
}

// Reset has f cut pkt into packets of at most mtu bytes, at least [MinMTU].
// pkt must stay as it is until [Fragmenter.More] returns false. The error
// wraps [ErrDontFragment] or [ErrNotIP], or says that mtu is too small.
func (f *Fragmenter) Reset(pkt []byte, mtu int) error {
	*f = Fragmenter{pkt: pkt, mtu: mtu}
	if len(pkt) <= mtu {
		return nil
	}
	f.done = true
	if mtu < MinMTU {
		return fmt.Errorf("MTU %d: at least %d is needed", mtu, MinMTU)
	}
	if pkt[0]>>4 == 6 {
		return fmt.Errorf("an IPv6 packet of %d bytes for an MTU of %d %w", len(pkt), mtu, ErrDontFragment)
	}
	var p packet.Parser
	var facts packet.Facts
	p.Facts(pkt, &facts)
	total := facts.HdrLen + len(facts.Segment)
	switch {
	case facts.Version != 4 || facts.Header == nil || total > 0xffff:
		return fmt.Errorf("%d bytes for an MTU of %d: %w", len(pkt), mtu, ErrNotIP)
	case facts.DF && total > mtu:
		return fmt.Errorf("an IPv4 packet of %d bytes for an MTU of %d %w", total, mtu, ErrDontFragment)
	}
	f.done = false
	f.pkt, f.hdr = pkt[:total], facts.IPHdrLen() // a trailer behind the packet is dropped
	if total > mtu {
		f.off = f.hdr
	}
	return nil
}

// More reports whether there is another fragment.
func (f *Fragmenter) More() bool { return !f.done }

// Append appends the next fragment to dst: pkt itself when it fits.
//
// Source: RFC 791, section 3.2; section 3.1 for which options go into all
// fragments.
func (f *Fragmenter) Append(dst []byte) []byte {
	if f.off == 0 {
		f.done = true
		return append(dst, f.pkt...)
	}
	start := len(dst)
	if f.off == f.hdr {
		dst = append(dst, f.pkt[:f.hdr]...)
	} else {
		dst = appendCopiedHeader(dst, f.pkt[:f.hdr])
	}
	h := dst[start:]
	n := min((f.mtu-len(h))&^7, len(f.pkt)-f.off)
	frag := binary.BigEndian.Uint16(f.pkt[6:])
	field := frag&0xc000 | uint16(int(frag&0x1fff)+(f.off-f.hdr)/8)&0x1fff
	last := f.off+n == len(f.pkt)
	if !last || frag&0x2000 != 0 {
		field |= 0x2000
	}
	wrong := binary.BigEndian.Uint16(f.pkt[2:]) != 0 && packet.Fold(packet.Sum(f.pkt[:f.hdr], 0)) != 0xffff
	h[0] = 0x40 | byte(len(h)/4)
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+n))
	binary.BigEndian.PutUint16(h[6:], field)
	h[10], h[11] = 0, 0
	sum := ^packet.Fold(packet.Sum(h, 0))
	if wrong {
		sum ^= 1 // as wrong as it was, in every fragment
	}
	binary.BigEndian.PutUint16(h[10:], sum)
	dst = append(dst, f.pkt[f.off:f.off+n]...)
	f.off += n
	f.done = last
	return dst
}

// appendCopiedHeader appends the IPv4 header h with only those options that
// are for every fragment. Its length, checksum and the like are still h's.
func appendCopiedHeader(dst, h []byte) []byte {
	dst = append(dst, h[:20]...)
	start := len(dst)
	for o := h[20:]; len(o) > 0 && o[0] != 0; {
		n := 1
		if o[0] != 1 {
			if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
				break
			}
			n = int(o[1])
			if o[0]&0x80 != 0 {
				dst = append(dst, o[:n]...)
			}
		}
		o = o[n:]
	}
	for (len(dst)-start)%4 != 0 {
		dst = append(dst, 0)
	}
	return dst
}
