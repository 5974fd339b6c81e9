package tui

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// clickState tells a double click.
type clickState struct {
	x, y int
	at   time.Time
}

// doubleClick is how soon the second click must follow.
const doubleClick = 400 * time.Millisecond

// wheelLines is what one step of the wheel moves.
const wheelLines = 3

// mouse takes a click or a turn of the wheel to what lies under it.
func (m *Model) mouse(msg tea.MouseMsg) tea.Cmd {
	if m.w < minWidth || m.h < minHeight {
		return nil
	}
	wheel := 0
	switch msg.Button {
	case tea.MouseButtonWheelUp:
		wheel = -wheelLines
	case tea.MouseButtonWheelDown:
		wheel = wheelLines
	}
	if msg.Action != tea.MouseActionPress || wheel == 0 && msg.Button != tea.MouseButtonLeft {
		return nil
	}
	m.dirty = true
	if m.picker != nil {
		return m.pickerMouse(msg.X, msg.Y, wheel)
	}
	if wheel != 0 {
		m.wheel(msg.X, msg.Y, wheel)
		return nil
	}
	now := time.Now()
	double := msg.X == m.click.x && msg.Y == m.click.y && now.Sub(m.click.at) < doubleClick
	m.click = clickState{msg.X, msg.Y, now}
	if double {
		m.click = clickState{}
	}
	return m.clicked(msg.X, msg.Y, double)
}

func (m *Model) pickerMouse(x, y, wheel int) tea.Cmd {
	p := m.picker
	if wheel != 0 {
		p.step(wheel)
		return nil
	}
	i := p.top + y - p.y - 2
	if y < p.y || y > p.y+p.height+2 || x < p.x {
		return m.leavePicker() // beside it
	}
	for i > 0 && i < len(p.shown) && p.choices[p.shown[i]].more {
		i--
	}
	if i < 0 || i >= len(p.shown) || p.choices[p.shown[i]].do == nil {
		return nil
	}
	p.at = i
	return m.choose()
}

// wheel scrolls the pane under the pointer.
func (m *Model) wheel(x, y, n int) {
	s := m.scr()
	switch r := s.rows(); {
	case r != nil:
		p := m.lay(r, m.w, m.h-head-1)
		switch {
		case p.tree.holds(x, y):
			r.tree.Scroll(n)
		case p.hex.holds(x, y):
			r.hex.Scroll(n)
		case p.list.holds(x, y):
			r.list.Scroll(n)
			r.anchor = -1
		}
	case s.follow == nil && s.view == replayView && y < m.splitAt:
		s.compare.list.Scroll(n)
		s.compare.moved()
	case s.follow == nil && s.view == replayView:
		s.compare.text.Move(n)
	case s.follow == nil && s.table() != nil && (s.view == flowsView || y < m.splitAt):
		s.table().Scroll(n)
		s.tunnels.moved()
		s.findings.moved()
	case s.follow == nil && s.view == tunnelsView:
		s.tunnels.text.Move(n)
	case s.follow == nil && s.view == findingsView:
		s.findings.text.Move(n)
	default:
		s.active().Move(n)
	}
}

// clicked is a click with the left button.
func (m *Model) clicked(x, y int, double bool) tea.Cmd {
	s := m.scr()
	switch {
	case m.prompt != nil:
		return nil
	case y == 1:
		if v := s.tabAt(x); v >= 0 {
			m.visit(v)
		}
		return nil
	case y == 2 && s.follow == nil:
		m.askFilter()
		return nil
	case y < head || y >= m.h-1 || s.follow != nil:
		return nil
	}
	if r := s.rows(); r != nil {
		return m.clickRows(r, x, y, double)
	}
	if v := s.compare; s.view == replayView {
		if v.inText = y >= m.splitAt; v.inText {
			return nil
		}
		if column := v.list.Click(x, y-head); column < 0 {
			v.moved()
			if double {
				return m.open()
			}
		}
		return nil
	}
	t := s.table()
	if t == nil {
		return nil
	}
	if s.view != flowsView {
		below := y >= m.splitAt
		s.tunnels.inText, s.findings.inText = below, below
		if below {
			return nil
		}
	}
	column := t.Click(x, y-head)
	m.moved()
	switch {
	case column >= 0 && s.view == flowsView:
		s.flows.sortBy(column)
	case double && column < 0:
		return m.open()
	}
	return nil
}

func (m *Model) clickRows(r *rowsView, x, y int, double bool) tea.Cmd {
	p := m.lay(r, m.w, m.h-head-1)
	switch {
	case p.list.holds(x, y):
		r.focus = listPane
		r.anchor = -1
		column := r.list.Click(x-p.list.x, y-p.list.y)
		if column >= 0 && double {
			return m.sortRows(r, column, r.order != nil && r.order.by == column && !r.order.down)
		}
	case p.tree.holds(x, y):
		r.focus = treePane
		r.tree.Click(y - p.tree.y)
	case p.hex.holds(x, y):
		r.focus = hexPane
		r.hex.Click(x-p.hex.x, y-p.hex.y)
	default:
		return nil
	}
	m.moved()
	if double && !p.hex.holds(x, y) {
		return m.open()
	}
	return nil
}
