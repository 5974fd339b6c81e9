package field

import "tundump/decode/packet"

// networkFields are those of IP's options and extension headers, of ICMP's
// messages and of the rarer transports.
func networkFields() []Field {
	list := append(ipv4OptionFields(), ipv6ExtensionFields()...)
	list = append(list, entries(hasTransport(packet.ICMP), []entry{
		{"icmp.redir_gw", Addr, 0, "router that a redirect names"},
		{"icmp.pointer", Uint, 0, "where in the packet the problem is"},
		{"icmp.originate_timestamp", Uint, 0, "milliseconds of the day when a timestamp request left"},
		{"icmp.receive_timestamp", Uint, 0, "when it arrived"},
		{"icmp.transmit_timestamp", Uint, 0, "when the reply left"},
		{"icmp.address_mask", Addr, 0, "address mask"},
	})...)
	list = append(list, entries(hasTransport(packet.ICMPv6), []entry{
		{"icmpv6.pointer", Uint, 0, "where in the packet the problem is"},
		{"icmpv6.mld.maximum_response_delay", Uint, 0, "milliseconds for an answer"},
		{"icmpv6.mld.multicast_address", Addr, 0, "multicast address"},
		{"icmpv6.mldr.nb_mcast_records", Uint, 0, "number of records in a report"},
		{"icmpv6.mldr.mar.record_type", Uint, 0, "record type"},
		{"icmpv6.mldr.mar.aux_data_len", Uint, 0, "words of auxiliary data"},
		{"icmpv6.mldr.mar.nb_sources", Uint, 0, "number of sources"},
		{"icmpv6.mldr.mar.multicast_address", Addr, 0, "multicast address of a record"},
		{"icmpv6.mldr.mar.source_address", Addr, 0, "source of a record"},
		{"icmpv6.nd.ra.cur_hop_limit", Uint, 0, "hop limit to use"},
		{"icmpv6.nd.ra.flag", Uint, 2, "flags of a router advertisement"},
		{"icmpv6.nd.ra.flag.m", Bool, 0, "addresses come from DHCPv6"},
		{"icmpv6.nd.ra.flag.o", Bool, 0, "other configuration comes from DHCPv6"},
		{"icmpv6.nd.ra.flag.prf", Uint, 0, "router preference"},
		{"icmpv6.nd.ra.router_lifetime", Uint, 0, "seconds for which it is a router"},
		{"icmpv6.nd.ra.reachable_time", Uint, 0, "milliseconds"},
		{"icmpv6.nd.ra.retrans_timer", Uint, 0, "milliseconds"},
		{"icmpv6.nd.ns.target_address", Addr, 0, "address that is looked for"},
		{"icmpv6.nd.na.flag", Uint, 8, "flags of a neighbor advertisement"},
		{"icmpv6.nd.na.flag.r", Bool, 0, "the sender is a router"},
		{"icmpv6.nd.na.flag.s", Bool, 0, "it was asked for"},
		{"icmpv6.nd.na.flag.o", Bool, 0, "it replaces what is known"},
		{"icmpv6.nd.na.target_address", Addr, 0, "address that is told about"},
		{"icmpv6.opt.type", Uint, 0, "neighbor discovery option"},
		{"icmpv6.opt.length", Uint, 0, "option length in units of 8 bytes"},
		{"icmpv6.opt.linkaddr", String, 0, "link-layer address"},
		{"icmpv6.opt.src_linkaddr", String, 0, "source link-layer address"},
		{"icmpv6.opt.target_linkaddr", String, 0, "target link-layer address"},
		{"icmpv6.opt.mtu", Uint, 0, "MTU of the link"},
		{"icmpv6.opt.prefix", Addr, 0, "prefix"},
		{"icmpv6.opt.prefix.length", Uint, 0, "prefix length"},
		{"icmpv6.opt.prefix.valid_lifetime", Uint, 0, "seconds for which the prefix is valid"},
		{"icmpv6.opt.prefix.preferred_lifetime", Uint, 0, "seconds for which it is preferred"},
		{"icmpv6.opt.nonce", Bytes, 0, "nonce"},
		{"icmpv6.opt.rdnss", Addr, 0, "DNS server"},
		{"icmpv6.opt.rdnss.lifetime", Uint, 0, "seconds for which a DNS server holds"},
	})...)
	list = append(list, entries(hasTransport(packet.IGMP), []entry{
		{"igmp.version", Uint, 0, "version"},
		{"igmp.type", Uint, 2, "type"},
		{"igmp.max_resp", Uint, 0, "tenths of a second for an answer"},
		{"igmp.checksum", Uint, 4, "checksum"},
		{"igmp.maddr", Addr, 0, "multicast address"},
		{"igmp.saddr", Addr, 0, "source address"},
		{"igmp.num_grp_recs", Uint, 0, "number of records in a report"},
		{"igmp.record_type", Uint, 0, "record type"},
		{"igmp.num_src", Uint, 0, "number of sources"},
	})...)
	list = append(list, entries(hasTransport(packet.SCTP), []entry{
		{"sctp.srcport", Uint, 0, "source port"},
		{"sctp.dstport", Uint, 0, "destination port"},
		{"sctp.verification_tag", Uint, 8, "verification tag"},
		{"sctp.checksum", Uint, 8, "checksum"},
		{"sctp.chunk_type", Uint, 0, "chunk type"},
		{"sctp.chunk_flags", Uint, 2, "chunk flags"},
		{"sctp.chunk_length", Uint, 0, "chunk length"},
		{"sctp.data_tsn_raw", Uint, 0, "transmission sequence number"},
		{"sctp.data_sid", Uint, 4, "stream identifier"},
		{"sctp.data_ssn", Uint, 0, "stream sequence number"},
		{"sctp.data_payload_proto_id", Uint, 0, "payload protocol"},
	})...)
	list = append(list, entries(hasTransport(packet.GRE), []entry{
		{"gre.flags_and_version", Uint, 4, "flags and version"},
		{"gre.proto", Uint, 4, "protocol type"},
		{"gre.key", Uint, 8, "key"},
		{"gre.key.payload_length", Uint, 0, "PPTP: payload length"},
		{"gre.key.call_id", Uint, 0, "PPTP: call identifier"},
		{"gre.sequence_number", Uint, 0, "sequence number"},
		{"gre.ack_number", Uint, 0, "PPTP: acknowledgment number"},
	})...)
	return append(alone(list), entries(hasESP, []entry{
		{"esp.spi", Uint, 8, "security parameters index"},
		{"esp.sequence", Uint, 0, "sequence number"},
	})...)
}

// hasESP: as a transport, or in UDP.
func hasESP(f *packet.Facts) bool {
	return f.Transport == packet.ESP || f.App == packet.AppUDPEncap
}
