package tui

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode"
	"tundump/tui/paint"
	"tundump/tui/pane"
)

// findingsTab is what is wrong, and what is known of the finding at the cursor.
type findingsTab struct {
	tab
	table    *pane.Table
	text     *pane.Text
	findings []Finding
	first    int64 // time of the capture's first event
	inText   bool
	width    int
	at       int64 // key of the finding whose text was laid, -1 for none
}

func newFindingsTab() *findingsTab {
	return &findingsTab{text: pane.NewText(), at: -1, table: pane.NewTable([]pane.Column{
		{Title: "Severity", Width: 8},
		{Title: "Code", Width: 24, Min: 14},
		{Title: "T", Width: 5, Min: 4},
		{Title: "What", Width: 40, Min: 34, Flex: true},
		{Title: "Since", Width: 11, Right: true, Drop: 1},
		{Title: "Times", Width: 7, Right: true},
	}, "nothing is wrong so far")}
}

func (t *findingsTab) set(findings []Finding, first int64) {
	t.findings, t.first = findings, first
	t.lay()
}

func (t *findingsTab) narrow(part string) { t.part = part; t.lay() }

func (t *findingsTab) lay() {
	entries := make([]pane.Entry, 0, len(t.findings))
	for i := range t.findings {
		f := &t.findings[i]
		tunnel := ""
		if f.Tunnel != 0 {
			tunnel = fmt.Sprintf("T%d", f.Tunnel)
		}
		e := pane.Entry{Key: int64(i), Text: []string{f.Severity.String(), f.Code, tunnel, safe(f.Text), seconds(f.First - t.first), "×" + thousands(f.Count)},
			Style: severityStyle(f.Severity)}
		if t.has(e.Text) {
			entries = append(entries, e)
		}
	}
	t.table.Set(entries)
	t.at = -1
	t.detail()
}

func severityStyle(s decode.Severity) paint.Style {
	switch s {
	case decode.Error:
		return paint.Bad
	case decode.Warning:
		return paint.Caution
	}
	return paint.Plain
}

func (t *findingsTab) current() *Finding {
	e := t.table.Current()
	if e == nil || int(e.Key) >= len(t.findings) {
		return nil
	}
	return &t.findings[e.Key]
}

func (t *findingsTab) moved() { t.detail() }

func (t *findingsTab) detail() {
	f, e := t.current(), t.table.Current()
	if f == nil {
		t.text.Lines, t.at = nil, -1
		return
	}
	if t.at == e.Key {
		return
	}
	t.at = e.Key
	t.text.Home()
	w := min(max(t.width, 60)-12, 110)
	out := [][]pane.Piece{styled(severityStyle(f.Severity), " "+strings.ToUpper(f.Severity.String()), paint.Strong, "  "+safe(f.Code))}
	add := func(label, text string) {
		if text == "" {
			return
		}
		for i, line := range wrap(safe(text), w) {
			if i > 0 {
				label = ""
			}
			out = append(out, styled(paint.Dim, fmt.Sprintf("   %-8s", label), paint.Plain, line))
		}
	}
	add("what", f.Text)
	add("seen", f.Seen)
	add("means", f.Means)
	add("do", f.Do)
	when := "once, at " + seconds(f.First-t.first) + " s"
	if f.Count != 1 {
		when = fmt.Sprintf("%s times, from %s s to %s s", thousands(f.Count), seconds(f.First-t.first), seconds(f.Last-t.first))
	}
	add("when", when)
	if len(f.Proof) > 0 {
		add("proof", fmt.Sprintf("enter shows the %s", f.List))
	}
	t.text.Lines = out
}

// openFinding shows the rows that a finding is about.
func (m *Model) openFinding() tea.Cmd {
	f := m.scr().findings.current()
	switch {
	case f == nil:
		return nil
	case f.Filter != "":
		return m.lead(view(f.List), f.Filter)
	case len(f.Proof) > 0:
		m.scr().leave()
		m.jump(view(f.List), f.Proof[0])
	default:
		m.say(paint.Caution, "no row shows it by itself")
	}
	return nil
}
