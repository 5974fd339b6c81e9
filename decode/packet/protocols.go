package packet

// maxQuoted is how deep packets quoted by ICMP errors are followed: an error
// about an error is not sent, RFC 1122 section 3.2.2, so one would do.
const maxQuoted = 3

// AppendProtocols appends the value of the field frame.protocols, such as
// "raw:ip:udp:dns".
func (p *Parser) AppendProtocols(dst []byte, f *Facts) []byte {
	dst = append(dst, "raw"...)
	for depth := 0; ; depth++ {
		var more bool
		dst, more = f.appendLayers(dst)
		if !more || depth == maxQuoted {
			return dst
		}
		quoted := f.Payload
		p.Facts(quoted, &p.inner)
		f = &p.inner
	}
}

// appendLayers appends the layers of one packet; more is true if the last of
// them quotes another packet.
func (f *Facts) appendLayers(dst []byte) (_ []byte, more bool) {
	switch f.Version {
	case 4:
		dst = append(dst, ":ip"...)
	case 6:
		dst = f.appendExtensions(append(dst, ":ipv6"...))
	default:
		return append(dst, ":data"...), false
	}
	if f.Header == nil {
		return dst, false
	}
	if !f.IsFragment() {
		switch f.Transport {
		case TCP:
			dst = append(dst, ":tcp"...)
		case UDP:
			dst = append(dst, ":udp"...)
		case ICMP:
			dst = append(dst, ":icmp"...)
		case ICMPv6:
			dst = append(dst, ":icmpv6"...)
		}
	}
	switch {
	case f.App != NoApp:
		return f.appendAppLayers(dst), false
	case f.isError() && len(f.Payload) > 0:
		return dst, true
	case f.hasData():
		dst = append(dst, ":data"...)
	}
	return dst, false
}

// hasData reports whether the packet ends in bytes that no layer explains.
func (f *Facts) hasData() bool {
	if len(f.Payload) == 0 {
		return false
	}
	switch {
	case f.IsFragment():
		return true
	case f.Transport == ICMP:
		return f.Type == 0 || f.Type == 8
	case f.Transport == ICMPv6:
		return f.Type == 128 || f.Type == 129
	}
	return true
}

// extensions calls yield for each IPv6 extension header.
func (f *Facts) extensions(yield func(proto uint8, span Span) bool) {
	if f.Version != 6 {
		return
	}
	proto := f.NextHeader
	for off := ipv6Len; off < len(f.Header) && isExtension(proto); {
		n, ok := extensionLen(proto, f.Header[off:])
		if !ok || !yield(proto, Span{off, n}) {
			return
		}
		proto, off = f.Header[off], off+n
	}
}

func (f *Facts) appendExtensions(dst []byte) []byte {
	for proto := range f.extensions {
		switch proto {
		case ProtoHopByHop:
			dst = append(dst, ":ipv6.hopopts"...)
		case ProtoRouting:
			dst = append(dst, ":ipv6.routing"...)
		case ProtoFragment:
			dst = append(dst, ":ipv6.fraghdr"...)
		case ProtoDstOpts:
			dst = append(dst, ":ipv6.dstopts"...)
		case ProtoAH:
			dst = append(dst, ":ah"...)
		}
	}
	return dst
}
