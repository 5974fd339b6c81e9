package field

import (
	"net/netip"
	"strings"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

// fact makes a field out of the packet's facts; get returns the zero Value
// where it does not apply. A packet that carries another has the field of
// each, the outermost first, as in tshark.
func fact(name string, t Type, doc string, get func(*packet.Facts) Value) Field {
	return facts(name, t, doc, func(dst []Value, f *packet.Facts) []Value {
		if v := get(f); v.Type != 0 {
			return append(dst, v)
		}
		return dst
	})
}

// facts is fact for a field that a packet may have several times.
func facts(name string, t Type, doc string, get func([]Value, *packet.Facts) []Value) Field {
	return Field{Name: name, Type: t, Doc: doc, Cost: FromPacket, Depth: Alone, get: func(dst []Value, r *Row) []Value {
		dst = get(dst, r.Packet)
		if r.Packet.Carries == packet.NotInside {
			return dst
		}
		for depth, f := 0, r.Parser.Inside(r.Packet, 0); f != nil; depth++ {
			dst = get(dst, f)
			f = r.Parser.Inside(f, depth+1)
		}
		return dst
	}}
}

func hexFact(name string, digits int, doc string, get func(*packet.Facts) Value) Field {
	f := fact(name, Uint, doc, get)
	f.Hex = digits
	return f
}

// where guards get with a condition.
func where(cond func(*packet.Facts) bool, get func(*packet.Facts) Value) func(*packet.Facts) Value {
	return func(f *packet.Facts) Value {
		if !cond(f) {
			return Value{}
		}
		return get(f)
	}
}

func frameFields() []Field {
	return []Field{
		{Name: "frame.number", Type: Uint, Doc: "number of the packet among all inner packets of the capture, from 1", Cost: FromPacket, Depth: Alone,
			get: func(dst []Value, r *Row) []Value { return append(dst, uintValue(uint64(r.Number))) }},
		{Name: "frame.len", Type: Uint, Doc: "bytes of the packet", Cost: FromPacket, Depth: Alone,
			get: func(dst []Value, r *Row) []Value { return append(dst, uintValue(uint64(r.Packet.Len))) }},
		{Name: "frame.protocols", Type: String, Doc: "protocols in the packet, outermost first", Cost: FromPacket,
			get: func(dst []Value, r *Row) []Value {
				return append(dst, r.safeText(func(b []byte) []byte {
					if r.Flow == nil {
						return r.Parser.AppendProtocols(b, r.Packet)
					}
					return flow.AppendProtocols(b, r.Parser, r.Packet, r.Flow)
				}))
			}},
		{Name: "frame.raw", Type: Bytes, Doc: "the packet's bytes", Cost: FromPacket, Depth: Alone, OnRequest: true,
			get: func(dst []Value, r *Row) []Value { return append(dst, bytesValue(r.Data)) }},
		{Name: "tunnel.af", Type: Int, Doc: "address family that the message gives the packet", Cost: FromPacket, Depth: Alone,
			get: func(dst []Value, r *Row) []Value {
				if r.Family < 0 {
					return dst
				}
				return append(dst, intValue(r.Family))
			}},
		{Name: "_ws.col.protocol", Type: String, Doc: "protocol column", Cost: FromPacket,
			get: func(dst []Value, r *Row) []Value {
				return append(dst, r.safeText(func(b []byte) []byte {
					if r.Flow == nil {
						return r.Parser.AppendProtocol(b, r.Packet)
					}
					return flow.AppendProtocol(b, r.Parser, r.Packet, r.Flow)
				}))
			}},
		{Name: "_ws.col.info", Type: String, Doc: "info column", Cost: FromPayload,
			get: func(dst []Value, r *Row) []Value {
				return append(dst, r.safeText(func(b []byte) []byte {
					if r.Flow == nil {
						return r.Parser.AppendInfo(b, r.Packet, packet.Base{})
					}
					return flow.AppendInfo(b, r.Parser, r.Packet, r.Flow)
				}))
			}},
	}
}

func ipFields() []Field {
	is := func(version uint8) func(*packet.Facts) bool {
		return func(f *packet.Facts) bool { return f.Version == version && f.HdrLen > 0 }
	}
	v4 := func(get func(*packet.Facts) Value) func(*packet.Facts) Value { return where(is(4), get) }
	v6 := func(get func(*packet.Facts) Value) func(*packet.Facts) Value { return where(is(6), get) }
	addr := func(a netip.Addr, version uint8, f *packet.Facts) Value {
		if f.Version != version || !a.IsValid() {
			return Value{}
		}
		return addrValue(a)
	}
	both := func(name string, version uint8, doc string) Field {
		f := facts(name, Addr, doc, func(dst []Value, f *packet.Facts) []Value {
			if f.Version == version && f.Src.IsValid() {
				dst = append(dst, addrValue(f.Src), addrValue(f.Dst))
			}
			return dst
		})
		f.Combines = true
		return f
	}
	// The packets that a datagram came in are named in the one that completes it.
	whole := func(version uint8, get func([]Value, *packet.Whole) []Value) func([]Value, *packet.Facts) []Value {
		return func(dst []Value, f *packet.Facts) []Value {
			if f.Version != version || f.Whole == nil {
				return dst
			}
			return get(dst, f.Whole)
		}
	}
	pieces := func(dst []Value, w *packet.Whole) []Value {
		for _, p := range w.Pieces {
			dst = append(dst, uintValue(uint64(p.Number)))
		}
		return dst
	}
	count := func(dst []Value, w *packet.Whole) []Value { return append(dst, uintValue(uint64(len(w.Pieces)))) }
	length := func(dst []Value, w *packet.Whole) []Value { return append(dst, uintValue(uint64(len(w.Segment)))) }
	data := func(version uint8, name string) Field {
		f := facts(name, Bytes, "bytes of the datagram that this packet completes", whole(version, func(dst []Value, w *packet.Whole) []Value { return append(dst, bytesValue(w.Segment)) }))
		f.OnRequest = true
		return f
	}
	reassembledIn := func(f *packet.Facts) Value {
		if f.ReassembledIn == 0 {
			return Value{}
		}
		return uintValue(uint64(f.ReassembledIn))
	}
	return []Field{
		fact("ip.version", Uint, "IP version, 4 or 6", where(func(f *packet.Facts) bool { return f.HdrLen > 0 }, func(f *packet.Facts) Value { return uintValue(uint64(f.Version)) })),
		fact("ip.hdr_len", Uint, "header length in bytes", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.IPHdrLen())) })),
		hexFact("ip.dsfield", 2, "differentiated services field", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.DSField)) })),
		fact("ip.len", Uint, "total length in bytes", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.TotalLen)) })),
		hexFact("ip.id", 4, "identification", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.ID)) })),
		fact("ip.flags.df", Bool, "don't fragment", v4(func(f *packet.Facts) Value { return boolValue(f.DF) })),
		fact("ip.flags.mf", Bool, "more fragments", v4(func(f *packet.Facts) Value { return boolValue(f.MF) })),
		fact("ip.frag_offset", Uint, "fragment offset, in units of 8 bytes", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.FragOffset / 8)) })),
		fact("ip.dsfield.dscp", Uint, "differentiated services codepoint", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.DSField >> 2)) })),
		fact("ip.dsfield.ecn", Uint, "explicit congestion notification", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.DSField & 3)) })),
		fact("ip.ttl", Uint, "time to live", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.TTL)) })),
		fact("ip.proto", Uint, "protocol number", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.NextHeader)) })),
		hexFact("ip.checksum", 4, "header checksum", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.IPChecksum)) })),
		fact("ip.checksum.status", Uint, "0 bad, 1 good, 2 unverified", v4(func(f *packet.Facts) Value { return uintValue(uint64(f.IPStatus.Number())) })),
		fact("ip.src", Addr, "source address", func(f *packet.Facts) Value { return addr(f.Src, 4, f) }),
		fact("ip.dst", Addr, "destination address", func(f *packet.Facts) Value { return addr(f.Dst, 4, f) }),
		both("ip.addr", 4, "source or destination address"),
		facts("ip.fragment", Uint, "number of a packet with a fragment of the datagram that this one completes", whole(4, pieces)),
		facts("ip.fragment.count", Uint, "fragments of the datagram that this packet completes", whole(4, count)),
		facts("ip.reassembled.length", Uint, "bytes of the datagram that this packet completes", whole(4, length)),
		data(4, "ip.reassembled.data"),
		fact("ip.reassembled_in", Uint, "number of the packet that completes this fragment's datagram; not known in one pass", v4(reassembledIn)),
		fact("ipv6.version", Uint, "IP version, of IPv6", v6(func(f *packet.Facts) Value { return uintValue(6) })),
		hexFact("ipv6.tclass", 8, "traffic class", v6(func(f *packet.Facts) Value { return uintValue(uint64(f.DSField)) })),
		hexFact("ipv6.flow", 6, "flow label", v6(func(f *packet.Facts) Value { return uintValue(uint64(f.FlowLabel)) })),
		fact("ipv6.plen", Uint, "payload length in bytes", v6(func(f *packet.Facts) Value { return uintValue(uint64(max(0, f.TotalLen-40))) })),
		fact("ipv6.nxt", Uint, "next header", v6(func(f *packet.Facts) Value { return uintValue(uint64(f.NextHeader)) })),
		fact("ipv6.hlim", Uint, "hop limit", v6(func(f *packet.Facts) Value { return uintValue(uint64(f.TTL)) })),
		fact("ipv6.src", Addr, "source address", func(f *packet.Facts) Value { return addr(f.Src, 6, f) }),
		fact("ipv6.dst", Addr, "destination address", func(f *packet.Facts) Value { return addr(f.Dst, 6, f) }),
		both("ipv6.addr", 6, "source or destination address"),
		facts("ipv6.fragment", Uint, "number of a packet with a fragment of the datagram that this one completes", whole(6, pieces)),
		facts("ipv6.fragment.count", Uint, "fragments of the datagram that this packet completes", whole(6, count)),
		facts("ipv6.reassembled.length", Uint, "bytes of the datagram that this packet completes", whole(6, length)),
		data(6, "ipv6.reassembled.data"),
		fact("ipv6.reassembled.in", Uint, "number of the packet that completes this fragment's datagram; not known in one pass", v6(reassembledIn)),
	}
}

func transportFields() []Field {
	is := func(t packet.Transport) func(*packet.Facts) bool {
		return func(f *packet.Facts) bool { return f.Transport == t && !f.IsFragment() }
	}
	whole := func(t packet.Transport) func(*packet.Facts) bool {
		return func(f *packet.Facts) bool { return f.Transport == t && f.L4Complete && !f.IsFragment() }
	}
	// Of the TCP header that an ICMP error quotes there are the ports alone.
	tcp := func(get func(*packet.Facts) Value) func(*packet.Facts) Value {
		of := whole(packet.TCP)
		return where(func(f *packet.Facts) bool { return of(f) && f.Carried != packet.Quoted }, get)
	}
	udp := func(get func(*packet.Facts) Value) func(*packet.Facts) Value { return where(whole(packet.UDP), get) }
	ports := func(name string, t packet.Transport) Field {
		of := is(t)
		f := facts(name, Uint, "source or destination port", func(dst []Value, f *packet.Facts) []Value {
			if of(f) {
				dst = append(dst, uintValue(uint64(f.SrcPort)), uintValue(uint64(f.DstPort)))
			}
			return dst
		})
		f.Combines = true
		return f
	}
	src := func(f *packet.Facts) Value { return uintValue(uint64(f.SrcPort)) }
	dst := func(f *packet.Facts) Value { return uintValue(uint64(f.DstPort)) }
	status := func(f *packet.Facts) Value { f.Verify(); return uintValue(uint64(f.L4Status.Number())) }
	// UDP over IPv6 must have a checksum: RFC 8200, section 8.1. tshark has a
	// number of its own for one that is zero.
	udpStatus := func(f *packet.Facts) Value {
		if f.Version == 6 && f.L4Checksum == 0 {
			return uintValue(4)
		}
		return status(f)
	}
	payload := func(name string, t packet.Transport) Field {
		f := fact(name, Bytes, "bytes of payload", where(whole(t), func(f *packet.Facts) Value {
			if len(f.Payload) == 0 {
				return Value{}
			}
			return bytesValue(f.Payload)
		}))
		f.OnRequest = true
		return f
	}
	list := []Field{
		payload("tcp.payload", packet.TCP),
		payload("udp.payload", packet.UDP),
		fact("tcp.srcport", Uint, "source port", where(is(packet.TCP), src)),
		fact("tcp.dstport", Uint, "destination port", where(is(packet.TCP), dst)),
		ports("tcp.port", packet.TCP),
		fact("tcp.seq_raw", Uint, "sequence number as it is on the wire", tcp(func(f *packet.Facts) Value { return uintValue(uint64(f.Seq)) })),
		fact("tcp.ack_raw", Uint, "acknowledgment number as it is on the wire", tcp(func(f *packet.Facts) Value { return uintValue(uint64(f.Ack)) })),
		fact("tcp.hdr_len", Uint, "header length in bytes", tcp(func(f *packet.Facts) Value { return uintValue(uint64(f.TCPHdrLen)) })),
		hexFact("tcp.flags", 4, "flags", tcp(func(f *packet.Facts) Value { return uintValue(uint64(f.Flags)) })),
	}
	for _, b := range [...]struct {
		name string
		bit  uint16
	}{{"fin", packet.FIN}, {"syn", packet.SYN}, {"reset", packet.RST}, {"push", packet.PSH}, {"ack", packet.ACK}, {"urg", packet.URG}, {"ece", packet.ECE}, {"cwr", packet.CWR}} {
		list = append(list, fact("tcp.flags."+b.name, Bool, "the "+strings.ToUpper(b.name)+" flag", tcp(func(f *packet.Facts) Value { return boolValue(f.Flags&b.bit != 0) })))
	}
	return append(list,
		fact("tcp.window_size_value", Uint, "window as it is on the wire", tcp(func(f *packet.Facts) Value { return uintValue(uint64(f.Window)) })),
		fact("tcp.len", Uint, "bytes of payload", tcp(func(f *packet.Facts) Value { return uintValue(uint64(f.PayloadLen)) })),
		hexFact("tcp.checksum", 4, "checksum", tcp(func(f *packet.Facts) Value { return uintValue(uint64(f.L4Checksum)) })),
		fact("tcp.checksum.status", Uint, "0 bad, 1 good, 2 unverified", tcp(status)),
		fact("tcp.options.mss_val", Uint, "maximum segment size option", where(func(f *packet.Facts) bool { return f.Transport == packet.TCP && f.MSS > 0 }, func(f *packet.Facts) Value { return uintValue(uint64(f.MSS)) })),
		fact("tcp.options.wscale.shift", Uint, "window scale option: shift count", where(func(f *packet.Facts) bool { return f.Transport == packet.TCP && f.WScale >= 0 }, func(f *packet.Facts) Value { return uintValue(uint64(f.WScale)) })),
		fact("tcp.urgent_pointer", Uint, "urgent pointer", tcp(func(f *packet.Facts) Value { return uintValue(uint64(f.Urgent)) })),
		fact("tcp.options.timestamp.tsval", Uint, "timestamp option: value", tcp(func(f *packet.Facts) Value {
			if !f.HasTS {
				return Value{}
			}
			return uintValue(uint64(f.TSVal))
		})),
		fact("tcp.options.timestamp.tsecr", Uint, "timestamp option: echo", tcp(func(f *packet.Facts) Value {
			if !f.HasTS {
				return Value{}
			}
			return uintValue(uint64(f.TSEcr))
		})),
		fact("udp.srcport", Uint, "source port", where(is(packet.UDP), src)),
		fact("udp.dstport", Uint, "destination port", where(is(packet.UDP), dst)),
		ports("udp.port", packet.UDP),
		fact("udp.length", Uint, "length field, in bytes", udp(func(f *packet.Facts) Value { return uintValue(uint64(f.UDPLen)) })),
		hexFact("udp.checksum", 4, "checksum", udp(func(f *packet.Facts) Value { return uintValue(uint64(f.L4Checksum)) })),
		fact("udp.checksum.status", Uint, "0 bad, 1 good, 2 unverified, 3 not present, 4 zero in IPv6", udp(udpStatus)),
		fact("icmp.type", Uint, "type", where(is(packet.ICMP), func(f *packet.Facts) Value { return uintValue(uint64(f.Type)) })),
		fact("icmp.code", Uint, "code", where(is(packet.ICMP), func(f *packet.Facts) Value { return uintValue(uint64(f.Code)) })),
		fact("icmp.ident", Uint, "identifier of an echo", where(func(f *packet.Facts) bool { return f.Transport == packet.ICMP && f.HasICMPID() }, func(f *packet.Facts) Value { return uintValue(uint64(f.ICMPID)) })),
		fact("icmp.seq", Uint, "sequence number of an echo", where(func(f *packet.Facts) bool { return f.Transport == packet.ICMP && f.HasICMPID() }, func(f *packet.Facts) Value { return uintValue(uint64(f.ICMPSeq)) })),
		fact("icmp.mtu", Uint, "MTU of the next hop", where(func(f *packet.Facts) bool { return f.Transport == packet.ICMP && f.MTU > 0 }, func(f *packet.Facts) Value { return uintValue(uint64(f.MTU)) })),
		hexFact("icmp.checksum", 4, "checksum", where(whole(packet.ICMP), func(f *packet.Facts) Value { return uintValue(uint64(f.L4Checksum)) })),
		fact("icmp.checksum.status", Uint, "0 bad, 1 good, 2 unverified", where(whole(packet.ICMP), status)),
		hexFact("icmpv6.checksum", 4, "checksum", where(whole(packet.ICMPv6), func(f *packet.Facts) Value { return uintValue(uint64(f.L4Checksum)) })),
		fact("icmpv6.checksum.status", Uint, "0 bad, 1 good, 2 unverified", where(whole(packet.ICMPv6), status)),
		fact("igmp.checksum.status", Uint, "0 bad, 1 good, 2 unverified", where(whole(packet.IGMP), status)),
		fact("sctp.checksum.status", Uint, "0 bad, 1 good, 2 unverified", where(whole(packet.SCTP), status)),
		hexFact("icmpv6.echo.identifier", 4, "identifier of an echo", where(func(f *packet.Facts) bool { return f.Transport == packet.ICMPv6 && f.HasICMPID() }, func(f *packet.Facts) Value { return uintValue(uint64(f.ICMPID)) })),
		fact("icmpv6.echo.sequence_number", Uint, "sequence number of an echo", where(func(f *packet.Facts) bool { return f.Transport == packet.ICMPv6 && f.HasICMPID() }, func(f *packet.Facts) Value { return uintValue(uint64(f.ICMPSeq)) })),
		fact("icmpv6.mtu", Uint, "MTU of the next hop", where(func(f *packet.Facts) bool { return f.Transport == packet.ICMPv6 && f.MTU > 0 }, func(f *packet.Facts) Value { return uintValue(uint64(f.MTU)) })),
		fact("icmpv6.type", Uint, "type", where(is(packet.ICMPv6), func(f *packet.Facts) Value { return uintValue(uint64(f.Type)) })),
		fact("icmpv6.code", Uint, "code", where(is(packet.ICMPv6), func(f *packet.Facts) Value { return uintValue(uint64(f.Code)) })),
	)
}
