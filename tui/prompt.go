package tui

import (
	"unicode/utf8"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/keys"
	"tundump/tui/paint"
)

// verdict is what a prompt thinks of its text.
type verdict struct {
	style    paint.Style // Good, Caution, Bad, or Plain for no opinion
	wrong    bool        // it cannot be taken
	col, end int         // bytes of the mistake: the first, -1 for none, and the one behind the last
	text     string      // why
}

// completion is one thing that the text could go on with.
type completion struct{ text, kind, doc string }

// prompt is a line of input.
type prompt struct {
	label   string
	top     bool // it stands in the filter's line instead of the bottom line
	input   textinput.Model
	marked  bool // the whole text is: what is typed replaces it
	accept  func(m *Model, text string) tea.Cmd
	cancel  func(m *Model)
	check   func(text string) verdict
	history []string
	past    int    // how far back in the history, 0: not at all
	typed   string // what stood there before

	// complete returns what text[from:to] could become; nil for none.
	complete func(text string, at int) (from, to int, list []completion)
	// find begins to look for the same in the background; nil for nothing.
	find     func(text string)
	enter    func() (stays bool) // comes before accept
	from, to int
	list     []completion
	chosen   int // of list; -1 for none: so begins what find brings
	judged   verdict

	tab, other func(m *Model) // what the two keys do instead of completing
	hint       func() string
}

func newPrompt(label, text string, accept func(m *Model, text string) tea.Cmd) *prompt {
	p := &prompt{label: label, input: textinput.New(), accept: accept, judged: verdict{col: -1}}
	// Its paste reads the clipboard by running programs; the terminal's own
	// paste does as well.
	p.input.KeyMap.Paste = key.NewBinding(key.WithDisabled())
	p.input.CharLimit = 4096
	p.input.SetValue(text)
	p.input.CursorEnd()
	p.input.Focus()
	return p
}

// ask opens a prompt.
func (m *Model) ask(p *prompt) {
	m.prompt = p
	p.changed()
}

// at is the cursor's place in the text, in bytes.
func (p *prompt) at() int {
	n := 0
	for i := range p.input.Value() {
		if n == p.input.Position() {
			return i
		}
		n++
	}
	return len(p.input.Value())
}

func (p *prompt) changed() {
	text := p.input.Value()
	if p.check != nil {
		p.judged = p.check(text)
	}
	p.list, p.chosen = nil, 0
	if p.complete != nil {
		p.from, p.to, p.list = p.complete(text, p.at())
	}
	if p.find != nil {
		p.chosen = -1
		p.find(text)
	}
}

// promptKey takes a key.
func (m *Model) promptKey(msg tea.KeyMsg) tea.Cmd {
	p := m.prompt
	name := ""
	if i := m.keys.Lookup(keys.Prompt, msg.String()); i >= 0 && !msg.Paste {
		name = m.actions[i].Name
	}
	marked := p.marked
	p.marked = false
	switch name {
	case "prompt.accept":
		if p.enter != nil && p.enter() {
			return nil
		}
		if p.judged.wrong {
			p.judged.style = paint.Bad
			m.say(paint.Bad, "%s", p.judged.text)
			return nil
		}
		m.prompt = nil
		return p.accept(m, p.input.Value())
	case "prompt.cancel":
		m.prompt = nil
		if p.cancel != nil {
			p.cancel(m)
		}
	case "prompt.complete":
		if p.tab != nil {
			p.tab(m)
		} else {
			p.take()
		}
	case "prompt.other":
		if p.other != nil {
			p.other(m)
		}
	case "prompt.up":
		p.up()
	case "prompt.down":
		p.down()
	default:
		before, at := p.input.Value(), p.input.Position()
		if marked && replaces(msg) {
			p.input.SetValue("")
		}
		p.input, _ = p.input.Update(msg) // its commands blink a cursor that is not drawn
		if p.input.Value() != before || p.input.Position() != at {
			p.past = 0
			p.changed()
		}
	}
	return nil
}

// replaces reports whether a key takes the place of a text that is marked.
func replaces(msg tea.KeyMsg) bool {
	switch msg.Type {
	case tea.KeyRunes, tea.KeySpace, tea.KeyBackspace, tea.KeyDelete:
		return !msg.Alt
	}
	return false
}

// take takes the completion that is chosen.
func (p *prompt) take() {
	if len(p.list) == 0 {
		return
	}
	text := p.input.Value()
	head := text[:p.from] + p.list[p.chosen].text
	p.input.SetValue(head + text[p.to:])
	p.input.SetCursor(len([]rune(head)))
	p.changed()
}

func (p *prompt) up() {
	if p.past == 0 && (p.chosen > 0 || p.chosen == 0 && p.find != nil) {
		p.chosen--
		return
	}
	if p.past == len(p.history) {
		return
	}
	if p.past == 0 {
		p.typed = p.input.Value()
	}
	p.past++
	p.remember()
}

func (p *prompt) down() {
	switch {
	case p.past > 0:
		p.past--
		p.remember()
	case p.chosen+1 < len(p.list):
		p.chosen++
	}
}

func (p *prompt) remember() {
	text := p.typed
	if p.past > 0 {
		text = p.history[len(p.history)-p.past]
	}
	p.input.SetValue(text)
	p.input.CursorEnd()
	p.changed()
}

// render draws the line: label, text, cursor, mistake, hint.
func (p *prompt) render(t *paint.Theme, w int) string {
	var l paint.Line
	l.Reset(t, w)
	l.Space(paint.Plain, 1)
	l.Put(paint.Accent, p.label)
	l.Space(paint.Plain, 1)
	hint, faint := p.beside()
	room := l.Left() - 1
	least := 24 // of the text is seen, 12 where it is wrong: why matters more then
	if faint == paint.Bad {
		least = 12
		hint = paint.Cut(hint, room-least-1)
	}
	if faint == paint.Dim { // which is no reason to scroll
		least = max(least, paint.Width(safe(p.input.Value()))+3)
	}
	if hint != "" && room > paint.Width(hint)+least {
		room -= paint.Width(hint) + 2
	}
	p.text(&l, room)
	l.Fill(faint, hint)
	return l.String()
}

// beside is what stands behind the text.
func (p *prompt) beside() (string, paint.Style) {
	switch {
	case p.judged.style == paint.Bad && !p.top: // the filter's has a line of its own
		return safe(p.judged.text), paint.Bad
	case p.marked:
		return "typing replaces it, arrows edit it", paint.Dim
	case p.hint != nil:
		return p.hint(), paint.Dim
	}
	return "", paint.Dim
}

// text draws the text as far as it fits into room, the cursor always.
func (p *prompt) text(l *paint.Line, room int) {
	text, at := p.input.Value(), p.at()
	start, before := at, 0 // what is in front of it is scrolled out
	for start > 0 {
		r, n := utf8.DecodeLastRuneInString(text[:start])
		if before += paint.Width(safe(string(r))); before >= room {
			break
		}
		start -= n
	}
	end := l.Left() - room
	for i, r := range text[start:] {
		i += start
		ch := safe(string(r))
		if l.Left()-paint.Width(ch) < end-1 {
			break
		}
		style := p.judged.style
		switch {
		case i == at || p.marked:
			style = paint.Cursor
		case i >= p.judged.col && i < p.judged.end:
			style = paint.Found
		}
		l.Put(style, ch)
	}
	if at == len(text) {
		l.Put(paint.Cursor, " ")
	}
}

// maxCompletions is how many are shown at a time.
const maxCompletions = 8

// completions draws the box of completions; none is nil.
func (p *prompt) completions(t *paint.Theme, w int) []string {
	if len(p.list) == 0 {
		return nil
	}
	width := 0
	for _, c := range p.list {
		width = max(width, paint.Width(safe(c.text)))
	}
	width = min(width, max(40, w-60))
	box := min(w-4, width+70)
	first := max(0, min(p.chosen-maxCompletions/2, len(p.list)-maxCompletions))
	var out []string
	var l paint.Line
	for i := first; i < min(first+maxCompletions, len(p.list)); i++ {
		c := p.list[i]
		l.Reset(t, box)
		if i == p.chosen {
			l.Over(paint.Cursor)
		} else {
			l.Over(paint.Resting)
		}
		l.Space(paint.Plain, 1)
		l.Cell(paint.Plain, safe(c.text), width, false)
		l.Space(paint.Plain, 2)
		l.Cell(paint.Dim, c.kind, 16, false)
		l.Space(paint.Plain, 1)
		l.Put(paint.Dim, safe(c.doc))
		l.Space(paint.Plain, l.Left())
		out = append(out, l.String())
	}
	return out
}
