package field

import (
	"encoding/binary"
	"slices"

	"tundump/decode/packet"
)

// units returns the units of higher protocols that end in the packet, or, where
// flows are not followed or a row is drawn alone, those that begin in it, as
// far as the packet alone shows them.
func units(r *Row) []packet.PDU {
	if r.Flow != nil && r.Flow.App != packet.NoApp && r.Flow.Again.Column == "" {
		return r.Flow.PDUs
	}
	m := r.Memory
	switch {
	case m == nil:
		return r.Parser.PDUs(r.Packet)
	case m.unitsOf != r.Packet:
		m.unitsOf, m.units = r.Packet, r.Parser.PDUs(r.Packet)
	}
	return m.units
}

// unit is a protocol whose units fields are made of.
type unit struct {
	app  packet.App
	when *condition // one of them ends in the packet
}

func unitOf(app packet.App) unit {
	return unit{app, rowHas(func(r *Row) bool {
		list := units(r)
		for i := range list {
			if list[i].App == app {
				return true
			}
		}
		return false
	})}
}

var httpMessage, tlsRecord, quicPacket = unitOf(packet.AppHTTP), unitOf(packet.AppTLS), unitOf(packet.AppQUIC)

// unitField makes a field out of each unit of a protocol.
func unitField(of unit, name string, t Type, hex int, doc string, get func([]Value, *packet.PDU) []Value) Field {
	return Field{Name: name, Type: t, Hex: hex, Doc: doc, Cost: FromPayload, when: of.when, get: func(dst []Value, r *Row) []Value {
		list := units(r)
		for i := range list {
			if u := &list[i]; u.App == of.app {
				dst = get(dst, u)
			}
		}
		return dst
	}}
}

// Whether a packet has handshake messages, and what kinds of them.
var (
	hasHandshake = rowHas(func(r *Row) bool {
		list, _ := r.handshake()
		return len(list) > 0
	})
	hasHello = rowHas(func(r *Row) bool {
		_, list := r.handshake()
		return len(list) > 0
	})
	hasCertificate = rowHas(func(r *Row) bool {
		list, _ := r.handshake()
		return slices.ContainsFunc(list, func(m packet.TLSMessage) bool { return m.Type == packet.TLSCertificate })
	})
)

// handshake makes a field out of each TLS handshake message in the clear.
func handshake(name string, t Type, hex int, doc string, get func([]Value, packet.TLSMessage) []Value) Field {
	return Field{Name: name, Type: t, Hex: hex, Doc: doc, Cost: FromPayload, when: hasHandshake, get: func(dst []Value, r *Row) []Value {
		list, _ := r.handshake()
		for _, m := range list {
			dst = get(dst, m)
		}
		return dst
	}}
}

func hello(name string, t Type, hex int, doc string, get func([]Value, *packet.TLSHello) []Value) Field {
	return Field{Name: name, Type: t, Hex: hex, Doc: doc, Cost: FromPayload, when: hasHello, get: func(dst []Value, r *Row) []Value {
		_, list := r.handshake()
		for i := range list {
			dst = get(dst, &list[i])
		}
		return dst
	}}
}

// certName makes a field out of each name in a certificate that pick takes.
func certName(name, doc string, pick func(packet.CertName) bool) Field {
	all := func(dst []Value, m packet.TLSMessage) []Value {
		for der := range packet.TLSCertificates(m) {
			for n := range packet.CertNames(der) {
				if pick(n) {
					dst = append(dst, wireValue(n.Value))
				}
			}
		}
		return dst
	}
	f := handshake(name, String, 0, doc, func(dst []Value, m packet.TLSMessage) []Value {
		if m.Type != packet.TLSCertificate {
			return dst
		}
		return all(dst, m)
	})
	f.when = hasCertificate
	return f
}

// directory picks attributes of type DirectoryString with the given tag.
func directory(tag uint8) func(packet.CertName) bool {
	return func(n packet.CertName) bool {
		return n.Tag == tag && n.Directory()
	}
}

func words(dst []Value, b []byte) []Value {
	for ; len(b) >= 2; b = b[2:] {
		dst = append(dst, uintValue(uint64(binary.BigEndian.Uint16(b))))
	}
	return dst
}

func tlsFields() []Field {
	record := func(name string, hex int, doc string, get func(*packet.PDU, packet.TLSRecord) Value) Field {
		return unitField(tlsRecord, name, Uint, hex, doc, func(dst []Value, u *packet.PDU) []Value {
			rec, ok := packet.TLSRecordAt(u.Data)
			if !ok {
				return dst
			}
			if v := get(u, rec); v.Type != 0 {
				return append(dst, v)
			}
			return dst
		})
	}
	opaque := func(u *packet.PDU, rec packet.TLSRecord) bool {
		return rec.Type == packet.TLSApplicationData && u.Session >= packet.TLS13
	}
	alert := func(name, doc string, at int) Field {
		return record(name, 0, doc, func(u *packet.PDU, rec packet.TLSRecord) Value {
			if rec.Type != packet.TLSAlert || len(u.Clear) != 2 {
				return Value{}
			}
			return uintValue(uint64(u.Clear[at]))
		})
	}
	return []Field{
		record("tls.record.content_type", 0, "record type: 20 change cipher spec, 21 alert, 22 handshake, 23 application data", func(u *packet.PDU, rec packet.TLSRecord) Value {
			if opaque(u, rec) {
				return Value{}
			}
			return uintValue(uint64(rec.Type))
		}),
		record("tls.record.opaque_type", 0, "record type of TLS 1.3, which says nothing of what is inside", func(u *packet.PDU, rec packet.TLSRecord) Value {
			if !opaque(u, rec) {
				return Value{}
			}
			return uintValue(uint64(rec.Type))
		}),
		record("tls.record.version", 4, "version of the record layer", func(_ *packet.PDU, rec packet.TLSRecord) Value { return uintValue(uint64(rec.Version)) }),
		record("tls.record.length", 0, "bytes of the record's body", func(_ *packet.PDU, rec packet.TLSRecord) Value { return uintValue(uint64(rec.Len)) }),
		alert("tls.alert_message.level", "1 warning, 2 fatal", 0),
		alert("tls.alert_message.desc", "what an alert says: 0 close notify, 40 handshake failure, 48 unknown CA", 1),
		handshake("tls.handshake.type", Uint, 0, "handshake message: 1 Client Hello, 2 Server Hello, 11 Certificate", func(dst []Value, m packet.TLSMessage) []Value {
			return append(dst, uintValue(uint64(m.Type)))
		}),
		handshake("tls.handshake.length", Uint, 0, "bytes of the handshake message", func(dst []Value, m packet.TLSMessage) []Value {
			return append(dst, uintValue(uint64(len(m.Body))))
		}),
		hello("tls.handshake.version", Uint, 4, "version in a hello; that of TLS 1.3 is in tls.handshake.extensions.supported_version", func(dst []Value, h *packet.TLSHello) []Value {
			return append(dst, uintValue(uint64(h.Version)))
		}),
		hello("tls.handshake.random", Bytes, 0, "random bytes of a hello", func(dst []Value, h *packet.TLSHello) []Value { return append(dst, bytesValue(h.Random)) }),
		hello("tls.handshake.session_id", Bytes, 0, "session identifier", func(dst []Value, h *packet.TLSHello) []Value {
			if len(h.SessionID) == 0 {
				return dst
			}
			return append(dst, bytesValue(h.SessionID))
		}),
		hello("tls.handshake.ciphersuite", Uint, 4, "cipher suites offered, or the one chosen", func(dst []Value, h *packet.TLSHello) []Value { return words(dst, h.CipherSuites) }),
		hello("tls.handshake.extension.type", Uint, 0, "extensions of a hello", func(dst []Value, h *packet.TLSHello) []Value {
			for t := range h.AllExtensions() {
				dst = append(dst, uintValue(uint64(t)))
			}
			return dst
		}),
		hello("tls.handshake.extensions_server_name", String, 0, "server that the client asks for (SNI)", func(dst []Value, h *packet.TLSHello) []Value {
			if name := h.ServerName(); name != nil {
				dst = append(dst, wireValue(name))
			}
			return dst
		}),
		hello("tls.handshake.extensions_alpn_str", String, 0, "application protocols offered, or the one chosen", func(dst []Value, h *packet.TLSHello) []Value {
			for name := range h.ALPN() {
				dst = append(dst, wireValue(name))
			}
			return dst
		}),
		hello("tls.handshake.extensions.supported_version", Uint, 4, "versions offered, or the one chosen", func(dst []Value, h *packet.TLSHello) []Value { return words(dst, h.SupportedVersions()) }),
		certName("x509sat.printableString", "text in a certificate's names", directory(packet.DERPrintable)),
		certName("x509sat.uTF8String", "text in a certificate's names", directory(packet.DERUTF8)),
		certName("x509sat.teletexString", "text in a certificate's names", directory(packet.DERTeletex)),
		certName("x509sat.CountryName", "countries in a certificate's names", func(n packet.CertName) bool { return string(n.OID) == packet.OIDCountry }),
		certName("x509ce.dNSName", "hosts that a certificate is for", func(n packet.CertName) bool { return n.OID == nil && n.Tag == packet.DERDNSName }),
	}
}
