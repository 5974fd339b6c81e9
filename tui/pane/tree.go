package pane

import (
	"slices"
	"strings"

	"tundump/tui/detail"
	"tundump/tui/paint"
)

// Tree is a row's detail, folded and unfolded.
type Tree struct {
	tree   *detail.Tree
	open   map[string]bool // by the kind of node; what is missing is as the tree has it
	lines  []treeLine
	cursor int
	top    int
	height int
}

type treeLine struct {
	node  *detail.Node
	depth int
	up    int // line of the parent, -1 at the root
}

// NewTree returns an empty tree.
func NewTree() *Tree { return &Tree{open: map[string]bool{}, height: 10} }

// Set shows the detail of another row, nil for none. What was unfolded stays
// so, and the cursor stays at the kind of node that it was at.
func (t *Tree) Set(d *detail.Tree) {
	key, text := "", ""
	if n := t.Node(); n != nil && t.cursor > 0 {
		key, text = n.Key, n.Text
	}
	above := t.cursor - t.top // the line that the cursor is at stays where it is
	t.tree = d
	t.lay()
	t.cursor, t.top = 0, 0
	if d == nil {
		return
	}
	same := -1
	for i, l := range t.lines {
		switch {
		case l.node == d.Start && key == "":
			t.cursor = i
		case key != "" && l.node.Key == key && (same < 0 || l.node.Text == text):
			same = i
		}
	}
	if same >= 0 {
		t.cursor = same
	} else if d.Start != nil {
		t.at(d.Start)
	}
	if key == "" {
		above = 0 // the packet and not the message first
	}
	t.top = max(min(t.cursor-above, len(t.lines)-t.height), 0)
	t.show()
}

// Detail returns what is shown, nil for nothing.
func (t *Tree) Detail() *detail.Tree { return t.tree }

func (t *Tree) unfolded(n *detail.Node) bool {
	if open, ok := t.open[n.Key]; ok {
		return open
	}
	return n.Open
}

// lay flattens what is unfolded.
func (t *Tree) lay() {
	t.lines = t.lines[:0]
	if t.tree == nil {
		return
	}
	var walk func(nodes []*detail.Node, depth, up int)
	walk = func(nodes []*detail.Node, depth, up int) {
		for _, n := range nodes {
			at := len(t.lines)
			t.lines = append(t.lines, treeLine{n, depth, up})
			if len(n.Children) > 0 && t.unfolded(n) {
				walk(n.Children, depth+1, at)
			}
		}
	}
	walk(t.tree.Roots, 0, -1)
}

// Node returns the node at the cursor, nil if there is none.
func (t *Tree) Node() *detail.Node {
	if t.cursor < 0 || t.cursor >= len(t.lines) {
		return nil
	}
	return t.lines[t.cursor].node
}

func (t *Tree) show() {
	t.cursor = min(max(t.cursor, 0), max(len(t.lines)-1, 0))
	t.top = min(max(t.top, t.cursor-t.height+1), t.cursor)
	t.top = max(t.top, 0)
}

// Move moves the cursor n lines.
func (t *Tree) Move(n int) { t.cursor += n; t.show() }

// Page moves it n screens.
func (t *Tree) Page(n int) { t.Move(n * max(t.height-1, 1)) }

// Scroll moves the screen n lines.
func (t *Tree) Scroll(n int) {
	t.top = min(max(t.top+n, 0), max(len(t.lines)-t.height, 0))
	t.cursor = min(max(t.cursor, t.top), t.top+t.height-1)
	t.show()
}

// Home goes to the first line, End to the last.
func (t *Tree) Home() { t.cursor = 0; t.show() }

// End goes to the last line.
func (t *Tree) End() { t.cursor = len(t.lines) - 1; t.show() }

// Toggle unfolds or folds the node at the cursor, and all of its kind.
func (t *Tree) Toggle() {
	if n := t.Node(); n != nil && len(n.Children) > 0 {
		t.fold(n, !t.unfolded(n))
	}
}

func (t *Tree) fold(n *detail.Node, open bool) {
	t.open[n.Key] = open
	t.lay()
	t.at(n)
}

// at puts the cursor at a node, if that is among the lines.
func (t *Tree) at(n *detail.Node) {
	if i := slices.IndexFunc(t.lines, func(l treeLine) bool { return l.node == n }); i >= 0 {
		t.cursor = i
	}
	t.show()
}

// Right unfolds the node at the cursor, or goes to its first child.
func (t *Tree) Right() {
	n := t.Node()
	if n == nil || len(n.Children) == 0 {
		return
	}
	if !t.unfolded(n) {
		t.fold(n, true)
		return
	}
	t.Move(1)
}

// Left folds it, or goes to its parent.
func (t *Tree) Left() {
	n := t.Node()
	if n == nil {
		return
	}
	if len(n.Children) > 0 && t.unfolded(n) {
		t.fold(n, false)
		return
	}
	if up := t.lines[t.cursor].up; up >= 0 {
		t.cursor = up
		t.show()
	}
}

// All unfolds everything, or folds it.
func (t *Tree) All(open bool) {
	if t.tree == nil {
		return
	}
	at := t.Node()
	var walk func(nodes []*detail.Node)
	walk = func(nodes []*detail.Node) {
		for _, n := range nodes {
			if len(n.Children) > 0 {
				t.open[n.Key] = open
				walk(n.Children)
			}
		}
	}
	walk(t.tree.Roots)
	t.lay()
	t.cursor = 0
	t.at(at)
}

// Select goes to the innermost node that byte off of buffer buf belongs to,
// and unfolds what is above it. It reports whether there is one.
func (t *Tree) Select(buf, off int) bool {
	if t.tree == nil {
		return false
	}
	var path []*detail.Node
	nodes := t.tree.Roots
	for len(nodes) > 0 {
		var in *detail.Node
		for _, n := range nodes {
			if !n.Span.Holds(buf, off) && !reaches(n, buf, off) {
				continue
			}
			if in == nil || narrower(n, in, buf) {
				in = n
			}
		}
		if in == nil {
			break
		}
		path = append(path, in)
		nodes = in.Children
	}
	for len(path) > 0 && !path[len(path)-1].Span.Holds(buf, off) { // what only leads there
		path = path[:len(path)-1]
	}
	if len(path) == 0 {
		return false
	}
	for _, n := range path[:len(path)-1] {
		if !t.unfolded(n) {
			t.open[n.Key] = true
		}
	}
	t.lay()
	t.at(path[len(path)-1])
	return true
}

// narrower prefers the node with fewer bytes, and of two alike the one that
// has more to tell.
func narrower(a, b *detail.Node, buf int) bool {
	if (a.Span.Buf == buf) != (b.Span.Buf == buf) {
		return a.Span.Buf == buf
	}
	if a.Span.Len != b.Span.Len {
		return a.Span.Len < b.Span.Len
	}
	return len(a.Children) > len(b.Children)
}

// reaches reports whether a node below n is of the buffer and holds the byte:
// a packet stands in its message with bytes of another buffer.
func reaches(n *detail.Node, buf, off int) bool {
	if n.Span.Buf == buf {
		return false
	}
	for _, c := range n.Children {
		if c.Span.Holds(buf, off) || reaches(c, buf, off) {
			return true
		}
	}
	return false
}

// Find goes to the next line from the cursor on, or before it, whose text
// passes match, unfolding what is above it. It reports whether there is one.
func (t *Tree) Find(match func(string) bool, step int) bool {
	if t.tree == nil {
		return false
	}
	var all []*detail.Node
	parent := map[*detail.Node]*detail.Node{}
	var walk func(nodes []*detail.Node, up *detail.Node)
	walk = func(nodes []*detail.Node, up *detail.Node) {
		for _, n := range nodes {
			all = append(all, n)
			parent[n] = up
			walk(n.Children, n)
		}
	}
	walk(t.tree.Roots, nil)
	at := max(slices.Index(all, t.Node()), 0)
	for i := range all {
		n := all[((at+step*(i+1))%len(all)+len(all))%len(all)]
		if !match(n.Text) {
			continue
		}
		for up := parent[n]; up != nil; up = parent[up] {
			t.open[up.Key] = true
		}
		t.lay()
		t.at(n)
		return true
	}
	return false
}

// Click puts the cursor at line y.
func (t *Tree) Click(y int) {
	if i := t.top + y; i < len(t.lines) {
		t.cursor = i
	}
}

// Render draws the tree in w by h.
func (t *Tree) Render(th *paint.Theme, w, h int, focused bool) []string {
	if h != t.height {
		t.height = max(h, 1)
		t.show()
	}
	out := make([]string, 0, h)
	var line paint.Line
	for i := t.top; i < len(t.lines) && len(out) < h; i++ {
		l := t.lines[i]
		line.Reset(th, w)
		style := paint.Plain
		if l.node.Bad {
			style = paint.Bad
		}
		over(&line, i == t.cursor, focused, 0)
		lead(&line, i == t.cursor, 0, " ", false)
		line.Put(style, strings.Repeat("  ", min(l.depth, 16)))
		sign := "  "
		if len(l.node.Children) > 0 {
			sign = "▸ "
			if t.unfolded(l.node) {
				sign = "▾ "
			}
		}
		line.Put(paint.Dim, sign)
		line.Put(style, l.node.Text)
		line.Space(style, line.Left())
		out = append(out, line.String())
	}
	return paint.Block(out, w, h)
}
