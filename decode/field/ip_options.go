package field

import "tundump/decode/packet"

func ipv4OptionFields() []Field {
	hasOptions := func(f *packet.Facts) bool { return f.Version == 4 && f.HdrLen > 20 }
	return entries(hasOptions, []entry{
		{"ip.opt.type", Uint, 0, "option type"},
		{"ip.opt.type.copy", Bool, 0, "the option goes into every fragment"},
		{"ip.opt.type.class", Uint, 0, "option class"},
		{"ip.opt.type.number", Uint, 0, "option number"},
		{"ip.opt.len", Uint, 0, "option length in bytes"},
		{"ip.opt.ptr", Uint, 0, "where in a route or among time stamps the next one goes"},
		{"ip.rec_rt", Addr, 0, "router that was passed"},
		{"ip.src_rt", Addr, 0, "router to be passed"},
		{"ip.empty_rt", Addr, 0, "room for a router"},
		{"ip.opt.overflow", Uint, 0, "time stamps that had no room"},
		{"ip.opt.flag", Uint, 2, "kind of time stamps"},
		{"ip.opt.time_stamp", Uint, 0, "milliseconds of the day"},
		{"ip.opt.time_stamp_addr", Addr, 0, "who wrote a time stamp"},
		{"ip.opt.mtu", Uint, 0, "MTU probed for"},
		{"ip.opt.sid", Uint, 0, "stream identifier"},
		{"ip.opt.ra", Uint, 0, "router alert"},
		{"ip.opt.id_number", Uint, 0, "traceroute: identifier"},
		{"ip.opt.ohc", Uint, 0, "traceroute: outbound hops"},
		{"ip.opt.rhc", Uint, 0, "traceroute: return hops"},
		{"ip.opt.originator", Addr, 0, "traceroute: who asks"},
	})
}

func ipv6ExtensionFields() []Field {
	hasExtensions := func(f *packet.Facts) bool { return f.Version == 6 && f.HdrLen > 40 }
	return entries(hasExtensions, []entry{
		{"ipv6.hopopts.nxt", Uint, 0, "hop-by-hop options: next header"},
		{"ipv6.hopopts.len", Uint, 0, "length in units of 8 bytes, the first not counted"},
		{"ipv6.hopopts.len_oct", Uint, 0, "length in bytes"},
		{"ipv6.dstopts.nxt", Uint, 0, "destination options: next header"},
		{"ipv6.dstopts.len", Uint, 0, "length in units of 8 bytes, the first not counted"},
		{"ipv6.dstopts.len_oct", Uint, 0, "length in bytes"},
		{"ipv6.opt.type", Uint, 2, "option type"},
		{"ipv6.opt.type.action", Uint, 0, "what to do who does not know the option"},
		{"ipv6.opt.type.change", Bool, 0, "the option may change on the way"},
		{"ipv6.opt.type.rest", Uint, 2, "the other bits of the type"},
		{"ipv6.opt.length", Uint, 0, "bytes that the option holds"},
		{"ipv6.opt.padn", Bytes, 0, "padding"},
		{"ipv6.opt.router_alert", Uint, 0, "router alert"},
		{"ipv6.opt.jumbo", Uint, 0, "payload length of a jumbogram"},
		{"ipv6.routing.nxt", Uint, 0, "routing header: next header"},
		{"ipv6.routing.len", Uint, 0, "length in units of 8 bytes, the first not counted"},
		{"ipv6.routing.len_oct", Uint, 0, "length in bytes"},
		{"ipv6.routing.type", Uint, 0, "routing type"},
		{"ipv6.routing.segleft", Uint, 0, "segments left"},
		{"ipv6.routing.src.reserved", Bytes, 0, "type 0: reserved"},
		{"ipv6.routing.src.addr", Addr, 0, "type 0: address to be visited"},
		{"ipv6.routing.mipv6.reserved", Bytes, 0, "type 2: reserved"},
		{"ipv6.routing.mipv6.home_address", Addr, 0, "type 2: home address"},
		{"ipv6.routing.srh.last_entry", Uint, 0, "segment routing: index of the last segment"},
		{"ipv6.routing.srh.flags", Uint, 2, "segment routing: flags"},
		{"ipv6.routing.srh.tag", Bytes, 0, "segment routing: tag"},
		{"ipv6.routing.srh.addr", Addr, 0, "segment routing: a segment"},
		{"ipv6.routing.unknown_data", Bytes, 0, "data of another type"},
		{"ipv6.fraghdr.nxt", Uint, 0, "fragment header: next header"},
		{"ipv6.fraghdr.reserved_octet", Uint, 2, "reserved byte"},
		{"ipv6.fraghdr.offset", Uint, 0, "fragment offset in units of 8 bytes"},
		{"ipv6.fraghdr.reserved_bits", Uint, 0, "reserved bits"},
		{"ipv6.fraghdr.more", Bool, 0, "more fragments"},
		{"ipv6.fraghdr.ident", Uint, 8, "identification"},
	})
}
