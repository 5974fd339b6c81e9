package replay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"time"

	"tundump/decode"
)

// Play plays a plan against a peer, which it closes, and reports what came of
// it. One goroutine receives and, if the plan's packets are not all in memory,
// one reads ahead; both end before Play does.
//
// The error says what ended it before its end: what the peer or the recording
// failed with. The report is of the part that was played all the same. That
// ctx is done is no error; Report.Stopped says it.
func Play(ctx context.Context, p *Plan, peer Peer) (Report, error) {
	var r Report
	runtime.GC() // what compiling left over is not collected while packets are due
	begin := time.Now()
	m := newMatcher(p, &r, begin)
	p.Control.played.Store(m)
	go m.receive(peer)
	s := &sender{plan: p, peer: peer, match: m, report: &r, begin: begin, feed: feed{plan: p}, refused: peer.Refused()}
	s.feed.read.plan = p
	s.clock.pace = p.opt.Pace
	err := s.loops(ctx)
	s.feed.stop()
	r.Refused = peer.Refused() - s.refused
	err = errors.Join(err, ignoreClosed(peer.Close()))
	<-m.failed
	if err == nil && !errors.Is(m.err, net.ErrClosed) {
		err = m.err
	}
	r.Elapsed = s.last.Sub(s.first)
	r.Lateness, r.RTT, r.RecordedRTT = s.late.quantiles(), m.rtt.quantiles(), m.before.quantiles()
	return r, err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// sender is the half of Play that sends.
type sender struct {
	plan    *Plan
	peer    Peer
	match   *matcher
	report  *Report
	feed    feed
	clock   schedule
	waiter  waiter
	relax   func() // undoes sharpen, nil if that was not done
	begin   time.Time
	first   time.Time // of the first item
	last    time.Time // of the last one
	late    histogram
	refused int64 // before
	moved   bool  // by seek: what is due next is due now
}

// errEnough ends sending for one of the limits.
var errEnough = errors.New("enough was sent")

// errEnded ends sending because the controller says so.
var errEnded = errors.New("it was ended")

// loops plays the plan as often as it asks for.
func (s *sender) loops(ctx context.Context) error {
	s.sharpen()
	defer s.blunt()
	pace, parent := &s.plan.opt.Pace, ctx
	if pace.Duration > 0 {
		limited, cancel := context.WithTimeout(ctx, pace.Duration)
		defer cancel()
		ctx = limited
	}
	for loop := 1; pace.Loops < 0 || loop <= max(1, pace.Loops); loop++ {
		if loop > 1 && pace.LoopDelay > 0 && !s.pause(ctx, pace.LoopDelay) {
			break
		}
		if r, ok := s.peer.(Restarter); ok && loop > 1 {
			r.Restart()
		}
		s.report.Loops = loop
		s.plan.Control.loop.Store(int64(loop - 1))
		if loop > 1 {
			s.match.start(loop)
		}
		flowing, stop := context.WithCancel(ctx)
		flows := playFlows(flowing, s.plan, s.peer, s.match)
		err := s.once(ctx)
		if err != nil {
			stop()
		}
		flows()
		stop()
		if err == nil || errors.Is(err, errEnough) || errors.Is(err, errEnded) || ctx.Err() != nil {
			s.settle(parent)
		}
		s.match.finish()
		switch {
		case errors.Is(err, errEnough):
			s.report.Stopped = "the limit is reached"
			return nil
		case errors.Is(err, errEnded):
			s.report.Stopped = "ended"
			return nil
		case parent.Err() != nil:
			s.report.Stopped = "interrupted"
			return nil
		case ctx.Err() != nil:
			s.report.Stopped = "the time is over"
			return nil
		case err != nil:
			s.report.Stopped = "failed"
			return err
		}
	}
	return nil
}

// sharpen makes sleeps exact as long as the pace has moments to sleep until.
func (s *sender) sharpen() {
	switch p := &s.clock.pace; {
	case p.Top || p.Answer:
		s.blunt()
	case s.relax == nil:
		s.relax = sharpen()
	}
}

func (s *sender) blunt() {
	if s.relax != nil {
		s.relax()
		s.relax = nil
	}
}

func (s *sender) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.match.failed:
		return false
	}
}

// once plays all steps.
func (s *sender) once(ctx context.Context) error {
	s.jump(0)
	for {
		if err := s.control(ctx); err != nil {
			return err
		}
		if s.feed.next >= len(s.plan.Steps) {
			return nil
		}
		due, ok := s.wait(ctx)
		if !ok {
			continue // control says why
		}
		if err := s.send(due); err != nil {
			return err
		}
	}
}

// jump goes on with step i, which is due now.
func (s *sender) jump(i int) {
	s.report.Skipped += int64(max(0, i-s.feed.next))
	s.feed.from(i)
	s.plan.Control.at.Store(int64(i))
	s.moved = true
}

// control does what the controller asks for, and waits while it is paused.
func (s *sender) control(ctx context.Context) error {
	c := s.plan.Control
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.match.failed:
			if s.match.err == nil || errors.Is(s.match.err, net.ErrClosed) {
				return fmt.Errorf("replay: the peer was closed")
			}
			return s.match.err
		default:
		}
		if !c.changed.Load() {
			return nil
		}
		o := c.take()
		if o.pace != nil {
			p := &s.clock.pace
			p.Multiplier, p.PPS, p.Mbps, p.Top, p.Answer, p.MaxSleep = o.pace.Multiplier, o.pace.PPS, o.pace.Mbps, o.pace.Top, o.pace.Answer, o.pace.MaxSleep
			s.moved = true
			s.sharpen()
		}
		if o.seek >= 0 {
			s.jump(min(o.seek, len(s.plan.Steps)))
		}
		if !o.paused || s.feed.next >= len(s.plan.Steps) {
			return nil
		}
		if o.ended {
			return errEnded
		}
		s.moved = true
		select {
		case <-c.wake:
			c.changed.Store(true)
		case <-ctx.Done():
		case <-s.match.failed:
		}
	}
}

// wait waits until the next step is due and returns when it was, the zero time
// if nothing says. It reports false if something else comes up.
func (s *sender) wait(ctx context.Context) (time.Time, bool) {
	step := &s.plan.Steps[s.feed.next]
	if s.moved {
		s.moved = false
		s.feed.prime() // reading is not to make the first ones late
		s.clock.anchor(time.Now(), step.At)
	}
	due := s.clock.due(step.At)
	if s.clock.pace.Answer && step.Wait >= 0 {
		return due, s.answered(ctx, step.Wait, s.plan.opt.Wait)
	}
	if !due.IsZero() && !s.waiter.until(ctx, due, s.plan.Control.wake, s.match.failed) {
		return due, false
	}
	if step.After < 0 {
		return due, true
	}
	asked := s.begin.Add(time.Duration(s.match.sent[s.plan.Expected[step.After].Cause].Load()))
	return due, s.answered(ctx, step.After, s.plan.opt.Wait-time.Since(asked))
}

// answered waits until expected item i has come, or no longer than patience.
func (s *sender) answered(ctx context.Context, i int32, patience time.Duration) bool {
	if s.match.got[i].Load() != 0 || patience <= 0 || s.match.sent[s.plan.Expected[i].Cause].Load() == 0 {
		return true // or it was not asked for
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	for s.match.got[i].Load() == 0 {
		select {
		case <-s.match.came:
		case <-t.C:
			return true
		case <-s.plan.Control.wake:
			return false
		case <-s.match.failed:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// send sends the step that is due, and those that are overdue with it.
func (s *sender) send(due time.Time) error {
	limit := feedBatch
	if s.clock.pace.Answer {
		limit = 1
	}
	if limit = s.plan.Control.allow(limit); limit == 0 {
		return nil
	}
	if n := s.plan.opt.Pace.Limit; n > 0 {
		if s.report.Sent >= n {
			return errEnough
		}
		limit = int(min(int64(limit), n-s.report.Sent))
	}
	items, err := s.feed.peek(limit)
	if err != nil {
		return err
	}
	now := time.Now()
	if s.first.IsZero() {
		s.first = now
	}
	items = s.ready(s.overdue(items, due, now))
	if mtu := s.plan.opt.MTU; mtu > 0 {
		large := slices.IndexFunc(items, func(it Item) bool { return len(it.Data) > mtu })
		if large == 0 {
			s.tooBig(items[0], now)
			return nil
		}
		if large > 0 {
			items = items[:large]
		}
	}
	at := max(1, int64(now.Sub(s.begin)))
	for i := range items {
		s.match.sent[items[i].Step].Store(at)
	}
	n, err := s.peer.Send(items)
	for i := n; i < len(items); i++ {
		s.match.sent[items[i].Step].Store(0)
	}
	s.last = time.Now()
	s.count(items[:n], now)
	s.feed.took(n)
	s.plan.Control.at.Store(int64(s.feed.next))
	return err
}

// teller is a Peer that wants to know what the sender of a packet was told
// instead of it.
type teller interface {
	told(pkt, answer []byte) int64
}

// tooBig has the sender of a packet know that it does not fit.
func (s *sender) tooBig(it Item, now time.Time) {
	step := &s.plan.Steps[it.Step]
	s.match.sent[it.Step].Store(max(1, int64(now.Sub(s.begin))))
	if answer, ok := s.plan.opt.TooBig(nil, it.Data, s.plan.opt.MTU); ok {
		back := Item{Kind: decode.Packet, Tunnel: it.Tunnel, Data: answer}
		if t, ok := s.peer.(teller); ok {
			back.Number = t.told(it.Data, answer)
		}
		s.report.TooBig++
		s.match.take([]Item{back}, time.Now())
	}
	s.last = now
	s.clock.done(s.clock.due(step.At), len(it.Data))
	s.feed.took(1)
	s.plan.Control.at.Store(int64(s.feed.next))
}

// overdue returns those of items that are due now.
func (s *sender) overdue(items []Item, due, now time.Time) []Item {
	if due.IsZero() {
		return items
	}
	ahead := s.clock
	for n := range items {
		if n > 0 {
			if due = ahead.due(s.plan.Steps[items[n].Step].At); due.After(now) {
				return items[:n]
			}
		}
		ahead.done(due, len(items[n].Data))
	}
	return items
}

// ready returns those in front of the next one that has something to wait for.
func (s *sender) ready(items []Item) []Item {
	for i := 1; i < len(items); i++ {
		if after := s.plan.Steps[items[i].Step].After; after >= 0 && s.match.got[after].Load() == 0 {
			return items[:i]
		}
	}
	return items
}

// count counts items that were sent from now on until s.last. Each one's
// lateness is estimated from its place among them.
func (s *sender) count(items []Item, now time.Time) {
	took := s.last.Sub(now)
	for i := range items {
		due := s.clock.due(s.plan.Steps[items[i].Step].At)
		if !due.IsZero() {
			s.late.add(now.Add(took * time.Duration(i) / time.Duration(len(items))).Sub(due))
			s.report.Planned = max(0, due.Sub(s.first))
		}
		s.clock.done(due, len(items[i].Data))
		s.report.Sent++
		s.report.Bytes += int64(len(items[i].Data))
	}
}

// settle waits for the answers that are still to come.
func (s *sender) settle(ctx context.Context) {
	if s.match.outstanding() == 0 {
		return
	}
	t := time.NewTimer(s.plan.opt.Wait)
	defer t.Stop()
	for s.match.left() > 0 {
		select {
		case <-s.match.came:
			t.Reset(s.plan.opt.Wait)
		case <-t.C:
			return
		case <-s.match.failed:
			return
		case <-ctx.Done():
			return
		}
	}
}
