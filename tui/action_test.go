package tui

import (
	"strings"
	"testing"
)

func TestHelpPaletteKeys(t *testing.T) {
	d := drive(t, 140, 45, Options{Settings: Settings{Keys: map[string][]string{"follow": {"ctrl-y"}, "mark": {"f", "y"}, "nothing": {"x"}}}}, small(t, false))
	d.wants("configuration:", `no action is named "nothing"`, "key y is bound to both mark and copy")
	d.keys("?")
	d.text("theme")
	d.wants("dark, light or high contrast")
	d.lacks("packets inside the tunnels")
	d.keys("esc esc :")
	d.text("view.pack")
	d.keys("enter")
	d.wants("No.")
	d.keys("f")
	if len(d.m.scr().notes.Packets) != 1 {
		t.Error("f does not mark, as the settings have it")
	}
	if md := Markdown(); !strings.Contains(md, "| `/` | filter |") || strings.Count(md, "\n") < len(table()) {
		t.Errorf("the documentation:\n%s", md)
	}
}

// Every default key does one thing in one place, and every action has one.
func TestTable(t *testing.T) {
	m := New(Options{Sources: []Source{small(t, false)}})
	defer m.cancel()
	if m.notice.text != "" {
		t.Error(m.notice.text)
	}
	names := map[string]bool{}
	for _, b := range m.keys.Bindings() {
		if len(b.Keys) == 0 || b.Doc == "" || names[b.Name] {
			t.Errorf("%q: keys %q, %q", b.Name, b.Keys, b.Doc)
		}
		names[b.Name] = true
	}
}

func TestMenuWithoutMatch(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 =")
	d.text("no such thing")
	d.wants("nothing matches “no such thing”")
	d.keys("enter")
	d.wants("nothing matches “no such thing”", "Only rows with")
	d.keys("esc")
	d.lacks("Only rows with")
}

// A key that can do nothing says why.
func TestNothingToDo(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 *")
	d.wants("packets do not unfold")
	d.keys("6")
	d.lacks("enter open", "y copy", "/ filter")
}
