package rewrite

import (
	"encoding/binary"
	"net/netip"

	"tundump/decode/packet"
)

// Anonymizer removes from packets who and what they are about, and leaves what
// a network engineer looks at: lengths, ports, flags, sequence numbers, options
// of TCP, types of ICMP, times to live. It holds scratch space and is not safe
// for concurrent use.
//
// Addresses go through a [PrefixPreserving], those that ICMP, IGMP and neighbour
// discovery are about, of routing headers and of packets inside (quoted by an
// ICMP error, or IP in IP) too. Everything else that is not known to say
// nothing is zero afterwards: payloads, options, protocols above IP that are
// not read here, bytes behind the packet, and what cannot be read at all.
// IPv4 options become no-operations.
//
// Checksums are computed in full, whatever they were: a wrong one would go on
// telling about the bytes that are gone. The checksum of a datagram in
// fragments lies over all of them, so each fragment's payload keeps its 16-bit
// sum, in its first two bytes; and where not all that a checksum covers was
// captured, it is zero.
type Anonymizer struct {
	addrs  *PrefixPreserving
	mapper Rewriter // for addresses in place
	parser packet.Parser
	facts  packet.Facts
}

// NewAnonymizer returns an Anonymizer with a key of [KeySize] bytes.
func NewAnonymizer(key []byte) (*Anonymizer, error) {
	p, err := NewPrefixPreserving(key)
	if err != nil {
		return nil, err
	}
	return &Anonymizer{addrs: p, mapper: Rewriter{Addrs: p}}, nil
}

// Addr returns what takes the place of an address.
func (a *Anonymizer) Addr(addr netip.Addr) netip.Addr { return a.addrs.Map(addr) }

// Append appends the anonymised pkt to dst, which must not overlap it. Its
// length stays.
func (a *Anonymizer) Append(dst, pkt []byte) []byte {
	n := len(dst)
	dst = append(dst, pkt...)
	a.packet(dst[n:], 0)
	return dst
}

// packet changes b, which lies inside depth other packets.
func (a *Anonymizer) packet(b []byte, depth int) {
	f := &a.facts
	a.parser.Facts(b, f)
	if f.Header == nil || depth > maxQuotes {
		if len(b) > 0 {
			b[0] &= 0xf0 // the version
			clear(b[1:])
		}
		return
	}
	end := f.HdrLen + len(f.Segment)
	clear(b[end:])
	h, s := b[:f.HdrLen], b[f.HdrLen:end]
	a.mapper.addr(h, addrSpan(f))
	if f.Version == 4 {
		n := f.IPHdrLen()
		quietOptions(h[:n])
		clear(h[min(n+ahFixed, len(h)):]) // of AH
	} else {
		a.extensions(h)
	}
	if f.FragOffset > 0 {
		sumOnly(s)
		return
	}
	span := addrSpan(f)
	addrs := b[span.Off : span.Off+span.Len]
	sum, first := checksumOf(f), f.MF
	oldAddrs, oldSum := addressSum(f), packet.Sum(s, 0)
	a.segment(s, f, depth) // f is about what lies inside from here on
	switch {
	case !sum.present:
	case first:
		sum.adjust(s, pseudoChange(&sum, oldAddrs, addrs)+difference(oldSum, packet.Sum(s, 0)))
	case sum.whole:
		sum.compute(s, addrs)
	default:
		sum.clear(s)
	}
}

func pseudoChange(t *transportSum, before uint64, addrs []byte) uint64 {
	if t.alone {
		return 0
	}
	return difference(before, packet.Sum(addrs, 0))
}

// addressSum is the sum of the addresses that f has read.
func addressSum(f *packet.Facts) uint64 {
	s, d := f.Src.As16(), f.Dst.As16()
	if f.Version == 4 {
		s4, d4 := f.Src.As4(), f.Dst.As4()
		return packet.Sum(d4[:], packet.Sum(s4[:], 0))
	}
	return packet.Sum(d[:], packet.Sum(s[:], 0))
}

// sumOnly leaves nothing of b but its sum.
func sumOnly(b []byte) {
	sum := packet.Fold(packet.Sum(b, 0))
	clear(b)
	if len(b) >= 2 {
		binary.BigEndian.PutUint16(b, sum)
	}
}

// segment removes what lies behind the IP header.
func (a *Anonymizer) segment(s []byte, f *packet.Facts, depth int) {
	erase := func(b []byte) { clear(b) }
	if f.MF {
		erase = sumOnly
	}
	switch f.Transport {
	case packet.TCP:
		quietTCP(s, f, erase)
	case packet.UDP:
		erase(s[min(8, len(s)):])
	case packet.UDPLite:
		clear(s[min(8, len(s)):])
	case packet.SCTP, packet.DCCP: // the ports
		clear(s[min(4, len(s)):])
	case packet.AH: // how long it is: it is not whole
		clear(s[min(2, len(s)):])
	case packet.ICMP, packet.ICMPv6:
		a.icmp(s, f, depth, erase)
	default:
		switch {
		case f.MF:
			sumOnly(s)
		case f.Proto == 4 || f.Proto == packet.ProtoIPv6:
			a.packet(s, depth+1)
		case f.Proto == protoIGMP:
			a.igmp(s)
		default:
			clear(s)
		}
	}
}

const protoIGMP = 2

// ahFixed is the length of an authentication header up to what authenticates:
// RFC 4302, section 2.
const ahFixed = 12

// quietOptions makes no-operations of IPv4 options but router alert, and puts
// the header's checksum right.
func quietOptions(h []byte) {
	for o := h[20:]; len(o) > 0; {
		n := 1
		if o[0] > 1 && len(o) > 1 && o[1] >= 2 && int(o[1]) <= len(o) {
			n = int(o[1])
		}
		const routerAlert = 148
		if o[0] != 0 && o[0] != routerAlert {
			for i := range n {
				o[i] = 1
			}
		} else if o[0] == 0 {
			clear(o)
			break
		}
		o = o[n:]
	}
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], ^packet.Fold(packet.Sum(h, 0)))
}

// extensions maps the addresses in the routing headers of an IPv6 header and
// clears its options but padding, router alert and the jumbo length.
func (a *Anonymizer) extensions(h []byte) {
	next := h[6]
	for off := 40; off+8 <= len(h); {
		n := (int(h[off+1]) + 1) * 8
		switch next {
		case packet.ProtoFragment:
			n = 8
		case packet.ProtoAH:
			n = max((int(h[off+1])+2)*4, 8)
		}
		ext := h[off:min(off+n, len(h))]
		switch next {
		case packet.ProtoHopByHop, packet.ProtoDstOpts:
			quietIPv6Options(ext[2:])
		case packet.ProtoRouting:
			i := 8
			for ; i+16 <= len(ext); i += 16 {
				a.mapper.addr(ext, packet.Span{Off: i, Len: 16})
			}
			clear(ext[i:])
		case packet.ProtoAH:
			clear(ext[min(ahFixed, len(ext)):])
		}
		next = h[off]
		off += n
	}
}

func quietIPv6Options(o []byte) {
	for len(o) > 0 {
		if o[0] == 0 { // Pad1
			o = o[1:]
			continue
		}
		if len(o) < 2 || int(o[1])+2 > len(o) {
			clear(o)
			return
		}
		n := int(o[1]) + 2
		if o[0] != 5 && o[0] != 0xc2 {
			clear(o[2:n])
		}
		o = o[n:]
	}
}

// quietTCP clears options that may say something, and the payload.
func quietTCP(s []byte, f *packet.Facts, erase func([]byte)) {
	if len(s) <= 20 {
		return
	}
	end := min(max(f.TCPHdrLen, 20), len(s))
	erase(s[end:])
	for o := s[20:end]; len(o) > 0; {
		switch {
		case o[0] == 0:
			clear(o)
			return
		case o[0] == 1:
			o = o[1:]
			continue
		case len(o) < 2 || o[1] < 2 || int(o[1]) > len(o):
			clear(o)
			return
		}
		switch o[0] {
		case 2, 3, 4, 5, 8: // size, scale, selective acknowledgements, times
		default:
			clear(o[2:o[1]])
		}
		o = o[o[1]:]
	}
}
