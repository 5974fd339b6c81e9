package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/kballard/go-shellquote"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/replay"
	"tundump/tui"
)

// ownReplay is a replay that was asked for in a screen: the command runs there
// as it does without one. It is its stage, and a tui.Replay.
type ownReplay struct {
	control  *viewControl
	recorded *viewSource
	words    []string
	flags    replayFlags
	output   *heldLog // what it prints, until the screen is gone
	lines    []string // what would be sent
	cancel   context.CancelFunc

	said   chan []string    // what would be sent
	begin  chan struct{}    // closed: it is to be
	wanted sync.Once        // closes begin
	shown  chan *viewSource // what comes of it
	over   chan struct{}    // closed when all of it has ended
	err    error            // why; set before over is closed

	live *viewSource   // nil until it is shown; guarded by control.mu, as is stop
	stop func()        // plays no more
	done chan struct{} // closed when nothing more is played
}

// Replay implements tui.Control.
func (c *viewControl) Replay(ctx context.Context, s tui.Source, words []string) (tui.Replay, error) {
	v, err := source(s)
	if err != nil {
		return nil, err
	}
	alive, cancel := context.WithCancel(context.Background()) // it outlives the asking
	r := &ownReplay{
		control: c, recorded: v, words: words, output: &heldLog{to: c.log}, cancel: cancel,
		said: make(chan []string, 1), begin: make(chan struct{}), shown: make(chan *viewSource, 1), over: make(chan struct{}), done: make(chan struct{}),
	}
	c.mu.Lock()
	c.replays = append(c.replays, r)
	c.mu.Unlock()
	go func() { // ends with the replay, or with alive
		defer close(r.over)
		r.err = r.run(alive)
	}()
	select {
	case r.lines = <-r.said:
		return r, nil
	case <-r.over:
	case <-ctx.Done():
	}
	r.Close()
	return nil, cmp.Or(ctx.Err(), r.err)
}

// Announcement implements tui.Replay.
func (r *ownReplay) Announcement() []string { return r.lines }

// Start implements tui.Replay.
func (r *ownReplay) Start(ctx context.Context) (tui.Source, error) {
	r.wanted.Do(func() { close(r.begin) })
	select {
	case v := <-r.shown:
		return v, nil
	case <-r.over:
	case <-ctx.Done():
	}
	r.Close()
	return nil, cmp.Or(ctx.Err(), r.err)
}

// Close implements tui.Replay: it ends the replay, whatever it is at. What it
// printed is kept if anything was sent.
func (r *ownReplay) Close() {
	r.cancel()
	<-r.over
	c := r.control
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.replays, r)
	if i < 0 {
		return
	}
	c.replays = slices.Delete(c.replays, i, i+1)
	if r.live != nil {
		if r.err != nil {
			fmt.Fprintf(r.output, "tundump: %s\n", safe(oneLine(r.err.Error())))
		}
		c.ended = append(c.ended, r.output)
	}
}

// run is the command.
func (r *ownReplay) run(ctx context.Context) error {
	f := &r.flags
	cmd := &cobra.Command{Use: "replay"}
	f.register(cmd.Flags())
	if err := cmd.ParseFlags(r.words); errors.Is(err, pflag.ErrHelp) {
		return errors.New("tundump replay --help lists what can be written here")
	} else if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	left := cmd.Flags().Args()
	if f.tun.name == chooseName && len(left) > 0 {
		f.tun.name, left = left[0], left[1:]
	}
	if len(left) > 0 {
		return fmt.Errorf("replay: %q is no flag: what is played is the capture on the screen", left[0])
	}
	if f.report.capture == "-" {
		return errors.New("replay: -w -: the screen has standard output: name a file")
	}
	f.report.capture = fromHome(f.report.capture)
	cmd.SetOut(r.output)
	cmd.SetErr(r.output)
	cmd.SetContext(ctx)
	if v := r.recorded; v.recorder == nil {
		select {
		case <-v.store.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	rows := allRows(r.recorded.store)
	if rows.first > 0 && f.pick != (pickFlags{}) {
		return errors.New("replay: the capture is limited in size and has lost its first rows, so that no number or stream of it can be told: export what is to be played, and open that")
	}
	p := &played{flags: f, stage: r, file: r.recorded.name, rows: rows, log: slog.New(slog.NewTextHandler(r.output, nil))}
	if err := f.check(p); err != nil {
		return err
	}
	for _, path := range append(r.control.paths(), r.recorded.path) {
		if err := f.report.spare(path); err != nil {
			return err
		}
	}
	fmt.Fprintf(r.output, "tundump: replay of %s: %s\n", safe(p.file), safe(shellquote.Join(r.words...)))
	return f.play(cmd, p)
}

// announce implements stage: the user is asked.
func (r *ownReplay) announce(ctx context.Context, lines []string) error {
	r.said <- lines
	select {
	case <-r.begin:
		return printed{r.output}.announce(ctx, lines)
	case <-ctx.Done():
		return errors.New("replay: nothing was sent: it was not wanted")
	}
}

func (*ownReplay) screen() bool { return true }

// show implements stage: it is over when its source is closed.
func (r *ownReplay) show(ctx context.Context, p *played, tap *replayTap, play player) (replay.Report, error) {
	s := newReplayScreen(p, tap, r.recorded)
	playing, stop := context.WithCancel(ctx)
	defer stop()
	r.control.mu.Lock()
	r.live, r.stop = s.live, stop
	r.control.mu.Unlock()
	r.shown <- s.live
	report, err := play(playing)
	s.ended(&report, err)
	close(r.done)
	<-ctx.Done()
	s.live.view.Close()
	return report, err
}

// halt ends what reads from the recording. What came of it stays.
func (r *ownReplay) halt() {
	r.control.mu.Lock()
	stop := r.stop
	r.control.mu.Unlock()
	if stop == nil {
		r.Close()
		return
	}
	stop()
	<-r.done
}

// shows reports whether v is what comes of it.
func (r *ownReplay) shows(v *viewSource) bool {
	r.control.mu.Lock()
	defer r.control.mu.Unlock()
	return r.live == v
}

// begun returns the replays that were begun and not closed.
func (c *viewControl) begun() []*ownReplay {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.replays)
}

// paths are those of the captures that are open.
func (c *viewControl) paths() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for _, s := range c.opened {
		list = append(list, s.path)
	}
	for _, r := range c.replays {
		if r.live != nil {
			list = append(list, r.live.path)
		}
	}
	return list
}

// replayFlagList is what a replay that is asked for in a screen takes.
func replayFlagList() (list []tui.Flag) {
	var f replayFlags
	fl := pflag.NewFlagSet("replay", pflag.ContinueOnError)
	f.register(fl)
	fl.VisitAll(func(g *pflag.Flag) {
		value, doc := pflag.UnquoteUsage(g)
		list = append(list, tui.Flag{Name: "--" + g.Name, Value: value, Doc: doc})
	})
	return list
}
