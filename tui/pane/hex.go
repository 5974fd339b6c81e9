package pane

import (
	"tundump/tui/detail"
	"tundump/tui/paint"
)

// Hex is a dump of one of a row's buffers.
type Hex struct {
	tree   *detail.Tree
	buf    int
	cursor int
	span   detail.Span // what the tree's node stands for
	top    int         // first line
	height int
	per    int // bytes in a line
}

// NewHex returns an empty dump.
func NewHex() *Hex { return &Hex{per: 16, height: 10} }

// Set shows the bytes of another row, nil for none.
func (x *Hex) Set(d *detail.Tree) {
	x.tree, x.buf, x.cursor, x.top, x.span = d, detail.Record, 0, 0, detail.Span{}
	if d != nil && d.Bytes[detail.Packet] != nil {
		x.buf = detail.Packet
	}
}

// Highlight shows the bytes that a node stands for.
func (x *Hex) Highlight(s detail.Span) {
	x.span = s
	if s.Len == 0 {
		return
	}
	x.buf, x.cursor = s.Buf, s.Off
	x.clamp()
}

// Mark highlights bytes and leaves the cursor where it is.
func (x *Hex) Mark(s detail.Span) { x.span = s }

// Bytes returns the bytes that are highlighted, or all if none are.
func (x *Hex) Bytes() []byte {
	all := x.bytes()
	if x.span.Buf == x.buf && x.span.Len > 0 && x.span.Off+x.span.Len <= len(all) {
		return all[x.span.Off : x.span.Off+x.span.Len]
	}
	return all
}

// Name says what the bytes are.
func (x *Hex) Name() string {
	if x.tree == nil {
		return ""
	}
	return x.tree.Names[x.buf]
}

// Other shows the other buffer, if there is one.
func (x *Hex) Other() {
	if x.tree != nil && len(x.tree.Bytes[1-x.buf]) > 0 {
		x.buf, x.cursor, x.top, x.span = 1-x.buf, 0, 0, detail.Span{}
	}
}

func (x *Hex) bytes() []byte {
	if x.tree == nil {
		return nil
	}
	return x.tree.Bytes[x.buf]
}

func (x *Hex) clamp() {
	x.cursor = min(max(x.cursor, 0), max(len(x.bytes())-1, 0))
	line := x.cursor / x.per
	x.top = max(min(max(x.top, line-x.height+1), line), 0)
}

// Cursor returns the byte at the cursor: its buffer and offset.
func (x *Hex) Cursor() (buf, off int) { return x.buf, x.cursor }

// Move moves the cursor n bytes, Lines n lines, Page n screens.
func (x *Hex) Move(n int) { x.cursor += n; x.clamp() }

// Lines moves the cursor n lines.
func (x *Hex) Lines(n int) {
	if c := x.cursor + n*x.per; c >= 0 && c < len(x.bytes()) {
		x.Move(n * x.per)
	}
}

// Page moves it n screens.
func (x *Hex) Page(n int) { x.Move(n * x.per * max(x.height-1, 1)) }

// Scroll moves the screen n lines, and the cursor with it where it must.
func (x *Hex) Scroll(n int) {
	last := max(len(x.bytes())-1, 0) / x.per
	x.top = min(max(x.top+n, 0), max(last-x.height+1, 0))
	if line := x.cursor / x.per; line < x.top {
		x.cursor += (x.top - line) * x.per
	} else if line >= x.top+x.height {
		x.cursor -= (line - x.top - x.height + 1) * x.per
	}
	x.clamp()
}

// Home goes to the first byte, End to the last.
func (x *Hex) Home() { x.cursor = 0; x.clamp() }

// End goes to the last byte.
func (x *Hex) End() { x.cursor = len(x.bytes()) - 1; x.clamp() }

// Click puts the cursor at the byte at x, y. It reports whether there is one.
func (x *Hex) Click(cx, y int) bool {
	hex := x.digits() + 2
	i := -1
	switch text := hex + 3*x.per + 1; {
	case cx >= text && cx < text+x.per:
		i = cx - text
	case cx >= hex && cx < hex+3*x.per:
		i = (cx - hex) / 3
	}
	off := (x.top+y)*x.per + i
	if i < 0 || off >= len(x.bytes()) {
		return false
	}
	x.cursor = off
	x.clamp()
	return true
}

// digits is the width of an offset.
func (x *Hex) digits() int {
	n := 4
	for (len(x.bytes())-1)>>(4*n) > 0 {
		n++
	}
	return n
}

// perLine is how many bytes a line of w columns has.
func perLine(w, digits int) int {
	for _, n := range []int{16, 8, 4} {
		if digits+2+3*n+1+n <= w {
			return n
		}
	}
	return 2
}

const hexDigits = "0123456789abcdef"

// Render draws the dump in w by h.
func (x *Hex) Render(t *paint.Theme, w, h int, focused bool) []string {
	digits := x.digits()
	if per := perLine(w, digits); per != x.per || h != x.height {
		x.per, x.height = per, max(h, 1)
		x.clamp()
	}
	all := x.bytes()
	out := make([]string, 0, h)
	var line paint.Line
	for off := x.top * x.per; off < len(all) && len(out) < h; off += x.per {
		row := all[off:min(off+x.per, len(all))]
		line.Reset(t, w)
		line.Put(paint.Dim, offset(off, digits))
		line.Space(paint.Plain, 2)
		for i := range x.per {
			if i >= len(row) {
				line.Space(paint.Plain, 3)
				continue
			}
			style, next := x.style(off+i, focused), x.style(off+i+1, focused)
			line.Put(style, hexDigits[row[i]>>4:][:1])
			line.Put(style, hexDigits[row[i]&15:][:1])
			if next != style || i == x.per-1 || next == paint.Cursor {
				style = paint.Plain
			}
			line.Space(style, 1)
		}
		line.Space(paint.Plain, 1)
		for i, c := range row {
			ch := "."
			if c >= ' ' && c <= '~' {
				ch = string(rune(c))
			}
			line.Put(x.style(off+i, focused), ch)
		}
		out = append(out, line.String())
	}
	return paint.Block(out, w, h)
}

func (x *Hex) style(off int, focused bool) paint.Style {
	switch {
	case focused && off == x.cursor:
		return paint.Cursor
	case x.span.Holds(x.buf, off):
		return paint.Bytes
	}
	return paint.Plain
}

func offset(off, digits int) string {
	b := make([]byte, digits)
	for i := digits - 1; i >= 0; i-- {
		b[i] = hexDigits[off&15]
		off >>= 4
	}
	return string(b)
}
