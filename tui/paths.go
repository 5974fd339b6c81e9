package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"
)

// pathFinder completes what a prompt asks for as a path. It looks in the
// background, one time at a time, however fast somebody types.
type pathFinder struct {
	m      *Model
	p      *prompt
	cancel context.CancelFunc // of the looking that is on its way, nil for none
	write  bool               // it is for a file that is to be written
	listed string             // what p.list was found for
	taking bool               // the key that completes was pressed before
	why    string             // there is no list or not all of it; else what the keys do
}

// askPath asks for the path of a file, of one that is to be written if text has
// a name for it, with completion. accept has the path without spaces around it,
// and is not called without one.
func (m *Model) askPath(label, text string, accept func(m *Model, path string) tea.Cmd) {
	p := newPrompt(label, text, func(m *Model, path string) tea.Cmd {
		if path = strings.TrimSpace(path); path == "" {
			return nil
		}
		return accept(m, path)
	})
	f := &pathFinder{m: m, p: p, write: text != ""}
	p.find = f.find
	p.tab = func(*Model) { f.complete() }
	p.enter = f.enter
	p.hint = func() string { return f.why }
	m.ask(p)
}

// find looks for what text could become. The list of before stays until there
// is a newer one, so that the screen does not flicker.
func (f *pathFinder) find(text string) {
	f.taking = false
	f.p.judged = verdict{col: -1}
	if f.cancel != nil { // what comes of it is too old, and begins the next one
		f.cancel()
		return
	}
	ctx, cancel := context.WithCancel(f.m.ctx)
	f.cancel = cancel
	control := f.m.control
	f.m.queued = append(f.m.queued, func() tea.Msg {
		paths, err := control.Paths(ctx, text)
		return pathsMsg{f, text, paths, err}
	})
}

// pathsMsg is what a text could become.
type pathsMsg struct {
	f     *pathFinder
	text  string
	paths Paths
	err   error
}

func (t pathsMsg) take(m *Model) tea.Cmd {
	f := t.f
	f.cancel()
	f.cancel = nil
	if m.prompt != f.p {
		return nil
	}
	if now := f.p.input.Value(); now != t.text {
		taking := f.taking
		f.find(now)
		f.taking = taking
		return nil
	}
	f.list(t.text, &t.paths, t.err)
	if f.taking {
		f.complete()
	}
	return nil
}

// list shows what was found.
func (f *pathFinder) list(text string, paths *Paths, err error) {
	p := f.p
	f.listed, f.why = text, fmt.Sprintf("%s completes, %s chooses", f.m.keys.Key("prompt.complete"), f.m.keys.Key("prompt.down"))
	p.list, p.chosen = nil, -1
	p.from, p.to = paths.From, len(text)
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil:
		f.why = safe(err.Error())
	case len(paths.Names) == 0 && f.write:
		f.why = "a new file"
	case len(paths.Names) == 0:
		f.why = "nothing there begins so"
	case f.write && slices.ContainsFunc(paths.Names, func(n Path) bool { return n.Name == text[paths.From:] }):
		f.why = "is there already"
	case paths.More:
		f.why = "there are more: type on"
	}
	if paths.Folder {
		p.judged = verdict{wrong: true, col: -1, text: "this is a folder"}
	}
	for i := range paths.Names {
		n := &paths.Names[i]
		c := completion{text: n.Name, kind: folderKind}
		if !n.Folder {
			c.kind = size(n.Size)
		}
		if n.Time != 0 {
			c.doc = time.Unix(0, n.Time).In(f.m.opt.Location).Format("2006-01-02 15:04")
		}
		p.list = append(p.list, c)
	}
}

// complete takes the name that is chosen, or what all have in common.
func (f *pathFinder) complete() {
	p := f.p
	switch {
	case f.cancel != nil:
		f.taking = true // as soon as it is known
		return
	case len(p.list) == 0:
		return
	case p.chosen < 0:
		if all := common(p.list); p.from+len(all) > len(p.input.Value()) {
			f.put(all)
			return
		}
		p.chosen = 0
	}
	f.take()
}

// enter takes the name that is chosen, if one is. It reports whether the prompt
// stays open: what was taken is a folder, or cannot be taken.
func (f *pathFinder) enter() bool {
	p := f.p
	if p.chosen < 0 || f.listed != p.input.Value() {
		return false
	}
	folder := p.list[p.chosen].kind == folderKind
	return !f.take() || folder
}

// take takes the name that is chosen. It reports false for one that would not
// come through as it is: spaces at the ends are no part of a path here.
func (f *pathFinder) take() bool {
	name := f.p.list[f.p.chosen].text
	if name != strings.TrimSpace(name) {
		f.why = cannotHold
		return false
	}
	return f.put(name)
}

// put writes a name, or the beginning of some, in the place of what was typed of
// it. It reports false where the line cannot hold it: it has no control
// characters.
func (f *pathFinder) put(name string) bool {
	p := f.p
	before := p.input.Value()
	path := before[:p.from] + name
	p.input.SetValue(path)
	if p.input.Value() != path {
		p.input.SetValue(before)
		f.why = cannotHold
		return false
	}
	p.input.CursorEnd()
	p.changed()
	return true
}

const cannotHold = "this line cannot hold that name"

// folderKind is what a folder has in the place of its size.
const folderKind = "folder"

// common is what the beginnings of all have in common.
func common(list []completion) string {
	s := list[0].text
	for _, c := range list[1:] {
		n := 0
		for n < min(len(s), len(c.text)) && s[n] == c.text[n] {
			n++
		}
		s = s[:n]
	}
	for len(s) > 0 && !utf8.ValidString(s) { // it ends inside a character
		s = s[:len(s)-1]
	}
	return s
}
