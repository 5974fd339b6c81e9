package packet

import (
	"encoding/binary"
	"net/netip"
)

const (
	ipv4MinLen     = 20
	ipv6Len        = 40
	maxDatagramLen = 65535
)

// ipv4 reads the IPv4 header of b, which has at least one byte, and returns
// the bytes of the datagram behind it. ok is false if there is no telling
// where those begin.
//
// Source: RFC 791, section 3.1. A total length of 0 is what segmentation
// offload leaves in captures; Wireshark takes the packet's own length then,
// and so does this.
func (f *Facts) ipv4(b []byte) (segment []byte, ok bool) {
	f.Version = 4
	n := len(b)
	h := b
	if n < ipv4MinLen {
		var pad [ipv4MinLen]byte
		h = wholeFields(pad[:], b, 2, 4, 6, 8, 9, 10, 12, 16)
	}
	f.HdrLen = int(h[0]&15) * 4
	f.DSField = h[1]
	f.TotalLen = int(binary.BigEndian.Uint16(h[2:]))
	f.ID = uint32(binary.BigEndian.Uint16(h[4:]))
	frag := binary.BigEndian.Uint16(h[6:])
	f.DF, f.MF = frag&0x4000 != 0, frag&0x2000 != 0
	f.FragOffset = int(frag&0x1fff) * 8
	f.TTL, f.Proto, f.NextHeader = h[8], h[9], h[9]
	f.IPChecksum = binary.BigEndian.Uint16(h[10:])
	if n >= 16 {
		f.Src = netip.AddrFrom4([4]byte(h[12:]))
	}
	if n >= ipv4MinLen {
		f.Dst = netip.AddrFrom4([4]byte(h[16:]))
	}
	if f.HdrLen < ipv4MinLen {
		f.wrong(ProblemHeaderLen, 0, 1)
		return nil, false
	}
	if n >= 4 && f.TotalLen != 0 && f.TotalLen < f.HdrLen {
		f.wrong(ProblemLengthBelow, 2, 2)
	}
	if n < f.HdrLen {
		f.wrong(ProblemHeaderCut, n, 0)
		return nil, false
	}
	if Fold(Sum(b[:f.HdrLen], 0)) == 0xffff {
		f.IPStatus = Good
	} else {
		f.IPStatus = Bad
	}
	end := n
	switch {
	case f.TotalLen == 0:
		f.wrong(ProblemLengthZero, 2, 2)
	case f.TotalLen < f.HdrLen:
		end = f.HdrLen
	case f.TotalLen > n:
		f.wrong(ProblemCut, n, 0)
	case f.TotalLen < n:
		f.wrong(ProblemTrailing, f.TotalLen, n-f.TotalLen)
		end = f.TotalLen
	}
	if f.IPStatus == Bad {
		f.wrong(ProblemHeaderSum, 10, 2)
	}
	if f.FragOffset+end-f.HdrLen > maxDatagramLen-ipv4MinLen {
		f.wrong(ProblemFragmentRange, 6, 2)
	}
	f.authenticated(b[:end])
	return b[f.HdrLen:end], true
}

// IPHdrLen returns the length of the IP header alone, IPv4's with its options.
func (f *Facts) IPHdrLen() int {
	if f.Version == 4 && f.Header != nil {
		return f.ipv4HdrLen()
	}
	return min(f.HdrLen, 60)
}

// ipv4HdrLen returns the length of the IPv4 header with its options.
func (f *Facts) ipv4HdrLen() int { return int(f.Header[0]&15) * 4 }

// authenticated steps over an authentication header behind the IPv4 header.
func (f *Facts) authenticated(b []byte) {
	for f.Proto == ProtoAH && f.FragOffset == 0 && !f.MF {
		n, ok := extensionLen(ProtoAH, b[f.HdrLen:])
		if !ok {
			return
		}
		f.Proto = b[f.HdrLen]
		f.HdrLen += n
	}
}

// ipv6 reads the IPv6 header of b and walks the extension headers, as ipv4
// does.
//
// Source: RFC 8200, section 4; the authentication header counts its length
// differently, RFC 4302, section 2.2.
func (f *Facts) ipv6(b []byte) (segment []byte, ok bool) {
	f.Version = 6
	n := len(b)
	h := b
	if n < ipv6Len {
		var pad [ipv6Len]byte
		h = wholeFields(pad[:], b, 2, 4, 6, 7, 8, 24)
	}
	w := binary.BigEndian.Uint32(h)
	f.DSField, f.FlowLabel = uint8(w>>20), w&0xfffff
	f.HdrLen = ipv6Len
	f.TotalLen = ipv6Len + int(binary.BigEndian.Uint16(h[4:]))
	f.NextHeader, f.TTL = h[6], h[7]
	f.Proto = f.NextHeader
	if n >= 24 {
		f.Src = netip.AddrFrom16([16]byte(h[8:]))
	}
	if n < ipv6Len {
		f.wrong(ProblemHeaderCut, n, 0)
		return nil, false
	}
	f.Dst = netip.AddrFrom16([16]byte(h[24:]))
	end := n
	switch {
	case f.TotalLen == ipv6Len && n > ipv6Len:
		f.wrong(ProblemLengthZero, 4, 2)
	case f.TotalLen > n:
		f.wrong(ProblemCut, n, 0)
	case f.TotalLen < n:
		f.wrong(ProblemTrailing, f.TotalLen, n-f.TotalLen)
		end = f.TotalLen
	}
	for isExtension(f.Proto) && f.FragOffset == 0 {
		l, ok := extensionLen(f.Proto, b[f.HdrLen:end])
		if !ok {
			f.wrong(ProblemExtensionCut, end, 0)
			return nil, false
		}
		ext := b[f.HdrLen : f.HdrLen+l]
		if f.Proto == ProtoFragment {
			f.FragOffset = int(binary.BigEndian.Uint16(ext[2:]) &^ 7)
			f.MF = ext[3]&1 != 0
			f.ID = binary.BigEndian.Uint32(ext[4:])
		}
		switch f.Proto {
		case ProtoMobility:
			f.Transport = MobileIPv6
		case ProtoHIP:
			f.Transport = HIP
		case ProtoShim6:
			f.Transport = Shim6
		}
		f.HdrLen += l
		if f.Proto = ext[0]; f.MF {
			break // what follows is the datagram's, not this header's
		}
	}
	if f.FragOffset+end-f.HdrLen > maxDatagramLen {
		f.wrong(ProblemFragmentRange, f.HdrLen, 0)
	}
	return b[f.HdrLen:end], true
}

// wholeFields copies to pad, which is zero, what there is of a header that is
// cut: up to the last of ends, the offsets at which fields end, that b reaches.
func wholeFields(pad, b []byte, ends ...int) []byte {
	have := 1
	for _, e := range ends {
		if e <= len(b) {
			have = e
		}
	}
	copy(pad, b[:have])
	return pad
}

func isExtension(proto uint8) bool {
	switch proto {
	case ProtoHopByHop, ProtoRouting, ProtoFragment, ProtoDstOpts, ProtoAH, ProtoMobility, ProtoHIP, ProtoShim6:
		return true
	}
	return false
}

// extensionLen returns the length in bytes, at least 8, of the extension
// header that b begins with; ok is false if b ends before it does.
func extensionLen(proto uint8, b []byte) (n int, ok bool) {
	if len(b) < 8 {
		return 0, false
	}
	switch proto {
	case ProtoFragment:
		n = 8
	case ProtoAH:
		n = max((int(b[1])+2)*4, 8)
	default:
		n = (int(b[1]) + 1) * 8
	}
	return n, n <= len(b)
}
