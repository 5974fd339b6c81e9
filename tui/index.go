package tui

import "sort"

// extent is all rows of a list.
type extent struct{ lo, hi int }

func (x extent) Low() int       { return x.lo }
func (x extent) High() int      { return x.hi }
func (x extent) At(i int) int   { return i }
func (x extent) Find(p int) int { return min(max(p, x.lo), x.hi) }

// selected is the rows that pass a filter, as far as they were found when it
// was made: n of them.
type selected struct {
	sel   Selection
	lo, n int
}

// newSelected returns the rows of sel from position first on.
func newSelected(sel Selection, first int) selected {
	n := sel.Len()
	lo := 0
	if n > 0 && sel.At(0) < first {
		lo = sort.Search(n, func(i int) bool { return sel.At(i) >= first })
	}
	return selected{sel, lo, n}
}

func (x selected) Low() int     { return x.lo }
func (x selected) High() int    { return x.n }
func (x selected) At(i int) int { return x.sel.At(i) }
func (x selected) Find(p int) int {
	return x.lo + sort.Search(x.n-x.lo, func(i int) bool { return x.sel.At(x.lo+i) >= p })
}

// sorted is rows in the order of a column.
type sorted struct{ positions []int32 }

func (x sorted) Low() int     { return 0 }
func (x sorted) High() int    { return len(x.positions) }
func (x sorted) At(i int) int { return int(x.positions[i]) }
func (x sorted) Find(p int) int {
	for i, q := range x.positions {
		if int(q) == p {
			return i
		}
	}
	return len(x.positions)
}

// numbered is rows that pass a filter, ascending.
type numbered []int32

func (x numbered) Low() int     { return 0 }
func (x numbered) High() int    { return len(x) }
func (x numbered) At(i int) int { return int(x[i]) }
func (x numbered) Find(p int) int {
	return sort.Search(len(x), func(i int) bool { return int(x[i]) >= p })
}
