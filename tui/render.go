package tui

import (
	"fmt"
	"slices"
	"strings"

	"tundump/decode"
	"tundump/tui/keys"
	"tundump/tui/paint"
)

// The least room that is of use.
const (
	minWidth  = 80
	minHeight = 24
)

// head is the lines above the panes: status, tabs, filter.
const head = 3

// render draws the frame: m.h lines of exactly m.w columns.
func (m *Model) render() []string {
	if m.w < minWidth || m.h < minHeight {
		return m.small()
	}
	lines := make([]string, 0, m.h)
	lines = append(lines, m.status(), m.tabs(), m.filterLine())
	lines = append(lines, m.body(m.w, m.h-head-1)...)
	lines = append(lines, m.bottom())
	if p := m.prompt; p != nil {
		box, y := p.completions(m.theme, m.w), head
		if !p.top {
			y = m.h - 1 - len(box)
		}
		lines = paint.Overlay(lines, box, 3, y)
	}
	if m.picker != nil {
		lines = paint.Overlay(lines, m.picker.render(m.theme, m.w, m.h), m.picker.x, m.picker.y)
	}
	return lines
}

// small says that there is too little room.
func (m *Model) small() []string {
	var lines []string
	for _, text := range []string{fmt.Sprintf("tundump needs %d×%d, this is %d×%d", minWidth, minHeight, m.w, m.h), m.keys.Key("quit") + " ends it"} {
		var l paint.Line
		l.Reset(m.theme, m.w)
		l.Put(paint.Caution, text)
		lines = append(lines, l.String())
	}
	return paint.Block(lines, m.w, m.h)
}

// body draws the view that is shown.
func (m *Model) body(w, h int) []string {
	s := m.scr()
	switch {
	case s.follow != nil:
		lines := []string{paint.Rule(m.theme, w, safe(s.follow.heading()), paint.Accent)}
		return append(lines, s.follow.text.Render(m.theme, w, h-1)...)
	case s.view <= packetsView:
		return m.rowsBody(s.lists[s.view], w, h)
	case s.view == flowsView:
		s.flows.fit(w)
		return s.flows.table.Render(m.theme, w, h, true)
	case s.view == tunnelsView:
		t := s.tunnels
		if t.width != w {
			t.width, t.of = w, -1
			t.ladder()
		}
		return m.split(w, h, t.table.Len(), func(w, h int) []string { return t.table.Render(m.theme, w, h, !t.inText) },
			"Life of the tunnel", t.inText, func(w, h int) []string { return t.text.Render(m.theme, w, h) })
	case s.view == findingsView:
		t := s.findings
		if t.width != w {
			t.width, t.at = w, -1
			t.detail()
		}
		return m.split(w, h, max(t.table.Len(), h/2), func(w, h int) []string { return t.table.Render(m.theme, w, h, !t.inText) },
			"Finding", t.inText, func(w, h int) []string { return t.text.Render(m.theme, w, h) })
	}
	if s.view == replayView {
		v := s.compare
		v.fit(w)
		return m.split(w, h, v.x.Len(), func(w, h int) []string { return v.list.Render(m.theme, w, h, !v.inText) },
			"Recorded │ now", v.inText, func(w, h int) []string { return v.text.Render(m.theme, w, h) })
	}
	t := s.stats
	if t.width != w {
		t.width = w
		t.lay()
	}
	return t.text.Render(m.theme, w, h)
}

// split draws a table of so many rows over a text.
func (m *Model) split(w, h, rows int, table func(w, h int) []string, title string, active bool, text func(w, h int) []string) []string {
	top := min(max(rows+1, 4), h*3/5)
	if m.scr().view != replayView {
		top = min(top, h/2)
	}
	m.splitAt = head + top
	style := paint.Dim
	if active {
		style = paint.Accent
	}
	out := table(w, top)
	out = append(out, paint.Rule(m.theme, w, title, style))
	return append(out, text(w, h-top-1)...)
}

// status is the first line: what is recorded, how much there is, what was
// lost, what is wrong.
func (m *Model) status() string {
	n := m.scr().snap
	var l paint.Line
	l.Reset(m.theme, m.w)
	l.Put(paint.Strong, " tundump  ")
	m.subject(&l)
	right, wrong := problems(n)
	fits := func(text string) bool { return l.Left() > paint.Width(text)+paint.Width(right)+4 }
	part := func(style paint.Style, text string) {
		if fits(text) {
			l.Put(style, "   "+text)
		}
	}
	if n.Playing != nil { // as much as there is room for, but how far it is
		style, text := playing(n.Playing)
		for at := 0; at >= 0 && !fits(text); {
			if at = strings.LastIndex(text, ", "); at >= 0 {
				text = text[:at]
			}
		}
		part(style, text)
	}
	part(paint.Plain, count(n.Tunnels, "tunnel"))
	packets := count(int64(n.Packets.Len()), "packet")
	if n.Live {
		packets += fmt.Sprintf("  %s/s", thousands(n.PacketRate[0]+n.PacketRate[1]))
	}
	part(paint.Plain, packets)
	if n.Live {
		part(paint.Plain, fmt.Sprintf("▲ %s/s ▼ %s/s", size(n.ByteRate[0]), size(n.ByteRate[1])))
	}
	lost := func(what string, times int64, style paint.Style) {
		if times == 0 {
			style = paint.Dim
		}
		if n.Live || times > 0 {
			part(style, what+" "+thousands(times))
		}
	}
	lost("waits", n.Waits, paint.Caution)
	lost("drops", n.Dropped, paint.Bad)
	l.Fill(wrong, right+" ")
	return l.String()
}

// subject is what is shown: whether it is recorded or read, its name and size.
func (m *Model) subject(l *paint.Line) {
	s := m.scr()
	n := s.snap
	switch {
	case n.Live && s.stopped:
		l.Put(paint.Caution, "○ not recording ")
	case n.Live:
		l.Put(paint.Bad, "● ")
	case n.Indexing:
		l.Put(paint.Caution, "◌ ")
	default:
		l.Put(paint.Dim, "■ ")
	}
	name := n.Name
	if len(m.screens) > 1 {
		name = fmt.Sprintf("[%d/%d] %s", m.at+1, len(m.screens), name)
	}
	l.Put(paint.Plain, paint.Cut(safe(name), max(m.w/4, 16)))
	l.Put(paint.Dim, " "+size(n.Size))
	if n.Indexing && n.Size > 0 {
		l.Put(paint.Caution, fmt.Sprintf(" reading %d %%", n.Indexed*100/n.Size))
	}
}

// problems counts errors and warnings.
func problems(n *Snapshot) (string, paint.Style) {
	style := paint.Dim
	var parts []string
	if k := n.Problems[decode.Warning]; k > 0 {
		parts, style = append(parts, count(k, "warning")), paint.Caution
	}
	if k := n.Problems[decode.Error]; k > 0 {
		parts, style = append([]string{count(k, "error")}, parts...), paint.Bad
	}
	if parts == nil {
		return "", style
	}
	return "! " + strings.Join(parts, " "), style
}

// tabs is the second line: the views, and the mode at its right.
func (m *Model) tabs() string {
	s := m.scr()
	var l paint.Line
	l.Reset(m.theme, m.w)
	for v := range s.tabs() {
		l.Put(paint.Dim, []string{" ", "│"}[min(int(v), 1)])
		if v > 0 {
			l.Space(paint.Plain, 1)
		}
		style := paint.Plain
		if v == s.view {
			style = paint.Accent
		}
		l.Put(style, fmt.Sprintf("%d %s", v+1, viewNames[v]))
		l.Space(paint.Plain, 1)
	}
	mode, style := m.mode()
	l.Fill(style, mode+" ") // or in the line below
	return l.String()
}

// modeBelow is the mode if there is no room for it beside the tabs: then it
// stands in the filter's line.
func (m *Model) modeBelow() (string, paint.Style) {
	mode, style := m.mode()
	if paint.Width(mode)+1 <= m.w-m.scr().tabsWidth() {
		return "", style
	}
	return mode, style
}

// tabs is how many views the screen has.
func (s *screen) tabs() view {
	if s.compare == nil {
		return replayView
	}
	return views
}

// tabsWidth is the room that the tabs take.
func (s *screen) tabsWidth() (w int) {
	for w = 0; s.tabAt(w) >= 0; w++ {
	}
	return w
}

// tabAt returns which tab is at column x, -1 for none.
func (s *screen) tabAt(x int) view {
	at := 0
	for v := range s.tabs() {
		w := len(viewNames[v]) + 4
		if v > 0 {
			w++
		}
		if x < at+w {
			return v
		}
		at += w
	}
	return -1
}

// mode says what is different from usual.
func (m *Model) mode() (string, paint.Style) {
	s := m.scr()
	if n := len(m.tasks); n > 0 {
		return m.tasks[n-1].String() + "  esc cancels", paint.Caution
	}
	switch r := s.rows(); {
	case s.paused:
		return "paused", paint.Caution
	case s.snap.Err != nil:
		return safe(s.snap.Err.Error()), paint.Bad
	case r != nil && r.order != nil:
		return "sorted by " + r.columns[min(r.order.by, len(r.columns)-1)].heading(), paint.Caution
	case s.view == replayView && s.compare.at >= 0 && s.snap.Playing != nil && !s.snap.Playing.Over && s.follow == nil:
		if s.compare.tail {
			return "follow on", paint.Good
		}
		return "follow off", paint.Dim
	case r != nil && s.snap.Live && r.list.Follow:
		return "follow on", paint.Good
	case r != nil && s.snap.Live:
		return "follow off", paint.Dim
	case len(s.snap.Warnings) > 0:
		return safe(s.snap.Warnings[0]), paint.Caution
	}
	return "", paint.Dim
}

// filterLine is the third line.
func (m *Model) filterLine() string {
	s := m.scr()
	if m.prompt != nil && m.prompt.top {
		return m.prompt.render(m.theme, m.w)
	}
	var l paint.Line
	l.Reset(m.theme, m.w)
	l.Put(paint.Accent, " / ")
	right := ""
	text := s.text
	switch s.view {
	case flowsView:
		text, right = s.flows.part, fmt.Sprintf("%s of %s", thousands(int64(s.flows.table.Len())), thousands(int64(len(s.flows.flows))))
	case tunnelsView:
		text, right = s.tunnels.part, fmt.Sprintf("%s of %s", thousands(int64(s.tunnels.table.Len())), thousands(int64(len(s.tunnels.tunnels))))
	case findingsView:
		text, right = s.findings.part, fmt.Sprintf("%s of %s", thousands(int64(s.findings.table.Len())), thousands(int64(len(s.findings.findings))))
	case statsView:
		text = ""
	case replayView:
		text, right = s.compare.filter, s.compare.differences()
	default:
		right = m.shownOf(s.lists[s.view])
	}
	mode, style := m.modeBelow()
	room := l.Left() - paint.Width(right) - 3
	if mode != "" {
		mode = paint.Cut(mode, room-12) + "   "
		room -= paint.Width(mode)
	}
	if text == "" {
		l.Put(paint.Dim, "no filter")
	} else {
		l.Put(paint.Good, paint.Cut(safe(text), room))
	}
	l.Space(paint.Plain, l.Left()-paint.Width(mode)-paint.Width(right)-1)
	l.Put(style, mode)
	l.Fill(paint.Dim, right+" ")
	return l.String()
}

// shownOf says how many rows of how many are shown, and how far a filter has
// come.
func (m *Model) shownOf(r *rowsView) string {
	x := r.list.Index()
	shown := x.High() - x.Low()
	all := r.extent().Len()
	if r.sel == nil {
		return count(int64(all), strings.TrimSuffix(r.kind.String(), "s"))
	}
	text := fmt.Sprintf("%s of %s", thousands(int64(shown)), thousands(int64(all)))
	if done, total := r.sel.Progress(); done < total {
		text = fmt.Sprintf("%d %%  %s", done*100/max(total, 1), text)
	}
	if err := r.sel.Err(); err != nil {
		text = safe(err.Error()) + "  " + text
	}
	return text
}

// bottom is the last line: a prompt, what there is to say, or the keys that
// matter here.
func (m *Model) bottom() string {
	if p := m.prompt; p != nil && !p.top {
		return p.render(m.theme, m.w)
	}
	var l paint.Line
	l.Reset(m.theme, m.w)
	l.Space(paint.Plain, 1)
	if p := m.prompt; p != nil && p.judged.text != "" {
		l.Put(p.judged.style, safe(p.judged.text))
		return l.String()
	}
	if m.notice.text != "" {
		l.Put(m.notice.style, m.notice.text)
		return l.String()
	}
	if r := m.scr().rows(); r != nil && m.prompt == nil {
		if note := r.noteText(); note != "" {
			l.Put(paint.Caution, safe(note)+"  ")
		}
	}
	m.hints(&l)
	return l.String()
}

// always are the hints that no other takes the room of.
var always = []string{"palette", "help", "quit"}

// hints draws the keys that matter here, as many as there is room for.
func (m *Model) hints(l *paint.Line) {
	at := m.place()
	if m.prompt != nil || m.picker != nil {
		at = keys.Prompt
	}
	bound := m.keys.Bindings()
	width := func(b *keys.Binding) int { return paint.Width(keys.Label(b.Keys[0])) + len(b.Hint) + 3 }
	reserved := 0
	for i := range bound {
		if b := &bound[i]; slices.Contains(always, b.Name) && b.Where&at != 0 && len(b.Keys) > 0 {
			reserved += width(b)
		}
	}
	for i := range bound {
		b := &bound[i]
		if b.Hint == "" || b.Where&at == 0 || len(b.Keys) == 0 {
			continue
		}
		if slices.Contains(always, b.Name) {
			reserved -= width(b)
		}
		if l.Left()-reserved < width(b) {
			continue
		}
		l.Put(paint.Key, keys.Label(b.Keys[0]))
		l.Put(paint.Bar, " "+b.Hint+"  ")
	}
}
