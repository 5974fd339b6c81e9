package tui

import (
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/packet"
)

// The escape key comes back from where an action led, with the filter that was
// applied there and at the row that was at the cursor.
func TestEscapeComesBack(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 / i p enter 3 down enter")
	if s := d.m.scr(); s.view != packetsView || !strings.Contains(s.text, ".stream == ") {
		t.Fatalf("enter leads to view %d with the filter %q", s.view, s.text)
	}
	at := d.m.scr().flows.table.Cursor()
	d.keys("esc")
	if s := d.m.scr(); s.view != flowsView || s.text != "ip" || s.flows.table.Cursor() != at {
		t.Errorf("escape leads to view %d with the filter %q", s.view, s.text)
	}
	d.keys("2 down down down")
	row, _ := d.m.scr().rows().list.Position()
	d.keys("F M")
	if s := d.m.scr(); s.view != messagesView || s.text == "ip" {
		t.Errorf("view %d, filter %q", s.view, s.text)
	}
	d.keys("esc esc")
	if s := d.m.scr(); s.view != packetsView || s.text != "ip" {
		t.Errorf("escape twice leads to view %d with the filter %q", s.view, s.text)
	}
	if now, _ := d.m.scr().rows().list.Position(); now != row {
		t.Errorf("at row %d, was at %d", now, row)
	}
	d.keys("esc")
	if s := d.m.scr(); s.view != packetsView || s.text != "" {
		t.Errorf("the last escape leads to view %d with the filter %q", s.view, s.text)
	}
	d.keys("3 enter 4 esc") // a view that was asked for by name: nothing leads back from it
	if s := d.m.scr(); s.view != tunnelsView {
		t.Errorf("escape leads to view %d", s.view)
	}
}

// Flows pass a display filter of what they have; any other text is looked for.
func TestFilterFlows(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("3")
	flows := d.m.scr().flows
	shown := func(typed string) (n int) {
		t.Helper()
		d.m.askFilter()
		d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(typed), Paste: true})
		d.keys("enter")
		n = flows.table.Len()
		d.keys("esc")
		return n
	}
	all := flows.table.Len()
	count := func(holds func(f *Flow) bool) (n int) {
		for i := range flows.flows {
			if holds(&flows.flows[i]) {
				n++
			}
		}
		return n
	}
	tcp := count(func(f *Flow) bool { return f.Proto == packet.TCP })
	if tcp == 0 || tcp == all {
		t.Fatalf("%d of %d flows are TCP", tcp, all)
	}
	port80 := count(func(f *Flow) bool { return f.Proto == packet.TCP && f.Addr[1].Port() == 80 })
	for text, want := range map[string]int{
		"tcp": tcp, "!tcp": all - tcp, "tcp.port == 80": port80, "tcp.srcport == 80": port80, "ip.addr == 203.0.113.77": 0,
		"tunnel.stream == 1": count(func(f *Flow) bool { return f.Tunnel == 1 }), "EXAMPLE.org": count(func(f *Flow) bool { return f.Name == "example.org" }),
		"http.host == 1": 0, // no field of flows, and nobody's text
	} {
		if got := shown(text); got != want {
			t.Errorf("%s: %d flows of %d, want %d", text, got, all, want)
		}
	}
	if flows.table.Len() != all {
		t.Error("escape does not show all again")
	}
}

// Escape pressed twice may arrive as one key.
func TestEscapeTwice(t *testing.T) {
	d := drive(t, 80, 24, Options{}, small(t, false))
	d.keys("2 / i p enter tab")
	d.send(tea.KeyMsg{Type: tea.KeyEsc, Alt: true})
	if s := d.m.scr(); s.text != "" || s.rows().focus != listPane {
		t.Errorf("pane %d has the keys, and the filter is %q", s.rows().focus, s.text)
	}
}

// What the screen is up to is said, also where there is no room beside the
// tabs.
func TestModeWithoutRoom(t *testing.T) {
	d := drive(t, 80, 24, Options{}, small(t, false))
	d.keys("2 S")
	d.wants("no filter", "sorted by No.   50 packets")
	d.send(tea.WindowSizeMsg{Width: 140, Height: 45})
	d.wants("sorted by No.")
	d.lacks("sorted by No.   50 packets")
}

// Hiding the rows so far and showing them again keeps the place.
func TestClearKeepsPlace(t *testing.T) {
	d := drive(t, 80, 24, Options{}, small(t, false))
	d.keys("2 down down down z z")
	if pos, _ := d.m.scr().rows().list.Position(); pos != 3 {
		t.Errorf("at row %d", pos)
	}
}

// A number that is cut tells nothing.
func TestNumbersAreWhole(t *testing.T) {
	f := newFake("large", false)
	f.snap.Packets.End = 12_345_678
	d := drive(t, 80, 24, Options{}, f)
	d.keys("2")
	r := d.m.scr().rows()
	if c := r.list.Columns[0]; c.Min < len("12,345,678") {
		t.Errorf("%s has %d columns", c.Title, c.Min)
	}
}
