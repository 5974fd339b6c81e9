package decode_test

import (
	"testing"

	"tundump/decode"
)

// follow decodes records, which say their direction by what they stand behind,
// and returns the codes of what connections find wrong with the last one.
func follow(tb testing.TB, c *decode.Connections, dir decode.Direction, raw []byte) []decode.Code {
	tb.Helper()
	var m decode.Message
	if err := m.Decode(decode.Event{Kind: decode.Record, Dir: dir, Raw: raw}); err != nil {
		tb.Fatal(err)
	}
	own := len(m.Problems)
	c.Check(&m)
	var codes []decode.Code
	for _, p := range m.Problems[own:] {
		codes = append(codes, p.Code)
	}
	return codes
}

func openIP(tb testing.TB, id int) []byte {
	return record(tb, "command", 6, "identifier", id, "tunnel-type", 1)
}

// Only what the client sends suspends and resumes the server's interface: no
// client has an answer to either.
func TestResumeWithoutSuspend(t *testing.T) {
	suspend, resume := record(t, "command", 2, "identifier", 7), record(t, "command", 3, "identifier", 7)
	for _, tt := range []struct {
		name  string
		dirs  []decode.Direction // of suspends
		wrong bool
	}{
		{"never suspended", nil, true},
		{"suspended", []decode.Direction{decode.ClientToServer}, false},
		{"suspended by the server, which means nothing", []decode.Direction{decode.ServerToClient}, true},
	} {
		var c decode.Connections
		follow(t, &c, decode.ClientToServer, openIP(t, 7))
		for _, dir := range tt.dirs {
			if codes := follow(t, &c, dir, suspend); codes != nil {
				t.Errorf("%s: suspend: %v", tt.name, codes)
			}
		}
		if codes := follow(t, &c, decode.ServerToClient, resume); codes != nil {
			t.Errorf("%s: resume from the server: %v", tt.name, codes)
		}
		codes := follow(t, &c, decode.ClientToServer, resume)
		if wrong := len(codes) == 1 && codes[0] == decode.ProblemResume; wrong != tt.wrong || len(codes) > 1 {
			t.Errorf("%s: resume: %v", tt.name, codes)
		}
	}
}

// The configuration in an openResult is for packet tunnels: the client of an
// app-proxy flow does not look at it, however odd it is.
func TestConfigurationOfAnAppFlow(t *testing.T) {
	result := record(t, "command", 7, "identifier", 7, "result-code", 0, "configuration", "none")
	for _, tt := range []struct {
		open []byte
		want int
	}{
		{openIP(t, 7), 1},
		{record(t, "command", 6, "identifier", 7, "tunnel-type", 0, "app-proxy-flow-type", 3), 0},
	} {
		var c decode.Connections
		follow(t, &c, decode.ClientToServer, tt.open)
		var m decode.Message
		if err := m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: result}); err != nil {
			t.Fatal(err)
		}
		if c.Check(&m); len(m.Problems) != tt.want {
			t.Errorf("%v connection: %v, want %d problems", c.Kind(7), m.Problems, tt.want)
		}
	}
}

// A client may open connections without end: what is beyond the limit is not followed, and unknown identifiers are no
// mistake any more. What is closed makes room.
func TestEndlessOpens(t *testing.T) {
	const limit = 8192
	var c decode.Connections
	for id := range 4 * limit {
		follow(t, &c, decode.ClientToServer, openIP(t, id))
	}
	if c.Kind(limit-1) != decode.ConnIP || c.Kind(limit) != decode.ConnUnknown {
		t.Errorf("connections %d and %d are %v and %v", limit-1, limit, c.Kind(limit-1), c.Kind(limit))
	}
	if codes := follow(t, &c, decode.ClientToServer, record(t, "command", 2, "identifier", 4*limit)); codes != nil {
		t.Errorf("an identifier that may have been opened: %v", codes)
	}
	if codes := follow(t, &c, decode.ClientToServer, openIP(t, 5)); len(codes) != 1 || codes[0] != decode.ProblemDuplicateOpen {
		t.Errorf("opened twice: %v", codes)
	}
	for id := range limit / 4 {
		follow(t, &c, decode.ClientToServer, record(t, "command", 4, "identifier", id, "close-type", 4))
	}
	for id := range limit / 4 {
		follow(t, &c, decode.ClientToServer, openIP(t, 9*limit+id))
	}
	if k := c.Kind(9*limit + limit/4 - 1); k != decode.ConnIP {
		t.Errorf("in the room of a closed one: %v", k)
	}
}

// The cost of an open must not grow with what is open.
func BenchmarkEndlessOpens(b *testing.B) {
	var c decode.Connections
	var m decode.Message
	raw := openIP(b, 1<<20)
	for id := range 8192 {
		follow(b, &c, decode.ClientToServer, openIP(b, id))
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Decode(decode.Event{Kind: decode.Record, Raw: raw}); err != nil {
			b.Fatal(err)
		}
		c.Check(&m)
	}
}
