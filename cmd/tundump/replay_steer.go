package main

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"tundump/replay"
)

// steer lets signals and keys act on what is being played, and prints how far
// it is if that is asked for. stop ends that. A screen has the keys for itself.
func (p *paceFlags) steer(ctx context.Context, cmd *cobra.Command, c *replay.Controller, tap *replayTap, screen bool) (stop func()) {
	ctx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	signals, keys := onPause(c), func() {}
	if p.oneByOne && !screen {
		keys = rawKeys(cmd.InOrStdin())
		fmt.Fprintln(cmd.ErrOrStderr(), "tundump: replay: press a key for each packet; Ctrl-C ends")
		// It ends at the end of the input, or with the program: nothing ends a
		// read of a terminal.
		go stepByKey(cmd, c)
	}
	if d, err := unitless(p.stats, "s"); err == nil && d > 0 {
		wg.Go(func() { tell(ctx, cmd, d, tap) })
	}
	return func() {
		end()
		wg.Wait()
		keys()
		signals()
	}
}

// stepByKey sends one packet for each key. At the end of the input it is over.
func stepByKey(cmd *cobra.Command, c *replay.Controller) {
	in := bufio.NewReader(cmd.InOrStdin())
	for {
		if _, err := in.ReadByte(); err != nil {
			c.End()
			return
		}
		c.Step(1)
	}
}

// tell prints how far it is, every so often.
func tell(ctx context.Context, cmd *cobra.Command, every time.Duration, tap *replayTap) {
	t := time.NewTicker(every)
	defer t.Stop()
	start := time.Now()
	for {
		select {
		case <-t.C:
			d := time.Since(start)
			fmt.Fprintf(cmd.ErrOrStderr(), "tundump: replay: %s, %s sent in %s, %.1f packets/s, %.3f Mbit/s; %d came\n", count(tap.sent.Load(), "packet"), size(tap.bytes.Load()),
				d.Round(time.Millisecond), speed(tap.sent.Load(), d), speed(tap.bytes.Load()*8, d)/1e6, tap.received.Load())
		case <-ctx.Done():
			return
		}
	}
}
