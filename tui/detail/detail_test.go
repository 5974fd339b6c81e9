package detail

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/frame"
	"tundump/decode/packet"
)

func record(t testing.TB, root func(w *bplist.Writer) bplist.Ref) []byte {
	t.Helper()
	var w bplist.Writer
	b, err := w.Append(frame.Reserve(nil), root(&w))
	if err != nil {
		t.Fatal(err)
	}
	if err := frame.PutLength(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

var ping = []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x6e, 0xd6, 10, 8, 0, 2, 1, 1, 1, 1, 8, 0, 0xf7, 0xec, 0, 7, 0, 12}

func packets(t testing.TB, n int) []byte {
	return record(t, func(w *bplist.Writer) bplist.Ref {
		pkts, families := make([][]byte, n), make([]int64, n)
		for i := range pkts {
			pkts[i], families[i] = ping, decode.FamilyIPv4
		}
		return w.Dict(w.String("command"), w.Int(8), w.String("identifier"), w.Int(7), w.String("packets"), w.DataArray(pkts), w.String("protocols"), w.IntArray(families), w.String("od\x1bd"), w.String("\x1b[2J"))
	})
}

func messageRow(ev *decode.Event) *field.Row {
	m := new(decode.Message)
	_ = m.Decode(*ev) // what is wrong is in its problems
	return &field.Row{Event: ev, Message: m}
}

func packetRow(ev *decode.Event, i int) *field.Row {
	r := messageRow(ev)
	data, family := r.Message.Packet(i)
	p, facts := packet.NewParser(), packet.Facts{}
	p.Facts(data, &facts)
	r.Packet, r.Data, r.Index, r.Family, r.Number, r.Parser = &facts, data, i, family, int64(i+1), p
	return r
}

func find(nodes []*Node, key string) *Node {
	for _, n := range nodes {
		if n.Key == key {
			return n
		}
		if in := find(n.Children, key); in != nil {
			return in
		}
	}
	return nil
}

func TestMessage(t *testing.T) {
	raw := packets(t, 3)
	ev := &decode.Event{Kind: decode.Record, Tunnel: 1, Number: 9, Raw: raw, Time: 1e18}
	tree := Build(messageRow(ev))
	if n := find(tree.Roots, "tunnel.len"); n == nil || n.Span != (Span{Record, 0, 4}) {
		t.Errorf("the length field: %+v", n)
	}
	if n := find(tree.Roots, "tunnel.identifier"); n == nil || n.Filter != "tunnel.identifier == 7" || n.Value != "7" {
		t.Errorf("the identifier: %+v", n)
	}
	n := find(tree.Roots, "key")
	if n == nil || string(tree.Bytes[Record][n.Span.Off+1:n.Span.Off+n.Span.Len]) != n.Value {
		t.Errorf("a key's bytes: %+v", n)
	}
	// The packets' bytes stand in the record.
	ttl := find(tree.Roots, "ip.ttl")
	if ttl == nil || ttl.Span.Buf != Record || raw[ttl.Span.Off] != 64 || ttl.Filter != "ip.ttl == 64" {
		t.Errorf("the time to live: %+v", ttl)
	}
	if n := find(tree.Roots, "plist.od\\x1bd"); n == nil || n.Value != `\x1b[2J` {
		t.Errorf("a hostile key: %+v", n)
	}
	if tree.Connection != "tunnel.stream == 1 && tunnel.identifier == 7" {
		t.Errorf("connection %q", tree.Connection)
	}
	if !json.Valid([]byte(tree.JSON)) {
		t.Errorf("JSON: %s", tree.JSON)
	}
}

func TestPacket(t *testing.T) {
	ev := &decode.Event{Kind: decode.Record, Tunnel: 1, Number: 9, Raw: packets(t, 3), Time: 1e18}
	tree := Build(packetRow(ev, 1))
	if tree.Start == nil || !strings.HasPrefix(tree.Start.Text, "Packet 2 of 3") || string(tree.Bytes[Packet]) != string(ping) {
		t.Errorf("begins at %+v", tree.Start)
	}
	if n := find(tree.Roots, "ip.src"); n == nil || n.Span != (Span{Packet, 12, 4}) || n.Filter != "ip.src == 10.8.0.2" {
		t.Errorf("source: %+v", n)
	}
	row := packetRow(ev, 1)
	var scratch filter.Scratch
	for _, c := range tree.Values {
		f, err := filter.Compile(c.Filter)
		if err != nil || !f.Match(row, &scratch) {
			t.Errorf("the row does not pass %q: %v", c.Filter, err)
		}
	}
	// A bare packet has no message.
	bare := &field.Row{Event: &decode.Event{Kind: decode.Packet, Raw: ping}, Packet: row.Packet, Data: ping, Number: 1, Family: -1, Parser: row.Parser}
	tree = Build(bare)
	if find(tree.Roots, "message") != nil || find(tree.Roots, "ip.src") == nil || tree.Bytes[Record] != nil {
		t.Errorf("a bare packet: %+v", tree.Roots)
	}
}

// Every filter that the tree offers is one, and the row passes it.
func FuzzBuild(f *testing.F) {
	f.Add(packets(f, 1))
	f.Add([]byte{})
	f.Add([]byte{5, 0, 0, 0, 'x'})
	files, err := filepath.Glob(filepath.Join("..", "..", "decode", "testdata", "fuzz", "*", "*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ev := &decode.Event{Kind: decode.Record, Tunnel: 1, Number: 9, Raw: raw}
		rows := []*field.Row{messageRow(ev)}
		if rows[0].Message.PacketCount() > 0 {
			rows = append(rows, packetRow(ev, 0))
		}
		for _, r := range rows {
			tree := Build(r)
			nodes := 0
			var walk func([]*Node)
			walk = func(list []*Node) {
				for _, n := range list {
					nodes++
					checkNode(t, tree, n)
					walk(n.Children)
				}
			}
			walk(tree.Roots)
			if nodes > 4*maxNodes {
				t.Errorf("%d nodes", nodes)
			}
		}
	})
}

func checkNode(t *testing.T, tree *Tree, n *Node) {
	if size := len(tree.Bytes[n.Span.Buf]); n.Span.Off < 0 || n.Span.Len < 0 || n.Span.Off+n.Span.Len > size {
		t.Errorf("%q: span %+v of %d bytes", n.Text, n.Span, size)
	}
	if !utf8.ValidString(n.Text) || strings.ContainsFunc(n.Text, packet.UnsafeRune) {
		t.Errorf("%q is not safe to print", n.Text)
	}
	if n.Filter == "" {
		return
	}
	if _, err := filter.Compile(n.Filter); err != nil {
		t.Errorf("%q offers the filter %q: %v", n.Text, n.Filter, err)
	}
}

// The filter by a value finds the value, whatever it holds, and can be edited
// in a line that keeps no control characters.
func TestFilterByHostileValue(t *testing.T) {
	f, ok := field.Lookup("tunnel.host")
	if !ok {
		t.Fatal("no such field")
	}
	var scratch filter.Scratch
	for _, host := range []string{"a\nb", "\x1b[2J", `q"\d`, "tab\tend\x00", "é\u202e", "\x7f"} {
		ev := &decode.Event{Kind: decode.Record, Tunnel: 1, Raw: record(t, func(w *bplist.Writer) bplist.Ref {
			return w.Dict(w.String("command"), w.Int(3), w.String("identifier"), w.Int(7), w.String("host"), w.String(host), w.String("port"), w.Int(80))
		})}
		row := messageRow(ev)
		values := f.Values(nil, row)
		if len(values) != 1 {
			t.Fatalf("%q: %d values", host, len(values))
		}
		text := ValueFilter(f, values[0])
		if strings.ContainsFunc(text, packet.UnsafeRune) {
			t.Errorf("%q: the filter %q is not safe to edit", host, text)
		}
		c, err := filter.Compile(text)
		if err != nil || !c.Match(row, &scratch) {
			t.Errorf("%q: %s, %v", host, text, err)
		}
	}
}
