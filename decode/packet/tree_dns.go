package packet

import (
	"encoding/binary"
	"fmt"
)

func (t *treeBuilder) dns() []Node {
	msg, off := t.f.dnsMessage()
	m := &t.p.dns
	if !t.p.DNS(&t.f, m) {
		return nil
	}
	label, kind := "Domain Name System", "query"
	if m.Multicast {
		label = "Multicast Domain Name System"
	}
	if m.Response {
		kind = "response"
	}
	kids := []Node{
		t.node("dns.id", "Transaction ID", fmt.Sprintf("0x%04x", m.ID), off, 2),
		t.node("dns.flags", "Flags", dnsFlagsValue(m), off+2, 2),
	}
	for i, c := range [...]struct{ name, label string }{
		{"dns.count.queries", "Questions"}, {"dns.count.answers", "Answer RRs"},
		{"dns.count.auth_rr", "Authority RRs"}, {"dns.count.add_rr", "Additional RRs"},
	} {
		at := 4 + 2*i
		kids = append(kids, t.node(c.name, c.label, fmt.Sprint(binary.BigEndian.Uint16(msg[at:])), off+at, 2))
	}
	kids = append(kids, t.dnsQuestions(m, off)...)
	for s, name := range [...]string{DNSAnswer: "Answers", DNSAuthority: "Authoritative nameservers", DNSAdditional: "Additional records"} {
		kids = append(kids, t.dnsSection(m, DNSSection(s), name, off)...)
	}
	if m.Malformed {
		kids = append(kids, t.node("_ws.malformed", malformed, "", off+m.MalformedAt, len(msg)-m.MalformedAt))
	}
	return []Node{t.node("dns", label+" ("+kind+")", "", off, len(msg), kids...)}
}

func dnsFlagsValue(m *DNSMessage) string {
	name := lookup(dnsOpcodes[:], int(m.Opcode))
	if name == "" {
		name = "Unknown operation"
	}
	if !m.Response {
		return fmt.Sprintf("0x%04x %s", m.Flags, name)
	}
	return fmt.Sprintf("0x%04x %s response, %s", m.Flags, name, m.AppendRCode(nil))
}

// group puts nodes under one line.
func group(label string, nodes []Node) []Node {
	if len(nodes) == 0 {
		return nil
	}
	start, end := nodes[0].Span.Off, 0
	for i := range nodes {
		s := nodes[i].Span
		start, end = min(start, s.Off), max(end, s.Off+s.Len)
	}
	return []Node{{Label: label, Span: Span{start, end - start}, Children: nodes}}
}

func (t *treeBuilder) dnsQuestions(m *DNSMessage, off int) []Node {
	var nodes []Node
	for _, q := range m.Questions {
		at, end := off+q.Span.Off, off+q.Span.Off+q.Span.Len
		typ := string(AppendDNSType(nil, q.Type))
		nodes = append(nodes, t.node("", fmt.Sprintf("%s: type %s, class %s", q.Name, typ, m.className(q.Class)), "", at, q.Span.Len,
			t.node("dns.qry.name", "Name", string(q.Name), at, q.Span.Len-4),
			t.node("dns.qry.type", "Type", fmt.Sprintf("%s (%d)", typ, q.Type), end-4, 2),
			t.node("dns.qry.class", "Class", m.className(q.Class), end-2, 2)))
	}
	return group("Queries", nodes)
}

func (t *treeBuilder) dnsSection(m *DNSMessage, s DNSSection, label string, off int) []Node {
	var nodes []Node
	for _, r := range m.Records {
		if r.Section != s {
			continue
		}
		at, data := off+r.Span.Off, off+r.DataOff
		end := at + r.Span.Len
		typ := string(AppendDNSType(nil, r.Type))
		line := fmt.Sprintf("%s: type %s", r.Name, typ)
		kids := []Node{
			t.node("dns.resp.name", "Name", string(r.Name), at, data-10-at),
			t.node("dns.resp.type", "Type", fmt.Sprintf("%s (%d)", typ, r.Type), data-10, 2),
		}
		if r.Type == dnsOPT {
			kids = append(kids, t.node("dns.rr.udp_payload_size", "UDP payload size", fmt.Sprint(r.Class), data-8, 2))
		} else {
			line += ", class " + m.className(r.Class)
			kids = append(kids,
				t.node("dns.resp.class", "Class", m.className(r.Class), data-8, 2),
				t.node("dns.resp.ttl", "Time to live", fmt.Sprint(r.TTL), data-6, 4))
		}
		kids = append(kids, t.node("dns.resp.len", "Data length", fmt.Sprint(end-data), data-2, 2))
		if len(r.Data) > 0 {
			line += ", " + string(r.Data)
			kids = append(kids, t.node(dnsDataName(r.Type), "Data", string(r.Data), data, end-data))
		}
		nodes = append(nodes, t.node("", line, "", at, r.Span.Len, kids...))
	}
	return group(label, nodes)
}

func dnsDataName(t uint16) string {
	switch t {
	case dnsA:
		return "dns.a"
	case dnsAAAA:
		return "dns.aaaa"
	case dnsCNAME:
		return "dns.cname"
	}
	return ""
}

func (m *DNSMessage) className(c uint16) string {
	if m.Multicast {
		c &= 0x7fff
	}
	switch c {
	case 1:
		return "IN"
	case 3:
		return "CH"
	case 254:
		return "NONE"
	case 255:
		return "ANY"
	}
	return fmt.Sprintf("0x%04x", c)
}
