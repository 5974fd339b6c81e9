package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/filter"
	"tundump/tui/paint"
)

// askFilter opens the prompt of the display filter, or of the text that the
// rows of the other views are to have.
func (m *Model) askFilter() {
	s := m.scr()
	if s.view == replayView {
		m.askCompared()
		return
	}
	if s.view > packetsView {
		m.askNarrow()
		return
	}
	p := newPrompt("/", s.text, func(m *Model, text string) tea.Cmd { return m.applyFilter(strings.TrimSpace(text)) })
	p.top, p.marked = true, s.text != ""
	p.history = s.history
	p.check = judgeFilter
	p.complete = completeFilter
	m.ask(p)
}

// judgeFilter says what a filter is so far, and where it is wrong.
func judgeFilter(text string) verdict {
	state, err := filter.Check(text)
	v := verdict{col: -1}
	switch state {
	case filter.Valid:
		v.style = paint.Good
	case filter.Deprecated:
		v.style = paint.Caution
	case filter.Incomplete:
		v.wrong = true
	case filter.Invalid:
		v.style, v.wrong = paint.Bad, true
	}
	if err != nil {
		v.text = err.Text
		if state != filter.Incomplete {
			v.col, v.end = err.Col, err.End
		}
	}
	return v
}

func completeFilter(text string, at int) (from, to int, list []completion) {
	if strings.TrimSpace(text) == "" { // the keys go through the history there
		return 0, 0, nil
	}
	from, to, all := filter.Complete(text, at)
	for _, c := range all {
		if c.Text != text[from:to] {
			list = append(list, completion{c.Text, c.Type, c.Doc})
		}
	}
	return from, to, list
}

// maxHistory bounds the filters that are remembered.
const maxHistory = 50

// applyFilter applies a display filter, and shows a list if none is shown.
func (m *Model) applyFilter(text string) tea.Cmd {
	s := m.scr()
	var f *filter.Filter
	if text != "" {
		var err error
		if f, err = filter.Compile(text); err != nil {
			m.fail("filter", err)
			return nil
		}
	}
	s.setFilter(text, f)
	m.filterShown()
	if text == "" {
		return nil
	}
	s.history = append(slices.DeleteFunc(slices.Clone(s.history), func(h string) bool { return h == text }), text)
	if len(s.history) > maxHistory {
		s.history = s.history[len(s.history)-maxHistory:]
	}
	m.set.Filters = s.history
	return m.saveSettings()
}

// clearFilter shows all rows again.
func (m *Model) clearFilter() tea.Cmd {
	s := m.scr()
	s.trail = nil
	switch s.view {
	case flowsView:
		s.flows.narrow("")
	case tunnelsView:
		s.tunnels.narrow("")
	case findingsView:
		s.findings.narrow("")
	case replayView:
		return s.compare.narrow(m, "")
	default:
		if s.text != "" {
			return m.applyFilter("")
		}
	}
	return nil
}

// askNarrow asks for a text that the rows of a table must have.
func (m *Model) askNarrow() {
	s := m.scr()
	var narrow func(string)
	now := ""
	switch s.view {
	case flowsView:
		narrow, now = s.flows.narrow, s.flows.part
	case tunnelsView:
		narrow, now = s.tunnels.narrow, s.tunnels.part
	case findingsView:
		narrow, now = s.findings.narrow, s.findings.part
	default:
		m.say(paint.Caution, "there is nothing to filter here: %s searches", m.keys.Key("search"))
		return
	}
	label := "only with the text"
	if s.view == flowsView {
		label = "/ or text"
	}
	p := newPrompt(label, now, func(m *Model, text string) tea.Cmd { narrow(text); return nil })
	p.top, p.marked = true, now != ""
	p.cancel = func(*Model) { narrow(now) }
	p.check = func(text string) verdict { narrow(text); return verdict{col: -1} }
	if s.view == flowsView {
		p.check = func(text string) verdict { narrow(text); return judgeFlows(text) }
		p.complete = completeFlows
	}
	m.ask(p)
}

// filterValue applies format, with %[1]s the filter that is applied and %[2]s
// the one that the value at the cursor passes: the tree's line; a row of the
// list has several, to be chosen from.
func (m *Model) filterValue(format string) tea.Cmd {
	r := m.detailed()
	if r == nil {
		return nil
	}
	if r.focus != listPane {
		n := r.tree.Node()
		if n == nil || n.Filter == "" {
			m.say(paint.Caution, "no filter stands for this line: choose a field in the tree")
			return nil
		}
		return m.narrow(m.join(format, n.Filter))
	}
	d := r.tree.Detail()
	p := &picker{title: "Only rows with"}
	if strings.Contains(format, "!") {
		p.title = "Only rows without"
	} else if strings.Contains(format, "&&") {
		p.title = "Of these, only rows with"
	}
	add := func(name, value, text string) {
		if text != "" {
			p.add(name, paint.Cut(value, 24), safe(text), func(m *Model) tea.Cmd { return m.narrow(m.join(format, text)) })
		}
	}
	add("this flow", "", d.Flow)
	for _, v := range d.Values {
		add(v.Name, v.Value, v.Filter)
	}
	add("this connection", "", d.Connection)
	add("this tunnel", "", d.Tunnel)
	m.pick(p)
	return nil
}

// detailed is the list that is shown, nil if there is none, or no detail of its
// row yet.
func (m *Model) detailed() *rowsView {
	r := m.scr().rows()
	if r != nil && r.tree.Detail() == nil {
		m.say(paint.Caution, "no row is shown yet to filter by")
		return nil
	}
	return r
}

// join puts a value's filter together with the one that is applied.
func (m *Model) join(format, value string) string {
	have := m.scr().text
	switch {
	case have == "":
		format = strings.TrimPrefix(format, "%[1]s && ")
	case strings.Contains(have, "||") || strings.Contains(have, " or "):
		have = "(" + have + ")"
	}
	return strings.NewReplacer("%[1]s", have, "%[2]s", value).Replace(format)
}

func (m *Model) filterFlow() tea.Cmd {
	s := m.scr()
	if s.view == flowsView {
		return m.openFlow()
	}
	return m.filterOf("flow", func(r *rowsView) string { return r.tree.Detail().Flow })
}

func (m *Model) filterConnection() tea.Cmd {
	return m.filterOf("connection", func(r *rowsView) string { return r.tree.Detail().Connection })
}

func (m *Model) filterTunnel() tea.Cmd {
	s := m.scr()
	if s.rows() != nil {
		return m.filterOf("tunnel", func(r *rowsView) string { return r.tree.Detail().Tunnel })
	}
	if tunnel := s.around().tunnel; tunnel != "" {
		return m.lead(messagesView, tunnel)
	}
	return nil
}

// around is the display filters of what the row at the cursor belongs to, ""
// for nothing, and for what is not known yet.
type around struct{ flow, connection, tunnel, finding string }

func (s *screen) around() (a around) {
	tunnel := func(n uint32) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("tunnel.stream == %d", n)
	}
	switch r := s.rows(); {
	case r != nil && r.tree.Detail() != nil:
		d := r.tree.Detail()
		a.flow, a.connection, a.tunnel = d.Flow, d.Connection, d.Tunnel
	case s.view == flowsView:
		if f := s.flows.current(); f != nil {
			a.flow, a.tunnel = f.filter(), tunnel(f.Tunnel)
		}
	case s.view == tunnelsView:
		if t := s.tunnels.current(); t != nil {
			a.tunnel = tunnel(t.Number)
		}
	case s.view == findingsView:
		if f := s.findings.current(); f != nil {
			a.finding = f.Filter
		}
	}
	return a
}

// filterOf applies the filter that get finds for the row at the cursor.
func (m *Model) filterOf(what string, get func(r *rowsView) string) tea.Cmd {
	r := m.detailed()
	if r == nil {
		return nil
	}
	text := get(r)
	if text == "" {
		m.say(paint.Caution, "this row belongs to no %s", what)
		return nil
	}
	return m.narrow(text)
}

// narrow applies a filter that an action made; the escape key comes back to the
// one before.
func (m *Model) narrow(text string) tea.Cmd {
	s := m.scr()
	return m.lead(s.view, text)
}
