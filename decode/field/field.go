// Package field is the one table of fields: what a row can be asked for, by
// name. JSON output, -e, the filter, completion and scripts all read it, so
// that a field that is added here is everywhere.
//
// A row is a message, a packet inside one, or what a tunnel did. Fields that
// do not apply to a row have no values there; some have several:
//
//	f, ok := field.Lookup("ip.addr")
//	values = f.Values(values[:0], &row)
//	for _, v := range values {
//		line = v.AppendText(line, f)
//	}
//
// Names and meanings are tshark 4.0's wherever tshark has them.
package field

import (
	"slices"
	"strings"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Row is what fields are taken from. Event is always there.
type Row struct {
	Event   *decode.Event
	Message *decode.Message // of a record, decoded as far as it could be; else nil

	// Of an inner packet:
	Packet *packet.Facts
	Flow   *flow.Analysis // what its flow says of it; nil if flows are not followed
	Data   []byte         // its bytes
	Number int64          // in the capture, from 1
	Index  int            // in its message, from 0
	Family int64          // from protocols, -1 if it has none
	Parser *packet.Parser
	Memory *Memory // reused for values that have to be made; nil: they are allocated

	// Of a finding:
	Problem *Finding
}

// innermost returns the packet that belongs to a flow.
func (r *Row) innermost() *packet.Facts {
	if r.Packet.Carries != packet.Encapsulated {
		return r.Packet
	}
	return r.Parser.Innermost(r.Packet)
}

// Finding is something wrong, or worth knowing, with what a row shows.
type Finding struct {
	Severity string
	Code     string
	Text     string
}

// Cost says what has to be decoded for a field, cheapest first.
type Cost uint8

const (
	FromEvent   Cost = iota // the event alone
	FromMessage             // the message decoded
	FromPacket              // the packet's headers read
	FromPayload             // the packet's payload decoded
)

// Depth is how far flows are followed.
type Depth = flow.Depth

// Alone is the Depth of what a packet says by itself.
const Alone = flow.Alone

// Field is one field: its name, what it means and how to get it from a row.
type Field struct {
	Name string
	Type Type
	Doc  string // one line
	Cost Cost
	Hex  int // tshark prints it in hexadecimal, with that many digits; 0: in decimal

	// Combines: it repeats other fields for the filter's sake, as ip.addr does.
	Combines bool
	// NeedsFlow: it depends on the packets before this one in its flow, so it
	// has no value where flows are not followed.
	NeedsFlow bool
	// Depth is how far flows must be followed for the field to have the values
	// that it has when all of them is. Where they are followed less, it may
	// have none, or those that the packet alone shows.
	Depth Depth
	// OnRequest: printed only when it is asked for by name.
	OnRequest bool

	// How it is got is one of three: by get; by fact, from the packet and those
	// inside it that have what when says, the zero Value where it does not
	// apply; or, with neither, it is the items of its name.
	get  func(dst []Value, r *Row) []Value
	fact func(*packet.Facts) Value
	when *condition // nil: not known without asking
	at   int        // in the table
}

// Values appends the field's values in r to dst: none if it does not apply.
func (f *Field) Values(dst []Value, r *Row) []Value {
	switch {
	case f.Cost >= FromPacket && r.Packet == nil || f.Cost == FromMessage && r.Message == nil:
		return dst
	case f.get != nil:
		return f.get(dst, r)
	case f.fact == nil:
		return f.items(dst, r)
	}
	if f.when.packet(r.Packet) {
		if v := f.fact(r.Packet); v.Type != 0 {
			dst = append(dst, v)
		}
	}
	inside := r.inside()
	for i := range inside {
		if f.when.packet(&inside[i]) {
			if v := f.fact(&inside[i]); v.Type != 0 {
				dst = append(dst, v)
			}
		}
	}
	return dst
}

// All returns the table, in the order in which rows print it. It must not be
// changed.
func All() []Field { return table }

// Lookup returns the field of that name.
func Lookup(name string) (*Field, bool) {
	i, ok := index[name]
	if !ok {
		return nil, false
	}
	return &table[i], true
}

// IsPrefix reports whether fields stand below name, as tcp.port stands below
// tcp: a filter takes such a name as "the row has any of them".
func IsPrefix(name string) bool {
	return slices.ContainsFunc(table, func(f Field) bool {
		return len(f.Name) > len(name) && f.Name[len(name)] == '.' && strings.HasPrefix(f.Name, name)
	})
}

// Nearest returns the name of a field or a protocol that is most like name; ""
// if none is like it.
func Nearest(name string) string {
	best, at := len(name)/2+1, ""
	try := func(known string) {
		if d := distance(strings.ToLower(name), known, best); d < best {
			best, at = d, known
		}
	}
	for i := range table {
		try(table[i].Name)
	}
	for _, p := range protocols {
		try(p)
	}
	if at == "" { // at least something below the same name
		group, _, _ := strings.Cut(name, ".")
		for i := range table {
			if strings.HasPrefix(table[i].Name, group+".") {
				return table[i].Name
			}
		}
	}
	return at
}

// distance is Levenshtein's, cut off at limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

var table = numbered(slices.Concat(alone(tunnelFields()), alone(messageFields()), alone(findingFields()), frameFields(), ipFields(), transportFields(), flowFields(), networkFields(), dnsFields(), dhcpFields(), smallFields(), httpFields(), tlsFields(), quicFields()))

func numbered(list []Field) []Field {
	for i := range list {
		list[i].at = i
	}
	return list
}

// alone marks fields of which no flow says anything.
func alone(list []Field) []Field {
	for i := range list {
		list[i].Depth = Alone
	}
	return list
}

var index = func() map[string]int {
	m := make(map[string]int, len(table))
	for i := range table {
		m[table[i].Name] = i
	}
	return m
}()
