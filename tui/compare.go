package tui

import (
	"context"
	"fmt"
	"slices"
	"sort"
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

// numbered is rows that pass a filter, ascending.
type numbered []int32

func (x numbered) Low() int     { return 0 }
func (x numbered) High() int    { return len(x) }
func (x numbered) At(i int) int { return int(x[i]) }
func (x numbered) Find(p int) int {
	return sort.Search(len(x), func(i int) bool { return int(x[i]) >= p })
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
func (v *compareView) want(m *Model) tea.Cmd {
	if v.stale && v.in != 0 && !v.selecting {
		v.selecting = true
		return tea.Batch(v.selectRows(m), v.fetch(m))
	}
	return v.fetch(m)
}

func (v *compareView) fetch(*Model) tea.Cmd {
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

// selectRows finds the rows in the states that are asked for.
func (v *compareView) selectRows(*Model) tea.Cmd {
	ctx, x, in := v.s.ctx, v.x, v.in
	return func() tea.Msg {
		rows, err := x.Select(ctx, in)
		return selectedMsg{v, in, rows, err}
	}
}

type selectedMsg struct {
	v    *compareView
	in   ExchangeStates
	rows []int32
	err  error
}

func (c selectedMsg) take(m *Model) tea.Cmd {
	v := c.v
	v.selecting = false
	if !m.alive(v.s) || c.in != v.in {
		return nil
	}
	m.fail("reading what is compared", c.err)
	if c.err == nil {
		v.choose(append([]int32{}, c.rows...)) // none is not all
	}
	return nil
}

// choose shows these rows, nil for all; the cursor stays where it can.
func (v *compareView) choose(rows []int32) {
	before := v.chosen
	v.chosen = rows
	if n := len(before); before != nil && len(rows) >= n && slices.Equal(rows[:n], before) { // the screen stands still
		v.list.Grow(v.index())
	} else {
		v.list.SetIndex(v.index())
	}
	v.lay()
}

// compareWords are what the states are called, with their signs.
var compareWords = [exchangeStates]struct {
	sign, word string
	style      paint.Style
	doc        string
}{
	Unasked:   {"·", "not yet", paint.Dim, "what was not asked"},
	Awaited:   {"…", "waiting", paint.Accent, "what was asked, and has not come"},
	Equal:     {"=", "same", paint.Plain, "what came as it was recorded"},
	Belated:   {"≈", "late", paint.Caution, "what came so, but later than then"},
	Different: {"≠", "changed", paint.Bad, "what came otherwise"},
	Lost:      {"✗", "unanswered", paint.Bad, "what never came"},
	Surplus:   {"+", "extra", paint.Bad, "what the recording does not have"},
}

// onlyDifferent is the filter of what is different.
const onlyDifferent = "different"

// statesOf returns the states that a filter names, 0 if it names none.
func statesOf(text string) ExchangeStates {
	if text == onlyDifferent {
		return Differences
	}
	for s, w := range compareWords {
		if text == w.word {
			return 1 << s
		}
	}
	return 0
}

// narrow shows the rows in the states that text names, or that have it as a
// part.
func (v *compareView) narrow(m *Model, text string) tea.Cmd {
	text = strings.TrimSpace(text)
	v.filter, v.in, v.tail = text, statesOf(text), v.tail && text == ""
	switch {
	case text == "":
		v.choose(nil)
	case v.in != 0:
		v.selecting = true
		return v.selectRows(m)
	default:
		return v.search(m, text)
	}
	return nil
}

// search finds the rows that have a text, in the background.
func (v *compareView) search(m *Model, text string) tea.Cmd {
	match := strings.ToLower(text)
	all, x := extent{0, v.x.Len()}, v.x
	return m.run(v.s, "filter", func(ctx context.Context, progress func(done, all int64)) (func(m *Model) tea.Cmd, error) {
		rows := []int32{}
		err := scanExchanges(ctx, x, all, 0, 1, progress, func(i int, e *Exchange) bool {
			if e.has(func(s string) bool { return strings.Contains(strings.ToLower(s), match) }) {
				rows = append(rows, int32(i))
			}
			return true
		})
		return func(*Model) tea.Cmd {
			if v.filter == text {
				v.choose(rows)
			}
			return nil
		}, err
	})
}

// scanExchanges reads rows from row i of the index on, in steps, until visit
// returns false.
func scanExchanges(ctx context.Context, x Exchanges, index pane.Index, i, step int, progress func(done, all int64), visit func(i int, e *Exchange) bool) error {
	all := int64(index.High() - index.Low())
	done, more := int64(0), true
	for more && i >= index.Low() && i < index.High() {
		var rows []int
		for ; len(rows) < scanPiece && i >= index.Low() && i < index.High(); i += step {
			rows = append(rows, index.At(i))
		}
		err := x.Read(ctx, rows, func(i int, e *Exchange) bool {
			more = visit(i, e)
			return more
		})
		if err != nil {
			return err
		}
		done += int64(len(rows))
		progress(done, all)
	}
	return ctx.Err()
}

// has reports whether any of its texts passes.
func (e *Exchange) has(match func(string) bool) bool {
	return slices.ContainsFunc(e.cells().Text, match) || match(e.Recorded) || match(e.Live) || match(e.To)
}

// findText goes to the next row with a text.
func (v *compareView) findText(m *Model, match func(string) bool, step int) tea.Cmd {
	x, index, from, text := v.x, v.list.Index(), v.list.Row()+step, m.search.text
	return m.run(v.s, "search", func(ctx context.Context, progress func(done, all int64)) (func(m *Model) tea.Cmd, error) {
		found := -1
		err := scanExchanges(ctx, x, index, from, step, progress, func(i int, e *Exchange) bool {
			if e.has(match) {
				found = i
			}
			return found < 0
		})
		return func(m *Model) tea.Cmd {
			if found < 0 {
				m.say(paint.Caution, "%q is nowhere further on", text)
				return nil
			}
			v.list.GoTo(found, -1)
			v.moved()
			return nil
		}, err
	})
}

// nextDifference goes to the next row that is different, or the one before;
// from the last to the first.
func (m *Model) nextDifference(step int) {
	v := m.scr().compare
	pos, ok := v.list.Position()
	if !ok {
		return
	}
	ctx, x := v.s.ctx, v.x
	m.queued = append(m.queued, func() tea.Msg {
		found, err := x.Find(ctx, pos+step, step, Differences)
		if err == nil && found < 0 {
			from := 0
			if step < 0 {
				from = x.Len() - 1
			}
			found, err = x.Find(ctx, from, step, Differences)
		}
		return foundMsg{v, found, err}
	})
}

// foundMsg is which row is different, -1 for none.
type foundMsg struct {
	v   *compareView
	row int
	err error
}

func (f foundMsg) take(m *Model) tea.Cmd {
	v := f.v
	switch {
	case !m.alive(v.s):
	case f.err != nil:
		m.fail("go", f.err)
	case f.row < 0:
		m.say(paint.Good, "nothing is different so far")
	default:
		v.list.Grow(v.index())
		v.list.GoTo(f.row, -1)
		v.moved()
	}
	return nil
}

// toggleDifferences shows only what is different, or all again.
func (m *Model) toggleDifferences() tea.Cmd {
	v := m.scr().compare
	if v.filter == onlyDifferent {
		return v.narrow(m, "")
	}
	return v.narrow(m, onlyDifferent)
}

// askCompared asks what the rows must have, or be.
func (m *Model) askCompared() {
	v := m.scr().compare
	p := newPrompt("only", v.filter, func(m *Model, text string) tea.Cmd { return v.narrow(m, text) })
	p.top, p.marked = true, v.filter != ""
	p.complete = func(text string, at int) (from, to int, list []completion) {
		add := func(word, doc string) {
			if strings.HasPrefix(word, text) && word != text {
				list = append(list, completion{word, "", doc})
			}
		}
		add(onlyDifferent, "what is changed, unanswered or extra")
		for _, w := range compareWords {
			add(w.word, w.doc)
		}
		return 0, len(text), list
	}
	p.hint = func() string { return "one of these, or a text" }
	m.ask(p)
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
