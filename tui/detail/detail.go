// Package detail makes the tree of one row and the bytes that its nodes stand
// for: the message with its length field and property list, the packets inside
// it and their layers, what is wrong with any of them.
//
// A tree owns its memory: rows are gone when it is shown. Its texts are safe to
// print, and it is bounded whatever the row is.
package detail

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"unicode/utf8"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/packet"
)

// Limits of a tree. Shared references can make a small property list a very
// large one, and a message may say that it has thousands of packets.
const (
	maxNodes   = 4000
	maxDepth   = 32
	maxText    = 240
	maxPackets = 64
)

// Buffers that a span may be in.
const (
	Record = iota // the message on the stream, or what stands in its place
	Packet        // the packet of a packet's row
)

// Span is a range of bytes of one of the tree's buffers.
type Span struct{ Buf, Off, Len int }

// Holds reports whether byte off of buffer buf is in s.
func (s Span) Holds(buf, off int) bool {
	return s.Buf == buf && s.Off <= off && off < s.Off+s.Len
}

// Node is one line of the tree.
type Node struct {
	Text string // the line
	// Key names the kind of node: what is unfolded in one row stays so in the
	// next. It is the field's name where there is one.
	Key      string
	Filter   string // a display filter that such a value passes; "" if there is none
	Value    string // the value alone, to be copied; "" if the line has none
	Span     Span
	Bad      bool // something is wrong
	Open     bool // unfolded unless the user folded its kind
	Children []*Node
}

// Tree is a row in detail.
type Tree struct {
	Roots []*Node
	// Bytes of the buffers, and what each is called.
	Bytes [2][]byte
	Names [2]string
	// Start is the node to begin at: nil is the first.
	Start *Node
	// Stream filters, "" where they do not apply: the row's flow, connection,
	// tunnel.
	Flow, Connection, Tunnel string
	// Stream is what Flow, Connection and Tunnel say, for machines.
	Stream Stream
	// Values are the fields that rows are most often filtered by, as far as
	// this one has them.
	Values []Choice
	JSON   string // the row as -T json prints it
}

// Stream is the stream that a row belongs to: a flow, else a connection, else
// its tunnel alone.
type Stream struct {
	Flow, UDP, Connection bool
	Tunnel                uint32 // 0 for none
	ID                    int64
}

// Choice is a value of the row, and the filter that its like pass.
type Choice struct{ Name, Value, Filter string }

// asked are the fields of Tree.Values, in their order.
var asked = []string{"ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "_ws.col.protocol", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
	"dns.qry.name", "http.host", "http.request.uri", "http.response.code", "tls.handshake.extensions_server_name", "icmp.type", "icmpv6.type",
	"tunnel.command.name", "tunnel.identifier", "tunnel.result", "tunnel.host", "tunnel.port", "tunnel.dir"}

// Build makes the tree of a message or a packet. It uses the row's parser, or
// one of its own if the row has none.
func Build(r *field.Row) *Tree {
	b := builder{tree: &Tree{}, row: r, parser: r.Parser}
	if b.parser == nil {
		b.parser = packet.NewParser()
	}
	b.tree.Bytes[Record] = append([]byte(nil), r.Event.Raw...)
	b.tree.Names[Record] = "message"
	switch {
	case r.Event.Kind == decode.Packet:
		b.tree.Bytes[Record], b.tree.Names[Record] = nil, ""
	default:
		b.message()
	}
	if r.Packet != nil {
		b.tree.Bytes[Packet] = append([]byte(nil), r.Data...)
		b.tree.Names[Packet] = "packet"
		if r.Event.Kind == decode.Packet {
			b.roots(b.packetLayers(r, Packet, 0)...)
		}
	}
	b.filters()
	b.values()
	b.json()
	return b.tree
}

type builder struct {
	tree   *Tree
	row    *field.Row
	parser *packet.Parser
	nodes  int
}

func (b *builder) roots(n ...*Node) { b.tree.Roots = append(b.tree.Roots, n...) }

// room reports whether the tree may have one more node.
func (b *builder) room() bool {
	b.nodes++
	return b.nodes <= maxNodes
}

// message makes the nodes of the event that carries the row.
func (b *builder) message() {
	ev := b.row.Event
	root := &Node{Key: "message", Span: Span{Record, 0, len(ev.Raw)}, Open: true}
	b.roots(root)
	head := fmt.Sprintf("Message #%d  T%d %s  %d bytes", ev.Number, ev.Tunnel, ev.Dir, len(ev.Raw))
	m := b.row.Message
	switch {
	case ev.Kind == decode.Gap:
		n := int64(0)
		if ev.Detail != nil {
			n = ev.Detail.Len
		}
		root.Text, root.Bad = fmt.Sprintf("Gap #%d  T%d %s  %d bytes are missing at %d", ev.Number, ev.Tunnel, ev.Dir, n, ev.Offset), true
		return
	case m == nil:
		root.Text, root.Bad = head+"  no record", true
		if ev.Detail != nil && ev.Detail.Reason != "" {
			root.Children = append(root.Children, &Node{Text: safe(ev.Detail.Reason), Key: "reason", Span: root.Span, Bad: true})
		}
		b.add(root, "tunnel.offset", "Offset in the stream: "+strconv.FormatInt(ev.Offset, 10), root.Span)
		return
	}
	root.Text = head
	if m.Command != 0 {
		root.Text += "  " + m.Command.String()
	}
	if m.HasIdentifier {
		root.Text += "  identifier " + strconv.FormatInt(m.Identifier, 10)
	}
	b.add(root, "tunnel.offset", "Offset in the stream: "+strconv.FormatInt(ev.Offset, 10), root.Span)
	if len(ev.Raw) >= 4 {
		b.add(root, "tunnel.len", fmt.Sprintf("Length: %d", uint32(ev.Raw[0])|uint32(ev.Raw[1])<<8|uint32(ev.Raw[2])<<16|uint32(ev.Raw[3])<<24), Span{Record, 0, 4})
	}
	if flags := string(ev.Flags.AppendNames(nil)); flags != "" {
		root.Children = append(root.Children, &Node{Text: "Flags: " + flags, Key: "flags", Span: root.Span})
	}
	// What was folded for a packet must not be so for the next message.
	key := "tunnel.encoding"
	if b.row.Packet != nil {
		key += " of a packet"
	}
	list := &Node{Text: "Property list, " + m.Encoding.String(), Key: key, Span: Span{Record, min(4, len(ev.Raw)), max(len(ev.Raw)-4, 0)}, Open: b.row.Packet == nil}
	root.Children = append(root.Children, list)
	b.dictionary(list, m.Root(), 0)
	for i := range m.Problems {
		p := &m.Problems[i]
		n := &Node{Text: p.Severity.String() + ": " + safe(p.String()), Key: "problem", Value: string(p.Code), Bad: p.Severity != decode.Note,
			Span: b.clamp(Span{Record, p.Span.Off, p.Span.Len})}
		n.Filter = "finding.code == " + quote(string(p.Code))
		root.Children = append(root.Children, n)
	}
	b.packets(root)
}

// packets makes the nodes of the message's packets.
func (b *builder) packets(root *Node) {
	m, ev := b.row.Message, b.row.Event
	total := m.PacketCount()
	first, last := 0, min(total, maxPackets)
	if b.row.Packet != nil {
		first, last = b.row.Index, b.row.Index+1
		total = max(total, last)
	}
	for i := first; i < last; i++ {
		if b.row.Packet != nil {
			n := &Node{Key: "packet", Text: fmt.Sprintf("Packet %d of %d  %d bytes", i+1, total, len(b.row.Data)), Span: Span{Packet, 0, len(b.row.Data)}, Open: true}
			n.Children = b.packetLayers(b.row, Packet, 0)
			b.tree.Start = n
			root.Children = append(root.Children, n)
			continue
		}
		data, family := m.Packet(i)
		if len(data) == 0 {
			continue
		}
		s := m.PacketSpan(i)
		n := &Node{Key: "packets", Text: fmt.Sprintf("Packet %d of %d  %d bytes", i+1, total, len(data)), Span: b.clamp(Span{Record, s.Off, s.Len})}
		if s.Len == len(data) { // binary: the packet's bytes stand in the record
			var facts packet.Facts
			b.parser.Facts(data, &facts)
			sub := field.Row{Event: ev, Message: m, Packet: &facts, Data: data, Index: i, Family: family, Parser: b.parser}
			n.Text += "  " + string(facts.AppendProtocol(nil)) + "  " + string(b.parser.AppendInfo(nil, &facts, packet.Base{}))
			n.Children = b.packetLayers(&sub, Record, s.Off)
		}
		if !b.room() {
			break
		}
		root.Children = append(root.Children, n)
	}
	if last < total && b.row.Packet == nil {
		root.Children = append(root.Children, &Node{Text: fmt.Sprintf("… %d more packets", total-last), Key: "more"})
	}
}

// packetLayers makes the nodes of a packet that begins at off of buffer buf.
func (b *builder) packetLayers(r *field.Row, buf, off int) []*Node {
	return b.layers(r, b.parser.TreeOf(r.Packet, r.Data), buf, off, 0)
}

func (b *builder) layers(r *field.Row, nodes []packet.Node, buf, off, depth int) []*Node {
	out := make([]*Node, 0, len(nodes))
	for i := range nodes {
		if !b.room() {
			break
		}
		src := &nodes[i]
		n := &Node{Text: src.Text(), Key: src.Name, Value: src.Value, Span: b.clamp(Span{buf, off + src.Span.Off, src.Span.Len}),
			Bad: src.Name == "_ws.malformed"}
		if src.Name != "" {
			n.Filter, n.Value = valueFilter(r, src.Name, src.Value)
		}
		if n.Key == "" {
			n.Key = src.Label
		}
		if depth < maxDepth {
			n.Children = b.layers(r, src.Children, buf, off, depth+1)
		}
		out = append(out, n)
	}
	return out
}

// add appends a node for a field of the message.
func (b *builder) add(parent *Node, name, text string, s Span) {
	n := &Node{Text: text, Key: name, Span: b.clamp(s)}
	msg := *b.row
	msg.Packet, msg.Flow, msg.Data = nil, nil, nil
	n.Filter, n.Value = valueFilter(&msg, name, "")
	parent.Children = append(parent.Children, n)
}

// clamp cuts a span to its buffer.
func (b *builder) clamp(s Span) Span {
	size := len(b.row.Event.Raw)
	if s.Buf == Packet {
		size = len(b.row.Data)
	}
	s.Off = min(max(s.Off, 0), size)
	s.Len = min(max(s.Len, 0), size-s.Off)
	return s
}

// filters writes down what leads from the row to its like.
func (b *builder) filters() {
	t, ev := b.tree, b.row.Event
	t.Stream.Tunnel = ev.Tunnel
	if ev.Tunnel != 0 {
		t.Tunnel = "tunnel.stream == " + strconv.FormatUint(uint64(ev.Tunnel), 10)
	}
	if m := b.row.Message; m != nil && m.HasIdentifier {
		t.Connection = t.Tunnel + " && tunnel.identifier == " + strconv.FormatInt(m.Identifier, 10)
		if m.Command != decode.Packets { // packets have no stream of their own
			t.Stream.Connection, t.Stream.ID = true, m.Identifier
		}
	}
	if a := b.row.Flow; a != nil {
		switch a.Proto {
		case packet.TCP:
			t.Flow = "tcp.stream == " + strconv.FormatInt(a.Stream, 10)
			t.Stream = Stream{Flow: true, Tunnel: ev.Tunnel, ID: a.Stream}
		case packet.UDP:
			t.Flow = "udp.stream == " + strconv.FormatInt(a.Stream, 10)
			t.Stream = Stream{Flow: true, UDP: true, Tunnel: ev.Tunnel, ID: a.Stream}
		}
	}
}

// values lists what the row may be filtered by.
func (b *builder) values() {
	for _, name := range asked {
		f, ok := field.Lookup(name)
		if !ok {
			continue
		}
		for _, v := range f.Values(nil, b.row) {
			if text := ValueFilter(f, v); text != "" && len(b.tree.Values) < 40 {
				b.tree.Values = append(b.tree.Values, Choice{name, string(v.AppendText(nil, f)), text})
			}
		}
	}
}

// json writes the row as the printer does, the bytes left out.
func (b *builder) json() {
	out := []byte{'{'}
	var values []field.Value
	all := field.All()
	for i := range all {
		f := &all[i]
		if f.Combines || f.OnRequest {
			continue
		}
		values = f.Values(values[:0], b.row)
		if len(values) == 0 {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(field.AppendJSONString(out, f.Name), ':')
		if len(values) == 1 {
			out = values[0].AppendJSON(out)
			continue
		}
		for j, v := range values {
			out = append(out, "[,"[min(j, 1)])
			out = v.AppendJSON(out)
		}
		out = append(out, ']')
	}
	b.tree.JSON = string(append(out, '}'))
}

func safe(s string) string {
	if len(s) > maxText {
		n := maxText
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		return string(packet.AppendSafe(nil, s[:n])) + "…"
	}
	return string(packet.AppendSafe(nil, s))
}

func shortHex(b []byte) string {
	s := hex.EncodeToString(b[:min(len(b), 24)])
	if len(b) > 24 {
		s += "…"
	}
	return s
}
