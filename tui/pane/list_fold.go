package pane

// fold is what is unfolded beneath a row.
type fold struct{ first, count int }

// beneath returns how many packets are unfolded beneath row i.
func (l *List) beneath(i int) int {
	if len(l.open) == 0 || i >= l.index.High() { // the cursor of a list without rows
		return 0
	}
	return l.open[l.index.At(i)].count
}

// maxBeneath bounds what is unfolded beneath one row.
const maxBeneath = 8192

// Toggle unfolds the row at the cursor or folds it. It reports whether the row
// has anything beneath.
func (l *List) Toggle() bool {
	pos, ok := l.Position()
	if !ok {
		return false
	}
	if _, open := l.open[pos]; open {
		delete(l.open, pos)
		l.cursor.sub = 0
		l.clamp()
		return true
	}
	c := l.rows[pos]
	if c == nil || c.Packets == 0 {
		return false
	}
	l.open[pos] = fold{c.FirstPacket, min(c.Packets, maxBeneath)}
	l.clamp()
	return true
}

// Unfolded reports whether the row at the cursor is unfolded.
func (l *List) Unfolded() bool {
	pos, ok := l.Position()
	_, open := l.open[pos]
	return ok && open
}

// FoldAll folds everything.
func (l *List) FoldAll() {
	clear(l.open)
	l.cursor.sub, l.top.sub = 0, 0
	l.clamp()
}

// UnfoldShown unfolds the rows on the screen.
func (l *List) UnfoldShown() {
	for i := l.top.i; i < min(l.top.i+l.height, l.index.High()); i++ {
		pos := l.index.At(i)
		if c := l.rows[pos]; c != nil && c.Packets > 0 {
			l.open[pos] = fold{c.FirstPacket, min(c.Packets, maxBeneath)}
		}
	}
	l.clamp()
}
