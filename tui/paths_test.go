package tui

import (
	"slices"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

func pathDriver(t *testing.T, names ...Path) (*driver, *fakeControl) {
	c := &fakeControl{paths: names}
	d := drive(t, 80, 24, Options{Control: c}, small(t, false))
	return d, c
}

func TestPathCompletion(t *testing.T) {
	d, c := pathDriver(t, Path{Name: "caps/", Folder: true}, Path{Name: "café-1.pcapng", Size: 3 << 20, Time: 1_700_000_000e9},
		Path{Name: "café-2.pcapng", Size: 17}, Path{Name: "other\x1b[31m.pcap", Size: 1}, Path{Name: "spaced ", Size: 1})
	typed := func() string { return d.m.prompt.input.Value() }
	d.keys("o")
	d.wants("no such file or directory\\x1b[2J")
	d.text("d/")
	d.wants("caps/", "folder", "café-1.pcapng", "3.0 MiB", "2023-11-14 22:13", "other\\x1b[31m.pcap", "there are more: type on")
	d.keys("enter") // not to be opened
	d.wants("this is a folder")
	d.text("c")
	d.lacks("other")
	d.keys("tab")
	if typed() != "d/ca" {
		t.Errorf("what all have in common: %q", typed())
	}
	d.text("f")
	d.keys("tab")
	if typed() != "d/café-" {
		t.Errorf("what all have in common: %q", typed())
	}
	d.keys("down down up tab")
	d.lacks("café-2")
	if typed() != "d/café-1.pcapng" {
		t.Errorf("what was chosen: %q", typed())
	}
	// A folder is gone into, by tab or enter; a file that is chosen is taken.
	d.keys("ctrl+u")
	d.text("d/")
	d.keys("down enter")
	if typed() != "d/caps/" {
		t.Errorf("after a folder was chosen: %q", typed())
	}
	d.keys("ctrl+u")
	d.text("d/other")
	d.keys("tab") // what does not go into a line is not taken for another
	d.wants("this line cannot hold that name")
	d.keys("ctrl+u")
	d.text("d/sp")
	d.keys("tab tab")
	d.wants("this line cannot hold that name")
	d.keys("ctrl+u")
	d.text("d/ca")
	other := newFake("other.pcapng", false)
	c.opened, d.fakes = other, append(d.fakes, other)
	d.keys("down down enter")
	if d.m.prompt != nil || len(d.m.screens) != 2 {
		t.Errorf("the chosen file is not opened: %d captures are open", len(d.m.screens))
	}
}

// Whoever types faster than a folder answers gets what he has typed last, and
// one question is on its way at a time.
func TestPathCompletionSlow(t *testing.T) {
	d, c := pathDriver(t, Path{Name: "one.pcapng"})
	_, cmd := d.m.Update(keyMsg("o"))
	if cmd == nil {
		t.Fatal("nothing is asked for")
	}
	d.m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("d/o")})
	d.m.Update(keyMsg("tab"))
	if n := len(c.asked); n != 0 {
		t.Errorf("%d questions were asked in the loop that takes keys", n)
	}
	d.start(cmd)
	d.settle()
	if got := d.m.prompt.input.Value(); got != "d/one.pcapng" || !slices.Equal(c.asked, []string{"", "d/o", "d/one.pcapng"}) {
		t.Errorf("the line is %q after %q were asked for", got, c.asked)
	}
	// The prompt may be gone when the answer comes.
	_, cmd = d.m.Update(keyMsg("x"))
	d.m.Update(keyMsg("esc"))
	d.start(cmd)
	d.settle()
	d.lacks("one.pcapng")
}

// The prompts for files that are written have it too.
func TestPathCompletionOfWritten(t *testing.T) {
	d, c := pathDriver(t, Path{Name: "old.pcapng", Size: 5})
	for _, open := range []string{"2 w enter", "3 f w"} {
		d.keys(open + " ctrl+u")
		d.text("d/")
		d.wants("old.pcapng", "5 B")
		d.text("old.pcapng")
		d.wants("is there already")
		d.text("2")
		d.wants("a new file")
		d.keys("esc esc")
	}
	if !slices.ContainsFunc(c.asked, func(s string) bool { return strings.HasPrefix(s, "stream.") }) {
		t.Errorf("asked for %q", c.asked)
	}
}
