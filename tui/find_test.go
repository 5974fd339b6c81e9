package tui

import (
	"strings"
	"testing"
)

func TestSearch(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	number := func() int64 { return d.m.scr().rows().list.Current().Number }
	d.keys("2 ctrl+f")
	d.text("response")
	d.keys("enter")
	if number() != 4 {
		t.Errorf("found packet %d", number())
	}
	d.keys("n")
	d.wants("no more")
	d.keys("ctrl+f tab tab") // in the bytes
	d.text("hello world")
	d.keys("enter")
	if number() != 8 {
		t.Errorf("bytes: found packet %d", number())
	}
	d.keys("n")
	if number() != 9 {
		t.Errorf("next: found packet %d", number())
	}
	d.keys("N")
	if number() != 8 {
		t.Errorf("previous: found packet %d", number())
	}
	d.keys("home ctrl+f tab tab") // in the details
	d.text("transaction id")
	d.keys("enter")
	if n := d.m.scr().rows().tree.Node(); n == nil || !strings.Contains(n.Text, "Transaction ID") {
		t.Errorf("the tree is at %+v", n)
	}
	d.keys("home ctrl+f shift+tab") // hexadecimal
	d.text("47 45 54 20")
	d.keys("enter")
	if number() != 7 {
		t.Errorf("hexadecimal: found packet %d", number())
	}
	d.keys("home ctrl+f shift+tab")
	d.text("GET [/]")
	d.keys("enter")
	if number() != 7 {
		t.Errorf("regular expression: found packet %d", number())
	}
	d.keys("ctrl+f")
	d.text("[")
	d.keys("enter")
	d.wants("missing closing ]")
	d.keys("esc")
}

func TestGoMarksNotes(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	c := d.m.control.(*fakeControl)
	number := func() int64 { return d.m.scr().rows().list.Current().Number }
	d.keys("2 ctrl+g")
	d.text("40")
	d.keys("enter")
	if number() != 40 {
		t.Errorf("at packet %d", number())
	}
	d.keys("#")
	d.text("0.0037s")
	d.keys("enter")
	if number() != 4 {
		t.Errorf("by time at packet %d", number())
	}
	d.keys("m down down m home '")
	if number() != 4 {
		t.Errorf("first mark: packet %d", number())
	}
	d.keys("'")
	if number() != 6 {
		t.Errorf("second mark: packet %d", number())
	}
	d.keys(`"`)
	if number() != 4 {
		t.Errorf("mark before: packet %d", number())
	}
	d.keys(";")
	d.text("look at \x1b[31mthis")
	d.keys("enter")
	d.wants("note: look at")
	if n := c.notes.Packets[4]; !n.Marked || !strings.HasPrefix(n.Text, "look at") {
		t.Errorf("what is kept: %+v", c.notes)
	}
	d.keys("U")
	if n := c.notes.Packets[4]; n.Marked || n.Text == "" || len(c.notes.Packets) != 1 {
		t.Errorf("after taking the marks away: %+v", c.notes)
	}
	d.keys("ctrl+t")
	d.wants("0.000000", "-0.001234")
	d.keys("M")
	if v := d.m.scr().view; v != messagesView || number() != 4 {
		t.Errorf("the carrier is message %d in view %d", number(), v)
	}
	d.keys("M")
	if v := d.m.scr().view; v != packetsView || number() != 4 {
		t.Errorf("the first packet is %d in view %d", number(), v)
	}
	d.keys("down down }")
	if number() != 7 {
		t.Errorf("next of the flow: %d", number())
	}
}
