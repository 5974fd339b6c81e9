package replay

import (
	"sync"
	"sync/atomic"
)

// Controller steers a plan that is being played. Its methods may be called
// from any goroutine, before, during and after.
type Controller struct {
	changed atomic.Bool // there is something to take
	wake    chan struct{}
	at      atomic.Int64
	loop    atomic.Int64

	answered, different atomic.Int64
	played              atomic.Pointer[matcher] // what is played, nil before anything is

	mu     sync.Mutex
	paused bool
	steps  int
	ended  bool
	seek   int // -1: nowhere
	pace   *Pace
}

func newController() *Controller {
	return &Controller{wake: make(chan struct{}, 1), seek: -1}
}

// Pause stops after the packet that is being sent; answers are still taken.
func (c *Controller) Pause() { c.change(func() { c.paused = true }) }

// Resume goes on from where it is: what was not sent meanwhile is sent at the
// pace from now on.
func (c *Controller) Resume() { c.change(func() { c.paused, c.steps = false, 0 }) }

// Step sends the next n steps at once, and is then paused.
func (c *Controller) Step(n int) {
	c.change(func() { c.paused, c.steps = true, c.steps+max(n, 0) })
}

// End ends it where it is; what was asked for with Step is sent before.
func (c *Controller) End() { c.change(func() { c.paused, c.ended = true, true }) }

// Seek goes on with step i of the plan; what stands between is not sent. An i
// that the plan does not have is its nearest.
func (c *Controller) Seek(i int) { c.change(func() { c.seek = max(i, 0) }) }

// SetPace changes the speed: Multiplier, PPS, Mbps, Top, Answer and MaxSleep of
// p hold from the next packet on. The error is ErrPace.
func (c *Controller) SetPace(p Pace) error {
	if err := p.check(); err != nil {
		return err
	}
	c.change(func() { c.pace = &p })
	return nil
}

// Paused reports whether it waits for Resume or Step.
func (c *Controller) Paused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused
}

// Position returns the step that is sent next, and how many loops are over.
func (c *Controller) Position() (step, loops int) {
	return int(c.at.Load()), int(c.loop.Load())
}

// Answers returns how many of the expected answers have come so far, of all
// loops, and how many of them are different; extra ones count as different.
func (c *Controller) Answers() (answered, different int64) {
	return c.answered.Load(), c.different.Load()
}

func (c *Controller) change(f func()) {
	c.mu.Lock()
	f()
	c.mu.Unlock()
	c.changed.Store(true)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// order is what a controller asks for.
type order struct {
	paused bool
	ended  bool
	seek   int // -1: nowhere
	pace   *Pace
}

// take returns what is asked for, once.
func (c *Controller) take() order {
	c.changed.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := c.paused && c.steps == 0
	o := order{paused: wait, ended: wait && c.ended, seek: c.seek, pace: c.pace}
	c.seek, c.pace = -1, nil
	return o
}

// allow returns how many packets may be sent now, at most n: 0 if it was
// paused since take said otherwise, and 1 of those that were asked for.
func (c *Controller) allow(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.paused {
		return n
	}
	c.changed.Store(true) // to be paused after it
	if c.steps == 0 {
		return 0
	}
	c.steps--
	return 1
}
