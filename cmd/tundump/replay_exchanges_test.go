//go:build unix

package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"tundump/capture/sniff"
	"tundump/tui"
)

// A replay that was begun in a screen has its answers side by side in both
// captures, and what is different is in the notes of both.
func TestReplayExchanges(t *testing.T) {
	file := recordPings(t)
	capture, err := sniff.Open(file, sniff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recorded := fileSource(file, capture, nil)
	c := &viewControl{log: io.Discard, opened: []*viewSource{recorded}}
	t.Cleanup(func() {
		if err := c.closeAll(); err != nil {
			t.Error(err)
		}
	})
	if recorded.Exchanges() != nil {
		t.Error("it is compared before it is played")
	}
	r, err := c.Replay(t.Context(), recorded, []string{"--netstack", "-o"})
	if err != nil {
		t.Fatal(err)
	}
	live, err := r.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	player := live.(tui.Player)
	x := player.Exchanges()
	if x != recorded.Exchanges() || x.Live() != live || x.Recording() != tui.Source(recorded) || x.Len() != 2 || x.At() != -1 {
		t.Errorf("%d are compared, at %d", x.Len(), x.At())
	}
	state := live.Snapshot()
	steer := func(o tui.PlayOrder) {
		t.Helper()
		if err := player.Steer(o, tui.PlayRow{}); err != nil {
			t.Fatal(err)
		}
	}
	steer(tui.PlayStep)
	for i := -1; i != 0; {
		var err error
		if state, err = live.Changed(t.Context(), state.Version); err != nil {
			t.Fatal(err)
		}
		if i, err = x.Find(t.Context(), 0, 1, 1<<tui.Equal); err != nil {
			t.Fatal(err)
		}
	}
	if x.At() != 0 || state.Playing.Over {
		t.Errorf("at %d, %+v", x.At(), state.Playing)
	}
	steer(tui.PlayPause) // goes on
	for marked := false; !state.Playing.Over; {
		next, err := live.Changed(t.Context(), state.Version)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if state = next; state.Playing.Different > 0 && !marked { // while it is played
			marked = true
			if n, err := c.Notes(t.Context(), recorded); err != nil || !n.Packets[4].Played {
				t.Errorf("%v, %v", n, err)
			}
		}
	}
	var list []tui.Exchange
	if err := x.Read(t.Context(), []int{1, 0}, func(_ int, e *tui.Exchange) bool { list = append(list, *e); return true }); err != nil || len(list) != 2 {
		t.Fatalf("%d, %v", len(list), err)
	}
	if e := list[0]; e.State != tui.Different || e.Answer != 4 || e.Came != 4 || e.Differs != 1 || len(e.Fields) != 1 || e.To != "10.8.0.1" {
		t.Errorf("%+v", e)
	}
	if e := list[1]; e.State != tui.Equal || e.Answer != 2 || e.Came != 2 {
		t.Errorf("%+v", e)
	}
	if i, err := x.Find(t.Context(), 0, 1, tui.Differences); i != 1 || err != nil {
		t.Errorf("the first difference is %d, %v", i, err)
	}
	if i, err := x.Find(t.Context(), 0, -1, tui.Differences); i != -1 || err != nil {
		t.Errorf("before the first there is %d, %v", i, err)
	}
	if rows, err := x.Select(t.Context(), 1<<tui.Equal); !slices.Equal(rows, []int32{0}) || err != nil {
		t.Errorf("the same: %v, %v", rows, err)
	}
	for _, s := range []tui.Source{recorded, live} {
		n, err := c.Notes(t.Context(), s)
		if note := n.Packets[4]; err != nil || len(n.Packets) != 1 || !note.Marked || !note.Played || !strings.HasPrefix(note.Text, "replay: changed; data.data") {
			t.Errorf("%+v, %v", n.Packets, err)
		}
	}
}
