package tui

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/filter"
	"tundump/tui/detail"
	"tundump/tui/pane"
)

// The panes of a list's view.
const (
	listPane = iota
	treePane
	hexPane
)

// place of a row in the capture.
type rowAt struct {
	list List
	pos  int
}

// rowsView is a list with the detail and the bytes of the row at its cursor.
type rowsView struct {
	s    *screen
	kind List

	list *pane.List
	tree *pane.Tree
	hex  *pane.Hex

	columns []column
	focus   int
	zoom    bool

	filtered bool // the screen's filter is applied
	sel      Selection
	order    *sorting  // nil: as in the capture
	by       *sortedAs // how it is to be sorted; nil: as in the capture
	ordered  int       // counts changes of rows and order: a sorting of what was before is dropped
	cleared  int       // where the cursor was when the rows were hidden
	anchor   int       // where the cursor was when the filter was changed; -1 for nowhere

	find      func(string) bool // the line of the next detail to go to, nil for none
	fetching  bool
	renewed   int // counts changes of what rows look like: pages that were asked for before are dropped
	detail    rowAt
	detailed  bool // the detail is there
	detailing bool // or on its way
}

func newRowsView(m *Model, s *screen, kind List) *rowsView {
	r := &rowsView{s: s, kind: kind, tree: pane.NewTree(), hex: pane.NewHex(), anchor: -1, filtered: true}
	r.list = pane.NewList(nil, nil)
	r.list.Note = func(number int64, sub bool) rune {
		l := kind
		if sub {
			l = Packets
		}
		n, ok := s.notes.Of(l)[number]
		switch {
		case !ok:
			return ' '
		case n.Marked:
			return '●'
		}
		return '✎'
	}
	if kind == Messages {
		r.list.Sub = paneColumns(beneath)
	}
	r.setColumns(m)
	return r
}

// setColumns takes the columns of the settings, and the time stamps' form.
func (r *rowsView) setColumns(m *Model) {
	r.columns = append([]column(nil), columnsOf(r.kind, m.columnSettings(r.kind))...)
	r.list.Time = -1
	form := m.set.Time
	for i := range r.columns {
		if r.columns[i].name == "time" {
			r.list.Time = i
			r.columns[i].Width = max(r.columns[i].Width, stampWidth(form))
			r.columns[i].Min = stampWidth(form)
			if form == "" || form == "r" {
				r.columns[i].Min -= 2
			}
		}
	}
	r.list.Columns = paneColumns(r.columns)
	r.widen()
	s, loc := r.s, m.opt.Location
	r.list.Stamp = func(t, previous int64) string {
		base := s.ref
		if base == 0 {
			base = s.snap.First
		}
		return stamp(form, t, base, previous, loc)
	}
	r.renew()
}

// widen gives the columns of numbers the room that the highest need, unless
// the user has set their width: a number that is cut tells nothing.
func (r *rowsView) widen() {
	packets, messages := len(thousands(int64(r.s.shown.Packets.End))), len(thousands(int64(r.s.shown.Messages.End)))
	own := packets
	if r.kind == Messages {
		own = messages
	}
	for i, c := range r.columns {
		room := own
		if c.name == "message" {
			room = messages
		}
		if usual, ok := findColumn(r.kind, c.name); (c.name == "number" || c.name == "message") && ok && c.Width == usual.Width {
			r.list.Columns[i].Width, r.list.Columns[i].Min = max(c.Width, room), max(c.Min, room)
		}
	}
	if len(r.list.Sub) > 0 {
		r.list.Sub[0].Width, r.list.Sub[0].Min = max(beneath[0].Width, packets), max(beneath[0].Min, packets)
	}
}

// renew has all rows drawn anew.
func (r *rowsView) renew() {
	r.renewed++
	r.fetching = false
	r.list.Forget()
}

// extent is the positions that are shown, the filter aside.
func (r *rowsView) extent() Extent {
	e := r.s.shown.Messages
	if r.kind == Packets {
		e = r.s.shown.Packets
	}
	e.First = min(max(e.First, r.s.first[r.kind]), e.End)
	return e
}

func (r *rowsView) index() pane.Index {
	if r.order != nil {
		return sorted{r.order.positions}
	}
	return r.unsorted()
}

// unsorted is the rows that are shown as they stand in the capture.
func (r *rowsView) unsorted() pane.Index {
	e := r.extent()
	if r.sel != nil {
		return newSelected(r.sel, e.First)
	}
	return extent{e.First, e.End}
}

// grown takes in that there are more rows, or fewer.
func (r *rowsView) grown() {
	if r.s.paused && r.sel != nil {
		return
	}
	r.widen()
	before := r.list.Index()
	x := r.index()
	if b, ok := before.(extent); ok {
		if a, same := x.(extent); same && a == b {
			return
		}
	}
	r.list.Grow(x)
	if r.anchor < 0 || r.sel == nil {
		return
	}
	done, all := r.sel.Progress()
	if x.Find(r.anchor) < x.High() || done >= all || r.extent().First+done > r.anchor {
		r.list.GoTo(r.anchor, -1)
		r.anchor = -1
	}
}

// applyFilter shows the rows that pass f, all for nil.
func (r *rowsView) applyFilter(f *filter.Filter) {
	r.filtered = true
	pos, was := r.list.Position()
	r.dropSelection()
	r.order = nil
	r.ordered++
	if f != nil {
		r.sel = r.s.src.Select(r.kind, f)
		if was && !r.list.Follow {
			r.anchor = pos
		}
	}
	r.list.SetIndex(r.index())
	r.grown()
}

func (r *rowsView) dropSelection() {
	if r.sel != nil {
		r.sel.Close()
		r.sel, r.anchor = nil, -1
	}
}

// current returns the row at the cursor.
func (r *rowsView) current() (rowAt, bool) {
	if p, ok := r.list.Packet(); ok {
		return rowAt{Packets, p}, true
	}
	p, ok := r.list.Position()
	return rowAt{r.kind, p}, ok
}

// want asks for the rows on the screen and the detail of the one at the
// cursor, as far as they are not there.
func (r *rowsView) want(m *Model, s *screen) []tea.Cmd {
	var cmds []tea.Cmd
	if rows, packets := r.list.Need(); !r.fetching && len(rows)+len(packets) > 0 {
		r.fetching = true
		cmds = append(cmds, r.fetch(s.ctx, s.src, m.set.Colours == "off", rows, packets))
	}
	at, ok := r.current()
	switch {
	case !ok:
		if r.detailed {
			r.setDetail(nil)
			r.detailed = false
			m.dirty = true
		}
	case (!r.detailed || at != r.detail) && !r.detailing:
		r.detailing = true
		cmds = append(cmds, r.fetchDetail(s.ctx, s.src, at))
	}
	return cmds
}

// pageMsg is rows to be drawn.
type pageMsg struct {
	r             *rowsView
	renewed       int
	rows, packets map[int]*pane.Cells
	err           error
}

func (p pageMsg) take(m *Model) tea.Cmd {
	if !m.alive(p.r.s) || p.renewed != p.r.renewed {
		return nil
	}
	p.r.fetching = false
	p.r.list.Put(p.rows, p.packets)
	m.fail("reading rows", p.err)
	return nil
}

// fetch draws rows in the background.
func (r *rowsView) fetch(ctx context.Context, src Source, plain bool, rows, packets []int) tea.Cmd {
	columns, kind, renewed := r.columns, r.kind, r.renewed
	return func() tea.Msg {
		out := pageMsg{r: r, renewed: renewed, rows: map[int]*pane.Cells{}, packets: map[int]*pane.Cells{}}
		maker := newCellMaker(plain)
		out.err = src.Read(ctx, kind, rows, func(row *Row) bool {
			out.rows[row.Pos] = maker.cells(columns, row)
			return true
		})
		if out.err == nil && len(packets) > 0 {
			out.err = src.Read(ctx, Packets, packets, func(row *Row) bool {
				out.packets[row.Pos] = maker.cells(beneath, row)
				return true
			})
		}
		// What cannot be read is not asked for again and again.
		lost := &pane.Cells{Text: []string{"", "", "", "", "no longer held"}}
		for _, p := range rows {
			if out.rows[p] == nil {
				out.rows[p] = lost
			}
		}
		for _, p := range packets {
			if out.packets[p] == nil {
				out.packets[p] = lost
			}
		}
		return out
	}
}

// detailMsg is the detail of a row, nil if it is gone.
type detailMsg struct {
	r    *rowsView
	at   rowAt
	tree *detail.Tree
	err  error
}

func (d detailMsg) take(m *Model) tea.Cmd {
	r := d.r
	if !m.alive(r.s) {
		return nil
	}
	r.detailing = false
	r.detail, r.detailed = d.at, true
	r.setDetail(d.tree)
	m.fail("reading the row", d.err)
	return nil
}

func (r *rowsView) setDetail(t *detail.Tree) {
	r.tree.Set(t)
	r.hex.Set(t)
	if r.find != nil {
		r.tree.Find(r.find, 1)
		r.find = nil
	}
	if n := r.tree.Node(); n != nil {
		r.hex.Highlight(n.Span)
	}
}

func (r *rowsView) fetchDetail(ctx context.Context, src Source, at rowAt) tea.Cmd {
	return func() tea.Msg {
		out := detailMsg{r: r, at: at}
		out.tree, out.err = readDetail(ctx, src, at)
		return out
	}
}

// readDetail makes the detail of one row; nil if the row is gone.
func readDetail(ctx context.Context, src Source, at rowAt) (t *detail.Tree, err error) {
	err = src.Read(ctx, at.list, []int{at.pos}, func(row *Row) bool {
		t = detail.Build(&row.Row)
		return false
	})
	return t, err
}

// link carries the cursor from tree to bytes, or from bytes to tree.
func (r *rowsView) link() {
	switch r.focus {
	case treePane:
		if n := r.tree.Node(); n != nil {
			r.hex.Highlight(n.Span)
		}
	case hexPane:
		buf, off := r.hex.Cursor()
		if r.tree.Select(buf, off) {
			if n := r.tree.Node(); n != nil {
				r.hex.Mark(n.Span)
			}
		}
	}
}
