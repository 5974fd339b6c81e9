package tui

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode"
)

// A thousand random keys, clicks and sizes over a capture that grows: nothing
// panics, every frame has its exact size and nothing in it that a terminal
// should not see, and the screen still answers at the end.
func TestRandomEvents(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 7))
			f := small(t, true)
			other := newFake("other", false)
			traffic(other)
			opt, grow := Options{Control: &fakeControl{opened: other}}, func() {}
			var d *driver
			if seed%2 == 0 {
				d = drive(t, 140, 45, opt, f)
			} else { // of a replay
				live, recording, x := replayed(t, 3, func(i int) Exchange { return oneOfEach(i % 11) })
				opt.Sources, f = []Source{live, recording}, live.fake
				d = drive(t, 140, 45, opt)
				grow = func() {
					x.mu.Lock()
					defer x.mu.Unlock()
					x.n += rnd.IntN(20)
					x.at = rnd.IntN(x.n)
				}
			}
			d.fakes = append(d.fakes, other)
			d.m.actions = harmless(d.m.actions)
			var pressed []string
			defer func() {
				if t.Failed() {
					t.Logf("the last events: %q", pressed[max(0, len(pressed)-20):])
				}
			}()
			for range 1000 {
				msg := randomEvent(rnd, d.m)
				pressed = append(pressed, fmt.Sprintf("%T %v", msg, msg))
				if rnd.IntN(4) == 0 {
					f.change(func() { f.add(randomRow(rnd, f)); grow() })
				}
				d.update(msg)
				if rnd.IntN(3) == 0 { // else the next one comes while this one is still at work
					d.settle()
				}
				if why := frameFault(d.m.View(), d.m.w, d.m.h); why != "" {
					t.Fatalf("%s\n%s", why, d.screen())
				}
			}
			d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
			d.keys("esc esc esc esc esc esc 1")
			d.wants("1 Messages", "tundump")
			d.keys("2")
			d.check()
			if d.m.scr().view != packetsView {
				t.Errorf("the screen does not answer:\n%s", d.screen())
			}
		})
	}
}

// harmless takes away what ends the program.
func harmless(actions []action) []action {
	for i := range actions {
		switch actions[i].Name {
		case "quit", "quit.now", "suspend":
			actions[i].do = func(*Model) tea.Cmd { return nil }
		}
	}
	return actions
}

func randomEvent(rnd *rand.Rand, m *Model) tea.Msg {
	switch rnd.IntN(20) {
	case 0:
		return tea.WindowSizeMsg{Width: 1 + rnd.IntN(220), Height: 1 + rnd.IntN(70)}
	case 1, 2:
		return tea.WindowSizeMsg{Width: 80 + rnd.IntN(100), Height: 24 + rnd.IntN(30)}
	case 3, 4, 5:
		buttons := []tea.MouseButton{tea.MouseButtonLeft, tea.MouseButtonLeft, tea.MouseButtonWheelUp, tea.MouseButtonWheelDown, tea.MouseButtonRight}
		return tea.MouseMsg{X: rnd.IntN(m.w + 5), Y: rnd.IntN(m.h + 5), Button: buttons[rnd.IntN(len(buttons))], Action: tea.MouseActionPress}
	case 6:
		return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("paste \x1b[2J\n日本語"), Paste: true}
	case 7:
		words := []string{"tcp.port == 80", "icmp", "ip.addr == 10.8.0.2 &&", "hello", "12", "\\", "é", "jjjkkk"}
		return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(words[rnd.IntN(len(words))])}
	case 8, 9:
		return keyMsg("enter")
	case 10:
		return keyMsg("esc")
	}
	b := m.keys.Bindings()[rnd.IntN(len(m.keys.Bindings()))]
	if len(b.Keys) == 0 {
		return keyMsg("down")
	}
	key := b.Keys[rnd.IntN(len(b.Keys))]
	for typ := tea.KeyType(-100); typ < 200; typ++ {
		if k := (tea.KeyMsg{Type: typ}); typ != tea.KeyRunes && k.String() == key {
			return k
		}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(key)}
}

// randomRow is a message that may be damaged.
func randomRow(rnd *rand.Rand, f *fake) decode.Event {
	ev := bareEvent(f, uint32(1+rnd.IntN(3)))
	switch rnd.IntN(4) {
	case 0:
		for range 1 + rnd.IntN(20) {
			ev.Raw[rnd.IntN(len(ev.Raw))] = byte(rnd.Uint32())
		}
	case 1:
		ev.Raw = ev.Raw[:rnd.IntN(len(ev.Raw))]
	case 2:
		ev.Kind, ev.Raw, ev.Detail = decode.Gap, nil, &decode.Detail{Len: rnd.Int64()}
	}
	return ev
}

// A frame costs less than a millisecond, whatever the list holds.
func BenchmarkFrame(b *testing.B) {
	for _, v := range []view{messagesView, packetsView, flowsView, tunnelsView, statsView} {
		b.Run(viewNames[v], func(b *testing.B) {
			d := drive(b, 200, 50, Options{Profile: 0}, small(b, false))
			d.m.show(v)
			d.send(tea.WindowSizeMsg{Width: 200, Height: 50})
			b.ReportAllocs()
			for b.Loop() {
				d.m.render()
			}
		})
	}
}

// What a key costs in the loop, the frame included.
func BenchmarkKey(b *testing.B) {
	d := drive(b, 200, 50, Options{}, small(b, false))
	d.keys("2")
	keys := []tea.KeyMsg{keyMsg("j"), keyMsg("k")}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		d.m.Update(keys[i&1])
		i++
	}
}

// Ten million rows: going to the end, back, and to the middle.
func TestTenMillion(t *testing.T) {
	f := newFake("large", false)
	f.snap.Packets.End = 10_000_000
	d := drive(t, 80, 24, Options{}, f)
	began := time.Now()
	for range 100 {
		d.m.Update(keyMsg("end"))
		d.m.Update(keyMsg("home"))
		d.m.Update(keyMsg("pgdown"))
	}
	if p, ok := d.m.scr().rows().list.Position(); !ok || p > 100 {
		t.Errorf("at %d", p)
	}
	d.m.Update(keyMsg("end"))
	if p, _ := d.m.scr().rows().list.Position(); p != 9_999_999 {
		t.Errorf("the end is at %d", p)
	}
	t.Logf("300 jumps took %v", time.Since(began))
	d.settle()
	d.check()
}
