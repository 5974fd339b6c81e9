package pane

import (
	"tundump/tui/paint"
)

// Index is which rows of a capture a list shows, in order. The rows are
// numbered from Low to below High; both only grow, but for an index that is
// exchanged for another.
type Index interface {
	Low() int
	High() int
	// At returns the position in the capture of row i.
	At(i int) int
	// Find returns the first row whose position is pos or more; High if there
	// is none. In an index that is sorted by something else it is the row with
	// that position.
	Find(pos int) int
}

// Cells is one row as it is drawn.
type Cells struct {
	Text   []string // by column; safe
	Style  paint.Style
	Up     bool  // client to server
	Number int64 // that people see; 0 if it has none
	Time   int64 // nanoseconds since the Unix epoch
	Bad    bool  // something is wrong with it
	// FirstPacket and Packets are what stands folded beneath.
	FirstPacket, Packets int
	Carrier              int // position of the message that carries a packet, -1 for none
}

// spot is a line of a list: a row, or one of the packets beneath it.
type spot struct {
	i   int // row of the index
	sub int // 0 for the row itself, n for its nth packet
}

// List is rows of which there may be ten million: it knows those on the
// screen, and asks for them by position.
type List struct {
	Columns []Column
	// Sub is the columns of the packets beneath a row.
	Sub []Column
	// Time says which column holds time stamps, -1 for none, and Stamp writes
	// them; previous is the time of the row above, 0 if it is not known.
	Time  int
	Stamp func(t, previous int64) string
	// Note returns the sign of a row's mark or note, ' ' for none. sub says
	// that the row is a packet beneath a message.
	Note func(number int64, sub bool) rune
	// Follow keeps the cursor at the end.
	Follow bool
	// Nothing is what to say when there is no row.
	Nothing string

	index  Index
	cursor spot
	top    spot
	height int // rows of the last Render
	open   map[int]fold
	rows   map[int]*Cells
	subs   map[int]*Cells
	widths []int
	hover  int // horizontal scroll of the flexible column
}

// keep is how many rows beyond the screen are remembered.
const keep = 2048

// NewList returns a list without rows.
func NewList(columns, sub []Column) *List {
	return &List{Columns: columns, Sub: sub, Time: -1, index: none{}, height: 20,
		open: map[int]fold{}, rows: map[int]*Cells{}, subs: map[int]*Cells{}}
}

type none struct{}

func (none) Low() int     { return 0 }
func (none) High() int    { return 0 }
func (none) At(int) int   { return 0 }
func (none) Find(int) int { return 0 }

// Index returns what the list shows.
func (l *List) Index() Index { return l.index }

// SetIndex shows other rows. The cursor stays at its row if that is among
// them, else it goes to the next one.
func (l *List) SetIndex(x Index) {
	pos, was := l.Position()
	l.index = x
	if was {
		l.cursor = spot{i: x.Find(pos), sub: l.cursor.sub}
	} else {
		l.cursor = spot{i: x.Low()}
	}
	l.settle()
	l.center()
}

// Grow takes in a newer state of the index that is shown: it has more rows, or
// has lost its oldest.
func (l *List) Grow(x Index) {
	l.index = x
	l.settle()
}

// settle puts cursor and screen where there are rows.
func (l *List) settle() {
	if l.Follow {
		l.cursor = l.last()
		l.top = l.back(l.cursor, l.height-1)
		return
	}
	l.clamp()
}

// Forget drops what was fetched: the columns or the rows' meaning changed.
func (l *List) Forget() {
	clear(l.rows)
	clear(l.subs)
}

// ForgetHidden drops what was fetched but the rows on the screen, which are
// drawn as they were until there are newer ones: see Shown.
func (l *List) ForgetHidden() {
	rows := map[int]*Cells{}
	for _, pos := range l.Shown() {
		if c := l.rows[pos]; c != nil {
			rows[pos] = c
		}
	}
	l.rows = rows
	clear(l.subs)
}

// Shown returns the positions of the rows on the screen.
func (l *List) Shown() (rows []int) {
	for i := l.top.i; !l.Empty() && i < min(l.top.i+l.height+1, l.index.High()); i++ {
		rows = append(rows, l.index.At(i))
	}
	return rows
}

func (l *List) clamp() {
	lo, hi := l.index.Low(), l.index.High()
	if hi <= lo {
		l.cursor, l.top = spot{i: lo}, spot{i: lo}
		return
	}
	for _, s := range []*spot{&l.cursor, &l.top} {
		if s.i < lo {
			*s = spot{i: lo}
		}
		if s.i >= hi {
			*s = spot{i: hi - 1, sub: l.beneath(hi - 1)}
		}
		s.sub = min(s.sub, l.beneath(s.i))
	}
	l.show()
}

func (l *List) last() spot {
	hi := l.index.High()
	if hi <= l.index.Low() {
		return spot{i: l.index.Low()}
	}
	return spot{hi - 1, l.beneath(hi - 1)}
}

// forward returns the line n lines below s, back the one above: at most the
// last and the first. Without anything unfolded both are one step, however
// far.
func (l *List) forward(s spot, n int) spot {
	if len(l.open) == 0 {
		s.i = min(s.i+n, l.last().i)
		return spot{i: max(s.i, l.index.Low())}
	}
	for ; n > 0; n-- {
		switch {
		case s.sub < l.beneath(s.i):
			s.sub++
		case s.i+1 < l.index.High():
			s = spot{i: s.i + 1}
		default:
			return s
		}
	}
	return s
}

func (l *List) back(s spot, n int) spot {
	if len(l.open) == 0 {
		return spot{i: max(s.i-n, l.index.Low())}
	}
	for ; n > 0; n-- {
		switch {
		case s.sub > 0:
			s.sub--
		case s.i > l.index.Low():
			s = spot{s.i - 1, l.beneath(s.i - 1)}
		default:
			return s
		}
	}
	return s
}

func before(a, b spot) bool { return a.i < b.i || a.i == b.i && a.sub < b.sub }

// show scrolls so that the cursor is on the screen.
func (l *List) show() {
	if before(l.cursor, l.top) {
		l.top = l.cursor
		return
	}
	if first := l.back(l.cursor, l.height-1); before(l.top, first) {
		l.top = first
	}
}

func (l *List) center() {
	l.top = l.back(l.cursor, l.height/2)
	if end := l.back(l.last(), l.height-1); before(end, l.top) {
		l.top = end
	}
	l.show()
}

// Move moves the cursor n lines; going up ends following.
func (l *List) Move(n int) {
	if n < 0 {
		l.Follow = false
		l.cursor = l.back(l.cursor, -n)
	} else {
		l.cursor = l.forward(l.cursor, n)
	}
	l.show()
}

// Page moves the cursor n screens.
func (l *List) Page(n int) { l.Move(n * max(l.height-1, 1)) }

// Scroll moves the screen n lines, and the cursor only as far as it must.
func (l *List) Scroll(n int) {
	if n < 0 {
		l.Follow = false
		l.top = l.back(l.top, -n)
	} else if end := l.back(l.last(), l.height-1); before(l.top, end) {
		l.top = l.forward(l.top, n)
		if before(end, l.top) {
			l.top = end
		}
	}
	if before(l.cursor, l.top) {
		l.cursor = l.top
	}
	if end := l.forward(l.top, l.height-1); before(end, l.cursor) {
		l.cursor = end
	}
}

// Home goes to the first row, End to the last.
func (l *List) Home() {
	l.Follow = false
	l.cursor = spot{i: l.index.Low()}
	l.clamp()
}

// End goes to the last row.
func (l *List) End() {
	l.cursor = l.last()
	l.clamp()
}

// GoTo puts the cursor at the row with position pos, or the next one that is
// shown. packet, if it is not below 0, is one beneath it.
func (l *List) GoTo(pos, packet int) {
	l.Follow = false
	i := l.index.Find(pos)
	l.cursor = spot{i: i}
	if f, ok := l.open[pos]; ok && packet >= f.first && packet < f.first+f.count {
		l.cursor.sub = packet - f.first + 1
	}
	l.clamp()
	l.center()
}

// Empty reports whether there is no row.
func (l *List) Empty() bool { return l.index.High() <= l.index.Low() }

// Position returns the position of the row at the cursor; ok is false if there
// is none.
func (l *List) Position() (pos int, ok bool) {
	if l.Empty() || l.cursor.i < l.index.Low() || l.cursor.i >= l.index.High() {
		return 0, false
	}
	return l.index.At(l.cursor.i), true
}

// Row returns the row of the index at the cursor.
func (l *List) Row() int { return l.cursor.i }

// Packet returns the position of the packet at the cursor, beneath its row; ok
// is false if the cursor is at a row.
func (l *List) Packet() (pos int, ok bool) {
	row, ok := l.Position()
	if !ok || l.cursor.sub == 0 {
		return 0, false
	}
	f := l.open[row]
	return f.first + l.cursor.sub - 1, l.cursor.sub <= f.count
}

// Current returns what the line at the cursor shows, nil if it is not there.
func (l *List) Current() *Cells {
	if p, ok := l.Packet(); ok {
		return l.subs[p]
	}
	if p, ok := l.Position(); ok {
		return l.rows[p]
	}
	return nil
}

// Pan scrolls the flexible column sideways.
func (l *List) Pan(n int) { l.hover = min(max(l.hover+n, 0), 4096) }

// Panned returns how far it is scrolled.
func (l *List) Panned() int { return l.hover }

// Need returns the positions that the screen lacks: of rows, and of packets
// beneath them.
func (l *List) Need() (rows, packets []int) {
	s := l.top
	if l.Empty() {
		return nil, nil
	}
	for range l.height + 1 {
		if s.i >= l.index.High() {
			break
		}
		pos := l.index.At(s.i)
		if s.sub == 0 {
			if l.rows[pos] == nil {
				rows = append(rows, pos)
			}
		} else if f, p := l.open[pos], l.open[pos].first+s.sub-1; s.sub <= f.count && l.subs[p] == nil {
			packets = append(packets, p)
		}
		next := l.forward(s, 1)
		if next == s {
			break
		}
		s = next
	}
	return rows, packets
}

// Put hands over rows that were asked for, by position.
func (l *List) Put(rows, packets map[int]*Cells) {
	l.rows = remember(l.rows, rows)
	l.subs = remember(l.subs, packets)
}

// remember adds to what is known, and starts anew when that is much.
func remember(have, more map[int]*Cells) map[int]*Cells {
	if len(have)+len(more) > keep {
		clear(have)
	}
	for p, c := range more {
		have[p] = c
	}
	return have
}
