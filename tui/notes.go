package tui

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/paint"
)

// notesMsg is what is kept beside a capture.
type notesMsg struct {
	s     *screen
	notes Notes
	err   error
}

func (n notesMsg) take(m *Model) tea.Cmd {
	switch {
	case n.err != nil && !errors.Is(n.err, ErrNotHere):
		m.fail("reading notes", n.err)
	case n.err == nil:
		for _, l := range []List{Messages, Packets} {
			for number, note := range n.notes.Of(l) {
				if _, changed := n.s.notes.Of(l)[number]; !changed {
					n.s.setNote(l, number, note)
				}
			}
		}
	}
	return nil
}

func (m *Model) readNotes(s *screen) tea.Cmd {
	if m.control == nil {
		return nil
	}
	return func() tea.Msg {
		n, err := m.control.Notes(s.ctx, s.src)
		return notesMsg{s, n, err}
	}
}

// savedMsg says how a small thing that was saved turned out.
type savedMsg struct {
	what string
	err  error
}

func (s savedMsg) take(m *Model) tea.Cmd {
	if !errors.Is(s.err, ErrNotHere) {
		m.fail(s.what, s.err)
	}
	return nil
}

func (n *Notes) clone() Notes { return Notes{maps.Clone(n.Messages), maps.Clone(n.Packets)} }

// saveNotes writes a copy, of what the user has written: the notes may change
// while it is written.
func (m *Model) saveNotes(s *screen) tea.Cmd {
	if m.control == nil {
		return nil
	}
	n := s.notes.clone()
	n.forgetPlayed()
	return func() tea.Msg { return savedMsg{"saving notes", m.control.SaveNotes(s.ctx, s.src, n)} }
}

// forgetPlayed takes away what a replay has left.
func (n *Notes) forgetPlayed() {
	played := func(_ int64, n Note) bool { return n.Played }
	maps.DeleteFunc(n.Messages, played)
	maps.DeleteFunc(n.Packets, played)
}

// noteTarget is the list and number of the row at the cursor.
func (r *rowsView) noteTarget() (List, int64, bool) {
	c := r.list.Current()
	if c == nil || c.Number == 0 {
		return 0, 0, false
	}
	l := r.kind
	if _, sub := r.list.Packet(); sub {
		l = Packets
	}
	return l, c.Number, true
}

// marked are the numbers of the rows that are marked, ascending.
func (s *screen) marked(l List) (numbers []int64) {
	for number, n := range s.notes.Of(l) {
		if n.Marked {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// setNote keeps a note, or forgets it if it says nothing.
func (s *screen) setNote(l List, number int64, n Note) {
	kept := &s.notes.Messages
	if l == Packets {
		kept = &s.notes.Packets
	}
	if *kept == nil {
		*kept = map[int64]Note{}
	}
	if n == (Note{}) {
		delete(*kept, number)
		return
	}
	(*kept)[number] = n
}

func (m *Model) toggleMark() tea.Cmd {
	s := m.scr()
	r := s.rows()
	l, number, ok := r.noteTarget()
	if !ok {
		return nil
	}
	n := s.notes.Of(l)[number]
	n.Marked = !n.Marked
	s.setNote(l, number, n)
	return m.saveNotes(s)
}

func (m *Model) clearMarks() tea.Cmd {
	s := m.scr()
	cleared := 0
	for _, l := range []List{Messages, Packets} {
		for number, n := range s.notes.Of(l) {
			if n.Marked {
				cleared++
			}
			n.Marked = false
			s.setNote(l, number, n)
		}
	}
	if cleared == 0 {
		m.say(paint.Caution, "nothing is marked: %s marks a row", m.keys.Key("mark"))
		return nil
	}
	m.say(paint.Good, "%s taken away; notes stay", count(int64(cleared), "mark"))
	return m.saveNotes(s)
}

func (m *Model) askNote() {
	s := m.scr()
	l, number, ok := s.rows().noteTarget()
	if !ok {
		return
	}
	what := "message #"
	if l == Packets {
		what = "packet "
	}
	m.ask(newPrompt("note on "+what+thousands(number), s.notes.Of(l)[number].Text, func(m *Model, text string) tea.Cmd {
		n := s.notes.Of(l)[number]
		if text = strings.TrimSpace(text); text != n.Text {
			n.Text, n.Played = text, false
		}
		s.setNote(l, number, n)
		return m.saveNotes(s)
	}))
}

// goMark goes to the next marked row, or one with a note, or the one before.
func (m *Model) goMark(step int) {
	s := m.scr()
	if s.view == replayView {
		m.nextDifference(step)
		return
	}
	r := s.rows()
	c := r.list.Current()
	numbers := slices.Sorted(maps.Keys(s.notes.Of(r.kind)))
	if len(numbers) == 0 || c == nil {
		m.say(paint.Caution, "nothing is marked: %s marks a row", m.keys.Key("mark"))
		return
	}
	i, at := slices.BinarySearch(numbers, c.Number)
	if step > 0 && at {
		i++
	} else if step < 0 {
		i--
	}
	m.goTo(r, Place{Number: numbers[(i+len(numbers))%len(numbers)]})
}

// placedMsg is where a place is, or where the last row is: beyond it.
type placedMsg struct {
	r      *rowsView
	pos    int
	beyond string // what there is none of
	err    error
}

func (p placedMsg) take(m *Model) tea.Cmd {
	if p.err != nil {
		m.fail("go", p.err)
		return nil
	}
	p.r.anchor = -1
	p.r.list.GoTo(p.pos, -1)
	switch at, ok := p.r.list.Position(); {
	case !ok:
	case p.beyond != "":
		m.say(paint.Caution, "there is no %s: this is the last", p.beyond)
	case at != p.pos:
		m.say(paint.Caution, "the row is not among those that are shown: this is the next one")
	}
	return nil
}

// goTo goes to a place. The command is queued: several keys may come at once.
func (m *Model) goTo(r *rowsView, p Place) {
	src, ctx, l := r.s.src, r.s.ctx, r.kind
	m.queued = append(m.queued, func() tea.Msg {
		pos, err := src.Locate(ctx, l, p)
		found := placedMsg{r: r, pos: pos, err: err}
		if err == nil && p.Number != 0 {
			found.err = src.Read(ctx, l, []int{pos}, func(row *Row) bool {
				if row.number() < p.Number {
					found.beyond = strings.TrimSuffix(l.String(), "s") + " " + thousands(p.Number)
				}
				return true
			})
		}
		return found
	})
}

// askPlace asks for a number or a time.
func (m *Model) askPlace() {
	r := m.scr().rows()
	p := newPrompt("go to", "", func(m *Model, text string) tea.Cmd {
		if text = strings.TrimSpace(text); text == "" {
			return nil
		}
		to, err := m.parsePlace(r, text)
		if err != nil {
			m.fail("go", err)
			return nil
		}
		m.goTo(r, to)
		return nil
	})
	p.check = func(text string) verdict {
		if _, err := m.parsePlace(r, strings.TrimSpace(text)); err != nil && strings.TrimSpace(text) != "" {
			return verdict{style: paint.Bad, wrong: true, col: -1, text: err.Error()}
		}
		return verdict{col: -1}
	}
	p.hint = func() string { return "a number; 12.5s since the start; a time of day 15:04:05" }
	m.ask(p)
}

var errPlace = errors.New("a number, 12.5s or 15:04:05")

func (m *Model) parsePlace(r *rowsView, text string) (Place, error) {
	if n, err := strconv.ParseInt(strings.ReplaceAll(text, ",", ""), 10, 64); err == nil && n > 0 {
		return Place{Number: n}, nil
	}
	s := r.s
	base := s.ref
	if base == 0 {
		base = s.snap.First
	}
	if d, err := time.ParseDuration(text); err == nil {
		return Place{Time: max(base+int64(d), 1)}, nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f >= 0 && f < 1e9 {
		return Place{Time: max(base+int64(f*1e9), 1)}, nil
	}
	first := time.Unix(0, s.snap.First).In(m.opt.Location)
	for _, form := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(form, text); err == nil {
			day := time.Date(first.Year(), first.Month(), first.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), m.opt.Location)
			if day.Before(first.Add(-time.Second)) { // after midnight
				day = day.AddDate(0, 0, 1)
			}
			return Place{Time: day.UnixNano()}, nil
		}
	}
	if t, err := time.ParseInLocation("2006-01-02 15:04:05", text, m.opt.Location); err == nil {
		return Place{Time: t.UnixNano()}, nil
	}
	return Place{}, errPlace
}

// timeReference counts times from the row at the cursor, or from the first
// event again.
func (m *Model) timeReference() {
	s := m.scr()
	c := s.rows().list.Current()
	if c == nil {
		return
	}
	if s.ref == c.Time {
		s.ref = 0
		m.say(paint.Good, "times count from the first again")
		return
	}
	s.ref = c.Time
	m.say(paint.Good, "times count from here; the same key again: from the first")
	if m.set.Time != "" && m.set.Time != "r" {
		m.say(paint.Caution, "times count from here once they are relative: %s changes their form", m.keys.Key("time.form"))
	}
}

// goCarrier goes from a packet to the message that carries it, or from a
// message to its first packet, in the other list.
func (m *Model) goCarrier() {
	s := m.scr()
	r := s.rows()
	c := r.list.Current()
	if c == nil {
		return
	}
	if r.kind == Messages {
		pos, ok := r.list.Packet()
		if !ok {
			pos = c.FirstPacket
			ok = c.Packets > 0
		}
		if !ok {
			m.say(paint.Caution, "the message carries no packets")
			return
		}
		m.scr().leave()
		m.jump(packetsView, pos)
		return
	}
	if c.Carrier < 0 {
		m.say(paint.Caution, "the packet came outside any tunnel")
		return
	}
	m.scr().leave()
	m.jump(messagesView, c.Carrier)
}

// jump shows a row of a list; a filter that hides it is said so.
func (m *Model) jump(v view, pos int) {
	m.show(v)
	r := m.scr().lists[v]
	r.anchor = -1
	r.list.GoTo(pos, -1)
	if at, ok := r.list.Position(); !ok || at != pos {
		m.say(paint.Caution, "the filter hides the row: %s shows all", m.keys.Key("back"))
	}
	r.focus = listPane
}

// noteText is the note on the row at the cursor, for the status line.
func (r *rowsView) noteText() string {
	l, number, ok := r.noteTarget()
	if !ok {
		return ""
	}
	n := r.s.notes.Of(l)[number]
	if n.Text == "" {
		return ""
	}
	return fmt.Sprintf("note: %s", n.Text)
}
