package pane

import (
	"tundump/tui/paint"
)

// Entry is one row of a table.
type Entry struct {
	Key   int64 // tells it from the others, however they are ordered
	Text  []string
	Style paint.Style
	Bad   bool
}

// Table is rows that are all in memory: thousands, not millions.
type Table struct {
	Columns []Column
	Empty   string // what to say when there is no row

	entries []Entry
	cursor  int
	top     int
	height  int
	widths  []int
}

// NewTable returns an empty table.
func NewTable(columns []Column, empty string) *Table {
	return &Table{Columns: columns, Empty: empty, height: 10}
}

// Set shows other rows; the cursor stays at the row with its key.
func (t *Table) Set(entries []Entry) {
	if e := t.Current(); e != nil && t.cursor > 0 {
		key := e.Key
		for i := range entries {
			if entries[i].Key == key {
				t.top += i - t.cursor
				t.cursor = i
				break
			}
		}
	}
	t.entries = entries
	t.show()
}

// Len returns how many rows there are.
func (t *Table) Len() int { return len(t.entries) }

// Current returns the row at the cursor, nil if there is none.
func (t *Table) Current() *Entry {
	if t.cursor < 0 || t.cursor >= len(t.entries) {
		return nil
	}
	return &t.entries[t.cursor]
}

// Cursor returns the number of the row at the cursor.
func (t *Table) Cursor() int { return t.cursor }

func (t *Table) show() {
	t.cursor = min(max(t.cursor, 0), max(len(t.entries)-1, 0))
	t.top = min(max(t.top, t.cursor-t.height+1), t.cursor)
	t.top = max(min(t.top, len(t.entries)-t.height), 0)
}

// Move moves the cursor n rows, Page n screens.
func (t *Table) Move(n int) { t.cursor += n; t.show() }

// Page moves it n screens.
func (t *Table) Page(n int) { t.Move(n * max(t.height-1, 1)) }

// Scroll moves the screen n rows, and the cursor only as far as it must.
func (t *Table) Scroll(n int) {
	t.top = max(min(t.top+n, len(t.entries)-t.height), 0)
	t.cursor = min(max(t.cursor, t.top), t.top+t.height-1)
	t.show()
}

// Home goes to the first row, End to the last.
func (t *Table) Home() { t.cursor = 0; t.show() }

// End goes to the last row.
func (t *Table) End() { t.cursor = len(t.entries) - 1; t.show() }

// Click puts the cursor at line y of what was rendered. It returns the column
// if that is the heading, else -1.
func (t *Table) Click(x, y int) (column int) {
	if y == 0 {
		return columnAt(t.widths, x-gutter)
	}
	if i := t.top + y - 1; i >= 0 && i < len(t.entries) {
		t.cursor = i
	}
	return -1
}

// Find goes to the next row from the cursor on, or before it, with a cell that
// passes match. It reports whether there is one.
func (t *Table) Find(match func(string) bool, step int) bool {
	n := len(t.entries)
	for i := range n {
		j := ((t.cursor+step*(i+1))%n + n) % n
		for _, cell := range t.entries[j].Text {
			if match(cell) {
				t.cursor = j
				t.show()
				return true
			}
		}
	}
	return false
}

// Render draws the table with its heading in w by h.
func (t *Table) Render(th *paint.Theme, w, h int, focused bool) []string {
	if h-1 != t.height {
		t.height = max(h-1, 1)
		t.show()
	}
	t.widths = fit(t.Columns, w-gutter)
	var line paint.Line
	line.Reset(th, w)
	line.Space(paint.Dim, gutter)
	heading(&line, t.Columns, t.widths)
	out := append(make([]string, 0, h), line.String())
	if len(t.entries) == 0 {
		line.Reset(th, w)
		line.Space(paint.Dim, gutter)
		line.Put(paint.Dim, t.Empty)
		out = append(out, line.String())
	}
	for i := t.top; i < len(t.entries) && len(out) < h; i++ {
		e := &t.entries[i]
		line.Reset(th, w)
		over(&line, i == t.cursor, focused, 0)
		lead(&line, i == t.cursor, 0, " ", e.Bad)
		first := true
		for j, c := range t.Columns {
			if t.widths[j] == 0 || j >= len(e.Text) {
				continue
			}
			if !first {
				line.Space(e.Style, 1)
			}
			first = false
			line.Cell(e.Style, c.text(e.Text[j], t.widths[j]), t.widths[j], c.Right)
		}
		line.Space(e.Style, line.Left())
		out = append(out, line.String())
	}
	return paint.Block(out, w, h)
}
