package output_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tundump/capture"
	"tundump/capture/record"
	"tundump/capture/session"
	"tundump/cmd/tundump/output"
	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/frame"
	"tundump/decode/packet"
)

// build makes a record of pairs of key and value: int, string, []byte or
// [][]byte.
func build(tb testing.TB, pairs ...any) []byte {
	tb.Helper()
	var w bplist.Writer
	var refs []bplist.Ref
	for _, p := range pairs {
		switch p := p.(type) {
		case int:
			refs = append(refs, w.Int(int64(p)))
		case string:
			refs = append(refs, w.String(p))
		case []byte:
			refs = append(refs, w.Data(p))
		case [][]byte:
			refs = append(refs, w.DataArray(p))
		case []int64:
			refs = append(refs, w.IntArray(p))
		}
	}
	b, err := w.Append(frame.Reserve(nil), w.Dict(refs...))
	if err != nil {
		tb.Fatal(err)
	}
	if err := frame.PutLength(b, 0); err != nil {
		tb.Fatal(err)
	}
	return b
}

// printed records events and returns what a printer makes of them.
func printed(tb testing.TB, opt output.Options, events ...decode.Event) string {
	tb.Helper()
	r, err := record.New(record.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	for i, ev := range events {
		b := capture.NewBatch()
		if ev.Tunnel == 0 {
			ev.Tunnel = 1
		}
		if ev.Time == 0 {
			ev.Time = 1_732_271_543_123_456_789 + int64(i)*int64(time.Millisecond)
		}
		if ev.Kind.Counts() && ev.Flags == 0 {
			ev.Flags = decode.OnClientSide
		}
		b.Events = append(b.Events, ev)
		r.Offer(b)
		b.Release()
	}
	if err := r.Close(); err != nil {
		tb.Fatal(err)
	}
	defer r.Store().Close()
	var out bytes.Buffer
	opt.Location = time.UTC
	p := output.New(&out, opt)
	s := session.New(r.Store())
	for {
		row, err := s.Next(context.Background())
		if err == io.EOF {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		if more, err := p.Row(row); err != nil {
			tb.Fatal(err)
		} else if !more {
			break
		}
	}
	if err := p.Flush(); err != nil {
		tb.Fatal(err)
	}
	return out.String()
}

var opened = decode.Event{Kind: decode.Opened, Detail: &decode.Detail{
	Client: netip.MustParseAddrPort("192.168.1.7:53122"), Listener: netip.MustParseAddrPort("192.168.1.2:8890"), Upstream: "tunnel.example:8890"}}

func events(tb testing.TB) []decode.Event {
	echo := []byte{0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 8, 0, 2, 1, 1, 1, 1, 8, 0, 0xf7, 0xfc, 0, 1, 0, 2}
	packets := build(tb, "identifier", 7, "command", 8, "packets", [][]byte{echo, {0x55}}, "protocols", []int64{2, 2})
	open := build(tb, "identifier", 7, "command", 6, "tunnel-type", 1)
	return []decode.Event{
		opened,
		{Kind: decode.Connected, Detail: &decode.Detail{Local: netip.MustParseAddrPort("10.0.0.1:4000"), Remote: netip.MustParseAddrPort("10.0.0.5:8890")}},
		{Kind: decode.Record, Raw: open},
		{Kind: decode.Record, Raw: packets, Offset: int64(len(open))},
		{Kind: decode.Unframed, Raw: []byte("GET / HTTP/1.1"), Offset: int64(len(open) + len(packets)), Detail: &decode.Detail{Reason: "length 542393671 is more than 16777216"}},
		{Kind: decode.TCPInfo, Detail: &decode.Detail{RTT: time.Millisecond, Retrans: 1, Unacked: 2}},
		{Kind: decode.HalfClosed, Detail: &decode.Detail{By: decode.Client}},
		{Kind: decode.Closed, Detail: &decode.Detail{By: decode.Client, Reason: "FIN"}},
	}
}

func TestText(t *testing.T) {
	const want = `10:32:23.123456 T1 opened 192.168.1.7:53122 > 192.168.1.2:8890 upstream tunnel.example:8890
10:32:23.124456 T1 upstream connected 10.0.0.1:4000 > 10.0.0.5:8890
10:32:23.125456 T1 > #1   Open id=7 ip
10:32:23.126456 T1 > #2   Packets id=7 2 packets 29 B
          1 IPv4 10.8.0.2 > 1.1.1.1 ICMP Echo (ping) request  id=0x0001, seq=2/512, ttl=64
      ! warning inner-ip: the IPv4 header checksum is wrong
          2 data Not an IP packet
      ! warning inner-ip: the IP version is neither 4 nor 6
10:32:23.127456 T1 > #3   ? 14 bytes unframed at 242: length 542393671 is more than 16777216
10:32:23.129456 T1 client sends no more (FIN)
10:32:23.130456 T1 closed by client (FIN) 0.0 s 3 messages
`
	got := printed(t, output.Options{}, events(t)...)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestForms(t *testing.T) {
	for _, tt := range []struct {
		name string
		opt  output.Options
		want []string
		not  []string
	}{
		{"messages", output.Options{Messages: true}, []string{"#2   Packets"}, []string{"ICMP", "opened"}},
		{"packets", output.Options{Packets: true}, []string{"T1 >       1 IPv4 10.8.0.2"}, []string{"#2", "opened"}},
		{"one packet", output.Options{Packets: true, Count: 1}, []string{" 1 IPv4"}, []string{" 2 "}},
		{"two messages", output.Options{Count: 2}, []string{"#2 ", " 2 data"}, []string{"#3 "}},
		{"verbose", output.Options{Verbose: true}, []string{"tcp rtt 1ms retransmissions 1 unacked 2", "binary]", "ttl 64"}, nil},
		{"relative", output.Options{Stamp: output.Relative}, []string{"0.000000000 T1 opened", "0.002000000 T1 > #1"}, nil},
		{"delta", output.Options{Stamp: output.Delta}, []string{"0.001000000 T1 > #1"}, nil},
		{"date", output.Options{Stamp: output.AbsoluteDate}, []string{"2024-11-22 10:32:23.123456 T1 opened"}, nil},
		{"epoch", output.Options{Stamp: output.Epoch}, []string{"1732271543.123456789 T1 opened"}, nil},
		{"detail", output.Options{Detail: true}, []string{"tunnel-type: 1 [", "Internet Protocol Version 4, Src: 10.8.0.2"}, nil},
		{"hex", output.Options{Hex: true, Messages: true}, []string{"0000  5f 00 00 00 62 70 6c 69", "_...bpli"}, nil},
	} {
		got := printed(t, tt.opt, events(t)...)
		for _, w := range tt.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", tt.name, w, got)
			}
		}
		for _, w := range tt.not {
			if strings.Contains(got, w) {
				t.Errorf("%s: %q in\n%s", tt.name, w, got)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	var kinds []string
	for line := range strings.Lines(printed(t, output.Options{Format: output.JSON}, events(t)...)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kind := row["type"].(string)
		if e, ok := row["tunnel.event"].(string); ok {
			kind += ":" + e
		}
		kinds = append(kinds, kind)
		if row["tunnel.stream"] != 1.0 {
			t.Errorf("no tunnel in %s", line)
		}
		switch kind {
		case "packet":
			if row["frame.number"] == 1.0 && (row["ip.src"] != "10.8.0.2" || row["icmp.seq"] != 2.0 || row["ip.flags.df"] != false) {
				t.Errorf("packet: %s", line)
			}
			if _, ok := row["tunnel.command"]; ok {
				t.Errorf("a packet's row repeats its message: %s", line)
			}
		case "finding":
			if row["finding.code"] != "inner-ip" || row["finding.severity"] != "warning" {
				t.Errorf("finding: %s", line)
			}
		}
	}
	const want = "tunnel:opened tunnel:upstream-connected message message packet finding packet finding tunnel:unframed tunnel:tcp-info tunnel:half-closed tunnel:closed"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("rows %s\nwant %s", got, want)
	}
}

func TestFields(t *testing.T) {
	var fields []*field.Field
	for _, name := range []string{"tunnel.msg", "frame.number", "ip.addr", "ip.id"} {
		f, ok := field.Lookup(name)
		if !ok {
			t.Fatal(name)
		}
		fields = append(fields, f)
	}
	got := printed(t, output.Options{Format: output.Fields, Fields: fields, Header: true, Separator: "|"}, events(t)...)
	if want := "2|1|10.8.0.2,1.1.1.1|0x0001\n2|2||\n3|||\n"; !strings.HasPrefix(got, "tunnel.msg|frame.number|ip.addr|ip.id\n") || !strings.Contains(got, want) {
		t.Errorf("got\n%s", got)
	}
}

// A message is printed when any packet inside matches, and with it only those
// packets; findings belong to what they are about.
func TestFilter(t *testing.T) {
	opened, connected, open, packets, one, unframed := "opened ", "upstream connected", "#1 ", "#2 ", " 1 IPv4", "#3 "
	for text, want := range map[string][]string{
		`icmp`:                                 {packets, one},
		`icmp.seq == 2 && tunnel.command == 8`: {packets, one},
		`!icmp`:                                {opened, connected, open, packets, " 2 data", unframed, "closed"},
		`tunnel.command == 6`:                  {open},
		`tunnel.identifier`:                    {open, packets, one, " 2 data"},
		`tunnel.event == "opened"`:             {opened},
		`frame.number == 2`:                    {packets, " 2 data", "neither 4 nor 6"},
		`finding.text contains "neither"`:      {packets, " 2 data", "neither 4 nor 6"},
	} {
		flt, err := filter.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		got := printed(t, output.Options{Filter: flt}, events(t)...)
		for _, w := range []string{opened, connected, open, packets, one, " 2 data", unframed, "neither 4 nor 6", "closed"} {
			if strings.Contains(got, w) != slices.Contains(want, w) && w != "neither 4 nor 6" {
				t.Errorf("%s: %q in it: %v\n%s", text, w, strings.Contains(got, w), got)
			}
		}
	}
	flt, err := filter.Compile(`finding`)
	if err != nil {
		t.Fatal(err)
	}
	rows := printed(t, output.Options{Filter: flt, Packets: true, Count: 1}, events(t)...)
	if strings.Count(rows, "\n") != 2 || !strings.Contains(rows, one) {
		t.Errorf("one packet with a finding:\n%s", rows)
	}
	if out := printed(t, output.Options{Filter: flt, Quiet: true}, events(t)...); out != "" {
		t.Errorf("quiet: %s", out)
	}
}

// Nothing that came over the wire reaches a terminal as it came.
func TestHostileText(t *testing.T) {
	const evil = "a\x00b\r\n\x1b[31m\x1b]0;title\a\u202eevil\u2028\x7f\u009b2J\U000e0041\ufeffz"
	evs := []decode.Event{
		{Kind: decode.Opened, Detail: &decode.Detail{Upstream: evil}},
		{Kind: decode.Record, Raw: build(t, "identifier", 1, "command", 1, "data", []byte("x"), "host", evil, "port", 53)},
		{Kind: decode.Record, Raw: build(t, "identifier", 1, "command", 6, "tunnel-type", 0, "app-proxy-flow-type", 1, "host", evil, "port", evil)},
		{Kind: decode.Record, Raw: build(t, "identifier", evil, "command", evil, evil, evil)},
		{Kind: decode.Record, Raw: append([]byte{12, 0, 0, 0}, "\x1b[31mabc"...)},
		{Kind: decode.Unframed, Raw: []byte(evil), Detail: &decode.Detail{Reason: evil}},
		{Kind: decode.Refused, Detail: &decode.Detail{Reason: evil}},
		{Kind: decode.Closed, Detail: &decode.Detail{By: decode.Proxy, Reason: evil}},
	}
	var all []*field.Field
	for i := range field.All() {
		all = append(all, &field.All()[i])
	}
	for name, opt := range map[string]output.Options{
		"text":   {Verbose: true, Detail: true, Hex: true},
		"json":   {Format: output.JSON, Hex: true},
		"fields": {Format: output.Fields, Fields: all},
	} {
		got := printed(t, opt, evs...)
		if !utf8.ValidString(got) {
			t.Errorf("%s: no UTF-8", name)
		}
		for i, r := range got {
			if packet.UnsafeRune(r) && r != '\n' && !(name == "fields" && r == '\t') {
				t.Fatalf("%s: %U at %d: %q", name, r, i, got[max(0, i-40):min(len(got), i+40)])
			}
		}
		if !strings.Contains(got, "evil") {
			t.Errorf("%s: the text is not shown at all", name)
		}
	}
}

// Numbers grow beyond their column, and the words behind them stay words.
func TestLargeNumbers(t *testing.T) {
	evs := make([]decode.Event, 10_001)
	for i := range evs {
		evs[i] = decode.Event{Kind: decode.Record, Raw: build(t, "command", 9, "identifier", 0)}
	}
	out := printed(t, output.Options{}, evs...)
	for _, want := range []string{"> #7   Fetch", "> #77  Fetch", "> #777 Fetch", "> #7777 Fetch", "> #10001 Fetch"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("%q stands %d times in the output", want, strings.Count(out, want))
		}
	}
}

// An object has no key twice, whatever is asked for.
func TestJSONKeysAreUnique(t *testing.T) {
	var opt output.Options
	opt.Format, opt.Hex = output.JSON, true
	for _, name := range []string{"tunnel.raw", "frame.raw", "tunnel.len", "tunnel.raw", "tunnel.len", "ip.src"} {
		f, ok := field.Lookup(name)
		if !ok {
			t.Fatal(name)
		}
		opt.Fields = append(opt.Fields, f)
	}
	out := printed(t, opt, events(t)...)
	for line := range strings.Lines(out) {
		for _, f := range opt.Fields {
			if n := strings.Count(line, `"`+f.Name+`":`); n > 1 {
				t.Errorf("%s stands %d times in %s", f.Name, n, line)
			}
		}
	}
	if !strings.Contains(out, `"tunnel.raw":`) || !strings.Contains(out, `"frame.raw":`) {
		t.Errorf("no bytes in\n%s", out)
	}
}

// What is too long for a tree is cut, and the cut is shown; offsets do not
// begin again at 64 KiB.
func TestLongMessages(t *testing.T) {
	long := build(t, "command", 1, "identifier", 7, "data", make([]byte, 70_000))
	out := printed(t, output.Options{Hex: true}, decode.Event{Kind: decode.Record, Raw: long})
	for _, want := range []string{"\n    00000  ", "\n    0fff0  ", "\n    10000  ", "\n    11170  "} {
		if strings.Count(out, want) != 1 {
			t.Errorf("%q stands in it %d times", want, strings.Count(out, want))
		}
	}
	wide := build(t, "command", 9, "identifier", 0, strings.Repeat("x", 3), "a"+strings.Repeat("ü", 300))
	out = printed(t, output.Options{Detail: true}, decode.Event{Kind: decode.Record, Raw: wide})
	if !strings.Contains(out, "ü… [") || strings.Contains(out, `\x`) {
		t.Errorf("a long string is not cut between characters:\n%s", out)
	}
	out = printed(t, output.Options{Detail: true, Messages: true}, decode.Event{Kind: decode.Record,
		Raw: build(t, "command", 8, "identifier", 7, "packets", make([][]byte, 3000), "protocols", make([]int64, 3000))})
	if n := strings.Count(out, "\n"); n > 2100 || !strings.Contains(out, "more is not printed") {
		t.Errorf("%d lines, and no word of a cut", n)
	}
}

func BenchmarkText(b *testing.B) {
	for _, format := range []output.Format{output.Text, output.JSON} {
		b.Run(fmt.Sprint(format), func(b *testing.B) {
			r, err := record.New(record.Options{})
			if err != nil {
				b.Fatal(err)
			}
			for _, ev := range events(b) {
				batch := capture.NewBatch()
				ev.Tunnel, ev.Flags = 1, decode.OnClientSide
				batch.Events = append(batch.Events, ev)
				r.Offer(batch)
				batch.Release()
			}
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
			defer r.Store().Close()
			s := session.New(r.Store())
			var row *session.Row
			for row == nil || row.Message == nil || row.Message.Command != decode.Packets {
				if row, err = s.Next(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			p := output.New(io.Discard, output.Options{Format: format})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Row(row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
