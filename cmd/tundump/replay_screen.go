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

	"tundump/capture/sniff"
	"tundump/replay"
	"tundump/tui"
)

// ownScreen is the stage of replay --tui: a screen of its own, until the user
// has seen enough.
type ownScreen struct {
	printed
	held    *heldLog
	file    string
	capture *sniff.Capture
	options sniff.Options
}

func (*ownScreen) screen() bool { return true }

// show plays behind the screen. What plays is ended with it, if it has not
// ended before.
func (o *ownScreen) show(ctx context.Context, p *played, tap *replayTap, play player) (replay.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	recorded := fileSource(o.file, o.capture, nil)
	s := newReplayScreen(p, tap, recorded)
	ended := make(chan error, 1)
	go func() { // ends with the screen
		defer cancel()
		c := &viewControl{options: o.options, log: o.held}
		err := runScreen(ctx, []tui.Source{s.live, recorded}, c)
		ended <- errors.Join(err, c.closeAll())
	}()
	report, err := play(ctx)
	s.ended(&report, err)
	err = errors.Join(err, <-ended)
	s.live.view.Close()
	recorded.view.Close() // the capture is closed by who opened it
	return report, errors.Join(err, o.held.release())
}

// replayScreen is what a screen shows of a replay, beside what comes of it and
// the recording.
type replayScreen struct {
	p        *played
	live     *viewSource
	recorded *viewSource
	steers   bool // the plan's controller has a say; a recorded server's has none
	begin    time.Time

	exchanges *exchanges

	mu    sync.Mutex
	speed float64
	over  chan struct{} // closed when nothing more is played; what is below is set before
	done  atomic.Bool
	text  string
	same  bool
}

func newReplayScreen(p *played, tap *replayTap, recorded *viewSource) *replayScreen {
	s := &replayScreen{p: p, recorded: recorded, begin: time.Now(), speed: cmp.Or(p.flags.pace.multiplier, 1), over: make(chan struct{}), steers: p.flags.client.listen == ""}
	s.live = liveSource(tap.path, tap.recorder, nil)
	if s.live.path == "" {
		s.live.name = "replay of " + recorded.name
	}
	s.exchanges = &exchanges{p.compared(), s, cmp.Or(p.flags.compare.wait, time.Second)}
	s.live.play(s)
	recorded.play(s)
	return s
}

// ended says how it went.
func (s *replayScreen) ended(r *replay.Report, err error) {
	s.text = s.p.verdict(r)
	if err = errors.Join(err, s.p.unsaved); err != nil {
		s.text = oneLine(err.Error())
	}
	switch {
	case s.text != "":
	case r.Expected+r.Flows == 0:
		s.text, s.same = fmt.Sprintf("%s sent, no answer expected", count(r.Sent, "packet")), true
	default:
		s.text, s.same = fmt.Sprintf("the same: %s", count(r.Answered+r.FlowsSame, "answer")), true
	}
	s.text = safe(s.text)
	s.done.Store(true)
	close(s.over)
}

// playback says how far it is.
func (s *replayScreen) playback() *tui.Playback {
	p := s.progress()
	p.Different = s.exchanges.Different()
	return p
}

func (s *replayScreen) progress() *tui.Playback {
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
	var failed error
	var i int
	if at.List == tui.Packets { // messages stand among them, with numbers of their own
		i = slices.IndexFunc(steps, func(st replay.Step) bool { return st.Index >= 0 && st.Number >= at.Number })
	} else {
		i, _ = slices.BinarySearchFunc(steps, at.Number, func(st replay.Step, want int64) int {
			ev, err := s.p.rows.At(int(st.Row), nil)
			failed = errors.Join(failed, err)
			return cmp.Compare(ev.Number, want)
		})
	}
	if failed == nil && (i < 0 || i == len(steps)) {
		failed = errors.New("nothing of what is behind that row is sent")
	}
	return i, failed
}

// tick is how often it is said how far a replay is.
const tick = 200 * time.Millisecond

// play has the source be one of a replay's two, in the place of what it was
// before.
func (s *viewSource) play(r *replayScreen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replay = r
	if s.quiet != nil {
		s.wake() // who waits for a change learns of it
	}
	s.quiet, s.wake = context.WithCancel(context.Background())
}

// playing returns the replay that the source is part of, nil for none, and what
// ends when it becomes part of another.
func (s *viewSource) playing() (*replayScreen, context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet == nil {
		s.quiet, s.wake = context.WithCancel(context.Background())
	}
	return s.replay, s.quiet
}

// Steer implements tui.Player.
func (s *viewSource) Steer(o tui.PlayOrder, at tui.PlayRow) error {
	r, _ := s.playing()
	if r == nil {
		return tui.ErrNotHere
	}
	return r.steer(o, at, s == r.recorded)
}

// Versions of a source are those of its view, with one of its replay's in their
// lower bits.
const (
	playBits = 20
	playOver = 1<<playBits - 1
)

// with adds how far the replay is, as its state after that of the version.
func (s *viewSource) with(state *tui.Snapshot, after uint64) *tui.Snapshot {
	if state == nil {
		return nil
	}
	out := *state
	out.Version = state.Version << playBits
	if r, _ := s.playing(); r != nil {
		out.Playing = r.playback()
		low := (after&playOver + 1) % playOver
		if out.Playing.Over {
			low = playOver
		}
		out.Version |= low
	}
	return &out
}

// Snapshot implements tui.Source.
func (s *viewSource) Snapshot() *tui.Snapshot { return s.with(s.of(s.view.Snapshot()), 0) }

// Changed implements tui.Source.
func (s *viewSource) Changed(ctx context.Context, version uint64) (*tui.Snapshot, error) {
	r, quiet := s.playing()
	if r != nil && (version&playOver != playOver || !r.done.Load()) {
		return s.changedReplay(ctx, r, version)
	}
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(quiet, cancel)()
	state, err := s.view.Changed(wait, version>>playBits)
	if err != nil && ctx.Err() == nil && quiet.Err() != nil { // a replay has begun
		return s.Snapshot(), nil
	}
	return s.with(s.of(state), version), err
}

// changedReplay waits no longer than a tick.
func (s *viewSource) changedReplay(ctx context.Context, r *replayScreen, version uint64) (*tui.Snapshot, error) {
	wait, cancel := context.WithTimeout(ctx, tick)
	defer cancel()
	state, err := s.view.Changed(wait, version>>playBits)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == io.EOF: // the view is complete, and the replay may not be
		select {
		case <-wait.Done():
		case <-r.over:
		}
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return s.with(s.of(state), version), err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return s.with(s.of(s.view.Snapshot()), version), nil
}

var _ tui.Player = (*viewSource)(nil)
