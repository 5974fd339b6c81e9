package tui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/field"
	"tundump/tui/paint"
	"tundump/tui/pane"
)

// columnSettings is what the settings say of a list's columns.
func (m *Model) columnSettings(l List) []Column {
	if l == Packets {
		return m.set.Packets
	}
	return m.set.Messages
}

// renew has all lists take columns, colours and time stamps as they are now.
func (m *Model) renew() {
	for _, s := range m.screens {
		for _, r := range s.lists {
			r.setColumns(m)
		}
	}
	m.keep()
}

func (m *Model) nextTime() {
	i := slices.Index(timeForms, m.set.Time)
	m.set.Time = timeForms[(max(i, 0)+1)%len(timeForms)]
	m.renew()
	m.say(paint.Good, "times: %s", timeNames[m.set.Time])
}

func (m *Model) toggleColours() {
	if m.set.Colours == "off" {
		m.set.Colours = ""
	} else {
		m.set.Colours = "off"
	}
	m.renew()
	m.say(paint.Good, "rows in colour: %s", cmp.Or(m.set.Colours, "on"))
}

func (m *Model) nextTheme() {
	m.set.Theme = m.theme.Next()
	m.useTheme(m.set.Theme)
	m.keep()
	m.say(paint.Good, "theme: %s", m.set.Theme)
}

// pickColumns lists the columns of a list, to be moved, sized and removed, and
// all fields to be added.
func (m *Model) pickColumns() {
	r := m.scr().rows()
	if r == nil {
		return
	}
	p := &picker{title: "Columns of the " + r.kind.String(), hint: "enter adds or removes; ←→ width, ctrl-u ctrl-d order"}
	fill := func() {
		p.choices = p.choices[:0]
		p.choices = append(p.choices, choice{label: "Shown"})
		for i := range r.columns {
			c := &r.columns[i]
			p.add(c.name, fmt.Sprint(c.Width), c.Title, plainly(func(m *Model) { m.changeColumns(r, i, 0, 0); m.pickColumns() }))
		}
		p.choices = append(p.choices, choice{label: "To be added"})
		add := func(name, doc string) {
			if !slices.ContainsFunc(r.columns, func(c column) bool { return c.name == name }) {
				p.add(name, "", doc, plainly(func(m *Model) { m.addColumn(r, name); m.pickColumns() }))
			}
		}
		for _, c := range builtin[r.kind] {
			add(c.name, c.Title)
		}
		for _, f := range field.All() {
			add(f.Name, f.Doc)
		}
		p.choices = append(p.choices, choice{label: "Or"})
		p.add("as they were at first", "", "", plainly(func(m *Model) { m.setColumns(r, nil) }))
		p.narrow()
	}
	p.key = func(m *Model, key string) bool {
		if p.at >= len(p.shown) {
			return false
		}
		i := p.shown[p.at] - 1
		if i < 0 || i >= len(r.columns) {
			return false
		}
		switch key {
		case "left":
			m.changeColumns(r, i, -1, 0)
		case "right":
			m.changeColumns(r, i, 1, 0)
		case "ctrl+u":
			m.changeColumns(r, i, 0, -1)
			p.at = max(p.at-1, 1)
		case "ctrl+d":
			m.changeColumns(r, i, 0, 1)
			p.at = min(p.at+1, len(r.columns))
		default:
			return false
		}
		fill()
		return true
	}
	fill()
	m.pick(p)
}

// changeColumns makes column i wider by width, or moves it; neither removes
// it.
func (m *Model) changeColumns(r *rowsView, i, width, move int) {
	set := r.settings()
	switch {
	case width != 0:
		set[i].Width = min(max(r.columns[i].Width+width, 1), 200)
	case move != 0:
		j := i + move
		if j < 0 || j >= len(set) {
			return
		}
		set[i], set[j] = set[j], set[i]
	default:
		if len(set) > 1 {
			set = slices.Delete(set, i, i+1)
		}
	}
	m.setColumns(r, set)
}

func (m *Model) addColumn(r *rowsView, name string) {
	set := r.settings()
	at := len(set)
	if at > 0 && r.columns[at-1].Flex { // in front of the one that takes what is left
		at--
	}
	m.setColumns(r, slices.Insert(set, at, Column{Field: name}))
	if head, _, _ := strings.Cut(name, "."); head == "http" || head == "tls" || head == "quic" {
		m.say(paint.Caution, "%s: what begins in the packet; a filter finds what spans packets", name)
	}
}

// settings are the columns as the settings write them.
func (r *rowsView) settings() []Column {
	out := make([]Column, len(r.columns))
	for i, c := range r.columns {
		out[i] = Column{Field: c.name}
		if usual, ok := findColumn(r.kind, c.name); ok {
			if usual.Width != c.Width && c.name != "time" {
				out[i].Width = c.Width
			}
			if usual.Title != c.Title {
				out[i].Title = c.Title
			}
		}
	}
	return out
}

func (m *Model) setColumns(r *rowsView, set []Column) {
	if r.kind == Packets {
		m.set.Packets = set
	} else {
		m.set.Messages = set
	}
	m.renew()
}

// sorting is the order of a list by a column.
type sorting struct {
	by        int // column
	down      bool
	positions []int32
}

// maxSort bounds what is sorted: each row is decoded for it.
const maxSort = 2_000_000

// pickSort asks for the column to sort by.
func (m *Model) pickSort() tea.Cmd {
	s := m.scr()
	p := &picker{title: "Sort by"}
	if s.view == flowsView {
		for i, title := range flowTitles {
			p.add(title, "", "", plainly(func(*Model) { s.flows.sortBy(i) }))
		}
		m.pick(p)
		return nil
	}
	r := s.rows()
	if r == nil {
		return nil
	}
	for i := range r.columns {
		p.add(r.columns[i].heading(), "", "", func(m *Model) tea.Cmd { return m.sortRows(r, i, false) })
	}
	m.pick(p)
	return nil
}

func (m *Model) reverseSort() tea.Cmd {
	s := m.scr()
	if s.view == flowsView {
		s.flows.reverse()
		return nil
	}
	r := s.rows()
	switch {
	case r == nil:
		return nil
	case r.order == nil:
		return m.sortRows(r, 0, true)
	}
	return m.sortRows(r, r.order.by, !r.order.down)
}

// sortAgain sorts a list whose filter has changed as it was sorted before.
func (m *Model) sortAgain(r *rowsView) tea.Cmd {
	if r.by == nil || r.order != nil {
		return nil
	}
	i := slices.IndexFunc(r.columns, func(c column) bool { return c.name == r.by.name })
	if i < 0 {
		r.by = nil
		return nil
	}
	return m.sortRows(r, i, r.by.down)
}

// sortedAs is how the user wants a list sorted.
type sortedAs struct {
	name string // of the column
	down bool
}

// sortRows orders the rows that are shown by column i. The order stays as it is
// while the capture grows.
func (m *Model) sortRows(r *rowsView, i int, down bool) tea.Cmd {
	c := r.columns[i]
	if c.name == "number" && !down { // as in the capture
		r.unsort()
		r.list.SetIndex(r.index())
		return nil
	}
	r.ordered++
	r.list.Follow = false
	r.by = &sortedAs{c.name, down}
	x, sel, first := r.unsorted(), r.sel, r.extent().First
	src, kind, ordered := r.s.src, r.kind, r.ordered
	return m.run(r.s, "sort", func(ctx context.Context, progress func(done, all int64)) (func(m *Model) tea.Cmd, error) {
		if sel != nil { // it may just have begun
			if err := whole(ctx, src, sel); err != nil {
				return nil, err
			}
			x = newSelected(sel, first)
		}
		if x.High()-x.Low() > maxSort {
			return nil, fmt.Errorf("%s rows are more than the %s that can be sorted: a filter makes them fewer", thousands(int64(x.High()-x.Low())), thousands(maxSort))
		}
		order, err := sortedBy(ctx, src, kind, x, c, down, progress)
		return func(m *Model) tea.Cmd {
			if r.ordered != ordered {
				return nil
			}
			r.order = &sorting{i, down, order}
			r.list.SetIndex(r.index())
			return nil
		}, err
	})
}

// unsort has the rows stand as in the capture, and drops a sorting that is on
// its way. The list is to be given its index then.
func (r *rowsView) unsort() {
	r.order, r.by = nil, nil
	r.ordered++
}

// sortKey is what a row is ordered by: a number if the column has them.
type sortKey struct {
	pos  int32
	num  float64
	text string
}

// sortKeys makes the keys of a column. It is for one goroutine.
type sortKeys struct {
	column column
	field  *field.Field // nil if the column is none
	maker  *cellMaker
	values []field.Value
}

func (k *sortKeys) of(row *Row) sortKey {
	c, out := &k.column, sortKey{pos: int32(row.Pos)}
	switch {
	case c.text == nil:
		out.num = float64(row.Event.Time)
	case k.field != nil:
		k.values = k.field.Values(k.values[:0], &row.Row)
		if len(k.values) == 0 {
			out.num = -1
			break
		}
		n, number := k.values[0].Number()
		if out.num = n; !number {
			out.text = c.text(k.maker, row)
		}
	case c.name == "length":
		out.num = float64(len(row.Event.Raw))
		if row.Packet != nil {
			out.num = float64(row.Packet.Len)
		}
	case c.name == "tunnel":
		out.num = float64(row.Event.Tunnel)
	case c.name == "number", c.name == "message":
		out.num = float64(row.Pos)
	default:
		out.text = c.text(k.maker, row)
	}
	return out
}

// sortedBy returns the positions of x in the order of column c.
func sortedBy(ctx context.Context, src Source, l List, x pane.Index, c column, down bool, progress func(done, all int64)) ([]int32, error) {
	keys := sortKeys{column: c, maker: newCellMaker(true)}
	if f, ok := field.Lookup(c.name); ok {
		keys.field = f
	}
	out := make([]sortKey, 0, x.High()-x.Low())
	add := func(row *Row) bool {
		out = append(out, keys.of(row))
		return true
	}
	positions := make([]int, 0, scanPiece)
	for i := x.Low(); i < x.High(); {
		positions = positions[:0]
		for ; len(positions) < scanPiece && i < x.High(); i++ {
			positions = append(positions, x.At(i))
		}
		if err := src.Read(ctx, l, positions, add); err != nil {
			return nil, err
		}
		progress(int64(i-x.Low()), int64(x.High()-x.Low()))
	}
	slices.SortStableFunc(out, func(a, b sortKey) int {
		n := cmp.Or(cmp.Compare(a.num, b.num), cmp.Compare(a.text, b.text))
		if down {
			n = -n
		}
		return n
	})
	order := make([]int32, len(out))
	for i := range out {
		order[i] = out[i].pos
	}
	return order, nil
}
