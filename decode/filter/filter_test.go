package filter

import (
	"errors"
	"strings"
	"testing"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/field"
	"tundump/decode/flow"
	"tundump/decode/frame"
)

// openRow is a row that opens a TCP flow to host:port.
func openRow(tb testing.TB, host, port string) *field.Row {
	var w bplist.Writer
	raw, err := w.Append(frame.Reserve(nil), w.Dict(w.String("command"), w.Int(6), w.String("identifier"), w.Int(7),
		w.String("tunnel-type"), w.Int(0), w.String("app-proxy-flow-type"), w.Int(1), w.String("host"), w.String(host), w.String("port"), w.String(port)))
	if err != nil {
		tb.Fatal(err)
	}
	if err := frame.PutLength(raw, 0); err != nil {
		tb.Fatal(err)
	}
	ev := decode.Event{Kind: decode.Record, Tunnel: 3, Number: 9, Time: 1_500_000_000_000_000_000, Raw: raw}
	m := new(decode.Message)
	if err := m.Decode(ev); err != nil {
		tb.Fatal(err)
	}
	return &field.Row{Event: &ev, Message: m}
}

func TestMatch(t *testing.T) {
	row := openRow(t, "example.org", "443")
	for text, want := range map[string]bool{
		`tunnel.command == 6`:                            true,
		`tunnel.command != 6`:                            false,
		`tunnel.command eq 6 and tunnel.identifier ne 8`: true,
		`tunnel.command.name == "Open"`:                  true,
		`tunnel.command.name == Open`:                    true,
		`tunnel.host contains "ample"`:                   true,
		`tunnel.host matches "^EXAMPLE\.(org|net)$"`:     true,
		`tunnel.port in {80, 443}`:                       true,
		`tunnel.port in {1..79, 81..442}`:                false,
		`tunnel.port > 442 && tunnel.port <= 443`:        true,
		`!(tunnel.port == 443)`:                          false,
		`not tunnel.port == 80 or tunnel.port == 1`:      true,
		`tunnel.result_code`:                             false,
		`tunnel.result_code != 0`:                        false,
		`tunnel.flow_type`:                               true,
		`tunnel`:                                         true,
		`tcp`:                                            false,
		`tunnel.dir == "c2s" || tunnel.dir == "s2c"`:     true,
		`tunnel.msg == 9 && tunnel.stream == 3`:          true,
		`tunnel.edited`:                                  false,
		`frame.time_epoch > 1499999999.5`:                true,
		`tunnel.command==6&&tunnel.port==443`:            true,
		`tunnel.identifier == 0x7`:                       true,
		`tunnel.identifier == -7`:                        false,
	} {
		f, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.Match(row, new(Scratch)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                                 "column 1: expected a field",
		`tunnel.comand == 6`:               "column 1: there is no field \"tunnel.comand\"; there is tunnel.command",
		`tunnel.command == open`:           `column 19: "open" is no integer: 10, 0xa, 012, 0b1010`,
		`tunnel.command ==`:                "column 18: expected a field or a value behind it",
		`tunnel.command = 6`:               `column 16: = is no operator; == is`,
		`(tunnel.command == 6`:             "column 21: expected )",
		`tunnel.port in 80`:                "column 16: in takes a set",
		`tunnel.port in {80 81}`:           "column 20: expected , or }, not",
		`tunnel.host == "x`:                "column 16: the string has no end",
		`tunnel.host matches "("`:          "column 21: error parsing regexp",
		`tunnel.port matches "4"`:          "column 1: matches takes strings or bytes, and tunnel.port is an integer; string(tunnel.port) is a string",
		`tunnel.port == 443 tunnel.port`:   "column 20: expected and, or or the end",
		`tunnel == 3`:                      "column 1: there is no field",
		strings.Repeat("!", 300) + "frame": "nested too deep",
	} {
		_, err := Compile(text)
		var fe *Error
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	row := openRow(t, "example.org", "443")
	f, err := Compile(`tunnel.command == 8 || tunnel.identifier == 7 && tunnel.len > 3`)
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	if n := testing.AllocsPerRun(100, func() {
		if !f.Match(row, &s) {
			t.Fatal("no match")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if f.Cost() != field.FromMessage {
		t.Errorf("cost %d", f.Cost())
	}
	if asks := f.Fields(); len(asks) != 3 || asks[0].Name != "tunnel.command" || asks[2].Name != "tunnel.len" {
		t.Errorf("it asks %d fields", len(asks))
	}
}

func BenchmarkMatch(b *testing.B) {
	row := openRow(b, "example.org", "443")
	f, err := Compile(`tunnel.command == 8 || tunnel.identifier == 7 && tunnel.len > 3`)
	if err != nil {
		b.Fatal(err)
	}
	var s Scratch
	b.ReportAllocs()
	for b.Loop() {
		f.Match(row, &s)
	}
}

// A filter needs what that of its fields and protocols needs that needs most,
// whether or not it would be asked.
func TestDepth(t *testing.T) {
	for text, want := range map[string]flow.Depth{
		"tcp.port == 443 && ip && tunnel.stream == 1":      flow.Alone,
		"tcp && finding.code":                              flow.Alone,
		"tcp.payload[0:2] == 16:03 || ip[8] == 64":         flow.Alone,
		"tcp.port == 443 || tcp.analysis":                  flow.Streams,
		"tcp.port == tcp.stream":                           flow.Streams,
		"!(len(tls.handshake.extensions_server_name) > 3)": flow.Dialogs,
		"tls": flow.Dialogs,
		"tcp.port in {1..3} && frame contains 01 && http[0:3]": flow.Dialogs,
		"esp": flow.Dialogs,
		"dns": flow.Dialogs,
	} {
		f, err := Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if f.Depth() != want {
			t.Errorf("%s: %d, want %d", text, f.Depth(), want)
		}
	}
}
