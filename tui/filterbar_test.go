package tui

import (
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 /")
	d.text("dns.qry.nam")
	d.wants("dns.qry.name", "name asked for")
	d.keys("tab")
	d.wants("/ dns.qry.name")
	d.text(` == "example.org"`)
	d.keys("enter")
	d.wants("2 of 50", "Standard query response")
	d.lacks("ICMP")
	if c := d.m.control.(*fakeControl); len(c.settings.Filters) != 1 {
		t.Errorf("the history that is kept: %q", c.settings.Filters)
	}
	// The other list has the filter too: a message passes by any of its packets.
	d.keys("1")
	d.wants("2 of 51")
	d.keys("esc")
	d.wants("51 messages", "no filter")
	// The history.
	d.keys("2 / up")
	d.wants(`/ dns.qry.name == "example.org"`)
	d.keys("esc")
}

func TestFilterWrong(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 /")
	d.text("tcp.prot == 80")
	d.keys("enter")
	d.wants("tcp.port", "50 packets") // the nearest field is named, nothing is applied
	if d.m.prompt == nil || d.m.prompt.judged.col < 0 {
		t.Error("the place of the mistake is not known")
	}
	d.keys("esc")
	d.lacks("tcp.prot ==")
}

func TestFilterByValue(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 = enter") // the first choice is the flow
	d.wants("udp.stream == 0", "2 of 50")
	d.keys("esc down F")
	d.wants("tcp.stream == 0", "6 of 50")
	d.keys("T")
	d.wants("tunnel.stream == 1", "50 of 50")
	d.keys("esc home tab")
	for range 12 { // down to the addresses in the tree
		if n := d.m.scr().rows().tree.Node(); n != nil && n.Key == "ip" {
			break
		}
		d.keys("down")
	}
	d.keys("right")
	for range 20 {
		if n := d.m.scr().rows().tree.Node(); n.Key == "ip.src" {
			break
		}
		d.keys("down")
	}
	d.keys("=")
	d.wants("ip.src == 10.8.0.2")
	d.keys("!")
	d.wants("ip.src == 10.8.0.2 && !(ip.src == 10.8.0.2)", "0 of 50")
}

// A complete capture changes again when a filter looks through it.
func TestFilterOfFile(t *testing.T) {
	f := small(t, false)
	f.complete, f.slow = true, true
	d := drive(t, 80, 24, Options{}, f)
	for _, text := range []string{"icmp", "dns"} {
		d.keys("2 / ctrl+u")
		d.text(text)
		d.keys("enter")
		d.wants("0 of 50")
		f.change(func() {})
		d.settle()
		d.wants(map[string]string{"icmp": "41 of 50", "dns": "2 of 50"}[text])
	}
}

// The filter that is set is replaced by what is typed, and edited with arrows.
func TestFilterPromptReplaces(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 /")
	d.text("tcp")
	d.keys("enter /")
	d.wants("typing replaces it")
	d.text("udp")
	d.keys("enter")
	if got := d.m.scr().text; got != "udp" {
		t.Errorf("the filter is %q", got)
	}
	d.keys("/ left right")
	d.lacks("typing replaces it")
	d.text(" && ip")
	d.keys("enter")
	if got := d.m.scr().text; got != "udp && ip" {
		t.Errorf("the filter is %q", got)
	}
	d.keys("/ backspace enter")
	if got := d.m.scr().text; got != "" {
		t.Errorf("the filter is %q", got)
	}
}

// A line that is longer than its room shows the end that is written at.
func TestLongLine(t *testing.T) {
	d := drive(t, 80, 24, Options{}, small(t, false))
	d.keys("2 ;")
	d.text(strings.Repeat("漢字 and a word ", 40) + "the end")
	d.wants("note on packet 1", "the end")
	d.keys("home")
	d.wants("漢字 and a word")
	d.lacks("the end")
}
