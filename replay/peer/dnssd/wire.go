package dnssd

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
)

// Record types, classes and header flags: RFC 1035 sections 3.2 and 4.1, RFC
// 2782, RFC 3596, RFC 6762 sections 5.4, 10.2 and 18.
const (
	typeA    = 1
	typePTR  = 12
	typeTXT  = 16
	typeAAAA = 28
	typeSRV  = 33
	typeANY  = 255

	classIN  = 1
	classANY = 255
	topBit   = 1 << 15 // of a class: unicast wanted in a question, flush the cache in a record

	flagResponse      = 1 << 15
	flagAuthoritative = 1 << 10
	maskOpcodeAndCode = 0x780f

	headerLen  = 12
	maxMessage = 9000 // RFC 6762 section 17
)

// name is a domain name as on the wire, uncompressed and without the root: for
// each label its length and its bytes. Any byte may stand in a label, a dot
// too.
type name string

// makeName joins labels of 1 to 63 bytes.
func makeName(labels ...string) name {
	var b strings.Builder
	for _, l := range labels {
		b.WriteByte(byte(len(l)))
		b.WriteString(l)
	}
	return name(b.String())
}

// first returns the first label, unescaped.
func (n name) first() string {
	if n == "" {
		return ""
	}
	return string(n[1 : 1+n[0]])
}

// parent returns the name without its first label.
func (n name) parent() name {
	if n == "" {
		return ""
	}
	return n[1+n[0]:]
}

// fold makes names equal that differ in the case of ASCII letters alone. (No
// length of a label is a letter's code: they are below 64.)
func (n name) fold() name {
	b := []byte(n)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return name(b)
}

type question struct {
	name  name
	typ   uint16
	class uint16
}

type record struct {
	name  name
	typ   uint16
	class uint16
	ttl   uint32 // seconds

	target name       // of PTR and SRV
	port   uint16     // of SRV
	addr   netip.Addr // of A and AAAA
}

// message is a DNS message. Records of types that are not used here are left
// out.
type message struct {
	id        uint16
	flags     uint16
	questions []question
	answers   []record
	// authorities are what a probe proposes; extra are the additional records.
	authorities, extra []record
}

var errMalformed = errors.New("dnssd: a malformed message")

// parse reads a message of at most maxMessage bytes. The result does not alias
// b.
func parse(b []byte) (m message, err error) {
	if len(b) < headerLen || len(b) > maxMessage {
		return m, errMalformed
	}
	m.id, m.flags = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	at := headerLen
	for range binary.BigEndian.Uint16(b[4:]) {
		var q question
		if q.name, at, err = parseName(b, at); err != nil || len(b)-at < 4 {
			return m, errMalformed
		}
		q.typ, q.class = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
		at += 4
		m.questions = append(m.questions, q)
	}
	for i, section := range [...]*[]record{&m.answers, &m.authorities, &m.extra} {
		for range binary.BigEndian.Uint16(b[6+2*i:]) {
			var r record
			var known bool
			if r, known, at, err = parseRecord(b, at); err != nil {
				return m, err
			}
			if known {
				*section = append(*section, r)
			}
		}
	}
	return m, nil
}

// parseName reads the name at an offset, and returns the offset behind it. A
// pointer leads backwards, so that there is no cycle, and a name has at most
// 255 bytes.
func parseName(b []byte, at int) (n name, next int, err error) {
	var out []byte
	for limit := at; ; {
		if at >= len(b) {
			return "", 0, errMalformed
		}
		switch c := int(b[at]); {
		case c == 0:
			if next == 0 {
				next = at + 1
			}
			return name(out), next, nil
		case c < 64:
			if len(b)-at <= c || len(out)+1+c > 254 {
				return "", 0, errMalformed
			}
			out = append(out, b[at:at+1+c]...)
			at += 1 + c
		case c >= 192:
			if len(b)-at < 2 {
				return "", 0, errMalformed
			}
			to := (c&63)<<8 | int(b[at+1])
			if to >= limit {
				return "", 0, errMalformed
			}
			if next == 0 {
				next = at + 2
			}
			at, limit = to, to
		default:
			return "", 0, errMalformed
		}
	}
}

// parseRecord reads the record at an offset; known is false if its type is
// not one of ours.
func parseRecord(b []byte, at int) (r record, known bool, next int, err error) {
	if r.name, at, err = parseName(b, at); err != nil || len(b)-at < 10 {
		return r, false, 0, errMalformed
	}
	r.typ, r.class = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
	r.ttl = binary.BigEndian.Uint32(b[at+4:])
	size := int(binary.BigEndian.Uint16(b[at+8:]))
	at += 10
	if len(b)-at < size {
		return r, false, 0, errMalformed
	}
	next = at + size
	end := next
	switch r.typ {
	case typeA, typeAAAA:
		if want := map[uint16]int{typeA: 4, typeAAAA: 16}[r.typ]; size != want {
			return r, false, 0, errMalformed
		}
		r.addr, _ = netip.AddrFromSlice(b[at:next])
	case typeSRV:
		if size < 7 {
			return r, false, 0, errMalformed
		}
		r.port = binary.BigEndian.Uint16(b[at+4:])
		r.target, end, err = parseName(b, at+6)
	case typePTR:
		r.target, end, err = parseName(b, at)
	case typeTXT:
	default:
		return r, false, next, nil
	}
	if err != nil || end != next {
		return r, false, 0, errMalformed
	}
	return r, true, next, nil
}

// pack writes a message, without compression: what is sent here is far from
// filling a frame.
func (m *message) pack() []byte {
	b := make([]byte, headerLen, 512)
	binary.BigEndian.PutUint16(b, m.id)
	binary.BigEndian.PutUint16(b[2:], m.flags)
	binary.BigEndian.PutUint16(b[4:], uint16(len(m.questions)))
	for _, q := range m.questions {
		b = appendName(b, q.name)
		b = binary.BigEndian.AppendUint16(b, q.typ)
		b = binary.BigEndian.AppendUint16(b, q.class)
	}
	for i, section := range [...][]record{m.answers, m.authorities, m.extra} {
		binary.BigEndian.PutUint16(b[6+2*i:], uint16(len(section)))
		for _, r := range section {
			b = appendRecord(b, r)
		}
	}
	return b
}

func appendName(b []byte, n name) []byte { return append(append(b, n...), 0) }

func appendRecord(b []byte, r record) []byte {
	b = appendName(b, r.name)
	b = binary.BigEndian.AppendUint16(b, r.typ)
	b = binary.BigEndian.AppendUint16(b, r.class)
	b = binary.BigEndian.AppendUint32(b, r.ttl)
	at := len(b)
	b = append(b, 0, 0)
	switch r.typ {
	case typeA, typeAAAA:
		b = append(b, r.addr.AsSlice()...)
	case typeSRV:
		b = append(b, 0, 0, 0, 0) // priority and weight
		b = binary.BigEndian.AppendUint16(b, r.port)
		b = appendName(b, r.target)
	case typePTR:
		b = appendName(b, r.target)
	case typeTXT:
		b = append(b, 0) // one empty string, RFC 6763 section 6.1
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}
