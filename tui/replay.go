package tui

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/kballard/go-shellquote"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/paint"
)

// Flag is one that a replay takes.
type Flag struct{ Name, Value, Doc string }

// replayWay is one way of playing, with the words that ask for it.
type replayWay struct {
	words, doc string
	whole      bool // it is for whole captures
}

var replayWays = []replayWay{
	{"--netstack", "into a stack of our own; needs no root", false},
	{"--to HOST:PORT --flows", "as the client, against a live server", false},
	{"--listen 127.0.0.1:8890 --once", "as the server, to a live client", true},
	{"--tun", "into a TUN device; needs root", false},
	{"--tun --dir s2c", "what the server sent, into one", false},
}

// replayOpen is what a way leaves to be filled in.
const replayOpen = "HOST:PORT"

// pickReplay asks what to play, then how.
func (m *Model) pickReplay() {
	s := m.scr()
	if m.here("replay") == nil {
		return
	}
	p := &picker{title: "Play again", hint: "what is to be sent", full: true}
	add := func(label, filter string) {
		doc := safe(filter)
		if filter != "" {
			filter = shellquote.Join("-Y", filter)
		} else {
			doc = strings.TrimSpace(thousands(int64(s.snap.Packets.Len())) + " packets of both sides")
		}
		p.add(label, "", doc, plainly(func(m *Model) { m.pickWay(label, filter) }))
	}
	at := s.around()
	for _, part := range []struct{ label, filter string }{
		{"this flow", at.flow}, {"this connection", at.connection}, {"this tunnel", at.tunnel}, {"this finding", at.finding},
	} {
		if part.filter != "" {
			add(part.label, part.filter)
		}
	}
	if s.text != "" {
		add("what the filter shows", s.text)
	}
	if marked := s.markedFilter(); marked != "" {
		add("what is marked", marked)
	}
	add("the whole capture", "")
	m.pick(p)
}

// markedFilter is what the marked rows pass, "" if there are none.
func (s *screen) markedFilter() string {
	var parts []string
	for l, field := range [...]string{Messages: "tunnel.msg", Packets: "frame.number"} {
		var numbers []string
		for _, n := range s.marked(List(l)) {
			numbers = append(numbers, strconv.FormatInt(n, 10))
		}
		if len(numbers) > 0 {
			parts = append(parts, field+" in {"+strings.Join(numbers, ", ")+"}")
		}
	}
	return strings.Join(parts, " || ")
}

// pickWay asks how to play what label names and the words select.
func (m *Model) pickWay(label, selection string) {
	p := &picker{title: "Play " + label, hint: "the words can be changed", full: true}
	for _, w := range replayWays {
		if w.whole && selection != "" {
			continue
		}
		p.add(w.words, "", w.doc, plainly(func(m *Model) { m.askReplay(strings.TrimSpace(w.words+" "+selection), nil) }))
	}
	m.pick(p)
}

// askReplay has the words of the command line changed; wrong is what is wrong
// with them.
func (m *Model) askReplay(text string, wrong error) {
	s := m.scr()
	p := newPrompt("replay", text, func(m *Model, text string) tea.Cmd {
		words, err := shellquote.Split(text)
		if err != nil {
			m.fail("replay", err)
			return nil
		}
		m.replays = append(slices.DeleteFunc(m.replays, func(h string) bool { return h == text }), text)
		return m.prepareReplay(s, text, words)
	})
	if before, after, open := strings.Cut(text, replayOpen); open {
		p.input.SetValue(before + after)
		p.input.SetCursor(len([]rune(before)))
	}
	p.top = true
	p.history = m.replays
	p.complete = m.completeReplay
	p.check = func(text string) verdict {
		if _, err := shellquote.Split(text); err != nil {
			return verdict{style: paint.Bad, wrong: true, col: -1, text: err.Error()}
		}
		return verdict{col: -1}
	}
	p.hint = func() string { return "as tundump replay; nothing is sent yet" }
	m.ask(p)
	if wrong != nil {
		p.judged = verdict{style: paint.Bad, col: -1, text: wrong.Error()}
	}
}

// completeReplay completes the name of a flag.
func (m *Model) completeReplay(text string, at int) (from, to int, list []completion) {
	from = strings.LastIndexByte(text[:at], ' ') + 1
	if word := text[from:at]; strings.HasPrefix(word, "-") {
		for _, f := range m.opt.ReplayFlags {
			if strings.HasPrefix(f.Name, word) && f.Name != word {
				list = append(list, completion{f.Name, f.Value, f.Doc})
			}
		}
	}
	return from, at, list
}

// prepareReplay has the replay made ready. What is wrong with the words is said
// where they can be changed.
func (m *Model) prepareReplay(s *screen, text string, words []string) tea.Cmd {
	control := m.control
	return m.begin(s.ctx, nil, "replay", func(ctx context.Context, _ func(done, all int64)) (func(m *Model) tea.Cmd, error) {
		r, err := control.Replay(ctx, s.src, words)
		if ctx.Err() != nil {
			if err == nil { // it was ready just before
				r.Close()
			}
			return nil, ctx.Err()
		}
		return func(m *Model) tea.Cmd {
			if err == nil {
				m.ready = append(m.ready, readyReplay{s, r})
				return nil
			}
			if m.prompt == nil && m.picker == nil && m.scr() == s {
				m.askReplay(text, err)
			} else {
				m.fail("replay", err)
			}
			return nil
		}, nil
	})
}

// readyReplay is a replay that waits to be confirmed.
type readyReplay struct {
	s *screen
	Replay
}

// confirmReady asks about the next replay that is ready, as soon as the keys go
// to nothing else: enter, meant for a prompt, would send.
func (m *Model) confirmReady() tea.Cmd {
	if len(m.ready) == 0 || m.prompt != nil || m.picker != nil {
		return nil
	}
	r := m.ready[0]
	m.ready = m.ready[1:]
	m.dirty = true
	if !m.alive(r.s) {
		return func() tea.Msg { r.Close(); return nil }
	}
	m.confirmReplay(r.s, r.Replay)
	return nil
}

// confirmReplay says what would be sent where, and asks whether it is to be.
func (m *Model) confirmReplay(s *screen, r Replay) {
	leave := func(m *Model) tea.Cmd {
		m.say(paint.Caution, "replay: nothing was sent")
		return func() tea.Msg { r.Close(); return nil }
	}
	p := &picker{title: "Nothing is sent yet", hint: "enter sends, esc leaves it", full: true, wide: len("leave it")}
	room := max(min(m.w-4, maxPicker)-p.wide-7, 20)
	first := true
	for _, line := range r.Announcement() {
		for _, l := range wrap(line, room) {
			c := choice{doc: l, more: true}
			if first {
				c = choice{label: "send", doc: l, do: func(m *Model) tea.Cmd { return m.startReplay(s, r) }}
			}
			first = false
			p.choices = append(p.choices, c)
		}
	}
	p.choices = append(p.choices, choice{label: "leave it", do: leave})
	p.cancel = leave
	m.pick(p)
}

// startReplay has it begin, and shows what comes of it.
func (m *Model) startReplay(s *screen, r Replay) tea.Cmd {
	return m.begin(s.ctx, nil, "replay", func(ctx context.Context, _ func(done, all int64)) (func(m *Model) tea.Cmd, error) {
		src, err := r.Start(ctx)
		if err != nil {
			return nil, err
		}
		return func(m *Model) tea.Cmd {
			if m.alive(s) {
				m.again(s) // it is the recording now
			}
			return m.beside(src)
		}, nil
	})
}
