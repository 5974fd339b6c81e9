package tui

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/paint"
	"tundump/tui/pane"
)

// tab is what the views of facts have in common: facts that are read again when
// the capture has changed, and a text that rows must have.
type tab struct {
	loaded  bool // there is something to show
	stale   bool // there may be something newer
	loading bool
	part    string // that rows must have
}

// has reports whether any of the cells has the part that is asked for.
func (t *tab) has(cells []string) bool {
	if t.part == "" {
		return true
	}
	part := strings.ToLower(t.part)
	for _, c := range cells {
		if strings.Contains(strings.ToLower(c), part) {
			return true
		}
	}
	return false
}

// tabMsg is newer facts of a tab.
type tabMsg struct {
	s   *screen
	t   *tab
	err error
	put func() // shows them
}

func (t tabMsg) take(m *Model) tea.Cmd {
	if !m.alive(t.s) {
		return nil
	}
	t.t.loading = false
	if t.err != nil {
		m.fail("reading the capture", t.err)
		return nil
	}
	t.t.loaded = true
	t.put()
	return nil
}

// wantTab reads the facts of the tab that is shown, if there may be newer ones.
// One reading is on its way at a time, so that a slow one slows the tab and
// nothing else.
func (s *screen) wantTab(m *Model) tea.Cmd {
	var t *tab
	var read func() (func(), error)
	src, ctx := s.src, s.ctx
	switch s.view {
	case flowsView:
		t = &s.flows.tab
		last := s.shown.Last
		read = func() (func(), error) {
			flows, err := src.Flows(ctx)
			return func() { s.flows.set(flows, last) }, err
		}
	case tunnelsView:
		t = &s.tunnels.tab
		read = func() (func(), error) {
			tunnels, err := src.Tunnels(ctx)
			return func() { s.tunnels.set(tunnels, s.snap.Last) }, err
		}
	case findingsView:
		t = &s.findings.tab
		read = func() (func(), error) {
			findings, err := src.Findings(ctx)
			return func() { s.findings.set(findings, s.snap.First) }, err
		}
	case statsView:
		t = &s.stats.tab
		read = func() (func(), error) {
			stats, err := src.Stats(ctx)
			return func() { s.stats.set(stats) }, err
		}
	}
	if t.loading || t.loaded && !t.stale || t.loaded && s.paused {
		return nil
	}
	t.loading, t.stale = true, false
	return func() tea.Msg {
		put, err := read()
		return tabMsg{s, t, err, put}
	}
}

// table is the table of the view that is shown, nil if it has none.
func (s *screen) table() *pane.Table {
	switch {
	case s.follow != nil:
		return nil
	case s.view == flowsView:
		return s.flows.table
	case s.view == tunnelsView:
		return s.tunnels.table
	case s.view == findingsView:
		return s.findings.table
	}
	return nil
}

// plain makes a line of text.
func plain(text string) []pane.Piece { return []pane.Piece{{Style: paint.Plain, Text: text}} }

// styled makes a line of pieces: style, text, style, text.
func styled(parts ...any) []pane.Piece {
	var out []pane.Piece
	for i := 0; i+1 < len(parts); i += 2 {
		out = append(out, pane.Piece{Style: parts[i].(paint.Style), Text: parts[i+1].(string)})
	}
	return out
}

// wrap breaks safe text into lines of at most w columns.
func wrap(text string, w int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(text) {
		for paint.Width(word) > w && w > 1 {
			if line != "" {
				out, line = append(out, line), ""
			}
			r := []rune(word)
			n := min(len(r), max(w/2, 1))
			out, word = append(out, string(r[:n])), string(r[n:])
		}
		switch {
		case line == "":
			line = word
		case paint.Width(line)+1+paint.Width(word) > w:
			out, line = append(out, line), word
		default:
			line += " " + word
		}
	}
	return append(out, line)
}
