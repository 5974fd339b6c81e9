package pane

import (
	"strings"

	"tundump/tui/paint"
)

// gutter is the room in front of the columns: cursor or mark, and fold sign.
const gutter = 2

// Render draws the list with its heading in w by h. focused says that it has
// the keys.
func (l *List) Render(t *paint.Theme, w, h int, focused bool) []string {
	l.resize(h - 1)
	l.widths = fit(l.Columns, w-gutter)
	sub := fit(l.Sub, w-gutter-2)
	lines := make([]string, 0, h)
	var line paint.Line
	line.Reset(t, w)
	line.Space(paint.Dim, gutter)
	heading(&line, l.Columns, l.widths)
	lines = append(lines, line.String())
	if l.Empty() {
		line.Reset(t, w)
		line.Space(paint.Dim, gutter)
		line.Put(paint.Dim, l.Nothing)
		return paint.Block(append(lines, line.String()), w, h)
	}
	s := l.top
	previous := l.timeBefore(s)
	for len(lines) < h && s.i < l.index.High() {
		line.Reset(t, w)
		pos := l.index.At(s.i)
		if s.sub == 0 {
			l.row(&line, pos, s == l.cursor, focused, previous)
			if c := l.rows[pos]; c != nil {
				previous = c.Time
			}
		} else {
			l.packet(&line, sub, l.open[pos].first+s.sub-1, s == l.cursor, focused)
		}
		lines = append(lines, line.String())
		next := l.forward(s, 1)
		if next == s {
			break
		}
		s = next
	}
	return paint.Block(lines, w, h)
}

// resize takes in a new height; the cursor stays on the screen.
func (l *List) resize(h int) {
	h = max(h, 1)
	if h == l.height {
		return
	}
	l.height = h
	l.settle()
	if end := l.back(l.last(), h-1); before(end, l.top) { // no empty lines below
		l.top = end
		l.show()
	}
}

func (l *List) timeBefore(s spot) int64 {
	if s.i > l.index.Low() {
		if c := l.rows[l.index.At(s.i-1)]; c != nil {
			return c.Time
		}
	}
	return 0
}

// lead draws the two signs in front of a row.
func lead(line *paint.Line, cursor bool, note rune, second string, bad bool) {
	switch {
	case cursor:
		line.Put(paint.Plain, "▌")
	case note != 0 && note != ' ':
		line.Put(paint.Caution, string(note))
	default:
		line.Space(paint.Plain, 1)
	}
	switch {
	case bad && second == " ":
		line.Put(paint.Bad, "!")
	default:
		line.Put(paint.Dim, second)
	}
}

func over(line *paint.Line, cursor, focused bool, note rune) {
	switch {
	case cursor && focused:
		line.Over(paint.Cursor)
	case cursor:
		line.Over(paint.Resting)
	case note == '●':
		line.Over(paint.Marked)
	}
}

func (l *List) row(line *paint.Line, pos int, cursor, focused bool, previous int64) {
	c := l.rows[pos]
	if c == nil {
		over(line, cursor, focused, 0)
		lead(line, cursor, 0, " ", false)
		line.Put(paint.Dim, "…")
		line.Space(paint.Dim, line.Left())
		return
	}
	note := l.note(c.Number, false)
	over(line, cursor, focused, note)
	sign := " "
	if c.Packets > 0 {
		sign = "▸"
		if _, open := l.open[pos]; open {
			sign = "▾"
		}
	}
	lead(line, cursor, note, sign, c.Bad)
	l.cells(line, l.Columns, l.widths, c, previous, true)
}

func (l *List) packet(line *paint.Line, widths []int, pos int, cursor, focused bool) {
	c := l.subs[pos]
	note := rune(0)
	if c != nil {
		note = l.note(c.Number, true)
	}
	over(line, cursor, focused, note)
	lead(line, cursor, note, " ", c != nil && c.Bad)
	line.Space(paint.Dim, 2)
	if c == nil {
		line.Put(paint.Dim, "…")
		line.Space(paint.Dim, line.Left())
		return
	}
	l.cells(line, l.Sub, widths, c, 0, false)
}

func (l *List) note(number int64, sub bool) rune {
	if l.Note == nil {
		return ' '
	}
	return l.Note(number, sub)
}

// cells draws a row's columns.
func (l *List) cells(line *paint.Line, columns []Column, widths []int, c *Cells, previous int64, stamped bool) {
	first := true
	for i := range columns {
		if widths[i] == 0 {
			continue
		}
		if !first {
			line.Space(c.Style, 1)
		}
		first = false
		text := ""
		if i < len(c.Text) {
			text = c.Text[i]
		}
		if l.Time == i && stamped && l.Stamp != nil {
			text = l.Stamp(c.Time, previous)
		}
		if columns[i].Flex && l.hover > 0 {
			text = skip(text, l.hover)
		}
		style := c.Style
		if text == ">" {
			style = paint.Up
		} else if text == "<" {
			style = paint.Down
		}
		line.Cell(style, columns[i].text(text, widths[i]), widths[i], columns[i].Right)
	}
	line.Space(c.Style, line.Left())
}

// skip leaves out the first n characters.
func skip(s string, n int) string {
	for i := range s {
		if n == 0 {
			return "…" + s[i:]
		}
		n--
	}
	return ""
}

// Click puts the cursor at the line y of what was rendered, the heading being
// line 0. It returns the column if it was the heading, else -1.
func (l *List) Click(x, y int) (column int) {
	if y == 0 {
		return columnAt(l.widths, x-gutter)
	}
	s := l.top
	if y-1 >= l.height || l.Empty() {
		return -1
	}
	for range y - 1 {
		next := l.forward(s, 1)
		if next == s {
			return -1
		}
		s = next
	}
	l.Follow = l.Follow && s == l.last()
	l.cursor = s
	l.show()
	return -1
}

// Line returns the line at the cursor as text, the columns apart by two spaces.
func (c *Cells) Line() string {
	var out []string
	for _, s := range c.Text {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, "  ")
}
