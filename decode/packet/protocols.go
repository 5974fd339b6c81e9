package packet

// AppendProtocols appends the value of the field frame.protocols, such as
// "raw:ip:udp:dns".
func (p *Parser) AppendProtocols(dst []byte, f *Facts) []byte {
	dst = append(dst, "raw"...)
	for depth := 0; f != nil; depth++ {
		dst = f.appendLayers(dst)
		f = p.Inside(f, depth)
	}
	return dst
}

// appendLayers appends the layers of one packet.
func (f *Facts) appendLayers(dst []byte) []byte {
	switch f.Version {
	case 4:
		dst = append(dst, ":ip"...)
	case 6:
		dst = append(dst, ":ipv6"...)
	default:
		return append(dst, ":data"...)
	}
	if f.Header == nil {
		return dst
	}
	dst = f.appendExtensions(dst)
	if !f.IsFragment() && transports[f.Transport].layer != "" {
		dst = append(append(dst, ':'), transports[f.Transport].layer...)
	}
	switch {
	case f.App != NoApp:
		return f.appendAppLayers(dst)
	case f.Transport == GRE && !f.IsFragment():
		dst = f.appendGRE(dst)
	}
	if f.Carries == NotInside && f.hasData() {
		dst = append(dst, ":data"...)
	}
	return dst
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
	case f.Transport == GRE:
		_, proto, _ := greHeader(f.Segment)
		return proto != 0
	}
	return f.Transport <= UDP || f.Transport == UDPLite
}

// extensions calls yield for each IPv6 extension header, and for AH behind
// IPv4.
func (f *Facts) extensions(yield func(proto uint8, span Span) bool) {
	if f.Version == 0 || f.Header == nil {
		return
	}
	proto, off := f.NextHeader, ipv6Len
	if f.Version == 4 {
		off = f.ipv4HdrLen()
	}
	for off < len(f.Header) && isExtension(proto) {
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
		case ProtoMobility:
			dst = append(dst, ":mipv6"...)
		case ProtoHIP:
			dst = append(dst, ":hip"...)
		case ProtoShim6:
			dst = append(dst, ":shim6"...)
		}
	}
	return dst
}
