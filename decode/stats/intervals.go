package stats

// Calc is what a column of [Intervals] works out.
type Calc uint8

const (
	FramesAndBytes Calc = iota
	Frames
	Bytes
	CountOf // how often a field occurs
	Sum     // of a field's values, and so on
	Min
	Max
	Avg
	Load // of durations that end with their packet: how many of them last at a time, on average
)

// Cell is a column's value in one interval.
type Cell struct {
	N     int64 // packets; of a field, how often it occurs
	Value int64 // bytes; of a field, the sum, minimum or maximum, nanoseconds for times; of Load, how much of them lies in the interval
}

// Mean returns what Avg prints: like tshark's, that of whole numbers is a whole
// number.
func (c Cell) Mean() int64 {
	if c.N == 0 {
		return 0
	}
	return c.Value / c.N
}

// maxCells bounds the intervals of all columns together.
const maxCells = 1 << 20

// Intervals adds up packets in intervals of equal length from the first packet
// on, in several columns: tshark's io,stat. Times are rounded to microseconds,
// as there.
type Intervals struct {
	width       int64 // microseconds; 0: one interval
	calc        []Calc
	rows        [][]Cell
	whole       [][]int64 // of Load columns, by row: how many more durations last all of it than of the row before
	first, last int64
	started     bool
	left        int64 // additions that no interval is left for
}

// NewIntervals returns empty intervals of width nanoseconds, of which the
// smallest is a microsecond; 0 stands for a single one.
func NewIntervals(width int64, columns ...Calc) *Intervals {
	if width > 0 {
		width = max((width+500)/1000, 1)
	}
	return &Intervals{width: width, calc: columns}
}

// Seen takes note of a packet's time, whether a column counts it or not: the
// intervals begin with the first packet and end with the last.
func (s *Intervals) Seen(ns int64) {
	if !s.started {
		s.first, s.last, s.started = ns, ns, true
	}
	s.last = max(s.last, ns)
}

// Add takes in a value at a time that was seen: of a column that counts
// packets, the packet's bytes.
func (s *Intervals) Add(column int, ns, value int64) {
	i, ok := s.index(ns)
	if !ok {
		s.left++
		return
	}
	c := &s.row(i)[column]
	c.N++
	switch s.calc[column] {
	case Min:
		if c.N == 1 || value < c.Value {
			c.Value = value
		}
	case Max:
		if c.N == 1 || value > c.Value {
			c.Value = value
		}
	case Load:
		c.Value += s.spread(column, i, value)
	default:
		c.Value += value
	}
}

// spread notes a duration that ends in row i in the rows before, and returns
// what is left for row i. As in tshark, what is no whole number of rows is all in
// row i, and is whole microseconds.
func (s *Intervals) spread(column, i int, ns int64) int64 {
	n, ns := int64(0), ns/1000*1000
	if width := s.Width(); width > 0 && ns > 0 {
		n, ns = ns/width, ns%width
	}
	if n = min(n, int64(i)); n > 0 {
		if s.whole == nil {
			s.whole = make([][]int64, len(s.calc))
		}
		w := &s.whole[column]
		for len(*w) <= i {
			*w = append(*w, 0)
		}
		(*w)[i-int(n)]++
		(*w)[i]--
	}
	return ns
}

// settle gives the rows what spread noted.
func (s *Intervals) settle() {
	for column, list := range s.whole {
		n := int64(0)
		for i, more := range list {
			if n += more; n != 0 {
				s.row(i)[column].Value += n * s.Width()
			}
		}
	}
	s.whole = nil
}

// index returns the row of a time; ok is false if it is too late for any.
func (s *Intervals) index(ns int64) (i int, ok bool) {
	n := uint64(0)
	if s.width > 0 && ns > s.first {
		n = (uint64(ns) - uint64(s.first) + 500) / 1000 / uint64(s.width)
	}
	return int(n), n < uint64(maxCells/max(len(s.calc), 1))
}

// row returns the cells of row i.
func (s *Intervals) row(i int) []Cell {
	for len(s.rows) <= i {
		s.rows = append(s.rows, nil)
	}
	if s.rows[i] == nil {
		s.rows[i] = make([]Cell, len(s.calc))
	}
	return s.rows[i]
}

// Rows returns the cells of each interval up to the last packet, nil where
// nothing was counted, and how many values came too late for any. It must not
// be changed.
func (s *Intervals) Rows() (rows [][]Cell, left int64) {
	if i, ok := s.index(s.last); ok && s.started {
		s.row(i)
	}
	s.settle()
	return s.rows, s.left
}

// Columns returns what each column works out.
func (s *Intervals) Columns() []Calc { return s.calc }

// Width returns the length of an interval in nanoseconds, 0 for a single one.
func (s *Intervals) Width() int64 { return s.width * 1000 }

// Span returns the times of the first and the last packet.
func (s *Intervals) Span() (first, last int64) { return s.first, s.last }
