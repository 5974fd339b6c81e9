package replay

import (
	"context"
	"time"
)

const (
	// coarse is the longest sleep that nothing interrupts.
	coarse = 10 * time.Millisecond
	// fine is how long before the time the clock is watched instead of
	// sleeping: what waking up may take.
	fine = 30 * time.Microsecond
	// unrested is the longest time without any sleep. Packets that follow each
	// other in less than fine would keep a processor busy with the clock: so a
	// few of them are late by a sleep.
	unrested = 200 * time.Microsecond
)

// waiter waits for moments.
type waiter struct {
	rested time.Time // when it last slept
}

// until waits until due. It reports false if wake or ended comes first, or ctx
// is done.
func (w *waiter) until(ctx context.Context, due time.Time, wake <-chan struct{}, ended <-chan struct{}) bool {
	now := time.Now()
	if left := due.Sub(now); left > 2*coarse {
		t := time.NewTimer(left - coarse)
		defer t.Stop()
		select {
		case <-t.C:
		case <-wake:
			return false
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		}
		now = time.Now()
		w.rested = now
	}
	for left := due.Sub(now); left > 0; left = due.Sub(now) {
		switch {
		case left > fine:
			nap(left - fine)
		case now.Sub(w.rested) > unrested:
			nap(left)
		default:
			now = time.Now()
			continue
		}
		now = time.Now()
		w.rested = now
	}
	return true
}
