package tui

import (
	"slices"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/filter"
)

// stop is a place that an action led away from: the escape key goes back
// there, with the filter that was applied.
type stop struct {
	view   view
	text   string
	filter *filter.Filter
	focus  int
	pos    int // of the list's cursor, -1 for none
	follow bool
}

// maxTrail bounds how far back the escape key goes.
const maxTrail = 32

// leave notes where the screen is, before an action that leads elsewhere.
func (s *screen) leave() {
	at := stop{view: s.view, text: s.text, filter: s.filter, pos: -1}
	if r := s.rows(); r != nil {
		if p, ok := r.list.Position(); ok {
			at.pos = p
		}
		at.focus, at.follow = r.focus, r.list.Follow
	}
	if s.trail = append(s.trail, at); len(s.trail) > maxTrail {
		s.trail = slices.Delete(s.trail, 0, 1)
	}
}

// lead goes to the list v, which may be shown already, with a filter; the escape key comes back.
func (m *Model) lead(v view, text string) tea.Cmd {
	s := m.scr()
	s.leave()
	if s.view != v {
		s.lists[v].focus = listPane
		m.show(v)
	}
	return m.applyFilter(text)
}

// visit goes to a view because the user named it: from there no way leads back.
func (m *Model) visit(v view) {
	m.scr().trail = nil
	m.show(v)
}

// goBack goes back to where the last action led away from; it reports false if
// none did.
func (m *Model) goBack() bool {
	s := m.scr()
	n := len(s.trail)
	if n == 0 {
		return false
	}
	at := s.trail[n-1]
	s.trail = s.trail[:n-1]
	if s.text != at.text {
		s.setFilter(at.text, at.filter)
	}
	m.show(at.view)
	r := s.rows()
	if r == nil {
		return true
	}
	r.focus = at.focus
	if at.follow {
		r.list.Follow = true
		r.list.End()
	} else if at.pos >= 0 {
		r.list.GoTo(at.pos, -1)
		if r.sel != nil { // it may not have come so far
			r.anchor = at.pos
		}
	}
	return true
}
