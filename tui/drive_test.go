package tui

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// driver runs a model without a terminal: commands run on goroutines as they
// do in a program, and settle waits until nothing more comes by itself.
type driver struct {
	t     testing.TB
	m     *Model
	fakes []*fake
	msgs  chan tea.Msg
	out   int // commands that run
}

func drive(t testing.TB, w, h int, opt Options, fakes ...*fake) *driver {
	d := &driver{t: t, fakes: fakes, msgs: make(chan tea.Msg, 1024)}
	for _, s := range opt.Sources {
		if p, ok := s.(*fakePlayer); ok {
			d.fakes = append(d.fakes, p.fake)
		}
	}
	for _, f := range fakes {
		opt.Sources = append(opt.Sources, f)
	}
	if opt.Control == nil {
		opt.Control = &fakeControl{}
	}
	if opt.Profile == 0 {
		opt.Profile = termenv.Ascii
	}
	d.m = New(opt)
	t.Cleanup(func() {
		d.m.Close()
		for d.out > 0 {
			<-d.msgs
			d.out--
		}
	})
	d.start(d.m.Init())
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	return d
}

func (d *driver) start(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	d.out++
	go func() { d.msgs <- cmd() }()
}

func (d *driver) update(msg tea.Msg) {
	if batch, ok := msg.(tea.BatchMsg); ok {
		for _, c := range batch {
			d.start(c)
		}
		return
	}
	if msg == nil {
		return
	}
	_, cmd := d.m.Update(msg)
	d.start(cmd)
}

// waiting is how many commands wait for a source to change.
func (d *driver) waiting() int {
	n := 0
	for _, f := range d.fakes {
		f.mu.Lock()
		n += f.waiting
		f.mu.Unlock()
	}
	return n
}

// settle takes in what commands bring until all that run wait for a source.
func (d *driver) settle() {
	d.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case msg := <-d.msgs:
			d.out--
			d.update(msg)
			continue
		default:
		}
		if d.out <= d.waiting() && len(d.msgs) == 0 {
			return
		}
		select {
		case msg := <-d.msgs:
			d.out--
			d.update(msg)
		case <-time.After(time.Millisecond): // a command may have begun to wait
		case <-deadline:
			d.t.Fatalf("stuck: %d commands run, %d wait\n%s", d.out, d.waiting(), d.screen())
		}
	}
}

func (d *driver) send(msg tea.Msg) {
	d.t.Helper()
	d.update(msg)
	d.settle()
}

var special = map[string]tea.KeyType{
	"enter": tea.KeyEnter, "esc": tea.KeyEsc, "tab": tea.KeyTab, "shift+tab": tea.KeyShiftTab, "up": tea.KeyUp, "down": tea.KeyDown,
	"left": tea.KeyLeft, "right": tea.KeyRight, "home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
	"backspace": tea.KeyBackspace, "space": tea.KeySpace, "ctrl+f": tea.KeyCtrlF, "ctrl+g": tea.KeyCtrlG, "ctrl+e": tea.KeyCtrlE, "ctrl+t": tea.KeyCtrlT,
	"ctrl+u": tea.KeyCtrlU, "ctrl+d": tea.KeyCtrlD, "ctrl+w": tea.KeyCtrlW, "ctrl+x": tea.KeyCtrlX, "ctrl+c": tea.KeyCtrlC, "ctrl+l": tea.KeyCtrlL,
	"ctrl+b": tea.KeyCtrlB, "ctrl+p": tea.KeyCtrlP, "ctrl+n": tea.KeyCtrlN, "f1": tea.KeyF1,
}

func keyMsg(name string) tea.KeyMsg {
	if t, ok := special[name]; ok {
		k := tea.KeyMsg{Type: t}
		if t == tea.KeySpace {
			k.Runes = []rune{' '}
		}
		return k
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(name)}
}

// keys presses keys, a space between two; text:... types text.
func (d *driver) keys(names string) {
	d.t.Helper()
	for name := range strings.FieldsSeq(names) {
		d.send(keyMsg(name))
	}
}

// text types text as one message, as a fast typist or a paste without
// brackets comes.
func (d *driver) text(s string) {
	d.t.Helper()
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(s)})
}

// screen is the frame without styles.
func (d *driver) screen() string {
	lines := strings.Split(ansi.Strip(d.m.View()), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// check holds the frame to its exact size and to text that is safe.
func (d *driver) check() {
	d.t.Helper()
	if why := frameFault(d.m.View(), d.m.w, d.m.h); why != "" {
		d.t.Fatalf("%s\n%s", why, d.screen())
	}
}

func frameFault(frame string, w, h int) string {
	lines := strings.Split(frame, "\n")
	if len(lines) != h {
		return "the frame has not as many lines as the terminal"
	}
	for _, l := range lines {
		if ansi.StringWidth(l) != w {
			return "a line has not the terminal's width: " + l
		}
		plain := ansi.Strip(l)
		if !utf8.ValidString(plain) || strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "a line holds what no terminal should see: " + plain
		}
	}
	return ""
}

func (d *driver) wants(parts ...string) {
	d.t.Helper()
	d.check()
	s := d.screen()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			d.t.Fatalf("the screen lacks %q:\n%s", p, s)
		}
	}
}

func (d *driver) lacks(parts ...string) {
	d.t.Helper()
	s := d.screen()
	for _, p := range parts {
		if strings.Contains(s, p) {
			d.t.Fatalf("the screen has %q:\n%s", p, s)
		}
	}
}
