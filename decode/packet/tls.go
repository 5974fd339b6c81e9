package packet

import (
	"encoding/binary"
	"iter"
)

// TLS record content types, RFC 8446 section 5.1 and RFC 6520.
const (
	TLSChangeCipherSpec = 20
	TLSAlert            = 21
	TLSHandshake        = 22
	TLSApplicationData  = 23
	TLSHeartbeat        = 24
)

// TLS handshake message types, RFC 8446 section 4.
const (
	TLSClientHello = 1
	TLSServerHello = 2
	TLSCertificate = 11
)

// Versions of TLS as they are on the wire.
const (
	TLS10 = 0x0301
	TLS13 = 0x0304
)

const (
	// TLSHeaderLen is the length of a record's header.
	TLSHeaderLen = 5
	// maxTLSRecord is the longest body: 2^14 bytes and what encryption of TLS
	// 1.2 may add, RFC 5246 section 6.2.3.
	maxTLSRecord        = 1<<14 + 2048
	tlsMessageHeaderLen = 4
)

// TLSRecord is a record: one length-prefixed unit of a TLS stream.
type TLSRecord struct {
	Type    uint8
	Version uint16 // of the record layer: not that of the session from TLS 1.3 on
	Len     int    // bytes of the body
	Body    []byte // as far as it is there
}

// TLSRecordAt reads the record that b begins with. ok is false if b is shorter
// than a header, or cannot be one: an unknown type or version, or a length
// that no record has.
func TLSRecordAt(b []byte) (r TLSRecord, ok bool) {
	if len(b) < TLSHeaderLen {
		return r, false
	}
	r = TLSRecord{Type: b[0], Version: binary.BigEndian.Uint16(b[1:]), Len: int(binary.BigEndian.Uint16(b[3:]))}
	if r.Type < TLSChangeCipherSpec || r.Type > TLSHeartbeat || tlsVersionName(r.Version) == "" || r.Len > maxTLSRecord {
		return TLSRecord{}, false
	}
	r.Body = b[TLSHeaderLen:min(len(b), TLSHeaderLen+r.Len)]
	return r, true
}

// Size is the length of the whole record.
func (r *TLSRecord) Size() int { return TLSHeaderLen + r.Len }

// MayBeTLS reports whether b may be the beginning of a record, which a header
// that is not whole yet can be.
func MayBeTLS(b []byte) bool {
	if len(b) >= TLSHeaderLen {
		_, ok := TLSRecordAt(b)
		return ok
	}
	if len(b) == 0 || b[0] < TLSChangeCipherSpec || b[0] > TLSHeartbeat {
		return false
	}
	switch len(b) {
	case 1:
		return true
	case 2:
		return b[1] == 3 || b[1] == 1 || b[1] == 0x7f || b[1] == 0xfb // of tlsVersionName's
	}
	return tlsVersionName(binary.BigEndian.Uint16(b[1:])) != "" && (len(b) < 4 || int(b[3])<<8 <= maxTLSRecord)
}

// looksLikeTLS is whether b begins with a record that is beyond doubt, on any
// port: a whole header, and in it what such a record begins with.
func looksLikeTLS(b []byte) bool {
	r, ok := TLSRecordAt(b)
	if !ok || r.Version>>8 != 3 || r.Len == 0 || len(r.Body) == 0 {
		return false
	}
	switch r.Type {
	case TLSHandshake:
		return tlsHandshakeName(r.Body[0]) != "" && (len(r.Body) < tlsMessageHeaderLen || uint24(r.Body[1:]) < 1<<16)
	case TLSAlert:
		return r.Len == 2 && r.Body[0] >= 1 && r.Body[0] <= 2
	case TLSChangeCipherSpec:
		return r.Len == 1 && r.Body[0] == 1
	}
	return r.Type == TLSApplicationData
}

// TLSMessage is a handshake message.
type TLSMessage struct {
	Type uint8
	Body []byte
}

// TLSMessages yields the whole handshake messages that b begins with, in the
// clear.
func TLSMessages(b []byte) iter.Seq[TLSMessage] {
	return func(yield func(TLSMessage) bool) {
		for m, rest, ok := NextTLSMessage(b); ok && yield(m); {
			m, rest, ok = NextTLSMessage(rest)
		}
	}
}

// NextTLSMessage returns the handshake message that b begins with and what
// follows it; ok is false if there is no whole one.
func NextTLSMessage(b []byte) (m TLSMessage, rest []byte, ok bool) {
	if len(b) < tlsMessageHeaderLen {
		return m, nil, false
	}
	n := tlsMessageHeaderLen + uint24(b[1:])
	if n > len(b) {
		return m, nil, false
	}
	return TLSMessage{b[0], b[tlsMessageHeaderLen:n]}, b[n:], true
}

// WholeTLSMessages returns the length of the whole handshake messages that b
// begins with. need is how long b has to be for the next one to be whole, 0 if
// nothing of it is there. ok is false if b cannot be messages in the clear:
// there is no such type.
func WholeTLSMessages(b []byte) (n, need int, ok bool) {
	for {
		rest := b[n:]
		switch {
		case len(rest) == 0:
			return n, 0, true
		case tlsHandshakeName(rest[0]) == "":
			return n, 0, false
		case len(rest) < tlsMessageHeaderLen:
			return n, n + tlsMessageHeaderLen, true
		}
		size := tlsMessageHeaderLen + uint24(rest[1:])
		if size > len(rest) {
			return n, n + size, true
		}
		n += size
	}
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// TLSHello is a Client Hello or a Server Hello. Its slices alias the message.
type TLSHello struct {
	Version      uint16 // the field of that name: at most TLS 1.2
	Random       []byte
	SessionID    []byte
	CipherSuites []byte // two bytes each; a server's hello has one
	Compression  []byte
	Extensions   []byte
}

// TLSHelloOf reads a Client Hello or a Server Hello. ok is false if m is
// something else or ends early; what stands before that is in h.
//
// Source: RFC 8446, sections 4.1.2 and 4.1.3.
func TLSHelloOf(m TLSMessage) (h TLSHello, ok bool) {
	b := m.Body
	if m.Type != TLSClientHello && m.Type != TLSServerHello || len(b) < 35 {
		return h, false
	}
	h.Version, h.Random = binary.BigEndian.Uint16(b), b[2:34]
	if h.SessionID, b, ok = prefixed(b[34:], 1); !ok {
		return h, false
	}
	if m.Type == TLSServerHello {
		if len(b) < 3 {
			return h, false
		}
		h.CipherSuites, h.Compression, b = b[:2], b[2:3], b[3:]
	} else {
		if h.CipherSuites, b, ok = prefixed(b, 2); !ok {
			return h, false
		}
		if h.Compression, b, ok = prefixed(b, 1); !ok {
			return h, false
		}
	}
	if len(b) == 0 { // none, as before TLS 1.2
		return h, true
	}
	h.Extensions, _, ok = prefixed(b, 2)
	return h, ok
}

// prefixed cuts a vector off b, whose length stands in front of it in size
// bytes.
func prefixed(b []byte, size int) (vector, rest []byte, ok bool) {
	if len(b) < size {
		return nil, b, false
	}
	n := 0
	for _, c := range b[:size] {
		n = n<<8 | int(c)
	}
	if b = b[size:]; n > len(b) {
		return nil, b, false
	}
	return b[:n], b[n:], true
}

// TLS extensions that are read.
const (
	tlsServerName        = 0
	tlsALPN              = 16
	tlsSupportedVersions = 43
)

// AllExtensions yields each extension's type and data.
func (h *TLSHello) AllExtensions() iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for b := h.Extensions; len(b) >= 4; {
			data, rest, ok := prefixed(b[2:], 2)
			if !ok || !yield(binary.BigEndian.Uint16(b), data) {
				return
			}
			b = rest
		}
	}
}

func (h *TLSHello) extension(typ uint16) []byte {
	for t, data := range h.AllExtensions() {
		if t == typ {
			return data
		}
	}
	return nil
}

// ServerName returns the name that a client asks for (SNI), nil if it does
// not say. Source: RFC 6066, section 3.
func (h *TLSHello) ServerName() []byte {
	list, _, ok := prefixed(h.extension(tlsServerName), 2)
	if !ok || len(list) < 3 || list[0] != 0 {
		return nil
	}
	name, _, _ := prefixed(list[1:], 2)
	return name
}

// ALPN yields the application protocols that a client offers, or the one that
// a server chose. Source: RFC 7301, section 3.1.
func (h *TLSHello) ALPN() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for list, _, ok := prefixed(h.extension(tlsALPN), 2); ok && len(list) > 0; {
			var name []byte
			if name, list, ok = prefixed(list, 1); ok && !yield(name) {
				return
			}
		}
	}
}

// SupportedVersions returns the versions in the extension of that name, two
// bytes each: all that a client offers, or the one that a server chose.
// Source: RFC 8446, section 4.2.1.
func (h *TLSHello) SupportedVersions() []byte {
	b := h.extension(tlsSupportedVersions)
	if len(b) == 2 {
		return b
	}
	list, _, _ := prefixed(b, 1)
	return list[:len(list)&^1]
}

// SessionVersion returns the version of the session that a server's hello
// begins.
func (h *TLSHello) SessionVersion() uint16 {
	if b := h.SupportedVersions(); len(b) == 2 {
		return binary.BigEndian.Uint16(b)
	}
	return h.Version
}
