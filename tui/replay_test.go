package tui

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// fakeReplay sends nothing.
type fakeReplay struct {
	words  []string
	lines  []string
	source Source
	closed bool
}

func (r *fakeReplay) Announcement() []string                { return r.lines }
func (r *fakeReplay) Start(context.Context) (Source, error) { return r.source, nil }
func (r *fakeReplay) Close()                                { r.closed = true }

// A flow is chosen, and how it is played; the words can be changed; what would
// be sent is said before it is; and what comes of it is shown.
func TestReplayFlow(t *testing.T) {
	for _, size := range []struct{ w, h int }{{80, 24}, {140, 45}} {
		live := newFake("replay of session.pcapng", false)
		traffic(live)
		r := &fakeReplay{lines: []string{"3 TCP segments past a handshake", "sending 1 packet into a tunnel"}, source: live}
		d := drive(t, size.w, size.h, Options{Control: &fakeControl{replay: r}, ReplayFlags: []Flag{{"--wait", "duration", "how long"}, {"--way", "", "which"}}}, small(t, false))
		d.fakes = append(d.fakes, live)
		d.keys("2 r")
		d.wants("Play again", "this flow", "this tunnel", "the whole capture")
		d.lacks("what is marked", "what the filter shows")
		d.keys("enter")
		d.wants("Play this flow", "--netstack", "--to HOST:PORT", "--tun --dir s2c")
		d.lacks("--listen") // which answers everything
		d.keys("down enter")
		d.wants("replay --to ", "--flows -Y '")
		d.text("192.0.2.1:8890")
		d.keys("end space")
		d.text("--wa")
		d.wants("--wait", "how long", "--way")
		d.keys("tab space")
		d.text("2s")
		d.keys("enter")
		if want := []string{"--to", "192.0.2.1:8890", "--flows", "-Y", d.m.scr().lists[Packets].tree.Detail().Flow, "--wait", "2s"}; !slices.Equal(r.words, want) {
			t.Fatalf("it is played by %q, want %q", r.words, want)
		}
		d.wants("Nothing is sent yet", "3 TCP segments past a handshake", "sending 1 packet into a tunnel", "leave it")
		d.keys("enter")
		d.wants("[2/2]", "replay of ses")
		if r.closed {
			t.Error("it was closed")
		}
	}
}

// What is marked, and what the filter shows, can be played; what is not wanted
// is closed; what is wrong is said where it can be changed.
func TestReplaySelection(t *testing.T) {
	r := &fakeReplay{lines: []string{"sending"}}
	c := &fakeControl{replay: r}
	d := drive(t, 120, 30, Options{Control: c}, small(t, false))
	d.keys("m down down m 2 m / i p enter r")
	d.text("marked")
	d.keys("enter enter")
	d.wants("tunnel.msg in {1, 3} || frame.number in {1}")
	d.keys("enter esc")
	d.wants("nothing was sent")
	if !r.closed {
		t.Error("it was not closed")
	}
	d.keys("r")
	d.text("filter")
	d.keys("enter enter enter")
	if got := strings.Join(r.words, " "); got != "--netstack -Y ip" {
		t.Errorf("%q", got)
	}
	d.keys("esc r enter enter up") // what was typed before
	d.wants("replay --netstack -Y ip")
	d.keys("esc")
	c.replay, c.err = nil, errors.New("no such device")
	d.keys("r enter enter")
	d.text("'")
	d.keys("enter")
	d.wants("nterminated") // the quote, before it is asked for anything
	d.keys("backspace enter")
	d.wants("no such device", "replay --netstack")
}
