package packet

import "encoding/binary"

// Inside says how a packet carries another one.
type Inside uint8

const (
	NotInside    Inside = iota
	Encapsulated        // IP in IP, 6in4, 4in6, GRE, CAPWAP: the packet is a tunnel's
	Quoted              // an ICMP error is about it, and has its beginning
)

// maxInside limits how many packets are looked for inside each other.
const maxInside = 8

// Inside returns the facts of the packet that f's carries, nil if it carries
// none; depth is how many packets f's is inside of itself. They are valid
// until the next call with the same depth.
//
//	for level, depth := f, 0; level != nil; level, depth = p.Inside(level, depth), depth+1 {
func (p *Parser) Inside(f *Facts, depth int) *Facts {
	if f.Carries == NotInside || depth >= maxInside || len(f.Payload) == 0 {
		return nil
	}
	if p.inside == nil {
		p.inside = new([maxInside]Facts)
	}
	g := &p.inside[depth]
	p.Facts(f.carriedBytes(), g)
	g.Carried = max(f.Carries, f.Carried)
	return g
}

// Innermost returns the facts of the packet that f's carries when all
// encapsulation is taken off: f where there is none. They are valid until the
// next call of Inside.
func (p *Parser) Innermost(f *Facts) *Facts {
	for depth := 0; f.Carries == Encapsulated; depth++ {
		g := p.Inside(f, depth)
		if g == nil || g.Version == 0 {
			break
		}
		f = g
	}
	return f
}

// carries notes that f's packet carries another: what follows n bytes of its
// transport header.
func (f *Facts) carries(how Inside, b []byte) {
	f.setPayload(b)
	if len(b) > 0 {
		f.Carries = how
	}
}

// EtherTypes and PPP protocols that a carried packet may have.
const (
	etherTEB    = 0x6558 // transparent Ethernet bridging
	etherPPP    = 0x880b
	etherERSPAN = 0x88be
	etherERSP3  = 0x22eb
	etherCMD    = 0x8909 // Cisco metadata
	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	etherVLAN   = 0x8100
	etherQinQ   = 0x88a8
	etherMPLS   = 0x8847
)

// gre reads the GRE header in s and looks for an IP packet behind it.
//
// Source: RFC 2784 and RFC 2890; RFC 2637 section 4.1 for version 1.
func (f *Facts) gre(s []byte) {
	n, proto, ok := greHeader(s)
	if !ok {
		f.cutTransport(s)
		return
	}
	f.Transport, f.L4Complete = GRE, true
	f.setPayload(s[n:])
	w := unwrapper{proto: proto, rest: s[n:], typeI: n == 4}
	for w.next() {
	}
	if w.ip && !f.IsFragment() {
		f.carries(Encapsulated, w.rest)
	}
}

// greHeader returns the length of the GRE header that s begins with, and the
// protocol it names.
func greHeader(s []byte) (n int, proto uint16, ok bool) {
	if len(s) < 4 {
		return 0, 0, false
	}
	flags := binary.BigEndian.Uint16(s)
	n = 4
	if flags&0xc000 != 0 && flags&7 == 0 { // checksum or routing
		n += 4
	}
	if flags&0x2000 != 0 {
		n += 4
	}
	if flags&0x1000 != 0 {
		n += 4
	}
	if flags&0x80 != 0 && flags&7 == 1 {
		n += 4
	}
	return n, binary.BigEndian.Uint16(s[2:]), n <= len(s)
}

// unwrapper takes headers off one by one until there is an IP packet.
type unwrapper struct {
	proto uint16 // of rest, an EtherType
	rest  []byte
	layer string // what was taken off last, as in frame.protocols; "" for nothing that has a name
	typeI bool   // ERSPAN has no header of its own: GRE has no sequence number
	ip    bool   // rest is an IP packet
	steps int
}

// next takes off one header; it returns false at the end.
func (w *unwrapper) next() bool {
	w.steps++
	if w.ip || w.steps > 2*maxInside {
		return false
	}
	switch w.proto {
	case etherIPv4, etherIPv6:
		w.ip, w.layer = len(w.rest) > 0, ""
		return false
	case etherTEB:
		return w.ethernet("eth:ethertype", 12)
	case etherVLAN, etherQinQ:
		return w.ethernet("vlan:ethertype", 2)
	case etherCMD:
		if len(w.rest) > 0 && w.rest[0] != 1 { // behind GRE, what it carries comes in front of the version
			return w.skip("cmd", 8, uint16(uint16At(w.rest, 0)))
		}
		return w.ethernet("cmd", 6)
	case etherERSPAN:
		if w.typeI {
			return w.skip("erspan", 0, etherTEB)
		}
		return w.skip("erspan", 8, etherTEB)
	case etherERSP3:
		if len(w.rest) >= 12 && w.rest[11]&1 != 0 {
			return w.skip("erspan", 20, etherTEB)
		}
		return w.skip("erspan", 12, etherTEB)
	case etherPPP:
		return w.ppp()
	case etherMPLS:
		return w.mpls()
	}
	return false
}

func (w *unwrapper) skip(layer string, n int, proto uint16) bool {
	if len(w.rest) < n {
		return false
	}
	w.layer, w.proto, w.rest = layer, proto, w.rest[n:]
	return true
}

func (w *unwrapper) ethernet(layer string, at int) bool {
	if len(w.rest) < at+2 {
		return false
	}
	proto := binary.BigEndian.Uint16(w.rest[at:])
	return w.skip(layer, at+2, proto)
}

// ppp reads a PPP header: address and control, which may be left out, and the
// protocol, which may be one byte. Source: RFC 1661, RFC 1662.
func (w *unwrapper) ppp() bool {
	b := w.rest
	if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
		b = b[2:]
	}
	if len(b) == 0 {
		return false
	}
	proto, n := uint16(b[0]), 1
	if b[0]&1 == 0 {
		if len(b) < 2 {
			return false
		}
		proto, n = binary.BigEndian.Uint16(b), 2
	}
	switch proto {
	case 0x21:
		w.proto = etherIPv4
	case 0x57:
		w.proto = etherIPv6
	default:
		w.proto = 0
	}
	w.layer, w.rest = "ppp", b[n:]
	return true
}

// mpls takes off the whole stack of labels. Source: RFC 3032.
func (w *unwrapper) mpls() bool {
	for b := w.rest; len(b) > 4; b = b[4:] {
		if b[2]&1 == 0 {
			continue
		}
		switch b[4] >> 4 {
		case 4:
			w.proto = etherIPv4
		case 6:
			w.proto = etherIPv6
		default:
			return false
		}
		w.layer, w.rest = "mpls", b[4:]
		return true
	}
	return false
}

// appendGRE appends the layers between the GRE header and what it carries.
func (f *Facts) appendGRE(dst []byte) []byte {
	n, proto, ok := greHeader(f.Segment)
	if !ok {
		return dst
	}
	w := unwrapper{proto: proto, rest: f.Segment[n:], typeI: n == 4}
	for w.next() {
		if w.layer != "" {
			dst = append(append(dst, ':'), w.layer...)
		}
	}
	return dst
}
