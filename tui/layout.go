package tui

import (
	"cmp"
	"slices"

	"tundump/tui/paint"
)

// Forms of the panes of a list's view, in the order of the key.
var forms = []string{"wide", "stacked", "columns", "list"}

// usualList is the list's share in percent, as long as none was chosen.
const usualList = 52

// rect is a part of the screen.
type rect struct{ x, y, w, h int }

func (r rect) holds(x, y int) bool { return x >= r.x && x < r.x+r.w && y >= r.y && y < r.y+r.h }

// panes is where the three panes of a list's view lie: those that are not
// shown have no height.
type panes struct {
	form            string
	list, tree, hex rect
}

// lay divides w by h below the head.
func (m *Model) lay(r *rowsView, w, h int) panes {
	set := m.set.Layout
	form := cmp.Or(set.Form, forms[0])
	whole := rect{0, head, w, h}
	if r.zoom {
		p := panes{form: "zoom"}
		*[...]*rect{&p.list, &p.tree, &p.hex}[r.focus] = whole
		return p
	}
	share := cmp.Or(set.List, usualList)
	treeShare := cmp.Or(set.Tree, 55)
	top := min(max(h*share/100, 4), h-4)
	left := min(max((w-1)*treeShare/100, 20), w-21)
	if set.Tree == 0 { // whole lines of 8 or 16 bytes
		left = w - 41
		if w >= 132 {
			left = w - 73
		}
	}
	switch form {
	case "list":
		return panes{form: form, list: whole}
	case "stacked":
		rest := h - top - 2
		tree := min(max(rest*treeShare/100, 1), rest-1)
		return panes{form, rect{0, head, w, top}, rect{0, head + top + 1, w, tree}, rect{0, head + top + tree + 2, w, rest - tree}}
	case "columns":
		side := min(max(w*share/100, 40), w-41)
		tree := min(max((h-1)*treeShare/100, 1), h-2)
		return panes{form, rect{0, head, side, h}, rect{side + 1, head, w - side - 1, tree}, rect{side + 1, head + tree + 1, w - side - 1, h - tree - 1}}
	}
	return panes{"wide", rect{0, head, w, top}, rect{0, head + top + 1, left, h - top - 1}, rect{left + 1, head + top + 1, w - left - 1, h - top - 1}}
}

// rowsBody draws a list with its detail.
func (m *Model) rowsBody(r *rowsView, w, h int) []string {
	p := m.lay(r, w, h)
	t := m.theme
	r.list.Nothing = m.nothing(r)
	list := func() []string { return r.list.Render(t, p.list.w, p.list.h, r.focus == listPane) }
	tree := func() []string { return r.tree.Render(t, p.tree.w, p.tree.h, r.focus == treePane) }
	hex := func() []string { return r.hex.Render(t, p.hex.w, p.hex.h, r.focus == hexPane) }
	rule := func(w int, title string, pane int) string {
		style := paint.Dim
		if r.focus == pane {
			style = paint.Accent
		}
		return paint.Rule(t, w, title, style)
	}
	switch p.form {
	case "zoom":
		return [...]func() []string{list, tree, hex}[r.focus]()
	case "list":
		return list()
	case "stacked":
		out := append(list(), rule(w, "Detail", treePane))
		out = append(append(out, tree()...), rule(w, m.bytesTitle(r), hexPane))
		return append(out, hex()...)
	case "columns":
		side := append(append(tree(), rule(p.tree.w, m.bytesTitle(r), hexPane)), hex()...)
		return paint.Beside(t, list(), side)
	}
	out := append(list(), rule(p.tree.w, "Detail", treePane)+rule(w-p.tree.w, m.bytesTitle(r), hexPane))
	return append(out, paint.Beside(t, tree(), hex())...)
}

// nothing says why a list has no rows.
func (m *Model) nothing(r *rowsView) string {
	s := r.s
	again := m.keys.Key("live.clear")
	switch {
	case r.sel != nil && s.first[r.kind] > 0:
		return "nothing new passes the filter since the list was cleared: " + again + " shows all"
	case r.sel != nil && s.selecting():
		return "looking for rows that pass the filter …"
	case r.sel != nil:
		return "no row passes the filter: " + m.keys.Key("back") + " shows all"
	case s.first[r.kind] > 0:
		return "nothing new since the list was cleared: " + again + " shows all"
	case s.snap.Live:
		return "nothing has passed yet"
	case s.snap.Indexing:
		return "reading …"
	}
	return "there are no " + r.kind.String() + " in this capture"
}

func (m *Model) bytesTitle(r *rowsView) string {
	if name := r.hex.Name(); name != "" {
		return "Bytes of the " + name
	}
	return "Bytes"
}

func (m *Model) nextLayout() {
	at := max(slices.Index(forms, m.set.Layout.Form), 0)
	m.set.Layout.Form = forms[(at+1)%len(forms)]
	if r := m.scr().rows(); r != nil {
		r.zoom = false
		if m.set.Layout.Form == "list" {
			r.focus = listPane
		}
	}
	m.keep()
}

// resize gives the list and the tree more room, or less. The share that is not
// changed stays as it is, the usual one too.
func (m *Model) resize(list, tree int) {
	set := &m.set.Layout
	if list != 0 {
		set.List = min(max(cmp.Or(set.List, usualList)+list, 10), 90)
	}
	if tree != 0 {
		set.Tree = min(max(cmp.Or(set.Tree, 50)+tree, 15), 85)
	}
	m.keep()
}

func (m *Model) equalise() {
	m.set.Layout.List, m.set.Layout.Tree = 0, 0
	m.keep()
}
