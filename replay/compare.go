package replay

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/packet"
)

// DifferenceKind is what is different.
type DifferenceKind string

const (
	Changed    DifferenceKind = "changed"    // the answer differs from the recorded one
	Unanswered DifferenceKind = "unanswered" // it never came
	Extra      DifferenceKind = "extra"      // the recording has no such answer
)

// Difference is one difference. Its texts are safe to print.
type Difference struct {
	Kind DifferenceKind
	// Request and Answer are numbers of packets in the recording, or of
	// messages if Message is set; 0 if there is none.
	Request, Answer int64
	Message         bool
	Loop            int   // from 1
	Came            int64 // Item.Number of what came, 0 if that is not known
	// Recorded and Live are one line each that says what was recorded and what
	// came, "" if nothing did.
	Recorded, Live string
	// Fields are what is different in a changed answer.
	Fields []FieldDifference
}

// FieldDifference is one field that differs.
type FieldDifference struct {
	Name           string
	Recorded, Live string
}

// Comparer compares what was recorded with what came. It holds scratch space
// and is for one goroutine.
type Comparer struct {
	rules  Rules
	parser *packet.Parser
	a, b   side
	dns    packet.DNSMessage
}

// side is one of two things that are compared.
type side struct {
	event   decode.Event
	message decode.Message
	facts   packet.Facts
	row     field.Row
	values  []field.Value
}

// NewComparer returns a comparer by these rules.
func NewComparer(r Rules) *Comparer {
	return &Comparer{rules: r, parser: packet.NewParser()}
}

// Packets returns what differs between two packets, nil if nothing does.
func (c *Comparer) Packets(recorded, live []byte) []FieldDifference {
	c.a.packet(c.parser, recorded)
	c.b.packet(c.parser, live)
	a, b := &c.a.facts, &c.b.facts
	if a.Transport != b.Transport || a.Quoted() == nil != (b.Quoted() == nil) {
		// Another kind of answer: that its fields differ as well says no more.
		return c.difference(nil, columnInfo, c.info(&c.a), c.info(&c.b))
	}
	var diffs []FieldDifference
	for _, name := range comparedFields {
		diffs = c.field(diffs, name)
	}
	for name := range c.rules.match {
		if !slices.Contains(comparedFields, name) {
			diffs = c.field(diffs, name)
		}
	}
	return c.payload(diffs)
}

func (s *side) packet(p *packet.Parser, b []byte) {
	p.Facts(b, &s.facts)
	s.event = decode.Event{Kind: decode.Packet, Raw: b}
	s.row = field.Row{Event: &s.event, Packet: &s.facts, Data: b, Family: -1, Parser: p}
}

func (c *Comparer) info(s *side) string {
	return string(c.parser.AppendInfo(append(s.facts.AppendProtocol(nil), ' '), &s.facts, packet.Base{}))
}

// field compares one field, all of its values in any order.
func (c *Comparer) field(diffs []FieldDifference, name string) []FieldDifference {
	f, ok := field.Lookup(name)
	if !ok {
		return diffs
	}
	return c.difference(diffs, name, c.a.text(f), c.b.text(f))
}

// text returns the field's values, sorted.
func (s *side) text(f *field.Field) string {
	s.values = f.Values(s.values[:0], &s.row)
	texts := make([]string, len(s.values))
	for i, v := range s.values {
		texts[i] = string(v.AppendText(nil, f))
	}
	slices.Sort(texts)
	return strings.Join(texts, ",")
}

// difference adds one unless the rules allow it.
func (c *Comparer) difference(diffs []FieldDifference, name, recorded, live string) []FieldDifference {
	if re := c.rules.match[name]; re != nil {
		if recorded == "" && live == "" || re.MatchString(live) {
			return diffs
		}
	} else if recorded == live || c.rules.ignores(name) || name == "dns.qry.name" && strings.EqualFold(recorded, live) {
		return diffs
	}
	return append(diffs, FieldDifference{name, recorded, live})
}

// payload compares what no field has.
func (c *Comparer) payload(diffs []FieldDifference) []FieldDifference {
	a, b := &c.a.facts, &c.b.facts
	name := ipPayload
	switch {
	case a.Transport == packet.TCP || a.Quoted() != nil:
		return diffs // of the handshake only, and as much as the sender likes to quote
	case a.Transport == packet.ICMP || a.Transport == packet.ICMPv6:
		name = icmpPayload
	case a.Transport == packet.UDP:
		name = udpPayload
		if ra, ok := c.records(a); ok {
			if rb, ok := c.records(b); ok {
				return c.difference(diffs, dnsRecords, ra, rb)
			}
		}
	}
	if bytes.Equal(a.Payload, b.Payload) && c.rules.match[name] == nil {
		return diffs
	}
	return c.difference(diffs, name, excerpt(a.Payload, b.Payload), excerpt(b.Payload, a.Payload))
}

// records returns the records that have no field of their own, in an order of
// their own.
func (c *Comparer) records(f *packet.Facts) (string, bool) {
	m := &c.dns
	if f.App != packet.AppDNS || !c.parser.DNS(f, m) || m.Malformed {
		return "", false
	}
	var list []string
	for i := range m.Records {
		switch r := &m.Records[i]; r.Type {
		case 1, 28, 5, 41: // A, AAAA and CNAME have one; OPT is about the transport
		default:
			line := packet.AppendDNSType(append(append([]byte(nil), r.Name...), ' '), r.Type)
			list = append(list, string(append(append(line, ' '), r.Data...)))
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", "), true
}

// excerptLen is how many bytes of a payload a difference shows.
const excerptLen = 32

// excerpt shows a from where it differs from b.
func excerpt(a, b []byte) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	n = max(0, n-4)
	end := min(len(a), n+excerptLen)
	text := hex.EncodeToString(a[n:end])
	if n > 0 {
		text = "…" + text
	}
	if end < len(a) {
		text += "…"
	}
	return text
}

// Messages returns what differs between two records that carry no packets.
func (c *Comparer) Messages(recorded, live decode.Event) []FieldDifference {
	c.a.record(recorded)
	c.b.record(live)
	var diffs []FieldDifference
	all := field.All()
	for i := range all {
		f := &all[i]
		if f.Cost != field.FromMessage || f.Combines || f.Name == "tunnel.identifier" || f.Name == "tunnel.data.len" {
			continue
		}
		if a, b := c.a.text(f), c.b.text(f); f.Type == field.Object && a != b {
			diffs = c.objects(diffs, f.Name, a, b)
		} else {
			diffs = c.difference(diffs, f.Name, a, b)
		}
	}
	a, _ := c.a.message.Data()
	b, _ := c.b.message.Data()
	if !bytes.Equal(a, b) {
		diffs = c.difference(diffs, messageData, excerpt(a, b), excerpt(b, a))
	}
	return diffs
}

func (s *side) record(ev decode.Event) {
	s.event = ev
	// What could not be decoded has no fields, which shows.
	_ = s.message.Decode(s.event)
	s.row = field.Row{Event: &s.event, Message: &s.message}
}

// objects compares two trees of JSON and names the leaves that differ.
func (c *Comparer) objects(diffs []FieldDifference, name, a, b string) []FieldDifference {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return c.difference(diffs, name, a, b)
	}
	return c.trees(diffs, name, x, y)
}

func (c *Comparer) trees(diffs []FieldDifference, name string, x, y any) []FieldDifference {
	mx, okx := x.(map[string]any)
	my, oky := y.(map[string]any)
	if !okx || !oky {
		return c.difference(diffs, name, compact(x), compact(y))
	}
	keys := slices.Concat(slices.Collect(maps.Keys(mx)), slices.Collect(maps.Keys(my)))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		diffs = c.trees(diffs, name+"."+string(packet.AppendSafe(nil, k)), mx[k], my[k])
	}
	return diffs
}

// compact is a value as text, "" for none.
func compact(v any) string {
	if v == nil {
		return ""
	}
	if s, ok := v.(string); ok {
		return string(packet.AppendSafe(nil, s))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(packet.AppendSafe(nil, b))
}

// line says in one line what an item is.
func (c *Comparer) line(it Item, dir decode.Direction) string {
	if it.Kind == decode.Packet {
		c.a.packet(c.parser, it.Data)
		f := &c.a.facts
		if f.Version == 0 {
			return c.info(&c.a)
		}
		return f.Src.String() + " > " + f.Dst.String() + " " + c.info(&c.a)
	}
	c.a.record(decode.Event{Kind: decode.Record, Dir: dir, Raw: it.Data})
	m := &c.a.message
	return string(packet.AppendSafe(append([]byte(m.Command.String()), ' '), m.AppendSummary(nil)))
}

// withoutAddresses is a line without who sent what it is about, and to whom.
func withoutAddresses(line string) string {
	if _, rest, ok := strings.Cut(line, " > "); ok {
		_, line, _ = strings.Cut(rest, " ")
	}
	return line
}

// describe says in a line what an item is, and where it goes to; "" for a
// message.
func (c *Comparer) describe(it Item, dir decode.Direction) (to, what string) {
	what = c.line(it, dir)
	if it.Kind == decode.Packet && c.a.facts.Version != 0 {
		return c.a.facts.Dst.String(), withoutAddresses(what)
	}
	return "", what
}
