package netstack

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// orderPatience is how long an answer waits for the answers to earlier
// requests. The path to a host keeps order, so what is later than that is
// lost or refused, and nobody should wait for it.
const orderPatience = 50 * time.Millisecond

// pair is who asks whom.
type pair struct{ src, dst netip.Addr }

// order lets the answers to what one address asks another leave in the order
// of the requests, although each is waited for by a goroutine of its own.
type order struct {
	patience time.Duration

	mu   sync.Mutex
	last map[pair]chan struct{} // closed when the pair's last request is done with
}

// enter takes the next place of p. before is closed when the place before it
// is done with, and nil if there is none; leave is to be called once.
func (o *order) enter(p pair) (before <-chan struct{}, leave func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil {
		o.last = make(map[pair]chan struct{})
	}
	before = o.last[p]
	mine := make(chan struct{})
	o.last[p] = mine
	return before, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		close(mine)
		if o.last[p] == mine {
			delete(o.last, p)
		}
	}
}

// wait waits for before, for as long as it is worth.
func (o *order) wait(ctx context.Context, before <-chan struct{}) {
	if before == nil {
		return
	}
	t := time.NewTimer(o.patience)
	defer t.Stop()
	select {
	case <-before:
	case <-t.C:
	case <-ctx.Done():
	}
}
