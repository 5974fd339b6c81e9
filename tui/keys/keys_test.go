package keys

import (
	"strings"
	"testing"
)

func table() []Binding {
	return []Binding{
		{Name: "one", Group: "g", Where: List | Tree, Keys: []string{"a", "ctrl+f"}, Doc: "first"},
		{Name: "two", Group: "g", Where: Hex, Keys: []string{"a"}, Doc: "the same key elsewhere"},
		{Name: "three", Group: "h", Where: Anywhere, Keys: []string{"b"}, Doc: "a | in it"},
	}
}

func TestMap(t *testing.T) {
	m, wrong := NewMap(table(), nil)
	if len(wrong) != 0 {
		t.Errorf("wrong: %q", wrong)
	}
	if m.Lookup(List, "a") != 0 || m.Lookup(Hex, "a") != 1 || m.Lookup(Stream, "a") != -1 || m.Lookup(Stream, "b") != 2 || m.Lookup(Tree, "ctrl+f") != 0 {
		t.Error("keys do not do what the table says")
	}
	if m.Key("one") != "a" || m.Key("none") != "" {
		t.Error("names of keys")
	}
}

func TestRebound(t *testing.T) {
	for _, c := range []struct {
		name    string
		rebound map[string][]string
		wrong   string
		at      Where
		key     string
		does    int
	}{
		{"another key", map[string][]string{"one": {"C-x"}}, "", Tree, "ctrl+x", 0},
		{"the old one is free", map[string][]string{"one": {"x"}}, "", List, "a", -1},
		{"taken from a default", map[string][]string{"three": {"a"}}, "key a is bound to both three and one: it does three", List, "a", 2},
		{"none", map[string][]string{"three": {}}, "", List, "b", -1},
		{"unknown", map[string][]string{"four": {"x"}}, `no action is named "four"`, List, "x", -1},
		{"space", map[string][]string{"one": {"space"}}, "", List, " ", 0},
	} {
		m, wrong := NewMap(table(), c.rebound)
		if s := strings.Join(wrong, "\n"); c.wrong == "" && s != "" || !strings.Contains(s, c.wrong) {
			t.Errorf("%s: said %q", c.name, s)
		}
		if i := m.Lookup(c.at, c.key); i != c.does {
			t.Errorf("%s: key %q does %d, want %d", c.name, c.key, i, c.does)
		}
	}
}

func TestMarkdown(t *testing.T) {
	m, _ := NewMap(table(), map[string][]string{"two": {"|"}})
	md := m.Markdown()
	for _, part := range []string{"**g**", "| `a` `ctrl-f` | one | first |", "`\\|`", "**h**"} {
		if !strings.Contains(md, part) {
			t.Errorf("lacks %q:\n%s", part, md)
		}
	}
	if s := (List | Hex).Places(); s != "list, bytes" || Anywhere.Places() != "everywhere" {
		t.Errorf("places: %q", s)
	}
}
