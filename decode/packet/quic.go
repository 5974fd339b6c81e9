package packet

import (
	"encoding/binary"
	"iter"
)

// QUICType is what a QUIC packet is.
type QUICType uint8

const (
	QUICInitial QUICType = iota
	QUICZeroRTT
	QUICHandshake
	QUICRetry
	QUICShort // a short header: protected, after the handshake
	QUICVersionNegotiation
)

var quicTypeNames = [...]string{"Initial", "0-RTT", "Handshake", "Retry", "Protected Payload (KP0)", "Version Negotiation"}

// String returns tshark's words for the type.
func (t QUICType) String() string { return lookup(quicTypeNames[:], int(t)) }

// Versions of QUIC that have rules of their own.
const (
	quicVersion1      = 1
	quicVersion2      = 0x6b3343cf
	quicVersion2Draft = 0x709a50c4
)

// maxQUICID is the longest connection identifier, RFC 9000 section 17.2.
const maxQUICID = 20

// QUICHeader is the header of a QUIC packet, as far as it is not protected.
// Its slices alias the datagram.
type QUICHeader struct {
	Type       QUICType
	First      byte // the first byte; its low bits are protected
	Version    uint32
	DCID, SCID []byte
	Token      []byte // of Initial and Retry
	Versions   []byte // of Version Negotiation, four bytes each
	HasLength  bool
	Length     uint64 // the field: packet number and payload
	Protected  int    // where the packet number begins; 0: there is none
	Size       int    // bytes of the packet: others may follow in its datagram
}

// Long reports whether it is a long header.
func (h *QUICHeader) Long() bool { return h.First&0x80 != 0 }

// Follows reports whether the packet may follow another one in a datagram,
// rather than be what the datagram was filled up with: its header is like one,
// and it is for id, the same connection.
func (h *QUICHeader) Follows(id []byte) bool {
	return h.First&0x40 != 0 && string(h.DCID) == string(id)
}

// Second reports whether it is of version 2, which numbers packet types in
// another way.
func (h *QUICHeader) Second() bool {
	return h.Version == quicVersion2 || h.Version == quicVersion2Draft
}

// Bits returns the two bits of a long header's packet type, which mean
// something else in each version.
func (h *QUICHeader) Bits() uint8 { return h.First >> 4 & 3 }

// QUICHeaderAt reads the header of the QUIC packet that b, the rest of a
// datagram, begins with. idLen is the length of the identifier in a short
// header, negative if that is not known. ok is false if b ends in the header,
// or if the version is not one of this package's: then only Version, DCID and
// SCID are sure.
//
// Source: RFC 8999; RFC 9000, section 17; RFC 9369, section 3.2.
func QUICHeaderAt(b []byte, idLen int) (h QUICHeader, ok bool) {
	if len(b) < 1 {
		return h, false
	}
	h.First, h.Size = b[0], len(b)
	if !h.Long() {
		h.Type = QUICShort
		n := max(idLen, 0)
		if len(b) < 1+n {
			return h, false
		}
		h.DCID = b[1 : 1+n]
		h.Protected = 1 + n
		return h, true
	}
	if len(b) < 7 {
		return h, false
	}
	h.Version = binary.BigEndian.Uint32(b[1:])
	rest := b[5:]
	if h.DCID, rest, ok = prefixed(rest, 1); !ok {
		return h, false
	}
	if h.SCID, rest, ok = prefixed(rest, 1); !ok {
		return h, false
	}
	if h.Version == 0 {
		h.Type, h.Versions = QUICVersionNegotiation, rest[:len(rest)&^3]
		return h, true
	}
	if len(h.DCID) > maxQUICID || len(h.SCID) > maxQUICID || quicDraft(h.Version) == 0 {
		return h, false
	}
	h.Type = QUICType(h.Bits())
	if h.Second() {
		h.Type = (h.Type + 3) & 3
	}
	return h, h.long(b, rest)
}

// long reads what follows the identifiers.
func (h *QUICHeader) long(b, rest []byte) (ok bool) {
	switch h.Type {
	case QUICRetry:
		h.Token = rest[:max(0, len(rest)-16)]
		return len(rest) >= 16
	case QUICInitial:
		n, size := quicInt(rest)
		if size == 0 || n > uint64(len(rest)-size) {
			return false
		}
		h.Token, rest = rest[size:size+int(n)], rest[size+int(n):]
	}
	n, size := quicInt(rest)
	if size == 0 {
		return false
	}
	h.HasLength, h.Length = true, n
	h.Protected = len(b) - len(rest) + size
	if left := uint64(len(rest) - size); n < left {
		h.Size = h.Protected + int(n)
	}
	return true
}

// quicInt reads a variable-length integer; size is 0 if it is not all there.
// Source: RFC 9000, section 16.
func quicInt(b []byte) (v uint64, size int) {
	if len(b) == 0 {
		return 0, 0
	}
	size = 1 << (b[0] >> 6)
	if len(b) < size {
		return 0, 0
	}
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:size] {
		v = v<<8 | uint64(c)
	}
	return v, size
}

// quicDraft returns the number of the draft whose rules hold for a version:
// 34 for version 1, 100 for version 2, 0 if the version is not known. A
// version that forces a negotiation is read as draft 29, as in tshark.
func quicDraft(version uint32) int {
	switch version {
	case quicVersion1:
		return 34
	case quicVersion2, quicVersion2Draft:
		return 100
	case 0xfaceb001: // Facebook's
		return 22
	case 0xfaceb002, 0xfaceb00e:
		return 27
	case quicQ050, quicT050, quicT051:
		return 27
	}
	if version>>8 == 0xff0000 && version&0xff >= 22 {
		return int(version & 0xff)
	}
	if version&0x0f0f0f0f == 0x0a0a0a0a {
		return 29
	}
	return 0
}

// Google's own versions that use TLS, or headers as TLS does.
const (
	quicQ050 = 0x51303530
	quicT050 = 0x54303530
	quicT051 = 0x54303531
)

// looksLikeQUIC is whether b begins with a long header of a known version.
func looksLikeQUIC(b []byte) bool {
	if len(b) < 13 || b[0]&0xc0 != 0xc0 || quicDraft(binary.BigEndian.Uint32(b[1:])) == 0 {
		return false
	}
	dcid := int(b[5])
	return dcid <= maxQUICID && len(b) > 6+dcid && b[6+dcid] <= maxQUICID
}

// looksLikeQUICVersions is whether b begins as a Version Negotiation whose
// first version is a known one.
func looksLikeQUICVersions(b []byte) bool {
	h, ok := QUICHeaderAt(b, 0)
	return ok && h.Type == QUICVersionNegotiation && len(h.DCID) <= maxQUICID && len(h.SCID) <= maxQUICID &&
		len(h.Versions) >= 4 && quicDraft(binary.BigEndian.Uint32(h.Versions)) != 0
}

// Types of QUIC frames that may be in an Initial packet, RFC 9000 section 12.4.
const (
	QUICPadding  = 0
	QUICPing     = 1
	QUICAck      = 2
	QUICAckECN   = 3
	QUICCrypto   = 6
	QUICClose    = 0x1c
	QUICCloseApp = 0x1d
)

// QUICFrame is a frame of an Initial packet. Its Data aliases the packet.
type QUICFrame struct {
	Type   uint64
	Off    int    // where in the packet's payload it begins
	Size   int    // bytes; neighbouring padding is one frame
	Offset uint64 // of CRYPTO
	Data   []byte
}

// QUICFrames yields the frames in the payload of an Initial packet. It stops
// at a frame that cannot be in one.
//
// Source: RFC 9000, section 19.
func QUICFrames(b []byte) iter.Seq[QUICFrame] {
	return func(yield func(QUICFrame) bool) {
		for off := 0; off < len(b); {
			f, ok := quicFrame(b[off:])
			if f.Off = off; !ok || !yield(f) {
				return
			}
			off += f.Size
		}
	}
}

// quicFrame reads the frame that b, not empty, begins with.
func quicFrame(b []byte) (f QUICFrame, ok bool) {
	r := quicReader{b: b, ok: true}
	f.Type = r.int()
	switch f.Type {
	case QUICPadding:
		for r.n < len(b) && b[r.n] == QUICPadding {
			r.n++
		}
	case QUICPing:
	case QUICAck, QUICAckECN:
		r.int() // largest acknowledged
		r.int() // delay
		ranges := r.int()
		r.int() // first range
		for ; ranges > 0 && r.ok; ranges-- {
			r.int()
			r.int()
		}
		if f.Type == QUICAckECN {
			r.int()
			r.int()
			r.int()
		}
	case QUICCrypto:
		f.Offset = r.int()
		f.Data = r.bytes(r.int())
	case QUICClose, QUICCloseApp:
		r.int() // error code
		if f.Type == QUICClose {
			r.int() // frame type
		}
		f.Data = r.bytes(r.int())
	default:
		return f, false
	}
	f.Size = r.n
	return f, r.ok
}

// quicReader reads integers in a row; ok is false once one is not there.
type quicReader struct {
	b  []byte
	n  int
	ok bool
}

func (r *quicReader) int() uint64 {
	v, size := quicInt(r.b[r.n:])
	r.n += size
	r.ok = r.ok && size > 0
	return v
}

func (r *quicReader) bytes(n uint64) []byte {
	if !r.ok || n > uint64(len(r.b)-r.n) {
		r.ok = false
		return nil
	}
	b := r.b[r.n : r.n+int(n)]
	r.n += int(n)
	return b
}

func quicFrameName(typ uint64) string {
	switch typ {
	case QUICPadding:
		return "PADDING"
	case QUICPing:
		return "PING"
	case QUICAck, QUICAckECN:
		return "ACK"
	case QUICCrypto:
		return "CRYPTO"
	case QUICClose, QUICCloseApp:
		return "CC"
	}
	return ""
}
