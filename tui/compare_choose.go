package tui

import (
	"context"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/paint"
	"tundump/tui/pane"
)

// selectRows finds the rows in the states that are asked for.
func (v *compareView) selectRows() tea.Cmd {
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
		return v.selectRows()
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
