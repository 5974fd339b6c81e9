package packet

// headerItems yields what stands behind the fixed part of the IP header:
// IPv4's options, IPv6's extension headers.
func (e *emitter) headerItems() {
	f := e.f
	e.b, e.off = f.Header, 0
	if f.Version == 4 {
		e.ipv4Options(f.ipv4HdrLen())
		return
	}
	for proto, s := range f.extensions {
		if e.done {
			return
		}
		switch end := s.Off + s.Len; proto {
		case ProtoHopByHop:
			e.extension("ipv6.hopopts.nxt", "ipv6.hopopts.len", "ipv6.hopopts.len_oct", s)
			e.ipv6Options(s.Off+2, end)
		case ProtoDstOpts:
			e.extension("ipv6.dstopts.nxt", "ipv6.dstopts.len", "ipv6.dstopts.len_oct", s)
			e.ipv6Options(s.Off+2, end)
		case ProtoRouting:
			e.extension("ipv6.routing.nxt", "ipv6.routing.len", "ipv6.routing.len_oct", s)
			e.routing(s.Off, end)
		case ProtoFragment:
			e.fragment(s.Off)
		}
	}
}

// optionNames are those of IANA's "IP Option Numbers" that are seen, each in
// RFC 791, 1108, 1063, 1393, 2113 or 4782.
var optionNames = map[int]string{
	0: "End of Options List (EOL)", 1: "No Operation (NOP)", 7: "Record Route", 11: "MTU Probe", 12: "MTU Reply", 25: "Quick-Start",
	68: "Time Stamp", 82: "Traceroute", 130: "Security", 131: "Loose Source Route", 133: "Extended Security", 134: "Commercial Security",
	136: "Stream ID", 137: "Strict Source Route", 148: "Router Alert",
}

func ipv4OptionName(typ byte) string {
	if name := optionNames[int(typ)]; name != "" {
		return name
	}
	return "Unknown option"
}

// ipv4Options yields the options up to end, and of one that does not fit its
// type alone.
func (e *emitter) ipv4Options(end int) {
	for off := ipv4MinLen; off < end && !e.done; {
		typ, n := e.b[off], 1
		if typ > 1 && off+1 < end {
			n = int(e.b[off+1])
		}
		fits := typ <= 1 || n >= 2 && off+n <= end
		if !fits {
			n = end - off
		}
		e.line(ipv4OptionName(typ), off, n)
		e.depth = 1
		e.word("ip.opt.type", "Type", off, 1, 0, nil)
		e.bits("ip.opt.type.copy", "Copy on fragmentation", off, 1, uint64(typ>>7), KindBool)
		e.bits("ip.opt.type.class", "Class", off, 1, uint64(typ>>5&3), KindUint)
		e.bits("ip.opt.type.number", "Number", off, 1, uint64(typ&31), KindUint)
		if typ > 1 && off+1 < end {
			e.uint("ip.opt.len", "Length", off+1, 1, 0)
		}
		if typ > 1 && fits {
			e.ipv4Option(typ, off, off+n)
		}
		e.depth = 0
		if typ == 0 || !fits {
			return
		}
		off += n
	}
}

// ipv4Option yields what the option of that type holds, from off to end, type
// and length included.
func (e *emitter) ipv4Option(typ byte, off, end int) {
	n := end - off
	switch {
	case (typ == 7 || typ == 131 || typ == 137) && n >= 3:
		e.route(typ == 7, off, end)
	case typ == 68 && n >= 4:
		e.timestamps(off, end)
	case (typ == 11 || typ == 12) && n == 4:
		e.uint("ip.opt.mtu", "MTU", off+2, 2, 0)
	case typ == 136 && n == 4:
		e.uint("ip.opt.sid", "Stream Identifier", off+2, 2, 0)
	case typ == 148 && n == 4:
		e.word("ip.opt.ra", "Router Alert", off+2, 2, 0, routerAlert)
	case typ == 82 && n == 12:
		e.uint("ip.opt.id_number", "ID Number", off+2, 2, 0)
		e.uint("ip.opt.ohc", "Outbound Hop Count", off+4, 2, 0)
		e.uint("ip.opt.rhc", "Return Hop Count", off+6, 2, 0)
		e.addr("ip.opt.originator", "Originator IP Address", off+8, 4)
	}
}

func routerAlert(v int) string {
	if v == 0 {
		return "Router shall examine packet"
	}
	return ""
}

// route yields the addresses of a route that is recorded, or to be taken: the
// pointer counts from 1 and says where the next is.
func (e *emitter) route(record bool, off, end int) {
	ptr := int(e.uint("ip.opt.ptr", "Pointer", off+2, 1, 0))
	if ptr < 4 || ptr&3 != 0 {
		return
	}
	for at := off + 3; at+4 <= end; at += 4 {
		passed := at-off < ptr-1
		switch {
		case passed || record && ptr-1 > end-off:
			e.addr("ip.rec_rt", "Recorded Route", at, 4)
		case record:
			e.addr("ip.empty_rt", "Empty Route", at, 4)
		default:
			e.addr("ip.src_rt", "Source Route", at, 4)
		}
	}
}

func (e *emitter) timestamps(off, end int) {
	e.uint("ip.opt.ptr", "Pointer", off+2, 1, 0)
	v := e.b[off+3]
	e.bits("ip.opt.overflow", "Overflow", off+3, 1, uint64(v>>4), KindUint)
	e.bits("ip.opt.flag", "Flag", off+3, 1, uint64(v&15), KindUint)
	at := off + 4
	if kind := v & 15; kind == 1 || kind == 3 {
		for ; at+8 <= end; at += 8 {
			e.addr("ip.opt.time_stamp_addr", "Address", at, 4)
			e.uint("ip.opt.time_stamp", "Time stamp", at+4, 4, 0)
		}
		return
	}
	for ; at+4 <= end; at += 4 {
		e.uint("ip.opt.time_stamp", "Time stamp", at, 4, 0)
	}
}

// extension yields the two bytes with which most extension headers begin.
// Source: RFC 8200, section 4.
func (e *emitter) extension(next, length, octets string, s Span) {
	e.word(next, "Next Header", s.Off, 1, 0, func(v int) string { return protoName(uint8(v)) })
	e.uint(length, "Length", s.Off+1, 1, 0)
	e.bits(octets, "Length in bytes", s.Off+1, 1, uint64(s.Len), KindUint)
}

// ipv6Options yields the options of a hop-by-hop or destination options
// header. Source: RFC 8200, section 4.2; RFC 2711; RFC 2675.
func (e *emitter) ipv6Options(off, end int) {
	for off < end && !e.done {
		typ, n := e.b[off], 1
		if typ > 0 && off+1 < end {
			n = 2 + int(e.b[off+1])
		}
		e.line("Option", off, min(n, end-off))
		e.depth = 1
		e.uint("ipv6.opt.type", "Type", off, 1, 2)
		if typ > 0 {
			e.bits("ipv6.opt.type.action", "Action", off, 1, uint64(typ>>6), KindUint)
			e.bits("ipv6.opt.type.change", "May Change", off, 1, uint64(typ>>5&1), KindBool)
			e.emit(Item{Name: "ipv6.opt.type.rest", Label: "Low-Order Bits", Kind: KindUint, Hex: 2, Num: uint64(typ & 31), Depth: 1}, off, 1)
		}
		if n > 1 {
			e.uint("ipv6.opt.length", "Length", off+1, 1, 0)
		}
		switch {
		case off+n > end: // cut by the header that it stands in
		case typ == 1 && n > 2:
			e.raw("ipv6.opt.padn", "PadN", off+2, n-2, KindBytes)
		case typ == 5 && n == 4:
			e.uint("ipv6.opt.router_alert", "Router Alert", off+2, 2, 0)
		case typ == 0xc2 && n == 6:
			e.uint("ipv6.opt.jumbo", "Payload Length", off+2, 4, 0)
		case typ == 0xc9 && n == 18:
			e.addr("ipv6.opt.home_address", "Home Address", off+2, 16)
		}
		e.depth = 0
		off += n
	}
}

// routing yields the routing header that lies between off and end. Source: RFC
// 8200 section 4.4, RFC 5095 (type 0), RFC 6275 section 6.4 (2), RFC 8754
// section 2 (4, segment routing).
func (e *emitter) routing(off, end int) {
	e.uint("ipv6.routing.type", "Type", off+2, 1, 0)
	e.uint("ipv6.routing.segleft", "Segments Left", off+3, 1, 0)
	list, at := "", off+8
	switch e.b[off+2] {
	case 0:
		e.raw("ipv6.routing.src.reserved", "Reserved", off+4, 4, KindBytes)
		list = "ipv6.routing.src.addr"
	case 2:
		e.raw("ipv6.routing.mipv6.reserved", "Reserved", off+4, 4, KindBytes)
		list = "ipv6.routing.mipv6.home_address"
		end = min(end, at+16)
	case 4:
		last := e.uint("ipv6.routing.srh.last_entry", "Last Entry", off+4, 1, 0)
		e.uint("ipv6.routing.srh.flags", "Flags", off+5, 1, 2)
		e.raw("ipv6.routing.srh.tag", "Tag", off+6, 2, KindBytes)
		list = "ipv6.routing.srh.addr"
		end = min(end, at+16*(int(last)+1)) // what follows are TLVs
	case 3: // RPL, RFC 6554: compressed addresses, which are not read
		e.line("Source route of a low-power network", off+4, end-off-4)
		return
	default:
		e.raw("ipv6.routing.unknown_data", "Type-Specific Data", off+4, end-off-4, KindBytes)
		return
	}
	for ; at+16 <= end && !e.done; at += 16 {
		e.addr(list, "Address", at, 16)
	}
}

// fragment yields the fragment header. Source: RFC 8200, section 4.5.
func (e *emitter) fragment(off int) {
	e.word("ipv6.fraghdr.nxt", "Next header", off, 1, 0, func(v int) string { return protoName(uint8(v)) })
	e.uint("ipv6.fraghdr.reserved_octet", "Reserved octet", off+1, 1, 2)
	v := uint64(uint16At(e.b, off+2))
	for _, part := range [...]Item{
		{Name: "ipv6.fraghdr.offset", Label: "Offset, in units of 8 bytes", Kind: KindUint, Num: v >> 3},
		{Name: "ipv6.fraghdr.reserved_bits", Label: "Reserved bits", Kind: KindUint, Num: v >> 1 & 3},
		{Name: "ipv6.fraghdr.more", Label: "More Fragments", Kind: KindBool, Num: v & 1},
	} {
		e.emit(part, off+2, 2)
	}
	e.uint("ipv6.fraghdr.ident", "Identification", off+4, 4, 8)
}
