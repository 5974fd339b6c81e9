// Package pane holds the parts that a screen is put together from: a list of
// any length, a table, a tree, a dump of bytes, scrolled text. They are plain
// structs: they are told what to show and what was asked of them, and render
// themselves into exactly the room that they are given. They know neither the
// capture nor the terminal.
package pane

import (
	"tundump/tui/paint"
)

// Column is one column of a list or table.
type Column struct {
	Title string
	Width int  // in the usual case
	Min   int  // where there is little room; 0: Width
	Drop  int  // columns with a higher number go first where there is less; 0: never
	Right bool // numbers stand at the right
	Flex  bool // it takes what is left
	// Ends keeps the end of a text that is too long, too: an address's port.
	Ends bool
}

// text is what a column shows of a text in w.
func (c *Column) text(s string, w int) string {
	if !c.Ends {
		return s
	}
	return paint.CutMiddle(s, w)
}

// minFlex is the room that a flexible column must have before others go,
// goodFlex what it gets before others are given back what they gave.
const (
	minFlex  = 18
	goodFlex = 26
)

// fit returns the widths that columns have in w, 0 for those that are left
// out, with a space between two.
func fit(columns []Column, w int) []int {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = c.Width
		if c.Flex {
			widths[i] = max(minFlex, c.Min)
		}
	}
	over := func() int {
		n := -1
		for _, c := range widths {
			if c > 0 {
				n += c + 1
			}
		}
		return n - w
	}
	for i, c := range columns { // the left ones give way first
		if need := over(); need > 0 && c.Min > 0 && !c.Flex {
			widths[i] = max(c.Min, c.Width-need)
		}
	}
	for over() > 0 {
		worst := -1
		for i, c := range columns {
			if widths[i] > 0 && c.Drop > 0 && (worst < 0 || c.Drop > columns[worst].Drop) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		widths[worst] = 0
	}
	grow(columns, widths, -over())
	return widths
}

// grow hands out spare columns: to the flexible ones until they are useful,
// back to those that were made narrower, then to the flexible ones again.
func grow(columns []Column, widths []int, spare int) {
	for i, c := range columns {
		if c.Flex && widths[i] > 0 && spare > 0 {
			n := min(spare, max(goodFlex-widths[i], 0))
			widths[i] += n
			spare -= n
		}
	}
	for i, c := range columns {
		if spare > 0 && !c.Flex && widths[i] > 0 && widths[i] < c.Width {
			n := min(spare, c.Width-widths[i])
			widths[i] += n
			spare -= n
		}
	}
	for i, c := range columns {
		if c.Flex && widths[i] > 0 && spare > 0 {
			widths[i] += spare
			spare = 0
		}
	}
}

// heading appends the columns' titles.
func heading(l *paint.Line, columns []Column, widths []int) {
	first := true
	for i, c := range columns {
		if widths[i] == 0 {
			continue
		}
		if !first {
			l.Space(paint.Dim, 1)
		}
		first = false
		l.Cell(paint.Dim, c.Title, widths[i], c.Right)
	}
}

// columnAt returns which column is at offset x, -1 for none.
func columnAt(widths []int, x int) int {
	for i, w := range widths {
		if w == 0 {
			continue
		}
		if x < w {
			return i
		}
		x -= w + 1
	}
	return -1
}
