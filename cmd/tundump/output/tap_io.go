package output

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"tundump/capture/session"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/stats"
)

// ioStat is -z io,stat,INTERVAL,….
type ioStat struct {
	byPackets
	columns []column
	table   *stats.Intervals
	values  []field.Value
	scratch filter.Scratch
}

// column is one filter, or one calculation over a field.
type column struct {
	text   string // as it was written
	calc   stats.Calc
	name   string // of the calculation, "" for frames and bytes
	field  *field.Field
	filter *filter.Filter
}

var calcs = map[string]stats.Calc{
	"FRAMES": stats.Frames, "BYTES": stats.Bytes, "COUNT": stats.CountOf,
	"SUM": stats.Sum, "MIN": stats.Min, "MAX": stats.Max, "AVG": stats.Avg,
	"LOAD": stats.Load,
}

func newIO(args []string) (tap, error) {
	if len(args) == 0 {
		return nil, errors.New("an interval in seconds is missing: io,stat,1, or 0 for the whole capture")
	}
	seconds, err := strconv.ParseFloat(args[0], 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > 0 && seconds < 1e-6 {
		return nil, fmt.Errorf("%q is no interval: seconds, at least 0.000001, or 0 for the whole capture", args[0])
	}
	if len(args) == 1 {
		args = append(args, "")
	}
	s := &ioStat{}
	var kinds []stats.Calc
	for _, text := range args[1:] {
		c, err := parseColumn(text)
		if err != nil {
			return nil, err
		}
		s.columns = append(s.columns, c)
		kinds = append(kinds, c.calc)
	}
	s.table = stats.NewIntervals(int64(min(seconds*1e9, math.MaxInt64/4)), kinds...)
	return s, nil
}

// parseColumn reads a filter, or CALC(FIELD)FILTER.
func parseColumn(text string) (c column, err error) {
	c.text = text
	rest := text
	if name, more, ok := strings.Cut(text, "("); ok {
		inside, after, closed := strings.Cut(more, ")")
		if calc, known := calcs[name]; known && closed {
			c.calc, c.name, rest = calc, name, after
			if err := c.of(strings.TrimSpace(inside)); err != nil {
				return c, err
			}
		}
	}
	if rest = strings.TrimSpace(rest); rest != "" {
		c.filter, err = filter.Compile(rest)
	}
	return c, err
}

// of says what field the column calculates with.
func (c *column) of(name string) error {
	if c.calc == stats.Frames || c.calc == stats.Bytes {
		if name != "" {
			return fmt.Errorf("%s() takes no field", c.name)
		}
		return nil
	}
	f, ok := field.Lookup(name)
	if !ok {
		if near := field.Nearest(name); near != "" {
			return fmt.Errorf("%s(%s): no such field; did you mean %s?", c.name, name, near)
		}
		return fmt.Errorf("%s(%s): no such field", c.name, name)
	}
	switch c.field = f; {
	case c.calc == stats.Load && (f.Type != field.Time || name == "frame.time_epoch"):
		return fmt.Errorf("LOAD(%s): the field is no duration, as dns.time is", name)
	case c.calc == stats.CountOf, f.Type == field.Uint, f.Type == field.Int, f.Type == field.Time && name != "frame.time_epoch":
		return nil
	}
	return fmt.Errorf("%s(%s): the field is no number and no duration, it can only be counted", c.name, name)
}

func (s *ioStat) seen(ns int64) { s.table.Seen(ns) }

func (s *ioStat) packet(r *session.Row, i int) {
	row := r.PacketRow(i)
	for j := range s.columns {
		c := &s.columns[j]
		if c.filter != nil && !c.filter.Match(row, &s.scratch) {
			continue
		}
		if c.field == nil {
			s.table.Add(j, r.Event.Time, int64(row.Packet.Len))
			continue
		}
		s.values = c.field.Values(s.values[:0], row)
		for _, v := range s.values {
			n, _ := v.Number()
			if c.field.Type == field.Time {
				n = math.Round(n * 1e9)
			}
			s.table.Add(j, r.Event.Time, int64(n))
		}
	}
}

// value is what a column prints of a cell, in addition to frames.
func (c *column) value(cell *stats.Cell) int64 {
	switch c.calc {
	case stats.Frames, stats.CountOf:
		return cell.N
	case stats.Avg:
		return cell.Mean()
	}
	return cell.Value
}

// load returns how many of a cell's durations lasted at a time, in millionths,
// in an interval of so many microseconds.
func load(cell *stats.Cell, us int64) uint64 {
	if us <= 0 || cell.Value < 0 {
		return 0
	}
	whole, part, unit := uint64(cell.Value/1000), uint64(us), uint64(1e6)
	high, low := bits.Mul64(whole%part, unit)
	rest, _ := bits.Div64(high, low, part)
	return whole/part*unit + rest
}

// isTime reports whether the column's values are durations.
func (c *column) isTime() bool {
	return c.field != nil && c.field.Type == field.Time && c.calc != stats.CountOf
}

func (s *ioStat) json(p *page) {
	rows, left := s.table.Rows()
	first, last := s.table.Span()
	for i, row := range rows {
		length := last - first - int64(i)*s.table.Width()
		if w := s.table.Width(); w > 0 {
			length = min(length, w)
		}
		p.object()
		p.num("interval", int64(i))
		p.seconds("start", first+int64(i)*s.table.Width())
		p.key("columns")
		p.line = append(p.line, '[')
		for j := range s.columns {
			s.cell(p, &s.columns[j], cellOf(row, j), length)
		}
		p.line = append(p.line, ']')
		p.end()
	}
	if left > 0 {
		p.object()
		p.num("others", left)
		p.end()
	}
}

// cell writes a column of an interval of so many nanoseconds.
func (s *ioStat) cell(p *page, c *column, cell *stats.Cell, length int64) {
	if p.line[len(p.line)-1] != '[' {
		p.line = append(p.line, ',')
	}
	p.line = append(p.line, '{')
	p.str("column", c.text)
	switch {
	case c.calc == stats.FramesAndBytes:
		p.num("frames", cell.N)
		p.num("bytes", cell.Value)
	case c.calc == stats.Load:
		p.float("load", float64(load(cell, length/1000))/1e6)
	case c.isTime():
		p.seconds(strings.ToLower(c.name), c.value(cell))
	default:
		p.num(strings.ToLower(c.name), c.value(cell))
	}
	p.shut()
}

var noCell stats.Cell

func cellOf(row []stats.Cell, i int) *stats.Cell {
	if row == nil {
		return &noCell
	}
	return &row[i]
}
