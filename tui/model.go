package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/muesli/termenv"

	"tundump/tui/keys"
	"tundump/tui/paint"
)

// Options say what a screen shows and how.
type Options struct {
	Sources  []Source // at least one; the first is shown
	Control  Control
	Settings Settings
	Profile  termenv.Profile // colours that the terminal has; termenv.Ascii under NO_COLOR
	Light    bool            // the terminal's background is light
	Location *time.Location  // of time stamps; nil is UTC
	// ReplayFlags are what Control.Replay takes.
	ReplayFlags []Flag
	Notice      string // to be shown at first, such as what is wrong with the settings; not safe
}

// Model is the root: it has the size, the sources and what lies over them, and
// hands keys, clicks and messages to where they belong. It is a tea.Model.
type Model struct {
	opt     Options
	control Control
	ctx     context.Context
	cancel  context.CancelFunc
	theme   *paint.Theme
	actions []action
	keys    *keys.Map
	set     Settings

	screens []*screen
	at      int // which of them is shown

	w, h  int
	frame string
	dirty bool

	prompt  *prompt // a line of input, nil for none
	picker  *picker // a menu, nil for none
	notice  notice
	tasks   []*task
	queued  []tea.Cmd // commands that an action leaves behind
	ticks   bool      // a tick is on its way
	asked   bool      // q was pressed where it loses something
	quit    bool
	click   clickState
	search  search
	replays []string // the words of replays, the newest last
	ready   []readyReplay
	splitAt int // line below the table of a view that has one over a text
}

// notice is what the bottom line says instead of the keys, until the next key.
type notice struct {
	text  string // safe
	style paint.Style
}

// New returns the root. Its Init begins to wait for the sources.
func New(opt Options) *Model {
	if opt.Location == nil {
		opt.Location = time.UTC
	}
	m := &Model{opt: opt, control: opt.Control, set: opt.Settings, dirty: true}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.actions = table()
	var wrong []string
	m.keys, wrong = keys.NewMap(bindings(m.actions), m.set.Keys)
	m.useTheme(m.set.Theme)
	for _, s := range opt.Sources {
		m.screens = append(m.screens, newScreen(m, s))
	}
	switch {
	case opt.Notice != "":
		m.say(paint.Caution, "%s", opt.Notice)
	case len(wrong) > 0:
		m.say(paint.Caution, "configuration: %s", strings.Join(wrong, "; "))
	}
	return m
}

func (m *Model) useTheme(name string) {
	if name == "" && m.opt.Light {
		name = paint.Light
	}
	m.theme = paint.NewTheme(name, m.opt.Profile)
}

// scr is the screen that is shown.
func (m *Model) scr() *screen { return m.screens[m.at] }

// say puts a line at the bottom; args and all may come from anywhere.
func (m *Model) say(style paint.Style, format string, args ...any) {
	m.notice = notice{safe(fmt.Sprintf(format, args...)), style}
	m.dirty = true
}

// fail says why something did not work.
func (m *Model) fail(what string, err error) {
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		m.say(paint.Caution, "%s: cancelled", what)
	default:
		m.say(paint.Bad, "%s: %v", what, err)
	}
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd {
	var cmds []tea.Cmd
	for _, s := range m.screens {
		cmds = append(cmds, m.waitFor(s), m.readNotes(s))
	}
	return tea.Batch(cmds...)
}

// changedMsg is a source's new state.
type changedMsg struct {
	s    *screen
	snap *Snapshot
	err  error
}

// waitFor waits for the next state of a source, in the background. It ends
// with the screen.
func (m *Model) waitFor(s *screen) tea.Cmd {
	version := s.snap.Version
	return func() tea.Msg {
		snap, err := s.src.Changed(s.ctx, version)
		return changedMsg{s, snap, err}
	}
}

// Update implements tea.Model: it takes one message in, draws the frame if
// that has changed, and asks for what the frame lacks.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmds := append(m.take(msg), m.confirmReady())
	if m.quit {
		m.cancel()
		return m, tea.Quit
	}
	if m.dirty && m.w > 0 {
		m.frame = strings.Join(m.render(), "\n")
		m.dirty = false
	}
	cmds = append(append(cmds, m.queued...), m.scr().want(m)...)
	m.queued = nil
	if len(m.tasks) > 0 && !m.ticks {
		m.ticks = true
		cmds = append(cmds, tea.Tick(100*time.Millisecond, func(time.Time) tea.Msg { return tickMsg{} }))
	}
	return m, tea.Batch(cmds...)
}

// tickMsg redraws the progress of what runs.
type tickMsg struct{}

func (m *Model) take(msg tea.Msg) []tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h, m.dirty = msg.Width, msg.Height, true
	case tea.KeyMsg:
		m.dirty = true
		return m.keysOf(msg)
	case tea.MouseMsg:
		return []tea.Cmd{m.mouse(msg)}
	case tickMsg:
		m.ticks, m.dirty = false, true
	case changedMsg:
		return m.changed(msg)
	case QuitMsg:
		m.quit = true
	case answer:
		m.dirty = true
		return []tea.Cmd{msg.take(m)}
	}
	return nil
}

// QuitMsg ends the screen, as a signal does.
type QuitMsg struct{}

// answer is what a command in the background brings back.
type answer interface{ take(m *Model) tea.Cmd }

// alive reports whether a screen is still one of ours: an answer for one that
// was closed is dropped.
func (m *Model) alive(s *screen) bool { return slices.Contains(m.screens, s) }

func (m *Model) changed(msg changedMsg) []tea.Cmd {
	if !m.alive(msg.s) {
		return nil
	}
	if msg.snap != nil {
		if p, before := msg.snap.Playing, msg.s.snap.Playing; p != nil && p.Different > 0 && (before == nil || p.Different != before.Different) {
			m.queued = append(m.queued, m.readNotes(msg.s)) // they say what is different
		}
		msg.s.take(msg.snap)
		m.dirty = m.dirty || msg.s == m.scr()
	}
	switch {
	case msg.err == nil:
		return []tea.Cmd{m.waitFor(msg.s)}
	case errors.Is(msg.err, io.EOF):
		msg.s.final = true
		m.dirty = m.dirty || msg.s == m.scr()
		if !msg.s.paused { // a selection may have ended since the last state
			msg.s.grown()
		}
		if msg.s.selecting() { // it began while this was on its way
			m.again(msg.s)
		}
	case errors.Is(msg.err, context.Canceled):
		msg.s.final = true
	default:
		m.fail("the capture", msg.err)
	}
	return nil
}

// again waits for a complete capture once more: a selection that has begun
// changes it.
func (m *Model) again(s *screen) {
	if s.final {
		s.final = false
		m.queued = append(m.queued, m.waitFor(s))
	}
}

// View implements tea.Model. The frame was drawn when something changed: this
// is called far more often.
func (m *Model) View() string { return m.frame }

// keysOf hands over what may be several keys: all that were typed between two
// reads of the terminal arrive as one message.
func (m *Model) keysOf(msg tea.KeyMsg) []tea.Cmd {
	if msg.Type == tea.KeyEsc && msg.Alt { // escape twice
		one := tea.KeyMsg{Type: tea.KeyEsc}
		return []tea.Cmd{m.key(one), m.key(one)}
	}
	if msg.Type != tea.KeyRunes || len(msg.Runes) < 2 || msg.Paste {
		return []tea.Cmd{m.key(msg)}
	}
	var cmds []tea.Cmd
	for _, r := range msg.Runes {
		one := msg
		one.Runes = []rune{r}
		if r == ' ' {
			one.Type = tea.KeySpace
		}
		cmds = append(cmds, m.key(one))
	}
	return cmds
}

// key takes one key to what lies on top.
func (m *Model) key(msg tea.KeyMsg) tea.Cmd {
	m.notice = notice{}
	switch {
	case msg.Type == tea.KeyCtrlC:
		return m.interrupt()
	case m.picker != nil:
		return m.pickerKey(msg)
	case m.prompt != nil:
		return m.promptKey(msg)
	case msg.Paste:
		m.say(paint.Caution, "pasted text goes into a prompt: open one first, %s for a filter", m.keys.Key("filter"))
		return nil
	}
	i := m.keys.Lookup(m.place(), msg.String())
	if i < 0 {
		return nil
	}
	if m.actions[i].Name != "quit" && m.actions[i].Name != "back" {
		m.asked = false
	}
	return m.actions[i].do(m)
}

// interrupt is ctrl-c: what runs is cancelled, else the program ends.
func (m *Model) interrupt() tea.Cmd {
	if m.cancelTask() {
		return nil
	}
	m.quit = true
	return nil
}

// Close ends what the screen has running: commands, selections, followed
// streams. It is for whoever ran the program, after it has ended; the sources
// stay open.
func (m *Model) Close() {
	m.cancel()
	for _, s := range m.screens {
		s.close()
	}
}

// Markdown returns the table of keys for the documentation, with the defaults.
func Markdown() string {
	k, _ := keys.NewMap(bindings(table()), nil)
	return k.Markdown()
}
