package rewrite

import (
	"encoding/binary"
	"net/netip"

	"tundump/decode/packet"
)

// An AddrMapper says which address takes the place of another: an [AddrMap]
// or a [PrefixPreserving]. The answer is of the same family as a.
type AddrMapper interface {
	Map(a netip.Addr) netip.Addr
}

// Rewriter says what to change. The zero value changes nothing but the
// partial checksums. It holds scratch space and is not safe for concurrent
// use.
type Rewriter struct {
	// Addrs maps source and destination, the addresses that ICMP redirects
	// and neighbour discovery are about, and all of these in the packets that
	// ICMP errors quote. Addresses in routing headers, IPv4 options, tunnels
	// inside and application data stay. nil: none.
	Addrs AddrMapper
	// Ports maps both ports of TCP and UDP, quoted ones too. nil: none.
	Ports *PortMap
	// TTL changes the time to live or hop limit; not that of a quoted packet,
	// which says how far that had come.
	TTL TTL
	// AddID is added to the identification of IPv4 packets and of IPv6
	// fragments, quoted ones too. All packets move alike, so fragments of one
	// datagram still belong together. IPv4 takes the lower 16 bits.
	AddID uint32
	// FixChecksums computes all checksums in full, whatever they were, where
	// the packet is whole.
	FixChecksums bool

	parser packet.Parser
	facts  packet.Facts
}

// Append appends the changed pkt to dst, which must not overlap it. Its
// length stays.
func (r *Rewriter) Append(dst, pkt []byte) []byte {
	n := len(dst)
	dst = append(dst, pkt...)
	r.Rewrite(dst[n:])
	return dst
}

// Rewrite changes pkt in place.
func (r *Rewriter) Rewrite(pkt []byte) { r.packet(pkt, 0) }

// maxQuotes is how deep a packet quoted in a packet quoted in a packet is
// followed. An ICMP error must not be about an ICMP error (RFC 1122, section
// 3.2.2), so the second level is generous.
const maxQuotes = 2

// packet changes b, which is quoted at the given depth.
func (r *Rewriter) packet(b []byte, depth int) {
	f := &r.facts
	r.parser.Facts(b, f)
	if f.Header == nil {
		return
	}
	sum, span := checksumOf(f), addrSpan(f)
	addrs := b[span.Off : span.Off+span.Len]
	before := packet.Sum(addrs, 0)
	partial := sum.partial(before, f.Segment)
	r.header(b, f, depth)
	if f.FragOffset > 0 {
		return
	}
	change := difference(before, packet.Sum(addrs, 0))
	s := b[f.HdrLen : f.HdrLen+len(f.Segment)]
	switch f.Transport {
	case packet.TCP, packet.UDP:
		change += r.ports(s)
	case packet.ICMP, packet.IGMP:
		change = 0 // no pseudo-header
	}
	if f.Transport == packet.ICMP || f.Transport == packet.ICMPv6 {
		before := packet.Sum(s, 0)
		r.icmp(s, f, depth) // f is about the quoted packet from here on
		change += difference(before, packet.Sum(s, 0))
	}
	switch {
	case !sum.present:
	case sum.whole && (partial || r.FixChecksums):
		sum.compute(s, addrs)
	default:
		sum.adjust(s, change)
	}
}

// header changes the IP header of b and its checksum.
func (r *Rewriter) header(b []byte, f *packet.Facts, depth int) {
	h := b[:f.HdrLen]
	before := uint64(0)
	if f.Version == 4 {
		h = h[:f.IPHdrLen()]
		before = packet.Sum(h, 0)
	}
	r.addr(h, addrSpan(f))
	if f.Version == 6 {
		if depth == 0 {
			h[7] = r.TTL.apply(h[7])
		}
		r.fragmentID(h, f)
		return
	}
	if depth == 0 {
		h[8] = r.TTL.apply(h[8])
	}
	binary.BigEndian.PutUint16(h[4:], binary.BigEndian.Uint16(h[4:])+uint16(r.AddID))
	if r.FixChecksums {
		h[10], h[11] = 0, 0
		binary.BigEndian.PutUint16(h[10:], ^packet.Fold(packet.Sum(h, 0)))
		return
	}
	adjust(h[10:], difference(before, packet.Sum(h, 0)), false)
}

// addr maps the two addresses, or the one, that lie in b at s.
func (r *Rewriter) addr(b []byte, s packet.Span) {
	if r.Addrs == nil {
		return
	}
	switch s.Len {
	case 4, 8:
		for off := s.Off; off < s.Off+s.Len; off += 4 {
			a := r.Addrs.Map(netip.AddrFrom4([4]byte(b[off:]))).As4()
			copy(b[off:], a[:])
		}
	case 16, 32:
		for off := s.Off; off < s.Off+s.Len; off += 16 {
			a := r.Addrs.Map(netip.AddrFrom16([16]byte(b[off:]))).As16()
			copy(b[off:], a[:])
		}
	}
}

// fragmentID changes the identification in an IPv6 fragment header, the last
// header that packet.Facts reads of a packet that has one and is no first
// fragment; in a first fragment others may follow.
func (r *Rewriter) fragmentID(h []byte, f *packet.Facts) {
	if r.AddID == 0 {
		return
	}
	if off, ok := extension(h, packet.ProtoFragment); ok {
		binary.BigEndian.PutUint32(h[off+4:], f.ID+r.AddID)
	}
}

// extension returns where in the IPv6 header h, with all its extension
// headers, the last one of the given kind begins.
//
// Source: RFC 8200, section 4; RFC 4302, section 2.2.
func extension(h []byte, kind uint8) (off int, ok bool) {
	found := 0
	next := h[6]
	for off = 40; off+8 <= len(h); {
		if next == kind {
			found = off
		}
		n := (int(h[off+1]) + 1) * 8
		switch next {
		case packet.ProtoFragment:
			n = 8
		case packet.ProtoAH:
			n = max((int(h[off+1])+2)*4, 8)
		}
		next = h[off]
		off += n
	}
	return found, found > 0
}

// ports maps the ports that s begins with and returns the change of its sum.
func (r *Rewriter) ports(s []byte) uint64 {
	if r.Ports == nil {
		return 0
	}
	before := packet.Sum(s[:4], 0)
	for off := 0; off < 4; off += 2 {
		binary.BigEndian.PutUint16(s[off:], r.Ports.Map(binary.BigEndian.Uint16(s[off:])))
	}
	return difference(before, packet.Sum(s[:4], 0))
}

// icmp changes the addresses that the message in s is about, and the packet
// that it quotes. It leaves the message's own checksum.
//
// Source: RFC 792; RFC 4861, sections 4.3 to 4.5.
func (r *Rewriter) icmp(s []byte, f *packet.Facts, depth int) {
	quoted := len(f.Quoted())
	switch {
	case !f.L4Complete:
		return
	case f.Transport == packet.ICMP && f.Type == 5:
		r.addr(s, packet.Span{Off: 4, Len: 4})
	case f.Transport == packet.ICMPv6 && (f.Type == 135 || f.Type == 136) && len(s) >= 24:
		r.addr(s, packet.Span{Off: 8, Len: 16})
	case f.Transport == packet.ICMPv6 && f.Type == 137 && len(s) >= 40:
		r.addr(s, packet.Span{Off: 8, Len: 32})
	}
	if quoted > 0 && depth < maxQuotes {
		r.packet(s[len(s)-quoted:], depth+1)
	}
}

// addrSpan is where the addresses are in the header.
func addrSpan(f *packet.Facts) packet.Span {
	if f.Version == 4 {
		return packet.Span{Off: 12, Len: 8}
	}
	return packet.Span{Off: 8, Len: 32}
}
