package output

import (
	"fmt"
	"strconv"
	"strings"

	"tundump/decode/stats"
)

// ioTable is how tshark lays out the table of io,stat.
type ioTable struct {
	s         *ioStat
	rows      [][]stats.Cell
	whole     bool  // one interval for everything
	duration  int64 // microseconds
	interval  int64 // the same
	decimals  int   // of times in the table
	digits    int   // of the duration's seconds
	timeWidth int   // of the first column, with its borders
	widths    [][]int
	table     int // width of all columns
	border    int // width of what is around
}

func (s *ioStat) text(p *page) {
	rows, left := s.table.Rows()
	t := ioTable{s: s, rows: rows}
	t.times()
	t.measure()
	t.head(p)
	for i, row := range rows {
		p.printf("| %s|", t.span(i))
		t.cells(p, i, row)
	}
	p.printf("%s\n", strings.Repeat("=", t.border))
	if left > 0 {
		p.printf("%d more came after the last interval that is kept: choose longer ones\n", left)
	}
}

// times works out how times are printed: in whole seconds, or with as many
// decimals as the interval has; where there is one interval, with fewer the
// longer it is.
func (t *ioTable) times() {
	first, last := t.s.table.Span()
	t.duration = (last - first + 500) / 1000
	t.interval = t.s.table.Width() / 1000
	t.digits = len(strconv.FormatInt(t.duration/1e6, 10))
	if t.whole = t.interval == 0 || t.interval > t.duration; t.whole {
		t.decimals = 1
		if t.digits < 2 {
			t.decimals = 3
		}
	} else if fraction := t.interval % 1e6; fraction != 0 {
		t.decimals = 6
		for ; fraction%10 == 0; fraction /= 10 {
			t.decimals--
		}
	}
	t.digits = len(strconv.FormatInt(t.rounded()/1e6, 10))
}

// rounded returns the duration as the table has it.
func (t *ioTable) rounded() int64 {
	if t.decimals == 0 {
		return t.duration
	}
	return t.end()
}

// length returns how long row i lasts in tshark's eyes, in microseconds.
func (t *ioTable) length(i int) int64 {
	if t.whole {
		return t.end()
	}
	from := int64(i) * t.interval
	return min(from+t.interval, t.end()) - from
}

// end returns where the last interval ends: the duration, rounded if that is
// up.
func (t *ioTable) end() int64 {
	unit := int64(1e6)
	for range t.decimals {
		unit /= 10
	}
	if unit <= 1 {
		return t.duration
	}
	if rest := t.duration % unit; rest > unit/2 {
		return t.duration - rest + unit
	}
	return t.duration
}

// time writes a time of the table.
func (t *ioTable) time(us int64) string {
	if t.decimals == 0 {
		return fmt.Sprintf("%*d", t.digits, us/1e6)
	}
	unit := int64(1e6)
	for range t.decimals {
		unit /= 10
	}
	return fmt.Sprintf("%*d.%0*d", t.digits, us/1e6, t.decimals, us%1e6/unit)
}

// span writes which interval row i is, up to the column's border.
func (t *ioTable) span(i int) string {
	if t.whole {
		return t.time(0) + " <> " + t.time(t.rounded()) + " "
	}
	from, to := int64(i)*t.interval, int64(i+1)*t.interval
	switch {
	case to <= t.duration:
	case t.decimals == 0:
		return fmt.Sprintf("%s <> %-*s", t.time(from), t.digits+1, "Dur")
	default:
		to = t.rounded()
	}
	return t.time(from) + " <> " + t.time(to) + " "
}

// measure works out the widths.
func (t *ioTable) measure() {
	t.timeWidth = 2*t.digits + 8
	if t.decimals > 0 {
		t.timeWidth = 2*t.digits + 2*t.decimals + 10
	}
	t.table = t.timeWidth
	longest := 26
	for i := range t.s.columns {
		c := &t.s.columns[i]
		longest = max(longest, len(c.text)+11)
		names := c.names()
		w := make([]int, len(names))
		for j, n := range names {
			w[j] = len(n)
		}
		for k, row := range t.rows {
			for j, v := range c.strings(cellOf(row, i), t.length(k)) {
				w[j] = max(w[j], len(v))
			}
		}
		for _, n := range w {
			t.table += n + 3
		}
		t.widths = append(t.widths, w)
	}
	t.border = 25 + t.digits
	switch {
	case t.whole:
		t.border = 31 + t.digits + t.decimals
	case t.decimals > 0:
		t.border += t.decimals + 1
	}
	t.border = max(t.border, t.table, longest)
	if t.border == t.table+1 { // no double border
		t.border++
	}
}

// names are the headings of a column.
func (c *column) names() []string {
	if c.calc == stats.FramesAndBytes {
		return []string{"Frames", "Bytes"}
	}
	return []string{c.name}
}

// strings are a column's values in one interval of so many microseconds.
func (c *column) strings(cell *stats.Cell, length int64) []string {
	switch {
	case c.calc == stats.FramesAndBytes:
		return []string{strconv.FormatInt(cell.N, 10), strconv.FormatInt(cell.Value, 10)}
	case c.calc == stats.Load:
		n := load(cell, length)
		return []string{fmt.Sprintf("%d.%06d", n/1e6, n%1e6)}
	case c.isTime():
		return []string{strconv.FormatFloat(float64(c.value(cell))/1e9, 'f', 6, 64)}
	}
	return []string{strconv.FormatInt(c.value(cell), 10)}
}

// head prints what is above the intervals.
func (t *ioTable) head(p *page) {
	line := func(format string, args ...any) { p.printf("| %-*s|\n", t.border-3, fmt.Sprintf(format, args...)) }
	p.printf("\n%s\n", strings.Repeat("=", t.border))
	line("IO Statistics")
	line("")
	interval := t.interval
	if t.whole {
		interval = t.rounded()
	}
	if t.decimals == 0 {
		line("Duration: %d.%06d secs", t.duration/1e6, t.duration%1e6)
	} else {
		line("Duration: %s secs", strings.TrimLeft(t.time(t.rounded()), " "))
	}
	line("Interval: %s secs", t.time(interval))
	line("")
	for i := range t.s.columns {
		name := safe(t.s.columns[i].text)
		if name == "" {
			name = "Frames and bytes"
		}
		if i == 0 {
			line("Col %d: %s", i+1, name)
		} else {
			line("%5d: %s", i+1, name)
		}
	}
	p.printf("|%s|\n", strings.Repeat("-", t.border-2))
	p.printf("|%*s|", t.timeWidth-2, "")
	for i, w := range t.widths {
		width := -1
		for _, n := range w {
			width += n + 3
		}
		p.printf("%-*d|", width, i+1)
	}
	t.endLine(p)
	p.printf("| %-*s |", t.timeWidth-4, "Interval")
	for i := range t.s.columns {
		for j, name := range t.s.columns[i].names() {
			p.printf("%s|", centred(name, t.widths[i][j]+2))
		}
	}
	t.endLine(p)
	p.printf("|%s|", strings.Repeat("-", t.table-2))
	t.endLine(p)
}

// centred writes a name in the middle of so many columns.
func centred(name string, width int) string {
	pad := width - len(name)
	return strings.Repeat(" ", pad-pad/2) + name + strings.Repeat(" ", pad/2)
}

func (t *ioTable) cells(p *page, k int, row []stats.Cell) {
	for i := range t.s.columns {
		for j, v := range t.s.columns[i].strings(cellOf(row, i), t.length(k)) {
			p.printf(" %*s |", t.widths[i][j], v)
		}
	}
	t.endLine(p)
}

// endLine prints the right border, where the columns do not reach it.
func (t *ioTable) endLine(p *page) {
	if t.border > t.table {
		p.printf("%*s|", t.border-t.table-1, "")
	}
	p.WriteByte('\n')
}
