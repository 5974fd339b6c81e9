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
)

// waitUntil waits until due. It reports false if wake or ended comes first,
// or ctx is done.
func waitUntil(ctx context.Context, due time.Time, wake <-chan struct{}, ended <-chan struct{}) bool {
	left := time.Until(due)
	if left > 2*coarse {
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
		left = time.Until(due)
	}
	for left > 0 {
		if left > fine {
			nap(left - fine)
		}
		left = time.Until(due)
	}
	return true
}
