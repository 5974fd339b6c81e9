package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/paint"
)

// mover is what every pane can do.
type mover interface {
	Move(n int)
	Page(n int)
	Home()
	End()
}

// hexMover moves a dump by lines.
type hexMover struct{ *rowsView }

func (x hexMover) Move(n int) { x.hex.Lines(n) }
func (x hexMover) Page(n int) { x.hex.Page(n) }
func (x hexMover) Home()      { x.hex.Home() }
func (x hexMover) End()       { x.hex.End() }

// active is the pane that has the keys.
func (s *screen) active() mover {
	switch {
	case s.follow != nil:
		return s.follow.text
	case s.view <= packetsView:
		r := s.lists[s.view]
		return [...]mover{r.list, r.tree, hexMover{r}}[r.focus]
	case s.view == flowsView:
		return s.flows.table
	case s.view == tunnelsView:
		if s.tunnels.inText {
			return s.tunnels.text
		}
		return s.tunnels.table
	case s.view == findingsView:
		if s.findings.inText {
			return s.findings.text
		}
		return s.findings.table
	case s.view == replayView:
		return s.compare.active()
	}
	return s.stats.text
}

// moved carries a move on to what hangs on it.
func (m *Model) moved() {
	s := m.scr()
	if r := s.rows(); r != nil {
		r.anchor = -1
		r.link()
	}
	s.tunnels.moved()
	s.findings.moved()
	if s.view == replayView && !s.compare.inText {
		s.compare.moved()
	}
}

func (m *Model) move(n int) { m.scr().active().Move(n); m.moved() }
func (m *Model) page(n int) { m.scr().active().Page(n); m.moved() }
func (m *Model) home()      { m.scr().active().Home(); m.moved() }

func (m *Model) end() {
	s := m.scr()
	if r := s.rows(); r != nil && r.focus == listPane && s.snap.Live && !s.paused && r.order == nil {
		r.list.Follow = true
	}
	if s.follow != nil {
		s.follow.text.Follow = true
	}
	s.active().End()
	m.moved()
}

// side is the left and right keys.
func (m *Model) side(n int) {
	s := m.scr()
	r := s.rows()
	switch {
	case r == nil:
	case r.focus == treePane && n < 0:
		r.tree.Left()
	case r.focus == treePane:
		r.tree.Right()
	case r.focus == hexPane:
		r.hex.Move(n)
	case r.kind == Messages:
		_, inside := r.list.Packet()
		if (n < 0) == (inside || r.list.Unfolded()) {
			r.list.Toggle()
		}
	default:
		r.list.Pan(n * 8)
	}
	m.moved()
}

// open is the enter key.
func (m *Model) open() tea.Cmd {
	s := m.scr()
	switch s.view {
	case flowsView:
		return m.openFlow()
	case tunnelsView:
		return m.filterTunnel()
	case findingsView:
		return m.openFinding()
	case statsView:
		return nil
	case replayView:
		return m.openExchange()
	}
	r := s.lists[s.view]
	switch {
	case r.focus == treePane:
		r.tree.Toggle()
	case r.focus == hexPane:
		r.focus = treePane
	default:
		if _, inside := r.list.Packet(); inside || !r.list.Toggle() {
			r.focus = treePane
		}
	}
	m.moved()
	return nil
}

func (m *Model) foldAll(open bool) {
	r := m.scr().rows()
	switch {
	case r == nil:
	case r.focus == treePane || r.focus == hexPane:
		r.tree.All(open)
	case r.kind == Packets:
		m.say(paint.Caution, "packets do not unfold in the list: %s goes to the tree, where this key folds", m.keys.Key("open"))
	case open:
		r.list.UnfoldShown()
	default:
		r.list.FoldAll()
	}
}

// show switches to a view; a followed stream is left.
func (m *Model) show(v view) {
	s := m.scr()
	if v == replayView && s.compare == nil {
		m.say(paint.Caution, "nothing is being played here: %s does", m.keys.Key("replay"))
		return
	}
	if s.follow != nil {
		s.leaveStream()
	}
	if r := s.rows(); r != nil && s.view != v {
		r.list.Pan(-r.list.Panned())
	}
	s.view = v
	m.filterShown()
	m.search.reset()
}

func (m *Model) nextPane(n int) {
	s := m.scr()
	switch s.view {
	case tunnelsView:
		s.tunnels.inText = !s.tunnels.inText
	case findingsView:
		s.findings.inText = !s.findings.inText
	case replayView:
		s.compare.inText = !s.compare.inText
	case messagesView, packetsView:
		r := s.lists[s.view]
		panes := 3
		if m.set.Layout.Form == "list" && !r.zoom {
			panes = 1
		}
		r.focus = (r.focus + n + panes) % panes
	}
}

func (m *Model) toggleZoom() {
	if r := m.scr().rows(); r != nil {
		r.zoom = !r.zoom
	}
}

func (m *Model) otherBytes() {
	if r := m.scr().rows(); r != nil {
		r.hex.Other()
	}
}

// nextSource shows another of the captures that are open.
func (m *Model) nextSource(n int) {
	if len(m.screens) == 1 {
		m.say(paint.Caution, "only one capture is open: %s opens another", m.keys.Key("file.open"))
		return
	}
	m.at = (m.at + n + len(m.screens)) % len(m.screens)
	m.search.reset()
}

func (m *Model) toggleTail() {
	s := m.scr()
	switch r := s.rows(); {
	case s.follow != nil:
		s.follow.text.Follow = !s.follow.text.Follow
	case s.view == replayView:
		s.compare.toggleTail()
	case r == nil:
	case r.order != nil:
		m.say(paint.Caution, "sorted rows have no end to stay at: sort by number first")
	default:
		r.list.Follow = !r.list.Follow
		if r.list.Follow {
			r.list.End()
		}
	}
}

func (m *Model) togglePause() {
	s := m.scr()
	s.paused = !s.paused
	if !s.paused {
		s.shown = s.snap
		s.grown()
	}
}

// clearRows hides what has come so far.
func (m *Model) clearRows() {
	s := m.scr()
	again := s.first != [2]int{}
	if again {
		s.first = [2]int{}
	} else {
		s.first = [2]int{s.shown.Messages.End, s.shown.Packets.End}
	}
	for _, r := range s.lists {
		if !again { // rows in an order of their own would stay, and new ones not come
			r.unsort()
		}
		pos, ok := r.list.Position()
		moved := ok && r.list.Row() != r.list.Index().Low()
		r.list.SetIndex(r.index())
		switch {
		case !again && ok:
			r.cleared = pos
		case again && !moved && !r.list.Follow:
			r.list.GoTo(r.cleared, -1)
		}
	}
}

// back is the escape key.
func (m *Model) back() tea.Cmd {
	s := m.scr()
	r := s.rows()
	switch {
	case m.cancelTask():
	case s.follow != nil:
		s.leaveStream()
	case r != nil && r.zoom:
		r.zoom = false
	case r != nil && r.focus != listPane:
		r.focus = listPane
	case s.view == tunnelsView && s.tunnels.inText:
		s.tunnels.inText = false
	case s.view == findingsView && s.findings.inText:
		s.findings.inText = false
	case s.view == replayView && s.compare.inText:
		s.compare.inText = false
	case m.goBack():
	case r != nil && s.text == "" && r.by != nil:
		r.unsort()
		r.list.SetIndex(r.index())
	case r != nil && s.text == "" && s.first != [2]int{}:
		m.clearRows()
	default:
		return m.clearFilter()
	}
	return nil
}

// askQuit ends the program; where that loses something it asks once.
func (m *Model) askQuit() tea.Cmd {
	s := m.scr()
	if s.follow != nil {
		s.leaveStream()
		return nil
	}
	for _, s := range m.screens {
		if s.snap.Live && s.snap.Path == "" && !m.asked {
			m.asked = true
			m.say(paint.Caution, "the capture is kept in no file and will be gone: %s again to quit, %s to export it first", m.keys.Key("quit"), m.keys.Key("export"))
			return nil
		}
	}
	m.quit = true
	return nil
}
