package stats

import (
	"bytes"
	"strconv"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// maxNames bounds how many different types, classes and codes are told apart.
const maxNames = 256

// DNS counts DNS messages by what they ask and answer: tshark's dns,tree. As
// there, mDNS and LLMNR are not in it.
type DNS struct {
	parser  *packet.Parser
	message packet.DNSMessage
	text    []byte

	total, size, queries, responses, service *Branch
	first, last                              int64
}

// NewDNS returns an empty tree.
func NewDNS() *DNS {
	d := &DNS{parser: packet.NewParser()}
	root := func(name string, below ...string) *Branch {
		b := &Branch{Name: name, Scale: 1}
		for _, n := range below {
			b.child([]byte(n), true)
		}
		return b
	}
	d.total = root("Total Packets", "rcode", "opcodes", "Query/Response", "Query Type", "Class")
	d.size = root("Payload size")
	d.queries = root("Query Stats", "Qname Len", "Label Stats")
	d.queries.Below[1].Below = root("", "1st Level", "2nd Level", "3rd Level", "4th Level or more").Below
	d.responses = root("Response Stats", "no. of questions", "no. of answers", "no. of authorities", "no. of additionals")
	d.service = root("Service Stats", "request-response time (msec)", "no. of unsolicited responses")
	d.service.Below[0].Scale = 1e6
	return d
}

// Add takes in a packet, if it is a DNS message.
func (d *DNS) Add(ev *decode.Event, f *packet.Facts, a *flow.Analysis) {
	m := &d.message
	if f.App != packet.AppDNS || !d.parser.DNS(f, m) || m.Multicast {
		return
	}
	now := ev.Time
	if d.total.N == 0 {
		d.first = now
	}
	d.last = max(d.last, now)
	d.total.tick(now)
	d.size.value(now, int64(f.PayloadLen))
	d.text = m.AppendRCode(d.text[:0])
	d.pivot(rcode, now)
	d.text = appendOpcode(d.text[:0], m.Opcode)
	d.pivot(opcode, now)
	for i := range m.Questions {
		q := &m.Questions[i]
		d.text = packet.AppendDNSType(d.text[:0], q.Type)
		d.pivot(queryType, now)
		d.text = appendClass(d.text[:0], q.Class)
		d.pivot(class, now)
	}
	if m.Response {
		d.text = append(d.text[:0], "Response"...)
		d.response(m, a, now)
	} else {
		d.text = append(d.text[:0], "Query"...)
		d.query(m, now)
	}
	d.pivot(queryResponse, now)
}

// The branches of the total, by their places.
const (
	rcode = iota
	opcode
	queryResponse
	queryType
	class
)

// pivot counts d.text below one of the total's branches.
func (d *DNS) pivot(branch int, now int64) {
	b := d.total.Below[branch]
	b.tick(now)
	b.child(d.text, len(b.Below) < maxNames).tick(now)
}

func (d *DNS) query(m *packet.DNSMessage, now int64) {
	for i := range m.Questions {
		name := m.Questions[i].Name
		d.queries.Below[0].value(now, int64(len(name)))
		labels := d.queries.Below[1]
		if n := bytes.Count(name, []byte{'.'}) + 1; len(name) > 0 {
			labels.Below[min(n, 4)-1].tick(now)
		}
	}
}

func (d *DNS) response(m *packet.DNSMessage, a *flow.Analysis, now int64) {
	var sections [3]int64
	for i := range m.Records {
		sections[m.Records[i].Section%3]++
	}
	d.responses.Below[0].value(now, int64(len(m.Questions)))
	for i, n := range sections {
		d.responses.Below[i+1].value(now, n)
	}
	if a.AnswerTo != 0 {
		d.service.Below[0].value(now, a.Latency)
	} else {
		d.service.Below[1].tick(now)
	}
}

// List returns the roots of the tree, as they are now.
func (d *DNS) List() []*Branch {
	return []*Branch{d.total.sorted(), d.size.sorted(), d.queries.sorted(), d.responses.sorted(), d.service.sorted()}
}

// Span returns the times of the first and the last message.
func (d *DNS) Span() (first, last int64) { return d.first, d.last }

// appendOpcode appends the name of an operation: RFC 1035, section 4.1.1, RFC
// 1996, RFC 2136 and RFC 8490.
func appendOpcode(dst []byte, n uint8) []byte {
	switch n {
	case 0:
		return append(dst, "Standard query"...)
	case 1:
		return append(dst, "Inverse query"...)
	case 2:
		return append(dst, "Server status request"...)
	case 4:
		return append(dst, "Zone change notification"...)
	case 5:
		return append(dst, "Dynamic update"...)
	case 6:
		return append(dst, "DNS Stateful Operations (DSO)"...)
	}
	dst = append(dst, "Unknown operation ("...)
	return append(strconv.AppendUint(dst, uint64(n), 10), ')')
}

// appendClass appends the name of a class: RFC 1035, section 3.2.4, and RFC
// 2136.
func appendClass(dst []byte, n uint16) []byte {
	switch n {
	case 1:
		return append(dst, "IN"...)
	case 2:
		return append(dst, "CS"...)
	case 3:
		return append(dst, "CH"...)
	case 4:
		return append(dst, "HS"...)
	case 254:
		return append(dst, "NONE"...)
	case 255:
		return append(dst, "ANY"...)
	}
	dst = append(dst, "Unknown ("...)
	return append(strconv.AppendUint(dst, uint64(n), 10), ')')
}
