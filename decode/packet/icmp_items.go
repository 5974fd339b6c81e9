package packet

import "net/netip"

func addr4(b []byte) netip.Addr  { return netip.AddrFrom4([4]byte(b)) }
func addr16(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b)) }

func (e *emitter) icmp() {
	if e.f.Carried == Quoted || !e.f.L4Complete {
		return
	}
	switch e.f.Type {
	case 5:
		e.addr("icmp.redir_gw", "Gateway Address", 4, 4)
	case 9:
		n := e.uint("icmp.num_addrs", "Number of addresses", 4, 1, 0)
		e.uint("icmp.addr_entry_size", "Address entry size", 5, 1, 0)
		e.uint("icmp.lifetime", "Lifetime", 6, 2, 0)
		for i := range int(n) {
			e.addr("icmp.router_address", "Router address", 8+8*i, 4)
		}
	case 12:
		e.uint("icmp.pointer", "Pointer", 4, 1, 0)
	case 13, 14:
		e.uint("icmp.originate_timestamp", "Originate Timestamp", 8, 4, 0)
		e.uint("icmp.receive_timestamp", "Receive Timestamp", 12, 4, 0)
		e.uint("icmp.transmit_timestamp", "Transmit Timestamp", 16, 4, 0)
	case 17, 18:
		e.addr("icmp.address_mask", "Address Mask", 8, 4)
	}
}

// icmpv6 yields what follows type, code and checksum.
//
// Source: RFC 4861 section 4, RFC 4443, RFC 2710 and RFC 3810.
func (e *emitter) icmpv6() {
	if e.f.Carried == Quoted || !e.f.L4Complete {
		return
	}
	switch e.f.Type {
	case 4:
		e.uint("icmpv6.pointer", "Pointer", 4, 4, 0)
	case 130:
		e.uint("icmpv6.mld.maximum_response_delay", "Maximum Response Delay [ms]", 4, 2, 0)
		e.addr("icmpv6.mld.multicast_address", "Multicast Address", 8, 16)
	case 131, 132:
		e.addr("icmpv6.mld.multicast_address", "Multicast Address", 8, 16)
	case 133:
		e.ndOptions(8)
	case 134:
		e.uint("icmpv6.nd.ra.cur_hop_limit", "Cur hop limit", 4, 1, 0)
		flags := e.uint("icmpv6.nd.ra.flag", "Flags", 5, 1, 2)
		e.bits("icmpv6.nd.ra.flag.m", "Managed address configuration", 5, 1, flags>>7, KindBool)
		e.bits("icmpv6.nd.ra.flag.o", "Other configuration", 5, 1, flags>>6&1, KindBool)
		e.bits("icmpv6.nd.ra.flag.prf", "Default Router Preference", 5, 1, flags>>3&3, KindUint)
		e.uint("icmpv6.nd.ra.router_lifetime", "Router lifetime (s)", 6, 2, 0)
		e.uint("icmpv6.nd.ra.reachable_time", "Reachable time (ms)", 8, 4, 0)
		e.uint("icmpv6.nd.ra.retrans_timer", "Retrans timer (ms)", 12, 4, 0)
		e.ndOptions(16)
	case 135:
		e.addr("icmpv6.nd.ns.target_address", "Target Address", 8, 16)
		e.ndOptions(24)
	case 136:
		flags := e.uint("icmpv6.nd.na.flag", "Flags", 4, 4, 8)
		e.bits("icmpv6.nd.na.flag.r", "Router", 4, 4, flags>>31, KindBool)
		e.bits("icmpv6.nd.na.flag.s", "Solicited", 4, 4, flags>>30&1, KindBool)
		e.bits("icmpv6.nd.na.flag.o", "Override", 4, 4, flags>>29&1, KindBool)
		e.addr("icmpv6.nd.na.target_address", "Target Address", 8, 16)
		e.ndOptions(24)
	case 137:
		e.addr("icmpv6.rd.na.target_address", "Target Address", 8, 16)
		e.addr("icmpv6.rd.na.destination_address", "Destination Address", 24, 16)
		e.ndOptions(40)
	case 143:
		n := e.uint("icmpv6.mldr.nb_mcast_records", "Number of Multicast Address Records", 6, 2, 0)
		e.records(int(n), 16, "icmpv6.mldr.mar.record_type", "icmpv6.mldr.mar.aux_data_len", "icmpv6.mldr.mar.nb_sources", "icmpv6.mldr.mar.multicast_address", "icmpv6.mldr.mar.source_address", 0)
	}
}

// records yields the group records of an MLDv2 or IGMPv3 report, whose
// addresses have size bytes.
func (e *emitter) records(n, size int, typ, aux, count, group, source string, hex uint8) {
	for off := 8; n > 0 && e.has(off, 4+size) && !e.done; n-- {
		sources := uint16At(e.b, off+2)
		e.line("Group Record", off, 4+size)
		e.depth = 1
		e.uint(typ, "Record Type", off, 1, hex)
		e.uint(aux, "Aux Data Len", off+1, 1, 0)
		e.uint(count, "Number of Sources", off+2, 2, 0)
		e.addr(group, "Multicast Address", off+4, size)
		auxLen := int(e.b[off+1]) * 4
		off += 4 + size
		for i := 0; i < sources && e.has(off, size) && !e.done; i++ {
			e.addr(source, "Source Address", off, size)
			off += size
		}
		off += auxLen
		e.depth = 0
	}
}

func (e *emitter) ndOptions(off int) {
	for e.has(off, 8) && !e.done {
		n := int(e.b[off+1]) * 8
		if n == 0 || !e.has(off, n) {
			return
		}
		e.line("ICMPv6 Option", off, n)
		e.depth = 1
		e.uint("icmpv6.opt.type", "Type", off, 1, 0)
		e.uint("icmpv6.opt.length", "Length (in units of 8 bytes)", off+1, 1, 0)
		switch typ := e.b[off]; {
		case typ == 1 && n == 8:
			e.raw("icmpv6.opt.linkaddr", "Link-layer address", off+2, 6, KindMAC)
			e.raw("icmpv6.opt.src_linkaddr", "Source Link-layer address", off+2, 6, KindMAC)
		case typ == 2 && n == 8:
			e.raw("icmpv6.opt.linkaddr", "Link-layer address", off+2, 6, KindMAC)
			e.raw("icmpv6.opt.target_linkaddr", "Target Link-layer address", off+2, 6, KindMAC)
		case typ == 3 && n == 32:
			e.uint("icmpv6.opt.prefix.length", "Prefix Length", off+2, 1, 0)
			flags := e.uint("icmpv6.opt.prefix.flag", "Flags", off+3, 1, 2)
			e.bits("icmpv6.opt.prefix.flag.l", "On-link flag(L)", off+3, 1, flags>>7, KindBool)
			e.bits("icmpv6.opt.prefix.flag.a", "Autonomous address-configuration flag(A)", off+3, 1, flags>>6&1, KindBool)
			e.uint("icmpv6.opt.prefix.valid_lifetime", "Valid Lifetime", off+4, 4, 0)
			e.uint("icmpv6.opt.prefix.preferred_lifetime", "Preferred Lifetime", off+8, 4, 0)
			e.addr("icmpv6.opt.prefix", "Prefix", off+16, 16)
		case typ == 5 && n == 8:
			e.uint("icmpv6.opt.mtu", "MTU", off+4, 4, 0)
		case typ == 14:
			e.raw("icmpv6.opt.nonce", "Nonce", off+2, n-2, KindBytes)
		case typ == 25 && n >= 24:
			e.uint("icmpv6.opt.rdnss.lifetime", "Lifetime", off+4, 4, 0)
			for i := 8; i+16 <= n; i += 16 {
				e.addr("icmpv6.opt.rdnss", "Recursive DNS Servers", off+i, 16)
			}
		}
		e.depth = 0
		off += n
	}
}

// igmp yields the header and the records of a report. Source: RFC 3376,
// section 4.
func (e *emitter) igmp() {
	if !e.f.L4Complete {
		return
	}
	if v := e.f.igmpVersion(); v > 0 {
		e.emit(Item{Name: "igmp.version", Label: "IGMP Version", Kind: KindUint, Num: uint64(v)}, 0, 0)
	}
	typ := e.uint("igmp.type", "Type", 0, 1, 2)
	switch typ {
	case 0x11, 0x16, 0x17:
		if e.f.igmpVersion() > 1 {
			e.uint("igmp.max_resp", "Max Resp Time (1/10 s)", 1, 1, 0)
		}
	}
	e.word("igmp.checksum", "Checksum", 2, 2, 4, e.statusWord)
	if typ != 0x22 {
		e.addr("igmp.maddr", "Multicast Address", 4, 4)
		if typ == 0x11 && len(e.b) >= 12 {
			flags := bigEndian(e.b[8:9])
			e.bits("igmp.s", "Suppress router side processing", 8, 1, flags>>3&1, KindBool)
			e.bits("igmp.qrv", "QRV", 8, 1, flags&7, KindUint)
			e.uint("igmp.qqic", "QQIC", 9, 1, 0)
			n := e.uint("igmp.num_src", "Num Src", 10, 2, 0)
			for i := 0; i < int(n) && e.has(12+4*i, 4); i++ {
				e.addr("igmp.saddr", "Source Address", 12+4*i, 4)
			}
		}
		return
	}
	n := e.uint("igmp.num_grp_recs", "Num Group Records", 6, 2, 0)
	e.records(int(n), 4, "igmp.record_type", "igmp.aux_data_len", "igmp.num_src", "igmp.maddr", "igmp.saddr", 0)
}

// statusWord says what the checksum is worth.
func (e *emitter) statusWord(int) string { return e.f.L4Status.String() }

func (e *emitter) udpLite() {
	e.uint("", "Source Port", 0, 2, 0)
	e.uint("", "Destination Port", 2, 2, 0)
	e.uint("", "Checksum coverage", 4, 2, 0)
	e.word("", "Checksum", 6, 2, 4, e.statusWord)
}

func (e *emitter) sctp() {
	e.uint("sctp.srcport", "Source port", 0, 2, 0)
	e.uint("sctp.dstport", "Destination port", 2, 2, 0)
	e.uint("sctp.verification_tag", "Verification tag", 4, 4, 8)
	e.word("sctp.checksum", "Checksum", 8, 4, 8, e.statusWord)
	off := sctpHeaderLen
	for _, chunk := range e.f.sctpChunks {
		e.line("Chunk", off, len(chunk))
		e.depth = 1
		e.word("sctp.chunk_type", "Chunk type", off, 1, 0, func(v int) string { return lookup(sctpChunks[:], v) })
		e.uint("sctp.chunk_flags", "Chunk flags", off+1, 1, 2)
		e.uint("sctp.chunk_length", "Chunk length", off+2, 2, 0)
		if chunk[0] == 0 {
			e.uint("sctp.data_tsn_raw", "Transmission sequence number (absolute)", off+4, 4, 0)
			e.uint("sctp.data_sid", "Stream identifier", off+8, 2, 4)
			e.uint("sctp.data_ssn", "Stream sequence number", off+10, 2, 0)
			e.uint("sctp.data_payload_proto_id", "Payload protocol identifier", off+12, 4, 0)
		}
		e.depth = 0
		off += (uint16At(e.b, off+2) + 3) &^ 3
		if e.done {
			return
		}
	}
}

func (e *emitter) gre() {
	e.uint("gre.flags_and_version", "Flags and Version", 0, 2, 4)
	e.uint("gre.proto", "Protocol Type", 2, 2, 4)
	flags := uint16At(e.b, 0)
	off := 4
	if flags&0xc000 != 0 && flags&7 == 0 {
		e.uint("gre.checksum", "Checksum", off, 2, 4)
		off += 4
	}
	if flags&0x2000 != 0 {
		if flags&7 == 1 {
			e.uint("gre.key.payload_length", "Payload Length", off, 2, 0)
			e.uint("gre.key.call_id", "Call ID", off+2, 2, 0)
		} else {
			e.uint("gre.key", "Key", off, 4, 8)
		}
		off += 4
	}
	if flags&0x1000 != 0 {
		e.uint("gre.sequence_number", "Sequence Number", off, 4, 0)
		off += 4
	}
	if flags&0x80 != 0 && flags&7 == 1 {
		e.uint("gre.ack_number", "Acknowledgment Number", off, 4, 0)
	}
}
