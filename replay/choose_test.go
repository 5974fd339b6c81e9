package replay_test

import (
	"testing"

	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/replay"
)

// A connection is opened again if anything of it is selected, and no other.
func TestSelectConnections(t *testing.T) {
	var rec recording
	rec.connection(0, 5000, "GET /a\r\n\r\n", "page a")
	rec.connection(10, 5001, "GET /b\r\n\r\n", "page b")
	rec = append(rec, session()...)
	for text, want := range map[string][]string{
		"tcp.stream == 1":              {"page b"},
		`frame contains "GET /a"`:      {"page a"},
		"tcp":                          {"page a", "page b"},
		"udp":                          nil,
		`frame contains "page b"`:      nil, // that is the other side's
		"tunnel.dir == \"s2c\" && tcp": nil,
	} {
		f, err := filter.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		var s filter.Scratch
		p, err := replay.Compile(rec, replay.Options{Flows: true, Messages: true, Select: func(r *field.Row) bool { return f.Match(r, &s) }})
		if err == replay.ErrEmpty && want == nil {
			continue
		}
		if err != nil {
			t.Fatal(text, err)
		}
		var got []string
		for _, d := range p.Dialogues {
			got = append(got, string(d.Payload[1]))
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", text, got, want)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %q, want %q", text, got, want)
			}
		}
	}
}
