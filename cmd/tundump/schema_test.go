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
	for _, wrong := range []string{
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
		types := map[string]int{}
		for _, more := range [][]string{nil, {"-x", "-e", "tcp.payload", "-e", "tunnel.command"}} {
			rows := tundump(t, append([]string{"read", file, "-T", "json"}, more...)...)
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
		}
		t.Logf("%s: %v", name, types)
		if types["packet"]+types["message"] == 0 {
			t.Errorf("%s: no rows", name)
		}
	}
}
