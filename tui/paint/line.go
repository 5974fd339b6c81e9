package paint

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Width returns how many columns s takes. s is safe to print.
func Width(s string) int {
	if isASCII(s) {
		return len(s)
	}
	return ansi.StringWidth(s)
}

// isASCII reports printable ASCII, where a byte is a column.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Cut shortens s to w columns; an ellipsis is the last of them if anything is
// left out.
func Cut(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if len(s) <= w && isASCII(s) {
		return s
	}
	if isASCII(s) {
		return s[:w-1] + "…"
	}
	return ansi.Truncate(bound(s, w), w, "…")
}

// bound cuts what cannot come into w columns anyhow, so that a hostile text
// costs no more than its line: a column has 32 bytes, combining marks included.
func bound(s string, w int) string {
	n := 32 * (w + 1)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// CutMiddle is Cut that leaves out the middle and keeps both ends.
func CutMiddle(s string, w int) string {
	if len(s) <= w || w < 8 || !isASCII(s) {
		return Cut(s, w)
	}
	tail := min((w+1)/2, 8)
	return s[:w-1-tail] + "…" + s[len(s)-tail:]
}

// Line is one line of the screen while it is being made. Every line ends up
// exactly as wide as it was begun.
type Line struct {
	theme *Theme
	buf   []byte
	width int
	used  int
	style Style
	over  Style // what all styles become; Plain: they stay
}

// Reset begins a line of width columns, whose memory the line before gives.
func (l *Line) Reset(t *Theme, width int) {
	*l = Line{theme: t, buf: l.buf[:0], width: max(width, 0)}
}

// Over draws all that follows in style s, whatever style it is given: the row
// at the cursor has one look throughout. Plain ends it.
func (l *Line) Over(s Style) { l.over = s }

// Left returns how many columns are still free.
func (l *Line) Left() int { return l.width - l.used }

func (l *Line) set(s Style) {
	if l.over != Plain {
		s = l.over
	}
	if s != l.style {
		l.buf = append(l.buf, l.theme.sgr[s]...)
		l.style = s
	}
}

// Put appends text, as much as fits.
func (l *Line) Put(s Style, text string) {
	left := l.Left()
	if left <= 0 || text == "" {
		return
	}
	l.set(s)
	if isASCII(text) {
		if len(text) > left {
			l.buf = append(append(l.buf, text[:left-1]...), "…"...)
			l.used = l.width
			return
		}
		l.buf = append(l.buf, text...)
		l.used += len(text)
		return
	}
	text = bound(text, left)
	w := ansi.StringWidth(text)
	if w > left {
		text = ansi.Truncate(text, left, "…")
		w = ansi.StringWidth(text)
	}
	l.buf = append(l.buf, text...)
	l.used += w
	l.style = styles // none: the next sequence keeps what follows from joining the last character
}

// Cell appends text in exactly w columns, and right says at which side the
// spaces are.
func (l *Line) Cell(s Style, text string, w int, right bool) {
	w = min(w, l.Left())
	if w <= 0 {
		return
	}
	text = Cut(text, w)
	pad := w - Width(text)
	if right {
		l.Space(s, pad)
	}
	l.Put(s, text)
	if !right {
		l.Space(s, pad)
	}
}

// Space appends n spaces.
func (l *Line) Space(s Style, n int) {
	n = min(n, l.Left())
	if n <= 0 {
		return
	}
	l.set(s)
	for range n {
		l.buf = append(l.buf, ' ')
	}
	l.used += n
}

// Fill puts text at the right end, if it fits behind what is there.
func (l *Line) Fill(s Style, text string) {
	if w := Width(text); w <= l.Left() {
		l.Space(Plain, l.Left()-w)
		l.Put(s, text)
	}
}

// String ends the line: it is filled with spaces and its style is reset.
func (l *Line) String() string {
	l.Space(Plain, l.Left())
	if l.style != Plain {
		l.buf = append(l.buf, reset...)
		l.style = Plain
	}
	return string(l.buf)
}

// Block makes an area of exactly w by h out of lines: it cuts what is too many
// and adds empty ones. Each line is w columns already.
func Block(lines []string, w, h int) []string {
	if len(lines) > h {
		return lines[:h]
	}
	for len(lines) < h {
		lines = append(lines, strings.Repeat(" ", max(w, 0)))
	}
	return lines
}

// Beside puts two areas of equal height side by side, with a bar between them.
func Beside(t *Theme, left, right []string) []string {
	bar := t.sgr[Dim] + "│" + reset
	out := make([]string, min(len(left), len(right)))
	for i := range out {
		out[i] = left[i] + bar + right[i]
	}
	return out
}

// Rule is a horizontal line of w columns with a title in it.
func Rule(t *Theme, w int, title string, titled Style) string {
	var l Line
	l.Reset(t, w)
	if title != "" {
		l.Put(Dim, "─ ")
		l.Put(titled, Cut(title, w-6))
		l.Put(Dim, " ")
	}
	if n := l.Left(); n > 0 {
		l.Put(Dim, strings.Repeat("─", n))
	}
	return l.String()
}

// Overlay lays box, lines of equal width, over lines at column x and row y.
// The lines under it keep what is at both sides.
func Overlay(lines, box []string, x, y int) []string {
	out := append([]string(nil), lines...)
	for i, b := range box {
		if y+i < 0 || y+i >= len(out) {
			continue
		}
		under := out[y+i]
		w := ansi.StringWidth(b)
		left := ansi.Truncate(under, x, "")
		if lack := x - ansi.StringWidth(left); lack > 0 { // a wide character is cut in two
			left += strings.Repeat(" ", lack)
		}
		right, room := ansi.TruncateLeft(under, x+w, ""), max(ansi.StringWidth(under)-x-w, 0)
		if ansi.StringWidth(right) > room { // another is
			right = ansi.TruncateLeft(under, x+w+1, "")
		}
		if lack := room - ansi.StringWidth(right); lack > 0 {
			right = strings.Repeat(" ", lack) + right
		}
		out[y+i] = left + reset + b + reset + right
	}
	return out
}

// Spark draws values as a line of w small bars, the last values at its right.
func Spark(values []int64, w int) string {
	const bars = "▁▂▃▄▅▆▇█"
	if len(values) > w {
		values = values[len(values)-w:]
	}
	var top int64 = 1
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for range w - len(values) {
		b.WriteByte(' ')
	}
	for _, v := range values {
		i := 0
		if v > 0 {
			i = int(min(1+v*6/top, 7))
		}
		b.WriteString(bars[i*3 : i*3+3])
	}
	return b.String()
}

// HBar draws a bar of part of all, at most w columns wide, in eighths.
func HBar(part, all int64, w int) string {
	if all <= 0 || part <= 0 || w <= 0 {
		return ""
	}
	const eighths = "▏▎▍▌▋▊▉"
	n := int(float64(min(part, all)) / float64(all) * float64(w) * 8)
	s := strings.Repeat("█", n/8)
	if r := n % 8; r > 0 {
		s += eighths[(r-1)*3 : r*3]
	}
	if s == "" {
		s = "▏"
	}
	return s
}
