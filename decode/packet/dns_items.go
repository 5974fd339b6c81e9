package packet

import (
	"bytes"
	"encoding/binary"
)

// items yields the header, the questions and the records with their data.
func (m *DNSMessage) items(e *emitter) {
	e.b = m.msg
	e.uint("dns.id", "Transaction ID", 0, 2, 4)
	f := uint64(m.Flags)
	e.uint("dns.flags", "Flags", 2, 2, 4)
	bit := func(name, label string, shift int) { e.bits(name, label, 2, 2, f>>shift&1, KindBool) }
	bit("dns.flags.response", "Response", 15)
	e.bits("dns.flags.opcode", "Opcode", 2, 2, f>>11&15, KindUint)
	if m.Response {
		bit("dns.flags.authoritative", "Authoritative", 10)
	}
	bit("dns.flags.truncated", "Truncated", 9)
	if e.f.App == AppLLMNR { // RFC 4795, section 2.1.1: the other bits are another
		bit("dns.flags.tentative", "Tentative", 8)
		if m.Response {
			e.bits("dns.flags.rcode", "Reply code", 2, 2, f&15, KindUint)
		}
		m.sections(e)
		return
	}
	bit("dns.flags.recdesired", "Recursion desired", 8)
	if m.Response {
		bit("dns.flags.recavail", "Recursion available", 7)
	}
	bit("dns.flags.z", "Z", 6)
	if m.Response {
		bit("dns.flags.authenticated", "Answer authenticated", 5)
	}
	bit("dns.flags.checkdisable", "Non-authenticated data", 4)
	if m.Response {
		e.bits("dns.flags.rcode", "Reply code", 2, 2, f&15, KindUint)
	}
	m.sections(e)
}

// sections yields the counts, the questions and the records.
func (m *DNSMessage) sections(e *emitter) {
	for i, name := range [...]string{"dns.count.queries", "dns.count.answers", "dns.count.auth_rr", "dns.count.add_rr"} {
		e.uint(name, [...]string{"Questions", "Answer RRs", "Authority RRs", "Additional RRs"}[i], 4+2*i, 2, 0)
	}
	for i := range m.Questions {
		q := &m.Questions[i]
		end := q.Span.Off + q.Span.Len
		e.safe("dns.qry.name", "Name", q.Name, q.Span.Off, q.Span.Len-4)
		length, labels := nameSize(q.Name)
		e.bits("dns.qry.name.len", "Name Length", q.Span.Off, q.Span.Len-4, uint64(length), KindUint)
		e.bits("dns.count.labels", "Label Count", q.Span.Off, q.Span.Len-4, uint64(labels), KindUint)
		e.uint("dns.qry.type", "Type", end-4, 2, 0)
		e.class("dns.qry.class", "dns.qry.qu", m.Multicast, end-2)
	}
	for i := range m.Records {
		if e.done {
			return
		}
		m.recordItems(e, &m.Records[i])
	}
}

// nameSize returns what tshark says of a name: its length in characters and
// how many labels it has.
func nameSize(name []byte) (length, labels int) {
	if string(name) == "<Root>" {
		return len(name), 0
	}
	labels = 1
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case '.':
			labels++
		}
	}
	return len(name), labels
}

// plainDots writes the dots inside labels as tshark does, which does not mark
// them. It copies the text if there are any.
func plainDots(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 || !bytes.Contains(text, []byte(`\.`)) {
		return text
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			if i++; text[i] != '.' {
				plain = append(plain, '\\')
			}
		}
		plain = append(plain, text[i])
	}
	return plain
}

func (e *emitter) safe(name, label string, text []byte, off, n int) {
	text = plainDots(text)
	if e.has(off, n) {
		e.emit(Item{Name: name, Label: label, Kind: KindSafe, Raw: text}, off, n)
	}
}

// class is a class, whose top bit is a flag in mDNS.
func (e *emitter) class(name, flag string, multicast bool, off int) {
	v := uint64(uint16At(e.b, off))
	if !multicast {
		e.uint(name, "Class", off, 2, 4)
		return
	}
	e.emit(Item{Name: name, Label: "Class", Kind: KindUint, Hex: 4, Num: v & 0x7fff}, off, 2)
	e.emit(Item{Name: flag, Label: "Top bit of the class", Kind: KindBool, Num: v >> 15}, off, 2)
}

func (m *DNSMessage) recordItems(e *emitter, r *DNSRecord) {
	off, end := r.DataOff, r.Span.Off+r.Span.Len
	if r.Type == dnsSRV {
		m.srvOwner(e, r)
	} else {
		e.safe("dns.resp.name", "Name", r.Name, r.Span.Off, off-10-r.Span.Off)
	}
	e.depth = 1
	defer func() { e.depth = 0 }()
	e.uint("dns.resp.type", "Type", off-10, 2, 0)
	if r.Type == dnsOPT {
		e.uint("dns.rr.udp_payload_size", "UDP payload size", off-8, 2, 0)
		e.uint("dns.resp.ext_rcode", "Higher bits in extended RCODE", off-6, 1, 2)
		e.uint("dns.resp.edns0_version", "EDNS0 version", off-5, 1, 0)
		z := e.uint("dns.resp.z", "Z", off-4, 2, 4)
		e.bits("dns.resp.z.do", "DO bit", off-4, 2, z>>15, KindBool)
		if m.Multicast {
			e.bits("dns.resp.cache_flush", "Cache flush", off-8, 2, uint64(r.Class>>15), KindBool)
		}
	} else {
		e.class("dns.resp.class", "dns.resp.cache_flush", m.Multicast, off-8)
		e.uint("dns.resp.ttl", "Time to live", off-6, 4, 0)
	}
	e.uint("dns.resp.len", "Data length", off-2, 2, 0)
	if off < end {
		m.dataItems(e, r, off, end)
	}
}

// dataItems yields a record's data.
//
// Source: RFC 1035 section 3.3; RFC 2782 (SRV), RFC 3403 (NAPTR), RFC 4034
// (DS, DNSKEY, RRSIG, NSEC), RFC 6891 (OPT), RFC 6698 (TLSA), RFC 8659 (CAA),
// RFC 9460 (SVCB, HTTPS).
func (m *DNSMessage) dataItems(e *emitter, r *DNSRecord, off, end int) {
	n := end - off
	switch r.Type {
	case dnsA:
		e.addr("dns.a", "Address", off, 4)
	case dnsAAAA:
		e.addr("dns.aaaa", "AAAA Address", off, 16)
	case dnsNS:
		m.nameItem(e, "dns.ns", "Name Server", off, end)
	case dnsCNAME:
		m.nameItem(e, "dns.cname", "CNAME", off, end)
	case dnsPTR:
		m.nameItem(e, "dns.ptr.domain_name", "Domain Name", off, end)
	case dnsDNAME:
		m.nameItem(e, "dns.dname", "Dname", off, end)
	case dnsMX:
		e.uint("dns.mx.preference", "Preference", off, 2, 0)
		m.nameItem(e, "dns.mx.mail_exchange", "Mail Exchange", off+2, end)
	case dnsSRV:
		e.uint("dns.srv.priority", "Priority", off, 2, 0)
		e.uint("dns.srv.weight", "Weight", off+2, 2, 0)
		e.uint("dns.srv.port", "Port", off+4, 2, 0)
		m.nameItem(e, "dns.srv.target", "Target", off+6, end)
	case dnsSOA:
		at := m.nameItem(e, "dns.soa.mname", "Primary name server", off, end)
		at = m.nameItem(e, "dns.soa.rname", "Responsible authority's mailbox", at, end)
		for i, f := range [...][2]string{{"serial_number", "Serial Number"}, {"refresh_interval", "Refresh Interval"},
			{"retry_interval", "Retry Interval"}, {"expire_limit", "Expire limit"}, {"minimum_ttl", "Minimum TTL"}} {
			if at > 0 && at+4*i+4 <= end {
				e.uint(soaNames[i], f[1], at+4*i, 4, 0)
			}
		}
	case 16, 99:
		for at := off; at < end; at += 1 + int(e.b[at]) {
			l := min(int(e.b[at]), end-at-1)
			e.uint("dns.txt.length", "TXT Length", at, 1, 0)
			e.raw("dns.txt", "TXT", at+1, l, KindText)
		}
	case dnsOPT:
		m.options(e, off, end)
	case 35:
		e.uint("dns.naptr.order", "Order", off, 2, 0)
		e.uint("dns.naptr.preference", "Preference", off+2, 2, 0)
		at := off + 4
		for _, f := range [...][2]string{{"dns.naptr.flags", "Flags"}, {"dns.naptr.service", "Service"}, {"dns.naptr.regex", "Regex"}} {
			if at >= end || at+1+int(e.b[at]) > end {
				return
			}
			e.raw(f[0], f[1], at+1, int(e.b[at]), KindText)
			at += 1 + int(e.b[at])
		}
		m.nameItem(e, "dns.naptr.replacement", "Replacement", at, end)
	case 43, 59:
		if n >= 4 {
			e.uint("dns.ds.key_id", "Key id", off, 2, 4)
			e.uint("dns.ds.algorithm", "Algorithm", off+2, 1, 0)
			e.uint("dns.ds.digest_type", "Digest Type", off+3, 1, 0)
			e.raw("dns.ds.digest", "Digest", off+4, n-4, KindBytes)
		}
	case 48, 60:
		if n >= 4 {
			e.uint("dns.dnskey.flags", "Flags", off, 2, 4)
			e.uint("dns.dnskey.protocol", "Protocol", off+2, 1, 0)
			e.uint("dns.dnskey.algorithm", "Algorithm", off+3, 1, 0)
			e.raw("dns.dnskey.public_key", "Public Key", off+4, n-4, KindBytes)
		}
	case 46:
		if n >= 18 {
			e.uint("dns.rrsig.type_covered", "Type Covered", off, 2, 0)
			e.uint("dns.rrsig.algorithm", "Algorithm", off+2, 1, 0)
			e.uint("dns.rrsig.labels", "Labels", off+3, 1, 0)
			e.uint("dns.rrsig.original_ttl", "Original TTL", off+4, 4, 0)
			e.uint("dns.rrsig.key_tag", "Key Tag", off+16, 2, 0)
			m.nameItem(e, "dns.rrsig.signers_name", "Signer's name", off+18, end)
		}
	case dnsNSEC:
		if at := m.nameItem(e, "dns.nsec.next_domain_name", "Next Domain Name", off, end); at > 0 {
			e.bitmap(at, end)
		}
	case 52:
		if n >= 3 {
			e.uint("dns.tlsa.certificate_usage", "Certificate Usage", off, 1, 0)
			e.uint("dns.tlsa.selector", "Selector", off+1, 1, 0)
			e.uint("dns.tlsa.matching_type", "Matching Type", off+2, 1, 0)
			e.raw("dns.tlsa.certificate_association_data", "Certificate Association Data", off+3, n-3, KindBytes)
		}
	case 64, 65:
		e.uint("dns.svcb.svcpriority", "SvcPriority", off, 2, 0)
		if at := m.nameItem(e, "dns.svcb.targetname", "TargetName", off+2, end); at > 0 {
			m.params(e, at, end)
		}
	case 257:
		if n >= 2 && 2+int(e.b[off+1]) <= n {
			tag := int(e.b[off+1])
			e.uint("dns.caa.flags", "CAA Flags", off, 1, 2)
			e.raw("dns.caa.tag", "Tag", off+2, tag, KindText)
			e.raw("dns.caa.value", "Value", off+2+tag, n-2-tag, KindText)
		}
	}
}

var soaNames = [...]string{"dns.soa.serial_number", "dns.soa.refresh_interval", "dns.soa.retry_interval", "dns.soa.expire_limit", "dns.soa.minimum_ttl"}

// nameItem yields the name at off and returns where it ends, 0 if it does not
// fit.
func (m *DNSMessage) nameItem(e *emitter, name, label string, off, end int) int {
	if off <= 0 || off >= end {
		return 0
	}
	text, next, ok := m.name(off)
	if !ok || next > end {
		return 0
	}
	e.safe(name, label, text, off, next-off)
	return next
}

// srvOwner yields the first two labels of a SRV record's name, and the rest.
// Source: RFC 2782.
func (m *DNSMessage) srvOwner(e *emitter, r *DNSRecord) {
	rest := r.Name
	for _, f := range [...][2]string{{"dns.srv.service", "Service"}, {"dns.srv.proto", "Protocol"}} {
		i := 0
		for i < len(rest) && rest[i] != '.' {
			if rest[i] == '\\' { // what it escapes is no end of a label
				i++
			}
			i++
		}
		if i >= len(rest) {
			return
		}
		e.safe(f[0], f[1], rest[:i], r.Span.Off, 0)
		rest = rest[i+1:]
	}
	e.safe("dns.srv.name", "Name", rest, r.Span.Off, 0)
}

// bitmap yields the types that a bitmap names, which tshark calls as it does
// those of records. Source: RFC 4034, section 4.1.2.
func (e *emitter) bitmap(off, end int) {
	for off+2 <= end && !e.done {
		window, n := int(e.b[off])<<8, int(e.b[off+1])
		if n == 0 || n > 32 || off+2+n > end {
			return
		}
		for i := range n * 8 {
			if at := off + 2 + i/8; e.b[at]<<(i%8)&0x80 != 0 {
				e.emit(Item{Name: "dns.resp.type", Label: "RR type in bit map", Kind: KindUint, Num: uint64(window | i)}, at, 1)
			}
		}
		off += 2 + n
	}
}

// options yields EDNS options. Source: RFC 6891, section 6.1.2.
func (m *DNSMessage) options(e *emitter, off, end int) {
	for off+4 <= end && !e.done {
		n := int(binary.BigEndian.Uint16(e.b[off+2:]))
		e.uint("dns.opt.code", "Option Code", off, 2, 0)
		e.uint("dns.opt.len", "Option Length", off+2, 2, 0)
		if off+4+n > end {
			return
		}
		e.raw("dns.opt.data", "Option Data", off+4, n, KindBytes)
		off += 4 + n
	}
}

// params yields the parameters of SVCB and HTTPS. Source: RFC 9460, section
// 2.2.
func (m *DNSMessage) params(e *emitter, off, end int) {
	for off+4 <= end && !e.done {
		n := int(binary.BigEndian.Uint16(e.b[off+2:]))
		key := e.uint("dns.svcb.svcparam.key", "SvcParamKey", off, 2, 0)
		e.uint("dns.svcb.svcparam.value.length", "SvcParamValue length", off+2, 2, 0)
		if off += 4; off+n > end {
			return
		}
		switch key {
		case 1:
			for at := off; at < off+n && at+1+int(e.b[at]) <= off+n; at += 1 + int(e.b[at]) {
				e.raw("dns.svcb.svcparam.alpn", "ALPN", at+1, int(e.b[at]), KindText)
			}
		case 3:
			e.uint("dns.svcb.svcparam.port", "Port", off, 2, 0)
		case 4:
			for at := off; at+4 <= off+n; at += 4 {
				e.addr("dns.svcb.svcparam.ipv4hint.ip", "IP", at, 4)
			}
		case 6:
			for at := off; at+16 <= off+n; at += 16 {
				e.addr("dns.svcb.svcparam.ipv6hint.ip", "IP", at, 16)
			}
		default:
			e.raw("dns.svcb.svcparam.value", "SvcParamValue", off, n, KindBytes)
		}
		off += n
	}
}
