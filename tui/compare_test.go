package tui

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// fakePlayer is one of the two captures of a replay.
type fakePlayer struct {
	*fake
	x      *fakeExchanges
	orders []PlayRow
}

func (p *fakePlayer) Steer(_ PlayOrder, at PlayRow) error {
	p.mu.Lock() // keys come faster than it is done
	defer p.mu.Unlock()
	p.orders = append(p.orders, at)
	return nil
}

func (p *fakePlayer) Exchanges() Exchanges { return p.x }

// fakeExchanges are made when they are asked for.
type fakeExchanges struct {
	recording, live Source

	mu    sync.Mutex
	n, at int
	make  func(i int) Exchange
	read  int // how many were
}

func (x *fakeExchanges) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.n
}

func (x *fakeExchanges) At() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.at
}

func (x *fakeExchanges) Different() (n int64) {
	for i := range min(x.Len(), 100) {
		if Differences.Has(x.make(i).State) {
			n++
		}
	}
	return n
}

func (x *fakeExchanges) Read(_ context.Context, numbers []int, visit func(i int, e *Exchange) bool) error {
	for _, i := range numbers {
		x.mu.Lock()
		x.read++
		e := x.make(i)
		x.mu.Unlock()
		if !visit(i, &e) {
			break
		}
	}
	return nil
}

func (x *fakeExchanges) Find(_ context.Context, i, step int, in ExchangeStates) (int, error) {
	for ; i >= 0 && i < x.Len(); i += step {
		if in.Has(x.make(i).State) {
			return i, nil
		}
	}
	return -1, nil
}

func (x *fakeExchanges) Select(ctx context.Context, in ExchangeStates) (list []int32, err error) {
	for i := range x.Len() {
		if in.Has(x.make(i).State) {
			list = append(list, int32(i))
		}
	}
	return list, nil
}

func (x *fakeExchanges) Recording() Source { return x.recording }
func (x *fakeExchanges) Live() Source      { return x.live }

// oneOfEach is a replay in every state, of a DNS answer that is different.
func oneOfEach(i int) Exchange {
	e := Exchange{Request: int64(2*i + 1), Answer: int64(2*i + 2), Loop: 1, To: dnsSrv, Then: 3 * time.Millisecond, Now: 1200 * time.Microsecond,
		Asked: fmt.Sprintf("DNS Standard query 0x%04x A host%d.example.org", i, i), Recorded: fmt.Sprintf("DNS Standard query response 0x%04x A host%d.example.org A 192.0.2.%d", i, i, i)}
	switch i {
	case 2:
		e.State, e.Now = Belated, 1500*time.Millisecond
	case 3:
		e.State, e.Live, e.Came, e.Differs = Different, "DNS Standard query response 0x0003 A host3.example.org CNAME other.example A 198.51.100.9", 7, 1
		e.Fields = []ExchangeField{{"dns.a", "192.0.2.3", "198.51.100.9"}, {"dns.cname", "", "other.example"}}
	case 4:
		e.State, e.Now = Lost, -1
	case 5:
		e = Exchange{Connection: true, State: Different, Request: 11, Loop: 1, Asked: "10.8.0.2:53122 > 93.184.216.34:80 TCP", Recorded: "46 bytes up, 51 down", Live: "46 bytes up, 20 down",
			Then: 40 * time.Millisecond, Now: 1020 * time.Millisecond, Differs: 1, Fields: []ExchangeField{{"tcp.payload.s2c at 20", "51 bytes", "20 bytes, and then nothing for 1s"}}}
	case 6:
		e = Exchange{State: Equal, Message: true, Request: 1, Answer: 2, Loop: 1, Asked: "Open id=3735928559 ip", Recorded: "OpenResult id=3735928559 success", Then: 22 * time.Millisecond, Now: 19 * time.Millisecond}
	case 7:
		e.State, e.Now, e.Since, e.Wait = Awaited, -1, 1234*time.Millisecond, time.Second
	case 8, 9:
		e.State, e.Now = Unasked, -1
	case 10:
		e = Exchange{State: Surplus, Request: 9, Loop: 1, Then: -1, Now: -1, Live: "ICMP Destination unreachable (Port unreachable)"}
	default:
		e.State = Equal
	}
	return e
}

// replayed is the two captures of a replay, what comes of it first.
func replayed(t testing.TB, n int, make func(i int) Exchange) (live, recording *fakePlayer, x *fakeExchanges) {
	x = &fakeExchanges{n: n, at: -1, make: make}
	live, recording = &fakePlayer{fake: small(t, true), x: x}, &fakePlayer{fake: small(t, false), x: x}
	live.snap.Name, live.snap.Playing, recording.snap.Playing = "replay of session.pcapng", &Playback{Text: "7 of 10, 6 answered, 3 different"}, &Playback{Text: "7 of 10"}
	x.live, x.recording = live, recording
	return live, recording, x
}

func TestReplayGolden(t *testing.T) {
	for _, c := range []struct{ name, keys string }{
		{"replay", "g"},
		{"replay-changed", "g '"},
		{"replay-connection", "g ' ' '"},
	} {
		for _, size := range [][2]int{{80, 24}, {140, 45}} {
			live, recording, x := replayed(t, 11, oneOfEach)
			x.at = 7
			d := drive(t, size[0], size[1], Options{Sources: []Source{live, recording}})
			d.keys(c.keys)
			d.check()
			golden(t, c.name+"-"+strconv.Itoa(size[0])+"x"+strconv.Itoa(size[1]), d.screen())
		}
	}
}

// Rows fill in while it is played, and the cursor goes with it until it is
// moved.
func TestReplayFollows(t *testing.T) {
	var sent int
	live, recording, x := replayed(t, 40, func(i int) Exchange {
		e := oneOfEach(0)
		e.Answer, e.State, e.Now = int64(100+i), Unasked, -1
		if i < sent {
			e.State = Equal
		}
		return e
	})
	d := drive(t, 80, 24, Options{Sources: []Source{live, recording}})
	step := func(n int) {
		live.change(func() {
			x.mu.Lock()
			sent, x.at = n, n-1
			x.mu.Unlock()
		})
		d.settle()
	}
	d.wants("7 Replay", "· not yet       100", "40 compared")
	d.lacks("same")
	step(1)
	d.wants("▌ = same          100", "follow on", "= SAME  packet 100, the answer to 1")
	step(30)
	d.wants("▌ = same          129", "· not yet       130")
	d.keys("up")
	d.wants("▌ = same          128", "follow off")
	step(35)
	d.wants("▌ = same          128", "= same          130")
	d.keys("L")
	d.wants("▌ = same          134", "follow on")
	live.change(func() { live.snap.Playing = &Playback{Text: "the same: 40 answers", Over: true, Same: true} })
	d.settle()
	d.lacks("follow o")
	d.keys("]")
	d.wants("[2/2] session.pcapng", "7 Replay", "OpenResult") // a file is shown as it was
	d.keys("7")
	d.wants("= same          100")
}

// What is different can be gone to, shown alone, copied, and found in both
// captures.
func TestReplayDifferences(t *testing.T) {
	live, recording, x := replayed(t, 11, oneOfEach)
	c := &fakeControl{}
	d := drive(t, 140, 45, Options{Sources: []Source{live, recording}, Control: c})
	d.keys("g '")
	d.wants("▌ ≠ changed           8", "dns.a      192.0.2.3", "│ 198.51.100.9", "dns.cname  none", "│ other.example", "now packet 7", "4 different")
	d.keys("'")
	d.wants("▌ ✗ unanswered       10", "│ nothing came")
	d.keys(`"`)
	d.wants("▌ ≠ changed           8")
	d.keys(`"`) // from the first to the last
	d.wants("▌ + extra             9", "an answer more to packet 9")
	d.keys("D")
	d.wants("/ different", "4 of 11")
	d.lacks("= same")
	d.keys("esc")
	d.wants("no filter", "= same", "▌ + extra")
	d.keys("/")
	d.wants("unanswered  ", "what never came")
	d.text("late")
	d.keys("enter")
	d.wants("/ late", "1 of 11", "▌ ≈ late")
	d.keys("/")
	d.text("host1")
	d.keys("enter")
	d.wants("/ host1", "1 of 11", "DNS A host1.example.org")
	d.keys("backspace g ctrl+f")
	d.text("OpenResult")
	d.keys("enter")
	d.wants("▌ = same             #2")
	d.keys("n")
	d.wants("nowhere further on")
	d.keys("g ' y")
	d.wants("Copy", "fields")
	d.text("fields")
	d.keys("enter")
	if want := "dns.a\t192.0.2.3\t198.51.100.9\ndns.cname\t\tother.example"; c.copied != want {
		t.Errorf("copied %q", c.copied)
	}
	d.keys("R")
	if want := []PlayRow{{Packets, 7}}; !slices.Equal(recording.orders, want) || len(live.orders) > 0 {
		t.Errorf("%v and %v", recording.orders, live.orders)
	}
	d.keys("enter") // what came
	d.wants("[1/2]")
	if row, ok := d.m.scr().lists[Packets].list.Position(); d.m.scr().view != packetsView || !ok || row != 6 {
		t.Errorf("at %d of view %d", row, d.m.scr().view)
	}
	d.keys("esc")
	d.wants("▌ ≠ changed           8")
	d.keys("down enter") // which never came
	d.wants("[2/2]", "this is the recording")
	if row, ok := d.m.scr().lists[Packets].list.Position(); d.m.scr().view != packetsView || !ok || row != 9 {
		t.Errorf("at %d of view %d", row, d.m.scr().view)
	}
	d.keys("7 end up up up up enter") // an OpenResult
	if row, ok := d.m.scr().lists[Messages].list.Position(); d.m.scr().view != messagesView || !ok || row != 1 {
		t.Errorf("at %d of view %d", row, d.m.scr().view)
	}
	d.keys("7 tab down tab down")
	d.send(tea.MouseMsg{X: 20, Y: 5, Action: tea.MouseActionPress, Button: tea.MouseButtonLeft})
	d.wants("▌ = same              4")
	d.send(tea.MouseMsg{X: 20, Y: 5, Action: tea.MouseActionPress, Button: tea.MouseButtonWheelDown})
	d.check()
	x.mu.Lock()
	x.make = func(i int) Exchange { e := oneOfEach(0); e.Request = int64(i); return e }
	x.mu.Unlock()
	d.keys("[ ' 7")
	recording.change(func() {})
	live.change(func() {})
	d.settle()
	d.keys("'")
	d.wants("nothing is different so far")
}

// Of millions those on the screen are read.
func TestReplayMillions(t *testing.T) {
	live, recording, x := replayed(t, 3_000_000, func(i int) Exchange {
		e := oneOfEach(0)
		e.Answer = int64(i)
		return e
	})
	x.at = 1_500_000
	d := drive(t, 80, 24, Options{Sources: []Source{live, recording}})
	d.wants("1,500,000", "3,000,000 compared")
	d.keys("end")
	d.wants("2,999,999")
	d.keys("home pgdown")
	if x.read > 200 {
		t.Errorf("%d were read", x.read)
	}
}

// Of a recorded server, what was asked is compared.
func TestReplayServed(t *testing.T) {
	live, recording, x := replayed(t, 3, func(i int) Exchange {
		e := Exchange{Asks: true, Request: 7, Answer: 8, Loop: 1, To: dnsSrv, Then: -1, Now: -1, Asked: "UDP 6000 → 9 Len=5", Recorded: "UDP 9 → 6000 Len=3"}
		switch i {
		case 1:
			e.State, e.Live, e.Differs, e.Fields = Different, "UDP 1 → 9 Len=6", 1, []ExchangeField{{"udp.payload", "6669", "7468"}}
		case 2:
			e = Exchange{Asks: true, State: Surplus, Then: -1, Now: -1, Loop: 1, Live: "a TCP connection to 192.0.2.7:80"}
		}
		return e
	})
	x.at = -1
	d := drive(t, 140, 45, Options{Sources: []Source{live, recording}})
	d.wants("what packet 7 asks", "asked   to 10.8.0.1: UDP 6000 → 9 Len=5", "answer  UDP 9 → 6000 Len=3")
	d.lacks("follow o")
	d.keys("down")
	d.wants("udp.payload 6669", "│ 7468", "udp.payload  6669", "│ UDP 1 → 9 Len=6")
	d.keys("down")
	d.wants("▌ + extra", "a TCP connection to 19", "│ unmatched", "nothing like it was recorded", "│ a TCP connection to 192.0.2.7:80")
	d.keys("enter")
	d.wants("no row of the recording stands for it")
}

// Without a replay there is no such view.
func TestNoReplay(t *testing.T) {
	d := drive(t, 120, 30, Options{}, small(t, false))
	d.keys("7")
	d.wants("6 Stats", "nothing is being played here: r does")
	d.lacks("7 Replay", "Recorded")
	if !strings.Contains(Markdown(), "view.replay") {
		t.Error("the view is not in the table of keys")
	}
}

// playedControl hands out what a replay found, and keeps what is saved.
type playedControl struct {
	fakeControl
	found map[int64]Note
}

func (c *playedControl) Notes(context.Context, Source) (Notes, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Notes{Packets: maps.Clone(c.found)}, nil
}

// What is different is marked as soon as it is known, and is saved only if the
// user writes something else there.
func TestReplayMarks(t *testing.T) {
	live, recording, x := replayed(t, 11, oneOfEach)
	c := &playedControl{}
	d := drive(t, 120, 30, Options{Sources: []Source{recording, live}, Control: c})
	d.keys("2")
	d.lacks("replay: changed")
	c.mu.Lock()
	c.found = map[int64]Note{1: {Marked: true, Text: "replay: changed", Played: true}, 2: {Marked: true, Text: "replay: extra", Played: true}}
	c.mu.Unlock()
	recording.change(func() { recording.snap.Playing = &Playback{Text: "7 of 10", Different: 2} })
	d.settle()
	d.wants("note: replay: changed")
	d.keys("down down m")
	if want := map[int64]Note{3: {Marked: true}}; !maps.Equal(c.notes.Packets, want) {
		t.Errorf("saved %v", c.notes.Packets)
	}
	d.keys("up m ; enter") // takes the mark away, and writes what is there
	if want := map[int64]Note{3: {Marked: true}}; !maps.Equal(c.notes.Packets, want) {
		t.Errorf("saved %v", c.notes.Packets)
	}
	d.keys("up ;")
	d.text(", as it should")
	d.keys("enter")
	if want := map[int64]Note{3: {Marked: true}, 1: {Marked: true, Text: "replay: changed, as it should"}}; !maps.Equal(c.notes.Packets, want) {
		t.Errorf("saved %v", c.notes.Packets)
	}
	c.mu.Lock()
	c.found = nil
	c.mu.Unlock()
	recording.change(func() { // another replay
		recording.x = &fakeExchanges{n: 1, at: -1, make: oneOfEach, recording: recording, live: x.live}
		recording.snap.Playing = &Playback{Text: "0 of 1"}
	})
	d.settle()
	if want := map[int64]Note{3: {Marked: true}, 1: {Marked: true, Text: "replay: changed, as it should"}}; !maps.Equal(d.m.scr().notes.Packets, want) {
		t.Errorf("the marks of the replay before are there: %v", d.m.scr().notes.Packets)
	}
	d.keys("7")
	d.wants("1 compared")
}
