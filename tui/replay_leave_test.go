package tui

import (
	"context"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

// A click beside the confirmation leaves the replay.
func TestReplayClickBeside(t *testing.T) {
	r := &fakeReplay{lines: []string{"sending"}}
	d := drive(t, 120, 30, Options{Control: &fakeControl{replay: r}}, small(t, false))
	d.keys("r enter enter enter")
	d.wants("Nothing is sent yet")
	d.send(tea.MouseMsg{X: 0, Y: 0, Button: tea.MouseButtonLeft, Action: tea.MouseActionPress})
	d.lacks("Nothing is sent yet")
	if !r.closed {
		t.Error("clicked away: the replay was never closed")
	}
}

// slowControl's replay is ready when the test says so.
type slowControl struct {
	fakeControl
	ready chan struct{}
}

func (c *slowControl) Replay(ctx context.Context, s Source, words []string) (Replay, error) {
	<-c.ready
	return c.fakeControl.Replay(ctx, s, words)
}

type startedReplay struct {
	fakeReplay
	started bool
}

func (r *startedReplay) Start(context.Context) (Source, error) {
	r.started = true
	return r.source, nil
}

type slowStarted struct {
	fakeControl
	ready chan struct{}
	r     *startedReplay
}

func (c *slowStarted) Replay(ctx context.Context, s Source, words []string) (Replay, error) {
	<-c.ready
	return c.r, nil
}

// The enter that is meant for a prompt sends nothing.
func TestReplayEnterMeantForPrompt(t *testing.T) {
	live := newFake("live", false)
	c := &slowStarted{ready: make(chan struct{}), r: &startedReplay{fakeReplay: fakeReplay{lines: []string{"sending"}, source: live}}}
	d := drive(t, 120, 30, Options{Control: c}, small(t, false))
	d.fakes = append(d.fakes, live)
	d.keys("r enter enter")
	// the last enter begins the task; do not settle on it
	d.update(keyMsg("enter"))
	d.update(keyMsg("/"))
	d.update(keyMsg("i"))
	d.update(keyMsg("p"))
	close(c.ready)
	d.settle()
	d.keys("enter") // meant for the filter
	if c.r.started {
		t.Error("the enter that ends the filter has begun to send")
	}
}

// A replay whose capture is closed just as it becomes ready is closed too.
func TestReplayScreenClosed(t *testing.T) {
	r := &fakeReplay{lines: []string{"sending"}}
	c := &slowControl{fakeControl: fakeControl{replay: r}, ready: make(chan struct{})}
	d := drive(t, 120, 30, Options{Control: c}, small(t, false), small(t, false))
	d.keys("r enter enter")
	d.update(keyMsg("enter"))
	d.update(keyMsg("ctrl+x"))
	close(c.ready)
	d.settle()
	if !r.closed {
		t.Error("the capture was closed: the replay was never closed")
	}
}
