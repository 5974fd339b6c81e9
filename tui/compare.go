package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/paint"
	"tundump/tui/pane"
)

// compareView is what a replay compares, row by row, and beneath it what is
// known of the row at the cursor.
type compareView struct {
	s      *screen
	x      Exchanges
	list   *pane.List
	text   *pane.Text
	inText bool
	tail   bool // the cursor is where the replay is
	at     int  // where that was

	known map[int]*Exchange // those that were read
	shown *Exchange         // whose text was laid
	width int               // that it was laid for

	filter    string         // as typed, "" for none
	in        ExchangeStates // that are shown, 0 if the filter is none of states
	chosen    []int32        // the rows that pass, nil for all
	stale     bool           // there may be something newer
	fetching  bool
	selecting bool
}

func newCompareView(s *screen, x Exchanges) *compareView {
	v := &compareView{s: s, x: x, at: -1, tail: s.snap.Playing != nil && !s.snap.Playing.Over, known: map[int]*Exchange{}, text: pane.NewText()}
	v.list = pane.NewList(compareColumns(0), nil)
	v.list.Nothing = "nothing is compared: no answer is expected"
	v.refresh()
	return v
}

// compared gives the screen the view of the replay that it is part of.
func (s *screen) compared() {
	p, ok := s.src.(Player)
	if !ok || s.snap.Playing == nil {
		return
	}
	if x := p.Exchanges(); x != nil && (s.compare == nil || s.compare.x != x) {
		s.notes.forgetPlayed() // of the replay before
		s.compare = newCompareView(s, x)
	}
}

// refresh takes in that what is compared may stand otherwise.
func (v *compareView) refresh() {
	v.stale = true
	v.list.ForgetHidden()
	v.list.Grow(v.index())
	if at := v.x.At(); v.tail && at != v.at && at >= 0 {
		v.at = at
		v.list.GoTo(at, -1)
	}
	if p := v.s.snap.Playing; p != nil && p.Over {
		v.tail = false
	}
}

func (v *compareView) index() pane.Index {
	if v.chosen != nil {
		return numbered(v.chosen)
	}
	return extent{0, v.x.Len()}
}

// moved takes in that the user has gone elsewhere.
func (v *compareView) moved() {
	if v != nil {
		v.tail = false
		v.lay()
	}
}

// toggleTail has the cursor stay where the replay is, or not.
func (v *compareView) toggleTail() {
	if v.tail = !v.tail; v.tail {
		v.at = -1
		v.refresh()
	}
}

// active is the pane that has the keys.
func (v *compareView) active() mover {
	if v.inText {
		return v.text
	}
	return v.list
}

// current is the row at the cursor, nil if it is not read yet.
func (v *compareView) current() *Exchange {
	if pos, ok := v.list.Position(); ok {
		return v.known[pos]
	}
	return nil
}

// want reads the rows on the screen, if there may be something newer, and
// chooses anew which there are.
func (v *compareView) want() tea.Cmd {
	if v.stale && v.in != 0 && !v.selecting {
		v.selecting = true
		return tea.Batch(v.selectRows(), v.fetch())
	}
	return v.fetch()
}

func (v *compareView) fetch() tea.Cmd {
	rows, _ := v.list.Need()
	switch {
	case v.fetching:
		return nil
	case v.stale && (!v.s.paused || len(v.known) == 0):
		rows, v.stale = v.list.Shown(), false
	}
	if len(rows) == 0 {
		return nil
	}
	v.fetching = true
	ctx, x := v.s.ctx, v.x
	return func() tea.Msg {
		out := comparedMsg{v: v, read: map[int]*Exchange{}}
		out.err = x.Read(ctx, rows, func(i int, e *Exchange) bool {
			out.read[i] = e
			return true
		})
		for _, i := range rows { // what cannot be read is not asked for again and again
			if out.read[i] == nil {
				out.read[i] = &Exchange{Asked: "cannot be read"}
			}
		}
		return out
	}
}

// comparedMsg is rows that were read.
type comparedMsg struct {
	v    *compareView
	read map[int]*Exchange
	err  error
}

func (c comparedMsg) take(m *Model) tea.Cmd {
	v := c.v
	v.fetching = false
	if !m.alive(v.s) {
		return nil
	}
	const most = 4096
	if len(v.known)+len(c.read) > most {
		clear(v.known)
	}
	cells := make(map[int]*pane.Cells, len(c.read))
	for i, e := range c.read {
		v.known[i] = e
		cells[i] = e.cells()
	}
	v.list.Put(cells, nil)
	v.lay()
	m.fail("reading what is compared", c.err)
	return nil
}

// openExchange shows what the row at the cursor is about: in what came now its
// row there, else that of the recording.
func (m *Model) openExchange() tea.Cmd {
	s := m.scr()
	v := s.compare
	e := v.current()
	if e == nil {
		return nil
	}
	if e.Came > 0 && s.src == v.x.Live() {
		m.goNumber(s, Packets, e.Came)
		return nil
	}
	list, number := e.place()
	at := slices.IndexFunc(m.screens, func(s *screen) bool { return s.src == v.x.Recording() })
	switch {
	case number == 0:
		m.say(paint.Caution, "no row of the recording stands for it")
	case at < 0:
		m.say(paint.Caution, "the recording is not open any more")
	default:
		if at != m.at {
			m.say(paint.Good, "this is the recording: %s and %s change between captures", m.keys.Key("source.previous"), m.keys.Key("source.next"))
		}
		m.at = at
		m.goNumber(m.screens[at], list, number)
	}
	return nil
}

// place is where the recording has it.
func (e *Exchange) place() (List, int64) {
	list, number := Packets, e.Answer
	if e.Message {
		list = Messages
	}
	if number == 0 || e.Asks {
		number = e.Request
	}
	return list, number
}

// goNumber shows the row with a number.
func (m *Model) goNumber(s *screen, l List, number int64) {
	s.leave()
	m.show(view(l))
	s.lists[l].focus = listPane
	m.goTo(s.lists[l], Place{Number: number})
}

// differences says how many rows are shown, and how many are different.
func (v *compareView) differences() string {
	text := thousands(int64(v.x.Len())) + " compared"
	if v.chosen != nil {
		text = fmt.Sprintf("%s of %s", thousands(int64(len(v.chosen))), thousands(int64(v.x.Len())))
	}
	if n := v.x.Different(); n > 0 {
		text = fmt.Sprintf("%s different  ", thousands(n)) + text
	}
	return text
}

// copies offers the texts of the row at the cursor.
func (v *compareView) copies(add func(label, doc, text string)) {
	e := v.current()
	if e == nil {
		return
	}
	add("row", "as it stands here", strings.Join(e.cells().Text, "\t"))
	add("asked", paint.Cut(e.Asked, 60), e.Asked)
	add("recorded", paint.Cut(e.Recorded, 60), e.Recorded)
	add("now", paint.Cut(e.Live, 60), e.Live)
	var fields []string
	for _, f := range e.Fields {
		fields = append(fields, f.Name+"\t"+f.Recorded+"\t"+f.Live)
	}
	add("fields", "that differ: name, recorded, now", strings.Join(fields, "\n"))
}
