package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Rows of real captures are what the schema says, and what is not is refused.
func TestSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(tundump(t, "schema")))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("tundump.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("tundump.json")
	if err != nil {
		t.Fatal(err)
	}
	demo := sharedDemo(t)
	inner := filepath.Join(t.TempDir(), "inner.pcap")
	tundump(t, "export", demo, "-w", inner)
	checkRows(t, schema, map[string]string{"demo": demo, "bare": inner})
	t.Run("shared", func(t *testing.T) { // which not everybody has
		files := map[string]string{}
		files["teams"] = wrapped(t, "ip", "ntop+nDPI/teams.pcap")
		files["app"] = wrapped(t, "app", "ntop+nDPI/telegram.pcap")
		files["tcpdump"] = wrapped(t, "ip", "the-tcpdump-group+tcpdump/icmpv6-rfc7112.pcap")
		checkRows(t, schema, files)
	})
	stats := []string{"stats", "-q", "-T", "json", demo}
	overview := checkLines(t, schema, "overview", tundump(t, stats...))
	for _, tap := range statTaps {
		stats = append(stats, "-z", tap)
	}
	if n := checkLines(t, schema, "statistics", tundump(t, stats...))["statistics"]; n < len(statTaps) || overview["statistics"] < 2 {
		t.Errorf("%d rows of statistics, %v of an overview", n, overview)
	}
	for _, wrong := range []string{
		`{"type":"statistics","tap":"io,phs","depth":1}`, `{"type":"statistics","tap":"conv,tcp","others":1,"bogus":2}`,
		`{}`, `{"type":"message"}`, `{"type":"packet","frame.time_epoch":1,"frame.number":"1","frame.len":3}`,
		`{"type":"packet","frame.time_epoch":1,"frame.number":1,"frame.len":3,"no.such.field":1}`,
		`{"type":"packet","frame.time_epoch":1,"frame.number":-1,"frame.len":3}`,
	} {
		row, err := jsonschema.UnmarshalJSON(strings.NewReader(wrong))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(row) == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
}

func checkRows(t *testing.T, schema *jsonschema.Schema, files map[string]string) {
	t.Helper()
	for name, file := range files {
		for _, more := range [][]string{nil, {"-x", "-e", "tcp.payload", "-e", "tunnel.command"}} {
			types := checkLines(t, schema, name, tundump(t, append([]string{"read", file, "-T", "json"}, more...)...))
			t.Logf("%s: %v", name, types)
			if types["packet"]+types["message"] == 0 {
				t.Errorf("%s: no rows", name)
			}
		}
	}
}

// checkLines returns how many rows of each type there are.
func checkLines(t *testing.T, schema *jsonschema.Schema, name, rows string) map[string]int {
	t.Helper()
	types := map[string]int{}
	for line := range strings.Lines(rows) {
		row, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(row); err != nil {
			var kind struct{ Type string }
			if json.Unmarshal([]byte(line), &kind) == nil {
				t.Fatalf("%s: a %s: %s\n%.600s", name, kind.Type, bytes.TrimSpace([]byte(err.Error())), line)
			}
		}
		types[row.(map[string]any)["type"].(string)]++
	}
	return types
}
