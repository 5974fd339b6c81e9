package packet

import "iter"

// TLSCertificates yields the certificates in a Certificate message, in DER.
// There is none to be had of TLS 1.3, which encrypts them. Source: RFC 5246,
// section 7.4.2.
func TLSCertificates(m TLSMessage) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if m.Type != TLSCertificate {
			return
		}
		list, _, ok := prefixed(m.Body, 3)
		for ok && len(list) > 0 {
			var der []byte
			if der, list, ok = prefixed(list, 3); ok && !yield(der) {
				return
			}
		}
	}
}

// CertPart says where in a certificate a name stands.
type CertPart uint8

const (
	CertIssuer CertPart = iota
	CertSubject
	CertAltName // a subject's alternative name
)

// CertName is a name in a certificate.
type CertName struct {
	Part  CertPart
	OID   []byte // the attribute's type, in DER; nil in an alternative name that is not a directory's
	Tag   uint8  // the DER tag of Value: 0x0c is UTF8String, 0x13 PrintableString; of an alternative name, 0x82 a DNS name
	Value []byte
}

// Directory reports whether the attribute is a DirectoryString: a country, a
// serial number and a mail address have types of their own. Source: RFC 5280,
// appendix A.1.
func (n CertName) Directory() bool {
	switch string(n.OID) {
	case OIDCountry, "\x55\x04\x05", "\x55\x04\x2e":
		return false
	}
	return len(n.OID) == 3 && n.OID[0] == 0x55 && n.OID[1] == 4
}

// DER tags.
const (
	derOctets     = 0x04
	derOID        = 0x06
	DERUTF8       = 0x0c
	DERPrintable  = 0x13
	DERTeletex    = 0x14
	derSequence   = 0x30
	derSet        = 0x31
	derVersion    = 0xa0
	derExtensions = 0xa3
	DERDNSName    = 0x82 // in an alternative name
	derDirectory  = 0xa4
)

// OIDs of attributes and extensions, in DER.
const (
	OIDCommonName = "\x55\x04\x03"
	OIDCountry    = "\x55\x04\x06"
	oidAltNames   = "\x55\x1d\x11"
)

// CertNames yields the names in a certificate, in the order in which they
// stand there. It reads each byte once at the most, allocates nothing, and
// stops at what it does not understand.
//
// Source: RFC 5280, sections 4.1 and 4.2.1.6.
func CertNames(der []byte) iter.Seq[CertName] {
	return func(yield func(CertName) bool) {
		_, certificate, _, _ := derNext(der)
		tag, b, _, ok := derNext(certificate)
		if !ok || tag != derSequence {
			return
		}
		if len(b) > 0 && b[0] == derVersion {
			b = derSkip(b, 1)
		}
		b = derSkip(b, 2) // serial number, signature algorithm
		_, issuer, b, _ := derNext(b)
		b = derSkip(b, 1) // validity
		_, subject, b, ok := derNext(b)
		if !ok || !rdnNames(CertIssuer, issuer, yield) || !rdnNames(CertSubject, subject, yield) {
			return
		}
		for len(b) > 0 {
			tag, body, rest, ok := derNext(b)
			if !ok {
				return
			}
			if tag == derExtensions {
				altNames(body, yield)
				return
			}
			b = rest
		}
	}
}

// rdnNames yields the attributes of a distinguished name; more is false if
// yield does not want more.
func rdnNames(part CertPart, b []byte, yield func(CertName) bool) (more bool) {
	for len(b) > 0 {
		tag, set, rest, ok := derNext(b)
		if !ok || tag != derSet {
			return true
		}
		for len(set) > 0 {
			_, attribute, others, ok := derNext(set)
			if !ok {
				return true
			}
			kind, oid, value, _ := derNext(attribute)
			valueTag, text, _, ok := derNext(value)
			if ok && kind == derOID && !yield(CertName{part, oid, valueTag, text}) {
				return false
			}
			set = others
		}
		b = rest
	}
	return true
}

// altNames yields the alternative names in a certificate's extensions.
func altNames(b []byte, yield func(CertName) bool) {
	_, list, _, _ := derNext(b)
	for len(list) > 0 {
		_, extension, rest, ok := derNext(list)
		if !ok {
			return
		}
		list = rest
		_, oid, value, _ := derNext(extension)
		if string(oid) != oidAltNames {
			continue
		}
		tag, body, after, _ := derNext(value)
		if tag != derOctets { // critical
			tag, body, _, _ = derNext(after)
		}
		if tag != derOctets {
			continue
		}
		_, names, _, _ := derNext(body)
		if !generalNames(names, yield) {
			return
		}
	}
}

// generalNames yields the names in a GeneralNames; more is false if yield does
// not want more.
func generalNames(names []byte, yield func(CertName) bool) (more bool) {
	for len(names) > 0 {
		tag, text, others, ok := derNext(names)
		if !ok {
			return true
		}
		names = others
		if tag == derDirectory {
			_, rdns, _, _ := derNext(text)
			if !rdnNames(CertAltName, rdns, yield) {
				return false
			}
		} else if !yield(CertName{CertAltName, nil, tag, text}) {
			return false
		}
	}
	return true
}

// derNext reads the value that b begins with. Tags of more than one byte and
// lengths of more than four do not occur in a certificate.
func derNext(b []byte) (tag uint8, body, rest []byte, ok bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, nil, nil, false
	}
	n, at := int(b[1]), 2
	if n >= 0x80 {
		size := n & 0x7f
		if size == 0 || size > 4 || len(b) < 2+size {
			return 0, nil, nil, false
		}
		n = 0
		for _, c := range b[2 : 2+size] {
			n = n<<8 | int(c)
		}
		at += size
	}
	if n > len(b)-at {
		return 0, nil, nil, false
	}
	return b[0], b[at : at+n], b[at+n:], true
}

// derSkip skips n values.
func derSkip(b []byte, n int) []byte {
	for range n {
		_, _, b, _ = derNext(b)
	}
	return b
}
