package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"tundump/replay"
	"tundump/tui"
)

// replayScreen shows a replay: what comes of it, and beside it the recording.
type replayScreen struct {
	p        *played
	live     *viewSource
	recorded *viewSource
	steers   bool // the plan's controller has a say; a recorded server's has none
	begin    time.Time

	mu    sync.Mutex
	speed float64
	over  chan struct{} // closed when nothing more is played; what is below is set before
	done  atomic.Bool
	text  string
	same  bool
	notes map[tui.List]map[int64]string // of the recording's rows, what was different
}

func newReplayScreen(p *played, tap *replayTap) *replayScreen {
	s := &replayScreen{p: p, begin: time.Now(), speed: cmp.Or(p.flags.pace.multiplier, 1), over: make(chan struct{}), steers: p.flags.client.listen == ""}
	s.live = liveSource(tap.path, tap.recorder, nil)
	s.live.name = cmp.Or(s.live.path, "now")
	s.recorded = fileSource(p.file, p.capture, nil)
	return s
}

// show plays behind a screen, until the user has seen enough. What plays is
// ended with the screen, if it has not ended before.
func (s *replayScreen) show(cmd *cobra.Command, tap *replayTap, play func(ctx context.Context) (replay.Report, error)) (replay.Report, error) {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { // ends with the screen
		defer cancel()
		c := &replayControl{viewControl: &viewControl{options: s.p.options}, screen: s}
		err := runScreen(ctx, []tui.Source{&playedSource{s.live, s}, &playedSource{s.recorded, s}}, c)
		ended <- errors.Join(err, c.closeAll())
	}()
	report, err := play(ctx)
	err = errors.Join(err, tap.finish())
	s.ended(&report, err)
	err = errors.Join(err, <-ended)
	s.live.view.Close()
	s.recorded.view.Close() // the capture is closed by who opened it
	return report, err
}

// ended says how it went.
func (s *replayScreen) ended(r *replay.Report, err error) {
	s.text = s.p.verdict(r)
	switch {
	case err != nil:
		s.text = oneLine(err.Error())
	case s.text != "":
	case r.Expected+r.Flows == 0:
		s.text, s.same = fmt.Sprintf("%s sent, no answer expected", count(r.Sent, "packet")), true
	default:
		s.text, s.same = fmt.Sprintf("the same: %s", count(r.Answered+r.FlowsSame, "answer")), true
	}
	s.text = safe(s.text)
	s.notes = map[tui.List]map[int64]string{tui.Messages: {}, tui.Packets: {}}
	for i := range r.Differences {
		d := &r.Differences[i]
		of := s.notes[tui.Packets]
		if d.Message {
			of = s.notes[tui.Messages]
		}
		of[cmp.Or(d.Answer, d.Request)] = noteOf(d)
	}
	s.done.Store(true)
	close(s.over)
}

// noteOf says in one line what was different.
func noteOf(d *replay.Difference) string {
	text := "replay: " + string(d.Kind)
	for _, f := range d.Fields {
		text += fmt.Sprintf("; %s: recorded %s, now %s", f.Name, orNone(f.Recorded), orNone(f.Live))
	}
	if len(d.Fields) == 0 && d.Live != "" {
		text += "; now " + d.Live
	}
	return text
}

// playback says how far it is.
func (s *replayScreen) playback() *tui.Playback {
	if s.done.Load() {
		return &tui.Playback{Text: s.text, Over: true, Same: s.same}
	}
	plan := s.p.plan
	if !s.steers {
		return &tui.Playback{Text: fmt.Sprintf("a server for %s", time.Since(s.begin).Round(time.Second))}
	}
	at, loops := plan.Control.Position()
	answered, different := plan.Control.Answers()
	text := fmt.Sprintf("%d of %d", at, len(plan.Steps))
	if loops > 0 {
		text = fmt.Sprintf("loop %d, %s", loops+1, text)
	}
	s.mu.Lock()
	if s.speed != 1 {
		text += fmt.Sprintf(" ×%v", s.speed)
	}
	s.mu.Unlock()
	text += fmt.Sprintf(", %d answered", answered)
	if different > 0 {
		text += fmt.Sprintf(", %d different", different)
	}
	return &tui.Playback{Text: text, Paused: plan.Control.Paused()}
}

// steer does what a key asks for.
func (s *replayScreen) steer(o tui.PlayOrder, at tui.PlayRow, recorded bool) error {
	c := s.p.plan.Control
	switch {
	case !s.steers:
		return errors.New("a server answers when it is asked")
	case s.done.Load():
		return errors.New("it is over")
	case o == tui.PlayPause && c.Paused():
		c.Resume()
	case o == tui.PlayPause:
		c.Pause()
	case o == tui.PlayStep:
		c.Step(1)
	case o == tui.PlaySlower:
		return s.setSpeed(0.5)
	case o == tui.PlayFaster:
		return s.setSpeed(2)
	case o == tui.PlayFrom && !recorded:
		return errors.New("what came now cannot be played: choose a row of the recording")
	case o == tui.PlayFrom:
		i, err := s.stepAt(at)
		if err != nil {
			return err
		}
		c.Seek(i)
	}
	return nil
}

func (s *replayScreen) setSpeed(times float64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	pace := s.p.pace
	if err := s.p.plan.Control.SetPace(replay.Pace{Multiplier: s.speed * times, MaxSleep: pace.MaxSleep}); err != nil {
		return err
	}
	s.speed *= times
	return nil
}

// stepAt is the first step that is of the row, or behind it.
func (s *replayScreen) stepAt(at tui.PlayRow) (int, error) {
	steps := s.p.plan.Steps
	src := s.p.rows()
	var failed error
	i, _ := slices.BinarySearchFunc(steps, at.Number, func(st replay.Step, want int64) int {
		if at.List == tui.Packets && st.Index >= 0 {
			return cmp.Compare(st.Number, want)
		}
		ev, err := src.At(int(st.Row), nil)
		failed = errors.Join(failed, err)
		if at.List == tui.Packets { // a message among packets: it is passed by
			return -1
		}
		return cmp.Compare(ev.Number, want)
	})
	if failed == nil && i == len(steps) {
		failed = errors.New("nothing of what is behind that row is sent")
	}
	return i, failed
}

// playedSource is one of the two, with how far the replay is.
type playedSource struct {
	*viewSource
	screen *replayScreen
}

// tick is how often it is said how far it is.
const tick = 200 * time.Millisecond

// Versions of a playedSource are those of the view, with one of the replay's
// in their lower bits.
const (
	playBits = 20
	playOver = 1<<playBits - 1
)

// Steer implements tui.Player.
func (s *playedSource) Steer(o tui.PlayOrder, at tui.PlayRow) error {
	return s.screen.steer(o, at, s.viewSource == s.screen.recorded)
}

// Snapshot implements tui.Source.
func (s *playedSource) Snapshot() *tui.Snapshot { return s.with(s.viewSource.Snapshot(), 0) }

// with adds how far the replay is, as its state after that of the version.
func (s *playedSource) with(state *tui.Snapshot, after uint64) *tui.Snapshot {
	if state == nil {
		return nil
	}
	out := *state
	out.Playing = s.screen.playback()
	low := (after&playOver + 1) % playOver
	if out.Playing.Over {
		low = playOver
	}
	out.Version = state.Version<<playBits | low
	return &out
}

// Changed implements tui.Source.
func (s *playedSource) Changed(ctx context.Context, version uint64) (*tui.Snapshot, error) {
	if version&playOver == playOver { // it was told that it is over
		state, err := s.viewSource.Changed(ctx, version>>playBits)
		return s.with(state, version), err
	}
	wait, cancel := context.WithTimeout(ctx, tick)
	defer cancel()
	state, err := s.viewSource.Changed(wait, version>>playBits)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == io.EOF: // the view is complete, and the replay may not be
		select {
		case <-wait.Done():
		case <-s.screen.over:
		}
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return s.with(state, version), err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return s.with(s.viewSource.Snapshot(), version), nil
}

// replayControl adds what was different to the notes of the recording.
type replayControl struct {
	*viewControl
	screen *replayScreen
}

// Notes implements tui.Control.
func (c *replayControl) Notes(ctx context.Context, s tui.Source) (tui.Notes, error) {
	n, err := c.viewControl.Notes(ctx, s)
	if v, verr := source(s); err != nil || verr != nil || v != c.screen.recorded || !c.screen.done.Load() {
		return n, err
	}
	for _, l := range []tui.List{tui.Messages, tui.Packets} {
		of := n.Of(l)
		for number, text := range c.screen.notes[l] {
			if _, ok := of[number]; !ok {
				of[number] = tui.Note{Marked: true, Text: text}
			}
		}
	}
	return n, nil
}

var _ tui.Player = (*playedSource)(nil)
