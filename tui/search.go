package tui

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/filter"
	"tundump/tui/detail"
	"tundump/tui/paint"
	"tundump/tui/pane"
)

// What a search looks for, and where.
const (
	forText = iota
	forHex
	forRegexp
)

const (
	inSummary = iota
	inDetail
	inBytes
)

var (
	searchWhat  = [...]string{"text", "bytes", "regular expression"}
	searchWhere = [...]string{"the summaries", "the details", "the packets' bytes"}
)

// search is what n and N repeat.
type search struct {
	text        string
	what, where int
	past        []string // what was looked for, the newest last
	missed      bool     // the end was reached: the next one begins at the other end
}

func (q *search) reset() { q.missed = false }

// matcher says whether text, or bytes, are what is looked for.
type matcher struct {
	text  func(string) bool
	bytes func([]byte) bool
}

func (q *search) matcher() (matcher, error) {
	switch q.what {
	case forHex:
		b, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "", "0x", "").Replace(q.text))
		if err != nil || len(b) == 0 {
			return matcher{}, errors.New("bytes are written in hexadecimal: 47 45 54")
		}
		return matcher{func(s string) bool { return strings.Contains(s, string(b)) }, func(p []byte) bool { return bytes.Contains(p, b) }}, nil
	case forRegexp:
		re, err := regexp.Compile(q.text)
		if err != nil {
			return matcher{}, errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		return matcher{re.MatchString, re.Match}, nil
	}
	low := strings.ToLower(q.text)
	lowBytes := []byte(low)
	return matcher{
		func(s string) bool { return strings.Contains(strings.ToLower(s), low) },
		func(p []byte) bool { return bytes.Contains(bytes.ToLower(p), lowBytes) },
	}, nil
}

// askSearch asks what to look for; tab changes where, shift-tab what.
func (m *Model) askSearch() {
	q := m.search
	inRows := m.scr().rows() != nil
	if !inRows {
		q.where = inSummary
		if q.what == forHex {
			q.what = forText
		}
	}
	p := newPrompt("", "", func(m *Model, text string) tea.Cmd {
		if text == "" {
			return nil
		}
		q.text, q.missed = text, false
		if n := len(q.past); n == 0 || q.past[n-1] != text {
			q.past = append(q.past[max(n-maxHistory, 0):], text)
		}
		m.search = q
		return m.findNext(1)
	})
	p.history = q.past
	p.check = func(text string) verdict {
		try := q
		try.text = text
		if _, err := try.matcher(); err != nil && text != "" {
			return verdict{style: paint.Bad, wrong: true, col: -1, text: err.Error()}
		}
		return verdict{col: -1}
	}
	label := func() {
		p.label = "find " + searchWhat[q.what]
		if inRows {
			p.label += " in " + searchWhere[q.where]
		}
	}
	label()
	if inRows {
		p.tab = func(*Model) {
			q.where = (q.where + 1) % len(searchWhere)
			if q.what == forHex {
				q.where = inBytes
			}
			label()
			p.changed()
		}
	}
	p.other = func(*Model) {
		q.what = (q.what + 1) % len(searchWhat)
		switch {
		case q.what == forHex && inRows:
			q.where = inBytes
		case q.what == forHex: // lines of text have no bytes
			q.what = forRegexp
		}
		label()
		p.changed()
	}
	p.hint = func() string { return "tab where, shift-tab what" }
	m.ask(p)
}

// findNext goes to the next match, or the one before.
func (m *Model) findNext(step int) tea.Cmd {
	if m.search.text == "" {
		m.askSearch()
		return nil
	}
	match, err := m.search.matcher()
	if err != nil {
		m.fail("search", err)
		return nil
	}
	s := m.scr()
	found := false
	switch {
	case s.follow != nil:
		found = s.follow.text.Find(match.text, step)
	case s.view == flowsView:
		found = s.flows.table.Find(match.text, step)
	case s.view == tunnelsView:
		found = s.tunnels.table.Find(match.text, step)
		s.tunnels.moved()
	case s.view == findingsView:
		found = s.findings.table.Find(match.text, step)
		s.findings.moved()
	case s.view == replayView:
		return s.compare.findText(m, match.text, step)
	case s.view == statsView:
		found = s.stats.text.Find(match.text, step)
	default:
		return m.searchRows(s.lists[s.view], match, step)
	}
	if !found {
		m.say(paint.Caution, "%q is nowhere here", m.search.text)
	}
	return nil
}

// searchRows looks through the rows that are shown, in the background.
func (m *Model) searchRows(r *rowsView, match matcher, step int) tea.Cmd {
	where, columns := m.search.where, r.columns
	maker := newCellMaker(true)
	test := func(row *Row) bool {
		switch where {
		case inBytes:
			if row.Packet != nil {
				return match.bytes(row.Data)
			}
			return match.bytes(row.Event.Raw)
		case inDetail:
			return inTree(detail.Build(&row.Row).Roots, match.text)
		}
		for _, c := range columns {
			if c.text != nil && match.text(c.text(maker, row)) {
				return true
			}
		}
		return false
	}
	text := m.search.text
	return m.scan(r, "search", step, m.search.missed, test, func(m *Model, pos int) {
		m.search.missed = pos < 0
		if pos < 0 {
			m.say(paint.Caution, "%q: no more; %s again begins at the other end", text, m.keys.Key("search.next"))
		} else if where == inDetail {
			r.find = match.text
		}
	})
}

func inTree(nodes []*detail.Node, match func(string) bool) bool {
	for _, n := range nodes {
		if match(n.Text) || inTree(n.Children, match) {
			return true
		}
	}
	return false
}

// scanPiece is how many rows a scan reads at a time.
const scanPiece = 1024

// scan looks for the next row from the cursor on, or before it, that passes
// test, and goes there. done hears the position, -1 for none. wrap begins at
// the other end.
func (m *Model) scan(r *rowsView, name string, step int, wrap bool, test func(*Row) bool, done func(m *Model, pos int)) tea.Cmd {
	x, src, kind := r.list.Index(), r.s.src, r.kind
	from := r.list.Row() + step
	if wrap && step > 0 {
		from = x.Low()
	} else if wrap {
		from = x.High() - 1
	}
	return m.run(r.s, name, func(ctx context.Context, progress func(done, all int64)) (func(m *Model) tea.Cmd, error) {
		pos, err := scanRows(ctx, src, kind, x, from, step, test, progress)
		return func(m *Model) tea.Cmd {
			if pos >= 0 {
				r.list.GoTo(pos, -1)
			}
			if done != nil {
				done(m, pos)
			}
			return nil
		}, err
	})
}

// scanRows returns the position of the first row that passes, from row from of
// the index on in steps; -1 for none.
func scanRows(ctx context.Context, src Source, l List, x pane.Index, from, step int, test func(*Row) bool, progress func(done, all int64)) (int, error) {
	all := int64(x.High() - from)
	if step < 0 {
		all = int64(from - x.Low() + 1)
	}
	positions := make([]int, 0, scanPiece)
	for i := from; i >= x.Low() && i < x.High(); {
		positions = positions[:0]
		for ; len(positions) < scanPiece && i >= x.Low() && i < x.High(); i += step {
			positions = append(positions, x.At(i))
		}
		found := -1
		if step < 0 { // read forwards, take the last
			for a, b := 0, len(positions)-1; a < b; a, b = a+1, b-1 {
				positions[a], positions[b] = positions[b], positions[a]
			}
		}
		err := src.Read(ctx, l, positions, func(row *Row) bool {
			if test(row) {
				found = row.Pos
				return step < 0
			}
			return true
		})
		if err != nil || found >= 0 {
			return found, err
		}
		n := int64(i-from) * int64(step)
		progress(n, all)
	}
	return -1, ctx.Err()
}

// goFlow goes to the next row of the same flow or connection, or the one
// before.
func (m *Model) goFlow(step int) tea.Cmd {
	r := m.scr().rows()
	if r == nil || r.tree.Detail() == nil {
		return nil
	}
	d := r.tree.Detail()
	text, what := d.Flow, "flow"
	if r.kind == Messages {
		text, what = d.Connection, "connection"
	}
	if text == "" {
		m.say(paint.Caution, "this row belongs to no %s", what)
		return nil
	}
	f, err := filter.Compile(text)
	if err != nil {
		m.fail("flow", err)
		return nil
	}
	var scratch filter.Scratch
	return m.scan(r, "next of the "+what, step, false, func(row *Row) bool { return f.Match(&row.Row, &scratch) }, func(m *Model, pos int) {
		if pos < 0 {
			m.say(paint.Caution, "there is no more of it in what is shown")
		}
	})
}
