package output

import (
	"strings"

	"tundump/decode/field"
)

// statistic describes one kind of row that stats -T json prints.
type statistic struct {
	name, doc string
	tap       string // a pattern that "tap" matches
	required  string // names that such a row always has
	optional  string
}

// A name is followed by its type, see statSchema; one that has none is a field
// of rows.
const (
	traffic  = "messages:count packets:count data:count overhead:uint overhead.percent:number"
	tunnelUp = "commands:object unframed:count gaps:count packets_per_message:object tcp_rtt:timing blocked:timing inner_ack_rtt:timing retransmissions:uint"
)

var statistics = []statistic{
	{"conversation", "two ends, and what they sent each other", "^conv,",
		"a.addr:string b.addr:string a_to_b:count b_to_a:count a_to_b.rate:number b_to_a.rate:number icmp_errors:uint start:number relative_start:number duration:number",
		"tunnel.stream stream:uint a.port:uint b.port:uint"},
	{"endpoint", "one end, and what it sent and received", "^endpoints,", "addr:string packets:count sent:count received:count", "tunnel.stream port:uint"},
	{"hierarchy", "a protocol above others, and what there is of it", "^io,phs", "frame.protocols protocol:string depth:uint packets:count", ""},
	{"interval", "an interval of time: what each column has there", "^io,stat,", "interval:uint start:number columns:array", ""},
	{"dns", "a kind of DNS message or a value in them", "^dns,tree", "item:string count:uint", "average:number min:number max:number burst:uint burst_start:number"},
	{"expert", "something remarkable, and how often it was", "^expert", "severity:string group:string protocol:string summary:string count:uint", ""},
	{"tunnel", "a tunnel and its life; times are seconds since 1970", "^(tunnel|overview)",
		"tunnel.client tunnel.listener tunnel.upstream midstream:boolean duration:number c2s:tunnel s2c:tunnel suspends:uint suspended:number problems:object",
		"tunnel.stream tunnel.by tunnel.reason tunnel.identifier tunnel.result_code kind:string address:string netmask:string means:array answers:timing dns:timing ping:timing" +
			" accepted:number connected:number refused:number open:number result:number first_up:number first_down:number fin_up:number fin_down:number reset:number closed:number last:number"},
	{"overview", "what passed in all", "^overview", "first:number last:number tunnels:uint c2s:direction s2c:direction conversations_folded:uint tunnels_forgotten:uint", ""},
	{"others", "what has no row of its own, to keep memory bounded", "", "others:uint", "packets:count"},
}

// statisticsSchema adds what rows of statistics are to root.
func statisticsSchema(root *schemaNode) {
	all := &schemaNode{Description: "a row of what stats counts; \"tap\" says for which -z, \"filter\" with which filter"}
	for _, s := range statistics {
		n := objectSchema(s.required, s.optional)
		n.Description = s.doc
		n.Required = append([]string{"type", "tap"}, n.Required...)
		n.Properties["type"] = &schemaNode{Const: "statistics"}
		n.Properties["tap"] = &schemaNode{Type: "string", Pattern: s.tap}
		n.Properties["filter"] = &schemaNode{Type: "string"}
		root.Defs["statistics-"+s.name] = n
		all.OneOf = append(all.OneOf, schemaNode{Ref: "#/$defs/statistics-" + s.name})
	}
	root.Defs["statistics-row"] = all
	root.OneOf = append(root.OneOf, schemaNode{Ref: "#/$defs/statistics-row"})
}

func objectSchema(required, optional string) *schemaNode {
	no := false
	n := &schemaNode{Type: "object", Additional: &no, Properties: map[string]*schemaNode{}}
	for _, entry := range strings.Fields(required) {
		n.Required = append(n.Required, n.add(entry)...)
	}
	for _, entry := range strings.Fields(optional) {
		n.add(entry)
	}
	return n
}

// add adds a property, name:type, and returns the names it stands for.
func (n *schemaNode) add(entry string) []string {
	name, kind, typed := strings.Cut(entry, ":")
	switch {
	case !typed:
		n.Properties[name] = &schemaNode{Ref: "#/$defs/" + name}
	case kind == "count": // how many, and their bytes
		return append(n.add(name+":uint"), n.add(name+".bytes:uint")...)
	default:
		n.Properties[name] = statSchema(kind)
	}
	return []string{name}
}

// statSchema returns what a type is: one of JSON's, or one of our own.
func statSchema(kind string) *schemaNode {
	switch kind {
	case "uint":
		n := typeSchema(field.Uint)
		return &n
	case "timing":
		return objectSchema("count:uint min:number mean:number max:number", "")
	case "direction":
		return objectSchema(traffic, "")
	case "tunnel":
		return objectSchema(traffic, tunnelUp)
	}
	return &schemaNode{Type: kind}
}
