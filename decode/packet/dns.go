package packet

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Limits of one DNS message. A message of 64 KiB could hold 5,957 records with
// names of 255 bytes each, one pointer apart.
const (
	dnsMaxRecords = 512
	dnsMaxName    = 255
	dnsMaxHops    = 64
	dnsHeaderLen  = 12
)

// DNS record types that are decoded further than their name.
const (
	dnsA     = 1
	dnsNS    = 2
	dnsCNAME = 5
	dnsSOA   = 6
	dnsPTR   = 12
	dnsMX    = 15
	dnsAAAA  = 28
	dnsSRV   = 33
	dnsKX    = 36
	dnsDNAME = 39
	dnsOPT   = 41
	dnsNSEC  = 47
)

// A DNSMessage is one decoded DNS message. It can be used again and again; its
// slices, names included, are valid until it is.
//
// Names are text that is safe to print (see [AppendSafe]), without the final
// dot; a dot inside a label is written \. and the root is "<Root>", as in
// tshark.
//
// This is not golang.org/x/net/dns/dnsmessage because that refuses labels with
// a dot in them, which Bonjour's instance names have, and does not say where
// in the message anything is. It serves as the oracle of the tests.
type DNSMessage struct {
	ID        uint16
	Flags     uint16 // the second word of the header
	Response  bool
	Opcode    uint8
	RCode     uint8
	Multicast bool // mDNS: the top bit of a class has its meaning
	Questions []DNSQuestion
	Records   []DNSRecord
	// Malformed: the message ends early, or a name or a record does not fit.
	// What stands before that is in Questions and Records; MalformedAt is
	// where it is.
	Malformed   bool
	MalformedAt int
	// More: there are more than 512 records; the others are not here.
	More bool

	msg  []byte
	text []byte
}

// DNSSection is a part of a DNS message.
type DNSSection uint8

const (
	DNSAnswer DNSSection = iota
	DNSAuthority
	DNSAdditional
)

// DNSQuestion is one entry of the question section.
type DNSQuestion struct {
	Name        []byte
	Type, Class uint16
	Span        Span // in the DNS message
}

// DNSRecord is one resource record.
type DNSRecord struct {
	Section     DNSSection
	Name        []byte
	Type, Class uint16
	TTL         uint32     // seconds
	Addr        netip.Addr // A and AAAA
	// Data is the record's data as tshark's info column has it: the address,
	// the name, "10 mail.example.org" for MX. Empty for types that are shown by
	// name only.
	Data    []byte
	Span    Span // in the DNS message
	DataOff int  // where in the DNS message the data begins
}

// DNS decodes the DNS or mDNS message that f's packet carries into m, which it
// resets first. ok is false if it carries none. It allocates only where m has
// to grow.
func (p *Parser) DNS(f *Facts, m *DNSMessage) (ok bool) {
	msg, _ := f.dnsMessage()
	if msg == nil {
		return false
	}
	m.parse(msg, f.App == AppMDNS)
	return true
}

// dnsMessage returns the DNS message in the packet and where it begins.
func (f *Facts) dnsMessage() (msg []byte, off int) {
	switch f.App {
	case AppDNS, AppMDNS, AppLLMNR:
	default:
		return nil, 0
	}
	if f.Transport == UDP {
		return f.Payload, f.HdrLen + udpLen
	}
	n, ok := lengthPrefixed(f.Payload)
	if !ok {
		return nil, 0
	}
	return f.Payload[2 : 2+n], f.HdrLen + f.TCPHdrLen + 2
}

// lengthPrefixed returns the length of the DNS message that a TCP payload
// begins with, if all of it is there. Source: RFC 1035, section 4.2.2.
func lengthPrefixed(b []byte) (n int, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	n = int(binary.BigEndian.Uint16(b))
	return n, n >= dnsHeaderLen && n <= len(b)-2
}

// confirmsDNS tests what goes to or comes from port 53.
func confirmsDNS(t Transport, b []byte) bool {
	if t == UDP {
		return looksLikeDNS(b)
	}
	n, ok := lengthPrefixed(b)
	return ok && looksLikeDNS(b[2:2+n])
}

// looksLikeDNS is a cheap test of bytes that go to or come from a DNS port.
func looksLikeDNS(b []byte) bool {
	return len(b) >= dnsHeaderLen && b[2]>>3&15 <= 6 &&
		dnsHeaderLen+5*int(binary.BigEndian.Uint16(b[4:])) <= len(b)
}

// parse reads msg, at least a header long.
//
// Source: RFC 1035, section 4.
func (m *DNSMessage) parse(msg []byte, multicast bool) {
	*m = DNSMessage{Questions: m.Questions[:0], Records: m.Records[:0], text: m.text[:0], msg: msg, Multicast: multicast}
	m.ID = binary.BigEndian.Uint16(msg)
	m.Flags = binary.BigEndian.Uint16(msg[2:])
	m.Response = m.Flags&0x8000 != 0
	m.Opcode = uint8(m.Flags >> 11 & 15)
	m.RCode = uint8(m.Flags & 15)

	off, ok := dnsHeaderLen, true
	for range binary.BigEndian.Uint16(msg[4:]) {
		if off, ok = m.question(off); !ok {
			m.Malformed, m.MalformedAt = true, off
			return
		}
		if m.More {
			return
		}
	}
	for s := DNSAnswer; s <= DNSAdditional; s++ {
		for range binary.BigEndian.Uint16(msg[6+2*int(s):]) {
			if off, ok = m.record(off, s); !ok {
				m.Malformed, m.MalformedAt = true, off
				return
			}
			if m.More {
				return
			}
		}
	}
}

// full notes that there is no room for another question or record.
func (m *DNSMessage) full() bool {
	m.More = len(m.Questions)+len(m.Records) >= dnsMaxRecords
	return m.More
}

// question reads the question at off and returns where the next thing is, or
// off and false if it does not fit.
func (m *DNSMessage) question(off int) (next int, ok bool) {
	if m.full() {
		return off, true
	}
	name, n, ok := m.name(off)
	if !ok || len(m.msg)-n < 4 {
		return off, false
	}
	m.Questions = append(m.Questions, DNSQuestion{
		Name:  name,
		Type:  binary.BigEndian.Uint16(m.msg[n:]),
		Class: binary.BigEndian.Uint16(m.msg[n+2:]),
		Span:  Span{off, n + 4 - off},
	})
	return n + 4, true
}

// record is question for a resource record.
func (m *DNSMessage) record(off int, s DNSSection) (next int, ok bool) {
	if m.full() {
		return off, true
	}
	name, n, ok := m.name(off)
	if !ok || len(m.msg)-n < 10 {
		return off, false
	}
	body := n + 10
	end := body + int(binary.BigEndian.Uint16(m.msg[n+8:]))
	if end > len(m.msg) {
		return off, false
	}
	r := DNSRecord{
		Section: s,
		Name:    name,
		Type:    binary.BigEndian.Uint16(m.msg[n:]),
		Class:   binary.BigEndian.Uint16(m.msg[n+2:]),
		TTL:     binary.BigEndian.Uint32(m.msg[n+4:]),
		Span:    Span{off, end - off},
		DataOff: body,
	}
	if !m.data(&r, body, end) {
		return off, false
	}
	m.Records = append(m.Records, r)
	return end, true
}

// data reads the data of r, which is at m.msg[off:end].
//
// Source: RFC 1035, section 3.3; RFC 2782 (SRV), RFC 3596 (AAAA), RFC 6672
// (DNAME).
func (m *DNSMessage) data(r *DNSRecord, off, end int) bool {
	b := m.msg[off:end]
	if len(b) == 0 {
		return true // a dynamic update's delete has no data, RFC 2136
	}
	start := len(m.text)
	head := 0
	switch r.Type {
	case dnsA:
		if len(b) != 4 {
			return false
		}
		r.Addr = netip.AddrFrom4([4]byte(b))
		m.text = r.Addr.AppendTo(m.text)
	case dnsAAAA:
		if len(b) != 16 {
			return false
		}
		r.Addr = netip.AddrFrom16([16]byte(b))
		m.text = r.Addr.AppendTo(m.text)
	case dnsNS, dnsCNAME, dnsPTR, dnsDNAME, dnsSOA, dnsNSEC:
	case dnsMX, dnsKX:
		head = 2
	case dnsSRV:
		head = 6
	default:
		return true
	}
	if r.Type != dnsA && r.Type != dnsAAAA {
		if len(b) < head {
			return false
		}
		for i := 0; i < head; i += 2 {
			m.text = strconv.AppendUint(m.text, uint64(binary.BigEndian.Uint16(b[i:])), 10)
			m.text = append(m.text, ' ')
		}
		_, n, ok := m.name(off + head)
		if !ok || n > end {
			m.text = m.text[:start]
			return false
		}
	}
	r.Data = m.text[start:len(m.text):len(m.text)]
	return true
}

// name appends the name at off to m.text and returns it, and where in the
// message it ends.
//
// Source: RFC 1035, sections 3.1 and 4.1.4. Every step costs a label or a
// hop, and both are limited, so a loop of pointers ends.
func (m *DNSMessage) name(off int) (text []byte, next int, ok bool) {
	start := len(m.text)
	wire, hops := 1, 0
	for off < len(m.msg) {
		c := int(m.msg[off])
		off++
		switch {
		case c == 0:
			if hops == 0 {
				next = off
			}
			if len(m.text) == start {
				m.text = append(m.text, "<Root>"...)
			}
			return m.text[start:len(m.text):len(m.text)], next, true
		case c < 0x40:
			wire += c + 1
			if off+c > len(m.msg) || wire > dnsMaxName {
				m.text = m.text[:start]
				return nil, 0, false
			}
			if len(m.text) > start {
				m.text = append(m.text, '.')
			}
			m.label(m.msg[off : off+c])
			off += c
		case c >= 0xc0 && off < len(m.msg) && hops < dnsMaxHops:
			if hops == 0 {
				next = off + 1
			}
			hops++
			off = c&0x3f<<8 | int(m.msg[off])
		default:
			m.text = m.text[:start]
			return nil, 0, false
		}
	}
	m.text = m.text[:start]
	return nil, 0, false
}

// label appends one label, safe to print and with its dots marked.
func (m *DNSMessage) label(b []byte) {
	for i, c := range b {
		if c == '.' {
			m.text = AppendSafe(m.text, b[:i])
			m.text = append(m.text, '\\', '.')
			m.label(b[i+1:])
			return
		}
	}
	m.text = AppendSafe(m.text, b)
}
