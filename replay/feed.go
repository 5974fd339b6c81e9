package replay

import "context"

const (
	feedBatch = 64 // items that are sent at a time, at the most
	feedAhead = 4  // batches that are read ahead
)

// batch is what is sent together, if it is due.
type batch struct {
	items []Item
	bytes []byte
	err   error
}

// feed gives the steps of a plan in order, from memory or read ahead by one
// goroutine, which ends with stop.
type feed struct {
	plan   *Plan
	read   reader
	next   int
	now    *batch
	used   int // of now
	ready  chan *batch
	free   chan *batch
	cancel context.CancelFunc
	done   chan struct{}
}

// from begins with step i.
func (f *feed) from(i int) {
	f.stop()
	f.next, f.used = i, 0
	if f.plan.memory != nil {
		if f.now == nil {
			f.now = &batch{items: make([]Item, 0, feedBatch)}
		}
		f.now.items = f.now.items[:0]
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.done, f.now = cancel, make(chan struct{}), nil
	f.ready, f.free = make(chan *batch, feedAhead), make(chan *batch, feedAhead)
	for range feedAhead {
		f.free <- &batch{items: make([]Item, 0, feedBatch)}
	}
	go f.ahead(ctx, i)
}

// ahead reads batches until ctx is done or there are no more.
func (f *feed) ahead(ctx context.Context, i int) {
	defer close(f.done)
	defer close(f.ready)
	r := reader{plan: f.plan}
	for i < len(f.plan.Steps) {
		var b *batch
		select {
		case b = <-f.free:
		case <-ctx.Done():
			return
		}
		b.items, b.bytes, b.err = b.items[:0], b.bytes[:0], nil
		for ; i < len(f.plan.Steps) && len(b.items) < feedBatch && b.err == nil; i++ {
			var it Item
			if it, b.bytes, b.err = r.step(i, b.bytes); b.err == nil {
				b.items = append(b.items, it)
			}
		}
		select {
		case f.ready <- b:
		case <-ctx.Done():
			return
		}
		if b.err != nil {
			return
		}
	}
}

// stop ends the goroutine.
func (f *feed) stop() {
	if f.cancel == nil {
		return
	}
	f.cancel()
	<-f.done
	f.cancel = nil
}

// peek returns up to n items that come next, at least one unless all have been
// given. They are valid until the next call of peek.
func (f *feed) peek(n int) ([]Item, error) {
	if f.now != nil && f.used < len(f.now.items) {
		rest := f.now.items[f.used:]
		return rest[:min(n, len(rest))], nil
	}
	if f.next >= len(f.plan.Steps) {
		return nil, nil
	}
	if f.plan.memory != nil {
		b := f.now
		b.items, f.used = b.items[:0], 0
		for i := f.next; i < min(f.next+feedBatch, len(f.plan.Steps)); i++ {
			it, _, err := f.read.step(i, nil)
			if err != nil {
				return nil, err
			}
			b.items = append(b.items, it)
		}
	} else {
		if f.now != nil && f.now.err != nil {
			return nil, f.now.err // nothing is read any more
		}
		if f.now != nil {
			f.free <- f.now
		}
		if f.now, f.used = <-f.ready, 0; len(f.now.items) == 0 {
			return nil, f.now.err
		}
	}
	return f.now.items[:min(n, len(f.now.items))], nil
}

// prime waits until what comes next can be peeked at without waiting. What
// fails is said by peek.
func (f *feed) prime() { _, _ = f.peek(1) }

// took says that n of the items that peek returned were sent.
func (f *feed) took(n int) {
	f.used += n
	f.next += n
}
