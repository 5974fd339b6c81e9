package tui

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

func TestMouse(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	click := func(x, y int) {
		d.send(tea.MouseMsg{X: x, Y: y, Button: tea.MouseButtonLeft, Action: tea.MouseActionPress})
	}
	click(15, 1)
	d.wants("No.")
	click(30, 8)
	if n := d.m.scr().rows().list.Current().Number; n != 5 {
		t.Errorf("clicked packet %d", n)
	}
	click(10, 30)
	if d.m.scr().rows().focus != treePane {
		t.Error("a click in the tree does not go there")
	}
	click(90, 26) // a byte selects its node
	r := d.m.scr().rows()
	if buf, off := r.hex.Cursor(); r.focus != hexPane || off == 0 || !r.tree.Node().Span.Holds(buf, off) {
		t.Errorf("byte %d has the node %+v", off, r.tree.Node())
	}
	d.send(tea.MouseMsg{X: 10, Y: 6, Button: tea.MouseButtonWheelDown, Action: tea.MouseActionPress})
	d.check()
	d.keys("1")
	click(20, 6)
	click(20, 6)
	d.wants("▾")
	click(25, 1)
	d.wants("Client")
	click(15, 3)
	d.wants("Client↑")
}

// The tree and the bytes are linked, for the message too.
func TestLinked(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("tab")
	r := d.m.scr().rows()
	for range 40 {
		d.keys("down")
		n := r.tree.Node()
		if n.Span.Len == 0 {
			continue
		}
		buf, off := r.hex.Cursor()
		if !n.Span.Holds(buf, off) {
			t.Errorf("at %q the byte is %d of %d", n.Text, off, buf)
		}
	}
	d.keys("tab home")
	for range 60 {
		d.keys("right")
		buf, off := r.hex.Cursor()
		if n := r.tree.Node(); !n.Span.Holds(buf, off) {
			t.Errorf("byte %d selects %q", off, n.Text)
		}
	}
}

func TestSmallAndFailing(t *testing.T) {
	f := small(t, false)
	d := drive(t, 60, 20, Options{}, f)
	d.wants("needs 80×24")
	d.send(tea.WindowSizeMsg{Width: 1, Height: 1})
	d.check()
	f.mu.Lock()
	f.fail = errors.New("the file has vanished\x07")
	f.mu.Unlock()
	d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	d.keys("2")
	d.wants(`the file has vanished\x07`)
	d.keys("down G enter home / ")
	d.text("tcp")
	d.keys("enter n 3 4 5 6 1")
	d.check()
}

func TestEmpty(t *testing.T) {
	f := newFake(filepath.Join("empty", "\x1b]0;title\x07.pcapng"), false)
	d := drive(t, 80, 24, Options{}, f)
	for _, a := range d.m.actions {
		if strings.HasPrefix(a.Name, "quit") || a.Name == "suspend" || a.Name == "redraw" {
			continue
		}
		for v := range views {
			d.m.show(v)
			for range 2 {
				if a.Where&d.m.place() == 0 {
					break
				}
				d.start(a.do(d.m))
				d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
				d.check()
			}
			d.m.prompt, d.m.picker = nil, nil
		}
	}
}
