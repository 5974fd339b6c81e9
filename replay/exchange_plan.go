package replay

import (
	"fmt"
	"sort"
	"sync"
	"time"

	"tundump/decode"
)

// Exchanges returns what the plan expects and what becomes of it.
func (p *Plan) Exchanges() Exchanges {
	x := &planned{plan: p, read: reader{plan: p}, again: reader{plan: p}, compare: NewComparer(p.opt.Rules)}
	x.before = make([]int, len(p.Dialogues))
	at := 0
	for i, d := range p.Dialogues {
		at = max(at, sort.Search(len(p.Expected), func(j int) bool { return p.Expected[j].At > d.Begin }))
		x.before[i] = at
	}
	return x
}

// planned is the exchanges of a plan.
type planned struct {
	plan   *Plan
	before []int // of each dialogue: how many expected items stand before it

	mu      sync.Mutex // guards what reads the recording
	read    reader
	again   reader
	step    []byte
	compare *Comparer
}

func (x *planned) fixed() int { return len(x.plan.Expected) + len(x.plan.Dialogues) }

// which returns the number of an expected item, or of a dialogue; the other is
// -1.
func (x *planned) which(i int) (expected, dialogue int) {
	d := sort.Search(len(x.before), func(d int) bool { return x.before[d]+d >= i })
	if d < len(x.before) && x.before[d]+d == i {
		return -1, d
	}
	return i - d, -1
}

// place is the number of an expected item.
func (x *planned) place(expected int) int {
	return expected + sort.Search(len(x.before), func(d int) bool { return x.before[d] > expected })
}

// Len implements [Exchanges].
func (x *planned) Len() int {
	m := x.plan.Control.played.Load()
	if m == nil {
		return x.fixed()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return x.fixed() + len(m.extras)
}

// At implements [Exchanges].
func (x *planned) At() int {
	p := x.plan
	step, _ := p.Control.Position()
	newest := int32(-1)
	switch {
	case step <= 0:
	case step >= len(p.Steps):
		newest = int32(len(p.Expected)) - 1
	default:
		newest = max(p.Steps[step-1].Answer, p.Steps[step].Wait)
	}
	at := -1
	if newest >= 0 {
		at = x.place(int(newest))
	}
	if m := p.Control.played.Load(); m != nil && len(p.Dialogues) > 0 {
		if d := int(m.begun.Load()) - 1; d >= 0 {
			at = max(at, x.before[d]+d)
		}
	}
	return at
}

// State implements [Exchanges].
func (x *planned) State(i int) State {
	m := x.plan.Control.played.Load()
	if i >= x.fixed() {
		return Surplus
	}
	e, d := x.which(i)
	switch {
	case m == nil:
		return Unasked
	case d < 0:
		return m.state(int32(e))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dialogueState(d)
}

// state is that of expected item i.
func (m *matcher) state(i int32) State {
	e := &m.plan.Expected[i]
	got, sent := m.got[i].Load(), m.sent[e.Cause].Load()
	switch {
	case got == never:
		return Lost
	case got == 0 && sent == 0:
		return Unasked
	case got == 0:
		return Awaited
	case m.changed.has(i):
		return Different
	case sent != 0 && time.Duration(got-sent) > m.plan.recordedRTT(e)+m.plan.opt.Late:
		return Belated
	}
	return Equal
}

// recordedRTT is how long an expected item took then.
func (p *Plan) recordedRTT(e *Expected) time.Duration { return max(0, e.At-p.Steps[e.Cause].At) }

// dialogueState is that of dialogue d; m.mu is held.
func (m *matcher) dialogueState(d int) State {
	t := &m.talks[d]
	switch {
	case !t.begun.IsZero() && !t.over:
		return Awaited
	case !t.over:
		return Unasked
	case t.kind == Changed:
		return Different
	case t.kind == Unanswered:
		return Lost
	}
	return Equal
}

// talked is what became of a dialogue.
type talked struct {
	begun      time.Time // zero: it has not
	over       bool
	took       time.Duration
	bytes      [2]int64
	kind       DifferenceKind // "" for none
	difference int32          // in the report, from 1; 0: none is kept
}

// Read implements [Exchanges].
func (x *planned) Read(i int) (Exchange, error) {
	if i < 0 || i >= x.Len() {
		return Exchange{}, fmt.Errorf("replay: there is no exchange %d", i)
	}
	m := x.plan.Control.played.Load()
	if i >= x.fixed() {
		return m.extra(i - x.fixed()), nil
	}
	e, d := x.which(i)
	if d >= 0 {
		return x.connection(m, d), nil
	}
	out := Exchange{Now: -1}
	if m != nil {
		m.exchange(&out, int32(e))
	}
	err := x.describe(&out, &x.plan.Expected[e])
	return out, err
}

// exchange fills in what became of expected item i.
func (m *matcher) exchange(out *Exchange, i int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := &m.plan.Expected[i]
	out.State, out.Loop = m.state(i), m.loop
	got, sent := m.got[i].Load(), m.sent[e.Cause].Load()
	switch {
	case out.State == Awaited:
		out.Since = max(0, time.Since(m.begin)-time.Duration(sent))
	case got > 0 && sent > 0:
		out.Now = max(0, time.Duration(got-sent))
	}
	if m.rows != nil && got > 0 {
		out.Came = m.rows[i]
	}
	if at := m.differs[i]; at > 0 {
		out.Difference = &m.report.Differences[at-1]
		if out.State == Different && out.Difference.Loop == m.loop {
			out.Live = withoutAddresses(out.Difference.Live)
		}
	}
}

// describe fills in what the recording has.
func (x *planned) describe(out *Exchange, e *Expected) error {
	p := x.plan
	cause := &p.Steps[e.Cause]
	out.Request, out.Answer, out.Message, out.Then = cause.Number, e.Number, e.Index < 0, p.recordedRTT(e)
	x.mu.Lock()
	defer x.mu.Unlock()
	request, b, err := x.read.step(int(e.Cause), x.step[:0])
	x.step = b
	if err != nil {
		return err
	}
	out.To, out.Asked = x.compare.describe(request, p.opt.Dir)
	answer, err := x.again.recorded(e)
	if err != nil {
		return err
	}
	_, out.Recorded = x.compare.describe(answer, p.opt.Dir.Opposite())
	return nil
}

// connection is dialogue d.
func (x *planned) connection(m *matcher, d int) Exchange {
	out := x.plan.Dialogues[d].exchange()
	if m == nil {
		return out
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out.State, out.Loop = m.dialogueState(d), m.loop
	t := &m.talks[d]
	switch {
	case t.over:
		out.Now = t.took
		out.Live = traffic(t.bytes[0], t.bytes[1])
	case out.State == Awaited:
		out.Since = time.Since(t.begun)
	}
	if t.difference > 0 {
		out.Difference = &m.report.Differences[t.difference-1]
	}
	return out
}

// exchange is what was recorded of a dialogue.
func (d *Dialogue) exchange() Exchange {
	out := Exchange{Connection: true, To: safeText(d.Host), Request: d.Number, Message: d.Message, Then: d.End - d.Begin, Now: -1, Asked: d.line}
	out.Recorded = traffic(int64(len(d.Payload[decode.ClientToServer])), int64(len(d.Payload[decode.ServerToClient])))
	if !d.Connected {
		out.Recorded = "it was not accepted"
	}
	return out
}

// traffic says how much a connection carried.
func traffic(up, down int64) string { return fmt.Sprintf("%d bytes up, %d down", up, down) }

// extra is the nth of what came besides.
func (m *matcher) extra(n int) Exchange {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := &m.report.Differences[m.extras[n]]
	return d.surplus()
}

// surplus is the exchange of something that came besides.
func (d *Difference) surplus() Exchange {
	return Exchange{State: Surplus, Request: d.Request, Message: d.Message, Came: d.Came, Loop: d.Loop, Then: -1, Now: -1, Live: withoutAddresses(d.Live), Difference: d}
}

// Different implements [Exchanges].
func (x *planned) Different() int64 {
	m := x.plan.Control.played.Load()
	if m == nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.report.Total
}

// Differences implements [Exchanges].
func (x *planned) Differences() []Difference {
	m := x.plan.Control.played.Load()
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Difference(nil), m.report.Differences...)
}
