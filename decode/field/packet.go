package field

import (
	"strings"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

// fact makes a field out of the facts of packets that have what when says; get
// returns the zero Value where it does not apply. A packet that carries another
// has the field of each, the outermost first, as in tshark.
func fact(when *condition, name string, t Type, doc string, get func(*packet.Facts) Value) Field {
	return Field{Name: name, Type: t, Doc: doc, Cost: FromPacket, Depth: Alone, when: when, fact: get}
}

func hexFact(when *condition, name string, digits int, doc string, get func(*packet.Facts) Value) Field {
	f := fact(when, name, Uint, doc, get)
	f.Hex = digits
	return f
}

// facts is fact for a field that a packet may have several times.
func facts(when *condition, name string, t Type, doc string, get func([]Value, *packet.Facts) []Value) Field {
	return Field{Name: name, Type: t, Doc: doc, Cost: FromPacket, Depth: Alone, when: when, get: func(dst []Value, r *Row) []Value {
		if when.packet(r.Packet) {
			dst = get(dst, r.Packet)
		}
		inside := r.inside()
		for i := range inside {
			if when.packet(&inside[i]) {
				dst = get(dst, &inside[i])
			}
		}
		return dst
	}}
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
	header := packetHas(func(f *packet.Facts) bool { return f.HdrLen > 0 })
	headerOf := func(version uint8) *condition {
		return packetHas(func(f *packet.Facts) bool { return f.Version == version && f.HdrLen > 0 })
	}
	addrsOf := func(version uint8) *condition {
		return packetHas(func(f *packet.Facts) bool { return f.Version == version && f.Src.IsValid() })
	}
	v4, v6, addrs4, addrs6 := headerOf(4), headerOf(6), addrsOf(4), addrsOf(6)
	src := func(f *packet.Facts) Value { return addrValue(f.Src) }
	dst := func(f *packet.Facts) Value {
		if !f.Dst.IsValid() { // cut in front of it
			return Value{}
		}
		return addrValue(f.Dst)
	}
	both := func(when *condition, name, doc string) Field {
		f := facts(when, name, Addr, doc, func(dst []Value, f *packet.Facts) []Value {
			return append(dst, addrValue(f.Src), addrValue(f.Dst))
		})
		f.Combines = true
		return f
	}
	reassembledIn := func(f *packet.Facts) Value {
		if f.ReassembledIn == 0 {
			return Value{}
		}
		return uintValue(uint64(f.ReassembledIn))
	}
	// The packets that a datagram came in are named in the one that completes it.
	datagram := func(version uint8, ip *condition, prefix, in string) []Field {
		whole := packetHas(func(f *packet.Facts) bool { return f.Version == version && f.Whole != nil })
		data := fact(whole, prefix+"reassembled.data", Bytes, "bytes of the datagram that this packet completes", func(f *packet.Facts) Value { return bytesValue(f.Whole.Segment) })
		data.OnRequest = true
		return []Field{
			facts(whole, prefix+"fragment", Uint, "number of a packet with a fragment of the datagram that this one completes", func(dst []Value, f *packet.Facts) []Value {
				for _, p := range f.Whole.Pieces {
					dst = append(dst, uintValue(uint64(p.Number)))
				}
				return dst
			}),
			fact(whole, prefix+"fragment.count", Uint, "fragments of the datagram that this packet completes", func(f *packet.Facts) Value { return uintValue(uint64(len(f.Whole.Pieces))) }),
			fact(whole, prefix+"reassembled.length", Uint, "bytes of the datagram that this packet completes", func(f *packet.Facts) Value { return uintValue(uint64(len(f.Whole.Segment))) }),
			data,
			fact(ip, in, Uint, "number of the packet that completes this fragment's datagram; not known in one pass", reassembledIn),
		}
	}
	list := []Field{
		fact(header, "ip.version", Uint, "IP version, 4 or 6", func(f *packet.Facts) Value { return uintValue(uint64(f.Version)) }),
		fact(v4, "ip.hdr_len", Uint, "header length in bytes", func(f *packet.Facts) Value { return uintValue(uint64(f.IPHdrLen())) }),
		hexFact(v4, "ip.dsfield", 2, "differentiated services field", func(f *packet.Facts) Value { return uintValue(uint64(f.DSField)) }),
		fact(v4, "ip.len", Uint, "total length in bytes", func(f *packet.Facts) Value { return uintValue(uint64(f.TotalLen)) }),
		hexFact(v4, "ip.id", 4, "identification", func(f *packet.Facts) Value { return uintValue(uint64(f.ID)) }),
		fact(v4, "ip.flags.df", Bool, "don't fragment", func(f *packet.Facts) Value { return boolValue(f.DF) }),
		fact(v4, "ip.flags.mf", Bool, "more fragments", func(f *packet.Facts) Value { return boolValue(f.MF) }),
		fact(v4, "ip.frag_offset", Uint, "fragment offset, in units of 8 bytes", func(f *packet.Facts) Value { return uintValue(uint64(f.FragOffset / 8)) }),
		fact(v4, "ip.dsfield.dscp", Uint, "differentiated services codepoint", func(f *packet.Facts) Value { return uintValue(uint64(f.DSField >> 2)) }),
		fact(v4, "ip.dsfield.ecn", Uint, "explicit congestion notification", func(f *packet.Facts) Value { return uintValue(uint64(f.DSField & 3)) }),
		fact(v4, "ip.ttl", Uint, "time to live", func(f *packet.Facts) Value { return uintValue(uint64(f.TTL)) }),
		fact(v4, "ip.proto", Uint, "protocol number", func(f *packet.Facts) Value { return uintValue(uint64(f.NextHeader)) }),
		hexFact(v4, "ip.checksum", 4, "header checksum", func(f *packet.Facts) Value { return uintValue(uint64(f.IPChecksum)) }),
		fact(v4, "ip.checksum.status", Uint, "0 bad, 1 good, 2 unverified", func(f *packet.Facts) Value { return uintValue(uint64(f.IPStatus.Number())) }),
		fact(addrs4, "ip.src", Addr, "source address", src),
		fact(addrs4, "ip.dst", Addr, "destination address", dst),
		both(addrs4, "ip.addr", "source or destination address"),
	}
	list = append(list, datagram(4, v4, "ip.", "ip.reassembled_in")...)
	list = append(list,
		fact(v6, "ipv6.version", Uint, "IP version, of IPv6", func(f *packet.Facts) Value { return uintValue(6) }),
		hexFact(v6, "ipv6.tclass", 8, "traffic class", func(f *packet.Facts) Value { return uintValue(uint64(f.DSField)) }),
		hexFact(v6, "ipv6.flow", 6, "flow label", func(f *packet.Facts) Value { return uintValue(uint64(f.FlowLabel)) }),
		fact(v6, "ipv6.plen", Uint, "payload length in bytes", func(f *packet.Facts) Value { return uintValue(uint64(max(0, f.TotalLen-40))) }),
		fact(v6, "ipv6.nxt", Uint, "next header", func(f *packet.Facts) Value { return uintValue(uint64(f.NextHeader)) }),
		fact(v6, "ipv6.hlim", Uint, "hop limit", func(f *packet.Facts) Value { return uintValue(uint64(f.TTL)) }),
		fact(addrs6, "ipv6.src", Addr, "source address", src),
		fact(addrs6, "ipv6.dst", Addr, "destination address", dst),
		both(addrs6, "ipv6.addr", "source or destination address"),
	)
	return append(list, datagram(6, v6, "ipv6.", "ipv6.reassembled.in")...)
}

func transportFields() []Field {
	of := func(t packet.Transport) *condition {
		return packetHas(func(f *packet.Facts) bool { return f.Transport == t && !f.IsFragment() })
	}
	wholeOf := func(t packet.Transport) *condition {
		return packetHas(func(f *packet.Facts) bool { return f.Transport == t && f.L4Complete && !f.IsFragment() })
	}
	echoOf := func(t packet.Transport) *condition {
		return packetHas(func(f *packet.Facts) bool { return f.Transport == t && f.HasICMPID() })
	}
	tcp, udp, icmp, icmp6 := of(packet.TCP), of(packet.UDP), of(packet.ICMP), of(packet.ICMPv6)
	wholeTCP, wholeUDP, wholeICMP, wholeICMP6 := wholeOf(packet.TCP), wholeOf(packet.UDP), wholeOf(packet.ICMP), wholeOf(packet.ICMPv6)
	echo, echo6 := echoOf(packet.ICMP), echoOf(packet.ICMPv6)
	// Of the TCP header that an ICMP error quotes there are the ports alone.
	header := packetHas(func(f *packet.Facts) bool { return wholeTCP.packet(f) && f.Carried != packet.Quoted })
	stamped := packetHas(func(f *packet.Facts) bool { return f.HasTS && header.packet(f) })
	anyOf := func(t packet.Transport) *condition { return packetHas(hasTransport(t)) }
	options, error4, error6 := anyOf(packet.TCP), anyOf(packet.ICMP), anyOf(packet.ICMPv6)
	ports := func(when *condition, name string) Field {
		f := facts(when, name, Uint, "source or destination port", func(dst []Value, f *packet.Facts) []Value {
			return append(dst, uintValue(uint64(f.SrcPort)), uintValue(uint64(f.DstPort)))
		})
		f.Combines = true
		return f
	}
	src := func(f *packet.Facts) Value { return uintValue(uint64(f.SrcPort)) }
	dst := func(f *packet.Facts) Value { return uintValue(uint64(f.DstPort)) }
	mtu := func(f *packet.Facts) Value {
		if f.MTU == 0 {
			return Value{}
		}
		return uintValue(uint64(f.MTU))
	}
	status := func(f *packet.Facts) Value { f.Verify(); return uintValue(uint64(f.L4Status.Number())) }
	// UDP over IPv6 must have a checksum: RFC 8200, section 8.1. tshark has a
	// number of its own for one that is zero.
	udpStatus := func(f *packet.Facts) Value {
		if f.Version == 6 && f.L4Checksum == 0 {
			return uintValue(4)
		}
		return status(f)
	}
	payload := func(when *condition, name string) Field {
		f := fact(when, name, Bytes, "bytes of payload", func(f *packet.Facts) Value {
			if len(f.Payload) == 0 {
				return Value{}
			}
			return bytesValue(f.Payload)
		})
		f.OnRequest = true
		return f
	}
	list := []Field{
		payload(wholeTCP, "tcp.payload"),
		payload(wholeUDP, "udp.payload"),
		fact(tcp, "tcp.srcport", Uint, "source port", src),
		fact(tcp, "tcp.dstport", Uint, "destination port", dst),
		ports(tcp, "tcp.port"),
		fact(header, "tcp.seq_raw", Uint, "sequence number as it is on the wire", func(f *packet.Facts) Value { return uintValue(uint64(f.Seq)) }),
		fact(header, "tcp.ack_raw", Uint, "acknowledgment number as it is on the wire", func(f *packet.Facts) Value { return uintValue(uint64(f.Ack)) }),
		fact(header, "tcp.hdr_len", Uint, "header length in bytes", func(f *packet.Facts) Value { return uintValue(uint64(f.TCPHdrLen)) }),
		hexFact(header, "tcp.flags", 4, "flags", func(f *packet.Facts) Value { return uintValue(uint64(f.Flags)) }),
	}
	for _, b := range [...]struct {
		name string
		bit  uint16
	}{{"fin", packet.FIN}, {"syn", packet.SYN}, {"reset", packet.RST}, {"push", packet.PSH}, {"ack", packet.ACK}, {"urg", packet.URG}, {"ece", packet.ECE}, {"cwr", packet.CWR}} {
		list = append(list, fact(header, "tcp.flags."+b.name, Bool, "the "+strings.ToUpper(b.name)+" flag", func(f *packet.Facts) Value { return boolValue(f.Flags&b.bit != 0) }))
	}
	return append(list,
		fact(header, "tcp.window_size_value", Uint, "window as it is on the wire", func(f *packet.Facts) Value { return uintValue(uint64(f.Window)) }),
		fact(header, "tcp.len", Uint, "bytes of payload", func(f *packet.Facts) Value { return uintValue(uint64(f.PayloadLen)) }),
		hexFact(header, "tcp.checksum", 4, "checksum", func(f *packet.Facts) Value { return uintValue(uint64(f.L4Checksum)) }),
		fact(header, "tcp.checksum.status", Uint, "0 bad, 1 good, 2 unverified", status),
		fact(options, "tcp.options.mss_val", Uint, "maximum segment size option", func(f *packet.Facts) Value {
			if f.MSS == 0 {
				return Value{}
			}
			return uintValue(uint64(f.MSS))
		}),
		fact(options, "tcp.options.wscale.shift", Uint, "window scale option: shift count", func(f *packet.Facts) Value {
			if f.WScale < 0 {
				return Value{}
			}
			return uintValue(uint64(f.WScale))
		}),
		fact(header, "tcp.urgent_pointer", Uint, "urgent pointer", func(f *packet.Facts) Value { return uintValue(uint64(f.Urgent)) }),
		fact(stamped, "tcp.options.timestamp.tsval", Uint, "timestamp option: value", func(f *packet.Facts) Value { return uintValue(uint64(f.TSVal)) }),
		fact(stamped, "tcp.options.timestamp.tsecr", Uint, "timestamp option: echo", func(f *packet.Facts) Value { return uintValue(uint64(f.TSEcr)) }),
		fact(udp, "udp.srcport", Uint, "source port", src),
		fact(udp, "udp.dstport", Uint, "destination port", dst),
		ports(udp, "udp.port"),
		fact(wholeUDP, "udp.length", Uint, "length field, in bytes", func(f *packet.Facts) Value { return uintValue(uint64(f.UDPLen)) }),
		hexFact(wholeUDP, "udp.checksum", 4, "checksum", func(f *packet.Facts) Value { return uintValue(uint64(f.L4Checksum)) }),
		fact(wholeUDP, "udp.checksum.status", Uint, "0 bad, 1 good, 2 unverified, 3 not present, 4 zero in IPv6", udpStatus),
		fact(icmp, "icmp.type", Uint, "type", func(f *packet.Facts) Value { return uintValue(uint64(f.Type)) }),
		fact(icmp, "icmp.code", Uint, "code", func(f *packet.Facts) Value { return uintValue(uint64(f.Code)) }),
		fact(echo, "icmp.ident", Uint, "identifier of an echo", func(f *packet.Facts) Value { return uintValue(uint64(f.ICMPID)) }),
		fact(echo, "icmp.seq", Uint, "sequence number of an echo", func(f *packet.Facts) Value { return uintValue(uint64(f.ICMPSeq)) }),
		fact(error4, "icmp.mtu", Uint, "MTU of the next hop", mtu),
		hexFact(wholeICMP, "icmp.checksum", 4, "checksum", func(f *packet.Facts) Value { return uintValue(uint64(f.L4Checksum)) }),
		fact(wholeICMP, "icmp.checksum.status", Uint, "0 bad, 1 good, 2 unverified", status),
		hexFact(wholeICMP6, "icmpv6.checksum", 4, "checksum", func(f *packet.Facts) Value { return uintValue(uint64(f.L4Checksum)) }),
		fact(wholeICMP6, "icmpv6.checksum.status", Uint, "0 bad, 1 good, 2 unverified", status),
		fact(wholeOf(packet.IGMP), "igmp.checksum.status", Uint, "0 bad, 1 good, 2 unverified", status),
		fact(wholeOf(packet.SCTP), "sctp.checksum.status", Uint, "0 bad, 1 good, 2 unverified", status),
		hexFact(echo6, "icmpv6.echo.identifier", 4, "identifier of an echo", func(f *packet.Facts) Value { return uintValue(uint64(f.ICMPID)) }),
		fact(echo6, "icmpv6.echo.sequence_number", Uint, "sequence number of an echo", func(f *packet.Facts) Value { return uintValue(uint64(f.ICMPSeq)) }),
		fact(error6, "icmpv6.mtu", Uint, "MTU of the next hop", mtu),
		fact(icmp6, "icmpv6.type", Uint, "type", func(f *packet.Facts) Value { return uintValue(uint64(f.Type)) }),
		fact(icmp6, "icmpv6.code", Uint, "code", func(f *packet.Facts) Value { return uintValue(uint64(f.Code)) }),
	)
}
