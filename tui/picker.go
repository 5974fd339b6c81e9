package tui

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/keys"
	"tundump/tui/paint"
)

// choice is one line of a menu.
type choice struct {
	label string // safe, as the others
	key   string // beside it
	doc   string
	do    func(m *Model) tea.Cmd // nil: a heading
	also  string                 // what it is found by besides
	more  bool                   // it goes on with the doc of the one above
}

// picker is a menu that is narrowed down by typing.
type picker struct {
	title   string
	choices []choice
	typed   string
	shown   []int // those that have what was typed
	at      int   // in shown
	top     int
	height  int // lines of the last render
	x, y    int
	wide    int  // width of the labels, 0: as wide as they are
	full    bool // the box is as wide as the screen allows
	// key, if there is one, sees keys first and says whether it has taken them.
	key    func(m *Model, key string) bool
	cancel func(m *Model) tea.Cmd // what leaving it does; nil: nothing
	hint   string
}

// add appends a choice.
func (p *picker) add(label, key, doc string, do func(m *Model) tea.Cmd) {
	p.choices = append(p.choices, choice{label: label, key: key, doc: doc, do: do})
}

// pick opens a menu.
func (m *Model) pick(p *picker) {
	p.height = 10
	p.narrow()
	m.picker = p
}

// narrow shows the choices that have all words that were typed.
func (p *picker) narrow() {
	words := strings.Fields(strings.ToLower(p.typed))
	p.shown = p.shown[:0]
	for i := range p.choices {
		c := &p.choices[i]
		text := strings.ToLower(c.label + " " + c.key + " " + c.doc + " " + c.also)
		if c.more {
			if n := len(p.shown); n > 0 && p.shown[n-1] == i-1 {
				p.shown = append(p.shown, i)
			}
			continue
		}
		ok := c.do != nil || len(words) == 0
		for _, w := range words {
			ok = ok && strings.Contains(text, w)
		}
		if ok {
			p.shown = append(p.shown, i)
		}
	}
	p.at = min(p.at, max(len(p.shown)-1, 0))
	p.step(0)
}

// step moves the cursor by n, over headings.
func (p *picker) step(n int) {
	at := min(max(p.at+n, 0), max(len(p.shown)-1, 0))
	dir := 1
	if n < 0 {
		dir = -1
	}
	for at >= 0 && at < len(p.shown) && p.choices[p.shown[at]].do == nil {
		at += dir
	}
	if at >= 0 && at < len(p.shown) {
		p.at = at
	}
	last := p.at
	for last+1 < len(p.shown) && p.choices[p.shown[last+1]].more {
		last++
	}
	p.top = max(min(max(p.top, last-p.height+1), p.at), 0)
	if p.at > 0 && p.top == p.at && p.choices[p.shown[p.at-1]].do == nil {
		p.top-- // its heading too
	}
}

func (p *picker) current() *choice {
	if p.at < 0 || p.at >= len(p.shown) || p.choices[p.shown[p.at]].do == nil {
		return nil
	}
	return &p.choices[p.shown[p.at]]
}

// nothing says why no choice is shown.
func (p *picker) nothing() string {
	return "nothing matches “" + safe(paint.Cut(p.typed, 40)) + "”: backspace widens, esc closes"
}

// pickerKey takes a key.
func (m *Model) pickerKey(msg tea.KeyMsg) tea.Cmd {
	p := m.picker
	if p.key != nil && !msg.Paste && p.key(m, msg.String()) {
		return nil
	}
	name := ""
	if i := m.keys.Lookup(keys.Prompt, msg.String()); i >= 0 && !msg.Paste {
		name = m.actions[i].Name
	}
	switch {
	case name == "prompt.accept":
		return m.choose()
	case name == "prompt.cancel":
		return m.leavePicker()
	case name == "prompt.up":
		p.step(-1)
	case name == "prompt.down" || name == "prompt.complete":
		p.step(1)
	case msg.Type == tea.KeyPgUp:
		p.step(-p.height)
	case msg.Type == tea.KeyPgDown:
		p.step(p.height)
	case msg.Type == tea.KeyHome:
		p.step(-len(p.shown))
	case msg.Type == tea.KeyEnd:
		p.step(len(p.shown))
	case msg.Type == tea.KeyBackspace:
		if r := []rune(p.typed); len(r) > 0 {
			p.typed = string(r[:len(r)-1])
			p.narrow()
		}
	case (msg.Type == tea.KeyRunes || msg.Type == tea.KeySpace) && !msg.Alt && len(p.typed) < 200:
		p.typed += string(msg.Runes)
		p.at = 0
		p.narrow()
	}
	return nil
}

// leavePicker closes the menu without a choice.
func (m *Model) leavePicker() tea.Cmd {
	p := m.picker
	m.picker = nil
	if p.cancel == nil {
		return nil
	}
	return p.cancel(m)
}

// choose does what the cursor is at.
func (m *Model) choose() tea.Cmd {
	c := m.picker.current()
	if c == nil {
		m.say(paint.Caution, "%s", m.picker.nothing())
		return nil
	}
	m.picker = nil
	return c.do(m)
}

// render draws the menu as a box for the middle of w by h.
func (p *picker) render(t *paint.Theme, w, h int) []string {
	label, note := p.widths()
	width := min(max(label+note+50, 60), w-4, maxPicker)
	if p.full {
		width = min(w-4, maxPicker)
	}
	p.height = max(min(len(p.choices), h-6), 1)
	p.step(0)
	p.x, p.y = (w-width)/2, max((h-p.height-3)/2, 0)
	inner := width - 2
	var l paint.Line
	row := func(put func()) string {
		l.Reset(t, width)
		l.Put(paint.Accent, "│")
		put()
		l.Space(paint.Plain, l.Left()-1)
		l.Over(paint.Plain)
		l.Put(paint.Accent, "│")
		return l.String()
	}
	out := []string{border(&l, t, width, "╭", "╮", p.title), row(func() { p.input(&l) })}
	for i := range p.height {
		out = append(out, row(func() {
			switch n := p.top + i; {
			case len(p.shown) == 0 && i == 0:
				l.Space(paint.Plain, 2)
				l.Put(paint.Caution, paint.Cut(p.nothing(), inner-3))
			case n < len(p.shown):
				p.line(&l, &p.choices[p.shown[n]], n == p.at, label, note, inner)
			}
		}))
	}
	return append(out, border(&l, t, width, "╰", "╯", ""))
}

// widths are those of the labels, and of what stands beside them.
func (p *picker) widths() (label, note int) {
	label = p.wide
	for _, c := range p.choices {
		if c.do == nil {
			continue
		}
		if p.wide == 0 {
			label = max(label, paint.Width(c.label))
		}
		note = max(note, paint.Width(c.key))
	}
	return min(label, 44), min(note, 24)
}

func border(l *paint.Line, t *paint.Theme, width int, left, right, title string) string {
	l.Reset(t, width)
	l.Put(paint.Accent, left+"─")
	if title != "" {
		l.Put(paint.Strong, " "+paint.Cut(title, width-8)+" ")
	}
	l.Put(paint.Accent, strings.Repeat("─", max(l.Left()-1, 0))+right)
	return l.String()
}

// input draws what was typed, and the hint.
func (p *picker) input(l *paint.Line) {
	l.Put(paint.Key, " › ")
	l.Put(paint.Plain, safe(p.typed))
	l.Put(paint.Cursor, " ")
	if hint := p.hint; hint != "" && paint.Width(hint)+3 < l.Left() {
		l.Space(paint.Plain, l.Left()-paint.Width(hint)-2)
		l.Put(paint.Dim, hint)
	}
}

// maxPicker is how wide a menu is at most.
const maxPicker = 110

func (p *picker) line(l *paint.Line, c *choice, chosen bool, label, note, inner int) {
	if c.more {
		l.Space(paint.Plain, label+4)
		l.Put(paint.Dim, paint.Cut(c.doc, l.Left()-1))
		return
	}
	if c.do == nil {
		l.Space(paint.Plain, 1)
		l.Put(paint.Accent, paint.Cut(c.label, inner-2))
		return
	}
	if chosen {
		l.Over(paint.Cursor)
	}
	l.Space(paint.Plain, 2)
	l.Cell(paint.Plain, c.label, label, false)
	if note > 0 {
		l.Space(paint.Plain, 2)
		l.Cell(paint.Key, c.key, note, false)
	}
	l.Space(paint.Plain, 2)
	l.Put(paint.Dim, paint.Cut(c.doc, l.Left()-1))
	l.Space(paint.Plain, l.Left()-1)
}

// openPalette lists everything that can be done.
func (m *Model) openPalette() {
	p := &picker{title: "Commands", hint: "type to narrow down"}
	at := m.place()
	bound := m.keys.Bindings()
	for i := range m.actions {
		b := &bound[i]
		if b.Where&at != 0 {
			p.choices = append(p.choices, choice{b.Name, b.Labels(), b.Doc, m.actions[i].do, b.Group, false})
		}
	}
	m.pick(p)
}

// openHelp lists the keys of the place that has them, by group.
func (m *Model) openHelp() {
	p := &picker{title: "Keys here: " + m.place().Places(), hint: "type to search, enter does it", wide: 21, full: true}
	room := max(min(m.w-4, maxPicker)-p.wide-7, 20)
	at := m.place() | keys.Prompt
	bound := m.keys.Bindings()
	group := ""
	for i := range m.actions {
		b := &bound[i]
		if b.Where&at == 0 {
			continue
		}
		if b.Group != group {
			group = b.Group
			p.choices = append(p.choices, choice{label: group})
		}
		lines := wrap(b.Doc, room)
		p.choices = append(p.choices, choice{label: b.Labels(), doc: lines[0], do: m.actions[i].do, also: b.Name + " " + b.Doc})
		for _, line := range lines[1:] {
			p.choices = append(p.choices, choice{doc: line, more: true})
		}
	}
	m.pick(p)
}
