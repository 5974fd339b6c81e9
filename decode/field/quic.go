package field

import "tundump/decode/packet"

// quicField makes a field out of the header of each QUIC packet.
func quicField(name string, t Type, hex int, doc string, get func(*packet.PDU, *packet.QUICHeader) Value) Field {
	return unitField(quicPacket, name, t, hex, doc, func(dst []Value, u *packet.PDU) []Value {
		h, _ := packet.QUICHeaderAt(u.Data, u.IDLen)
		if v := get(u, &h); v.Type != 0 {
			return append(dst, v)
		}
		return dst
	})
}

func quicFields() []Field {
	long := func(name string, t Type, hex int, doc string, get func(*packet.QUICHeader) Value) Field {
		return quicField(name, t, hex, doc, func(_ *packet.PDU, h *packet.QUICHeader) Value {
			if !h.Long() {
				return Value{}
			}
			return get(h)
		})
	}
	typed := func(name, doc string, second bool) Field {
		return long(name, Uint, 0, doc, func(h *packet.QUICHeader) Value {
			if h.Version == 0 || h.Second() != second {
				return Value{}
			}
			return uintValue(uint64(h.Bits()))
		})
	}
	id := func(name, doc string, get func(*packet.QUICHeader) []byte) Field {
		return quicField(name, Bytes, 0, doc, func(_ *packet.PDU, h *packet.QUICHeader) Value {
			if b := get(h); len(b) > 0 {
				return bytesValue(b)
			}
			return Value{}
		})
	}
	return []Field{
		quicField("quic.packet_length", Uint, 0, "bytes of the packet", func(u *packet.PDU, _ *packet.QUICHeader) Value { return uintValue(uint64(u.Len)) }),
		quicField("quic.header_form", Uint, 0, "1 long header, 0 short header", func(_ *packet.PDU, h *packet.QUICHeader) Value { return uintValue(uint64(h.First >> 7)) }),
		typed("quic.long.packet_type", "type: 0 Initial, 1 0-RTT, 2 Handshake, 3 Retry", false),
		typed("quic.long.packet_type_v2", "type in version 2: 1 Initial, 2 0-RTT, 3 Handshake, 0 Retry", true),
		long("quic.version", Uint, 8, "version; 0: a version negotiation", func(h *packet.QUICHeader) Value { return uintValue(uint64(h.Version)) }),
		long("quic.dcil", Uint, 0, "bytes of the destination's identifier", func(h *packet.QUICHeader) Value { return uintValue(uint64(len(h.DCID))) }),
		id("quic.dcid", "the destination's identifier of the connection", func(h *packet.QUICHeader) []byte { return h.DCID }),
		long("quic.scil", Uint, 0, "bytes of the source's identifier", func(h *packet.QUICHeader) Value { return uintValue(uint64(len(h.SCID))) }),
		id("quic.scid", "the source's identifier of the connection", func(h *packet.QUICHeader) []byte { return h.SCID }),
		long("quic.token_length", Uint, 0, "bytes of an Initial packet's token", func(h *packet.QUICHeader) Value {
			if h.Type != packet.QUICInitial {
				return Value{}
			}
			return uintValue(uint64(len(h.Token)))
		}),
		long("quic.length", Uint, 0, "length of packet number and payload", func(h *packet.QUICHeader) Value {
			if !h.HasLength {
				return Value{}
			}
			return uintValue(h.Length)
		}),
		quicField("quic.packet_number", Uint, 0, "packet number, where it can be read", func(u *packet.PDU, _ *packet.QUICHeader) Value {
			if !u.Numbered {
				return Value{}
			}
			return uintValue(u.Number)
		}),
		unitField(quicPacket, "quic.frame_type", Uint, 0, "frames of an Initial packet: 0 padding, 1 ping, 2 ack, 6 crypto, 28 close", func(dst []Value, u *packet.PDU) []Value {
			for f := range packet.QUICFrames(u.Clear) {
				dst = append(dst, uintValue(f.Type))
			}
			return dst
		}),
		unitField(quicPacket, "quic.supported_version", Uint, 8, "versions in a version negotiation", func(dst []Value, u *packet.PDU) []Value {
			h, _ := packet.QUICHeaderAt(u.Data, u.IDLen)
			for b := h.Versions; len(b) >= 4; b = b[4:] {
				dst = append(dst, uintValue(uint64(b[0])<<24|uint64(b[1])<<16|uint64(b[2])<<8|uint64(b[3])))
			}
			return dst
		}),
	}
}
