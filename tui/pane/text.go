package pane

import (
	"tundump/tui/paint"
)

// Piece is a run of text in one style.
type Piece struct {
	Style paint.Style
	Text  string // safe
}

// Text is lines that are scrolled. What is too wide is cut.
type Text struct {
	Lines  [][]Piece
	Follow bool // stay at the end

	top    int
	height int
	found  int // line that a search found, -1
}

// NewText returns an empty text.
func NewText() *Text { return &Text{height: 10, found: -1} }

func (x *Text) clamp() {
	if x.Follow {
		x.top = len(x.Lines) - x.height
	}
	x.top = max(min(x.top, len(x.Lines)-x.height), 0)
}

// Move scrolls n lines; going up ends following.
func (x *Text) Move(n int) {
	if n < 0 {
		x.Follow = false
	}
	x.top += n
	x.clamp()
}

// Page scrolls n screens.
func (x *Text) Page(n int) { x.Move(n * max(x.height-1, 1)) }

// Home goes to the first line, End to the last.
func (x *Text) Home() { x.Follow = false; x.top = 0; x.clamp() }

// End goes to the end.
func (x *Text) End() { x.top = len(x.Lines); x.clamp() }

// Find goes to the next line that passes match, or the one before, and marks
// it. It reports whether there is one.
func (x *Text) Find(match func(string) bool, step int) bool {
	n := len(x.Lines)
	at := x.found
	if at < 0 || at >= n {
		at = x.top - step
	}
	for i := range n {
		j := ((at+step*(i+1))%n + n) % n
		if match(joined(x.Lines[j])) {
			x.found, x.Follow = j, false
			if j < x.top || j >= x.top+x.height {
				x.top = j - x.height/2
			}
			x.clamp()
			return true
		}
	}
	return false
}

func joined(pieces []Piece) string {
	if len(pieces) == 1 {
		return pieces[0].Text
	}
	s := ""
	for _, p := range pieces {
		s += p.Text
	}
	return s
}

// Render draws the text in w by h.
func (x *Text) Render(t *paint.Theme, w, h int) []string {
	x.height = max(h, 1)
	x.clamp()
	out := make([]string, 0, h)
	var line paint.Line
	for i := x.top; i < len(x.Lines) && len(out) < h; i++ {
		line.Reset(t, w)
		if i == x.found {
			line.Over(paint.Found)
		}
		for _, p := range x.Lines[i] {
			line.Put(p.Style, p.Text)
		}
		out = append(out, line.String())
	}
	return paint.Block(out, w, h)
}
