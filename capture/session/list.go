package session

const chunkRows = 8192

// list is an array that grows without moving. One goroutine changes it; others
// read copies that it makes and hands over, which stay as they are. An element
// that was handed over is not written again.
type list[T any] struct {
	chunks []*[chunkRows]T // nil: given up
	low    int             // elements before it were given up
	n      int
}

func (l *list[T]) push(v T) {
	if l.n%chunkRows == 0 {
		l.chunks = append(l.chunks, new([chunkRows]T)) // readers of a copy never look at the new element
	}
	l.chunks[l.n/chunkRows][l.n%chunkRows] = v
	l.n++
}

func (l *list[T]) at(i int) *T { return &l.chunks[i/chunkRows][i%chunkRows] }

// drop gives up the memory of the elements before first, as far as whole
// chunks go.
func (l *list[T]) drop(first int) {
	k := min(first, l.n) / chunkRows
	if k*chunkRows <= l.low {
		return
	}
	l.chunks = append([]*[chunkRows]T(nil), l.chunks...)
	clear(l.chunks[:k])
	l.low = k * chunkRows
}

// search returns the first element for which holds is true, as sort.Search
// does; l.n if there is none.
func (l *list[T]) search(holds func(*T) bool) int {
	low, high := l.low, l.n
	for low < high {
		mid := int(uint(low+high) >> 1)
		if holds(l.at(mid)) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}
