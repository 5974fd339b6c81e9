package tui

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/filter"
	"tundump/tui/keys"
)

// view is one of the tabs.
type view int

const (
	messagesView view = iota
	packetsView
	flowsView
	tunnelsView
	findingsView
	statsView
	replayView // of a replay
	views
)

var viewNames = [views]string{"Messages", "Packets", "Flows", "Tunnels", "Findings", "Stats", "Replay"}

// screen is everything that belongs to one source: it comes and goes whole.
type screen struct {
	src     Source
	ctx     context.Context // ends with the screen
	cancel  context.CancelFunc
	snap    *Snapshot // the newest state
	shown   *Snapshot // what the views show: older, if paused
	paused  bool
	stopped bool   // recording was, by the user
	final   bool   // nothing changes any more
	first   [2]int // positions from which on rows are shown: clear moves them
	ref     int64  // what relative times count from; 0: the first event

	view     view
	lists    [2]*rowsView
	flows    *flowsTab
	tunnels  *tunnelsTab
	findings *findingsTab
	stats    *statsTab
	compare  *compareView // nil without a replay
	follow   *followView  // over the views, nil for none

	text    string // of the display filter, "" for none
	trail   []stop // the way back, the last place last
	filter  *filter.Filter
	history []string
	notes   Notes
}

func newScreen(m *Model, src Source) *screen {
	s := &screen{src: src, snap: src.Snapshot(), history: m.set.Filters}
	s.ctx, s.cancel = context.WithCancel(m.ctx)
	s.shown = s.snap
	for l := range s.lists {
		s.lists[l] = newRowsView(m, s, List(l))
	}
	s.flows, s.tunnels, s.findings, s.stats = newFlowsTab(), newTunnelsTab(), newFindingsTab(), newStatsTab()
	if s.snap.Live && m.set.Follow != "off" {
		for _, r := range s.lists {
			r.list.Follow = true
		}
	}
	if s.snap.Messages.Len() == 0 && s.snap.Packets.Len() > 0 { // bare packets
		s.view = packetsView
	}
	if s.compared(); s.compare != nil && s.compare.x.Live() == src && s.compare.x.Len() > 0 {
		s.view = replayView
	}
	s.grown()
	return s
}

// close ends what the screen has running.
func (s *screen) close() {
	s.cancel()
	for _, r := range s.lists {
		r.dropSelection()
	}
	if s.follow != nil {
		s.follow.close()
	}
}

// take takes in a new state.
func (s *screen) take(snap *Snapshot) {
	if s.snap.Messages.Len() == 0 && s.snap.Packets.Len() == 0 && s.view == messagesView &&
		snap.Messages.Len() == 0 && snap.Packets.Len() > 0 {
		s.view = packetsView
	}
	s.snap = snap
	s.flows.stale, s.tunnels.stale, s.findings.stale, s.stats.stale = true, true, true, true
	if s.follow != nil {
		s.follow.stale = true
	}
	s.compared()
	if s.paused {
		return
	}
	s.shown = snap
	s.grown()
}

// grown tells the lists that there are more rows, or fewer.
func (s *screen) grown() {
	for _, r := range s.lists {
		r.grown()
	}
	if s.compare != nil {
		s.compare.refresh()
	}
}

// rows returns the view of the list that is shown, nil if none is.
func (s *screen) rows() *rowsView {
	if s.follow != nil || s.view > packetsView {
		return nil
	}
	return s.lists[s.view]
}

// selecting reports whether a selection is still at work.
func (s *screen) selecting() bool {
	for _, r := range s.lists {
		if r.sel != nil && r.sel.Err() == nil {
			if done, all := r.sel.Progress(); done < all {
				return true
			}
		}
	}
	return false
}

// place says where keys go.
func (m *Model) place() keys.Where {
	s := m.scr()
	switch {
	case s.follow != nil:
		return keys.Stream
	case s.view <= packetsView:
		return [...]keys.Where{keys.List, keys.Tree, keys.Hex}[s.lists[s.view].focus]
	}
	return [...]keys.Where{flowsView: keys.Flows, tunnelsView: keys.Tunnels, findingsView: keys.Findings, statsView: keys.Stats, replayView: keys.Replay}[s.view]
}

// want returns the commands that fetch what the frame lacks.
func (s *screen) want(m *Model) []tea.Cmd {
	switch {
	case s.follow != nil:
		return []tea.Cmd{s.follow.want(s)}
	case s.view <= packetsView:
		return s.lists[s.view].want(m, s)
	case s.view == replayView:
		return []tea.Cmd{s.compare.want()}
	}
	return []tea.Cmd{s.wantTab(m)}
}

// setFilter applies a display filter to both lists; "" shows all rows.
func (s *screen) setFilter(text string, f *filter.Filter) {
	s.text, s.filter = text, f
	for _, r := range s.lists {
		r.filtered = false
	}
}

// filterShown begins to look for the rows of the list that is shown, if the
// filter is a new one: the other list's wait until they are shown too.
func (m *Model) filterShown() {
	s := m.scr()
	if s.view <= packetsView && !s.lists[s.view].filtered {
		r := s.lists[s.view]
		r.applyFilter(s.filter)
		m.again(s)
		m.queued = append(m.queued, m.sortAgain(r))
	}
}
