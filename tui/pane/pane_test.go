package pane

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"

	"tundump/tui/detail"
	"tundump/tui/paint"
)

var theme = paint.NewTheme(paint.Dark, termenv.Ascii)

// rows is an index of rows from lo to hi, all with their own position.
type rows struct{ lo, hi int }

func (r rows) Low() int       { return r.lo }
func (r rows) High() int      { return r.hi }
func (r rows) At(i int) int   { return i }
func (r rows) Find(p int) int { return min(max(p, r.lo), r.hi) }

func newTestList(x Index) *List {
	l := NewList([]Column{{Title: "No.", Width: 8, Right: true}, {Title: "Info", Width: 20, Flex: true}}, []Column{{Title: "", Width: 10, Flex: true}})
	l.SetIndex(x)
	return l
}

// fill gives a list what it asks for: every third row has two packets.
func fill(l *List) {
	for {
		need, packets := l.Need()
		if len(need)+len(packets) == 0 {
			return
		}
		have, beneath := map[int]*Cells{}, map[int]*Cells{}
		for _, p := range need {
			c := &Cells{Text: []string{fmt.Sprint(p), "row"}, Number: int64(p)}
			if p%3 == 0 {
				c.FirstPacket, c.Packets = p, 2
			}
			have[p] = c
		}
		for _, p := range packets {
			beneath[p] = &Cells{Text: []string{fmt.Sprintf("packet %d", p)}, Number: int64(p)}
		}
		l.Put(have, beneath)
	}
}

func shown(l *List, h int) string {
	l.Render(theme, 40, h, true)
	fill(l)
	return ansi.Strip(strings.Join(l.Render(theme, 40, h, true), "\n"))
}

func TestListMoves(t *testing.T) {
	l := newTestList(rows{0, 100})
	shown(l, 11)
	at := func() int { p, _ := l.Position(); return p }
	for _, s := range []struct {
		do   func()
		want int
	}{
		{func() { l.Move(1) }, 1}, {func() { l.Page(1) }, 10}, {func() { l.End() }, 99}, {func() { l.Move(5) }, 99},
		{func() { l.Page(-1) }, 90}, {func() { l.Home() }, 0}, {func() { l.Move(-3) }, 0}, {func() { l.GoTo(50, -1) }, 50},
		{func() { l.GoTo(500, -1) }, 99}, {func() { l.Scroll(-1000) }, 9}, {func() { l.Scroll(3) }, 9}, {func() { l.Scroll(1000) }, 90},
	} {
		s.do()
		if at() != s.want {
			t.Errorf("at %d, want %d", at(), s.want)
		}
	}
}

func TestListUnfolds(t *testing.T) {
	l := newTestList(rows{0, 100})
	shown(l, 11)
	l.Move(3)
	if !l.Toggle() {
		t.Fatal("row 3 has packets")
	}
	l.Move(1)
	if p, ok := l.Packet(); !ok || p != 3 {
		t.Fatalf("beneath row 3 is packet %d, %v", p, ok)
	}
	if s := shown(l, 11); strings.Count(s, "packet ") != 2 || !strings.Contains(s, "▾") {
		t.Errorf("unfolded:\n%s", s)
	}
	l.Move(2)
	if p, _ := l.Position(); p != 4 {
		t.Errorf("behind the packets is row %d", p)
	}
	l.Move(-1)
	l.Toggle() // from beneath: folds
	if s := shown(l, 11); strings.Contains(s, "packet ") {
		t.Errorf("folded:\n%s", s)
	}
	l.UnfoldShown()
	l.Home()
	for range 300 {
		l.Move(1)
	}
	if p, _ := l.Position(); p != 99 {
		t.Errorf("the last row is %d", p)
	}
	l.FoldAll()
	l.Move(1)
	if c := l.Click(3, 2); c != -1 {
		t.Error("a click on a row is none on a column")
	}
	if c := l.Click(12, 0); c != 1 {
		t.Errorf("a click on the heading is column %d", c)
	}
}

// A limited capture loses its oldest rows, a live one grows.
func TestListGrows(t *testing.T) {
	l := newTestList(rows{0, 100})
	l.Follow = true
	l.Grow(rows{0, 200})
	if p, _ := l.Position(); p != 199 {
		t.Errorf("following, at %d", p)
	}
	l.Move(-10)
	l.Grow(rows{50, 300})
	if p, _ := l.Position(); p != 189 || l.Follow {
		t.Errorf("at %d, following %v", p, l.Follow)
	}
	l.Grow(rows{250, 300})
	if p, _ := l.Position(); p != 250 {
		t.Errorf("the row is gone, and the cursor at %d", p)
	}
	l.Grow(rows{300, 300})
	if _, ok := l.Position(); ok || !l.Empty() {
		t.Error("there is no row left")
	}
	shown(l, 10)
}

func TestFit(t *testing.T) {
	cols := []Column{{Title: "a", Width: 10, Min: 5}, {Title: "b", Width: 10, Drop: 2}, {Title: "c", Width: 10, Drop: 1}, {Title: "d", Width: 10, Flex: true}}
	for w := range 120 {
		widths := fit(cols, w)
		sum := -1
		for _, n := range widths {
			if n < 0 {
				t.Fatalf("width %d: %v", w, widths)
			}
			if n > 0 {
				sum += n + 1
			}
		}
		if w > 30 && sum != w {
			t.Errorf("width %d: %v take %d", w, widths, sum)
		}
		if widths[1] > 0 && widths[2] == 0 {
			t.Errorf("width %d: the wrong column went: %v", w, widths)
		}
	}
}

func testTree() *detail.Tree {
	ttl := &detail.Node{Text: "ttl: 64", Key: "ip.ttl", Span: detail.Span{Buf: detail.Packet, Off: 8, Len: 1}}
	src := &detail.Node{Text: "src", Key: "ip.src", Span: detail.Span{Buf: detail.Packet, Off: 12, Len: 4}}
	ip := &detail.Node{Text: "ip", Key: "ip", Span: detail.Span{Buf: detail.Packet, Len: 20}, Children: []*detail.Node{ttl, src}}
	pkt := &detail.Node{Text: "packet", Key: "packet", Span: detail.Span{Buf: detail.Packet, Len: 40}, Open: true, Children: []*detail.Node{ip}}
	length := &detail.Node{Text: "length", Key: "len", Span: detail.Span{Len: 4}}
	msg := &detail.Node{Text: "message", Key: "message", Span: detail.Span{Len: 100}, Open: true, Children: []*detail.Node{length, pkt}}
	return &detail.Tree{Roots: []*detail.Node{msg}, Bytes: [2][]byte{make([]byte, 100), make([]byte, 40)}, Names: [2]string{"message", "packet"}, Start: pkt}
}

func TestTreeSelects(t *testing.T) {
	tr := NewTree()
	tr.Set(testTree())
	if n := tr.Node(); n.Key != "packet" {
		t.Errorf("begins at %q", n.Key)
	}
	for _, c := range []struct {
		buf, off int
		key      string
	}{{detail.Packet, 8, "ip.ttl"}, {detail.Packet, 13, "ip.src"}, {detail.Packet, 2, "ip"}, {detail.Packet, 30, "packet"}, {detail.Record, 2, "len"}, {detail.Record, 50, "message"}} {
		if !tr.Select(c.buf, c.off) || tr.Node().Key != c.key {
			t.Errorf("byte %d of %d selects %q, want %q", c.off, c.buf, tr.Node().Key, c.key)
		}
	}
	if tr.Select(detail.Packet, 400) {
		t.Error("a byte that is not there selects something")
	}
	tr.All(false)
	if !tr.Find(func(s string) bool { return strings.HasPrefix(s, "ttl") }, 1) || tr.Node().Key != "ip.ttl" {
		t.Error("what is folded is not found")
	}
	tr.Left()
	tr.Left()
	if tr.Node().Key != "ip" || len(tr.lines) != 4 {
		t.Errorf("folded at %q, %d lines", tr.Node().Key, len(tr.lines))
	}
	// What was folded in one row is folded in the next, at the same line.
	tr.Set(testTree())
	if tr.Node().Key != "ip" || len(tr.lines) != 4 {
		t.Errorf("in the next row at %q, %d lines", tr.Node().Key, len(tr.lines))
	}
}

func TestHex(t *testing.T) {
	x := NewHex()
	x.Set(testTree())
	lines := x.Render(theme, 80, 5, true)
	if len(lines) != 5 || ansi.StringWidth(lines[0]) != 80 {
		t.Fatalf("%q", lines)
	}
	x.Lines(1)
	if buf, off := x.Cursor(); buf != detail.Packet || off != 16 {
		t.Errorf("at %d of %d", off, buf)
	}
	if !x.Click(6+3*5, 2) {
		t.Fatal("there is a byte")
	}
	if _, off := x.Cursor(); off != 37 {
		t.Errorf("clicked byte %d", off)
	}
	if x.Click(6+3*12, 2) {
		t.Error("there is no byte behind the last")
	}
	x.Highlight(detail.Span{Buf: detail.Record, Off: 90, Len: 5})
	if buf, off := x.Cursor(); buf != detail.Record || off != 90 || len(x.Bytes()) != 5 {
		t.Errorf("highlighted %d of %d, %d bytes", off, buf, len(x.Bytes()))
	}
	x.Other()
	if buf, _ := x.Cursor(); buf != detail.Packet {
		t.Error("the other bytes are not shown")
	}
	for w := range 30 {
		for _, l := range x.Render(theme, w, 3, true) {
			if ansi.StringWidth(l) != w {
				t.Fatalf("width %d: %q", w, l)
			}
		}
	}
}

func TestTableKeepsItsRow(t *testing.T) {
	tb := NewTable([]Column{{Title: "x", Width: 10, Flex: true}}, "none")
	set := func(keys ...int64) {
		var e []Entry
		for _, k := range keys {
			e = append(e, Entry{Key: k, Text: []string{fmt.Sprint("row ", k)}})
		}
		tb.Set(e)
	}
	set(1, 2, 3, 4)
	tb.Move(2)
	set(9, 8, 4, 3, 2, 1)
	if tb.Current().Key != 3 {
		t.Errorf("at row %d", tb.Current().Key)
	}
	if !tb.Find(func(s string) bool { return s == "row 8" }, 1) || tb.Current().Key != 8 {
		t.Error("not found")
	}
	set()
	if tb.Current() != nil {
		t.Error("there is no row")
	}
	if s := ansi.Strip(strings.Join(tb.Render(theme, 20, 4, true), "\n")); !strings.Contains(s, "none") {
		t.Errorf("empty:\n%s", s)
	}
}

func TestTextFollows(t *testing.T) {
	x := NewText()
	add := func(n int) {
		for range n {
			x.Lines = append(x.Lines, []Piece{{Text: fmt.Sprint("line ", len(x.Lines))}})
		}
	}
	add(50)
	x.Render(theme, 20, 10)
	x.End()
	if x.top != 40 {
		t.Errorf("the end is at %d", x.top)
	}
	x.Follow = true
	add(50)
	x.Render(theme, 20, 10)
	if x.top != 90 {
		t.Errorf("following, at %d", x.top)
	}
	x.Move(-5)
	add(10)
	x.Render(theme, 20, 10)
	if x.top != 85 || x.Follow {
		t.Errorf("moved up, at %d", x.top)
	}
	if !x.Find(func(s string) bool { return s == "line 3" }, 1) || x.top > 3 {
		t.Errorf("found at %d", x.top)
	}
}
