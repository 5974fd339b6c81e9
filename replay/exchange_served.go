package replay

import (
	"fmt"
	"sync"
	"time"

	"tundump/decode"
)

// Exchanges returns what the recording can be asked, and what of it was. What
// differs is what is asked, not what is answered; what the recording does not
// have comes last.
func (r *Responder) Exchanges() Exchanges {
	x := &served{r: r, asks: []*asks{newAsks(r, r.plan.source)}}
	if r.flows != nil {
		src := r.flows.plan.source
		if d, ok := src.(*datagrams); ok { // which is for one goroutine
			src = &datagrams{Source: d.Source}
		}
		x.asks = append(x.asks, newAsks(r.flows, src))
	}
	return x
}

// served is the exchanges of a recorded server: requests, connections,
// datagrams of app-proxy flows, strangers.
type served struct {
	r    *Responder
	asks []*asks
}

// asks are the requests of one responder.
type asks struct {
	r     *Responder
	steps []int32 // that ask something

	mu      sync.Mutex // guards what reads the recording
	read    reader
	again   reader
	step    []byte
	compare *Comparer
}

func newAsks(r *Responder, src Source) *asks {
	a := &asks{r: r, read: reader{plan: r.plan, source: src}, again: reader{plan: r.plan, source: src}, compare: NewComparer(r.plan.opt.Rules)}
	for i, asks := range r.plan.asked {
		if asks {
			a.steps = append(a.steps, int32(i))
		}
	}
	return a
}

// strangers are what was asked that a recording does not have.
type strangers struct {
	mu   sync.Mutex
	list []Difference
}

func (s *strangers) add(d Difference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < maxDifferences {
		s.list = append(s.list, d)
	}
}

func (s *strangers) all() []Difference { // whose elements never change
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

// which finds number i: request number n of a, connection number n, or, if
// a is nil and connection false, stranger number n.
func (x *served) which(i int) (a *asks, connection bool, n int) {
	for k, a := range x.asks {
		if i < len(a.steps) {
			return a, false, i
		}
		i -= len(a.steps)
		if k > 0 {
			continue
		}
		if i < len(x.r.all) {
			return nil, true, i
		}
		i -= len(x.r.all)
	}
	return nil, false, i
}

func (x *served) fixed() int {
	n := len(x.r.all)
	for _, a := range x.asks {
		n += len(a.steps)
	}
	return n
}

// Len implements [Exchanges].
func (x *served) Len() int { return x.fixed() + len(x.r.others.all()) }

// At implements [Exchanges]: the order is the client's.
func (x *served) At() int { return -1 }

// State implements [Exchanges].
func (x *served) State(i int) State {
	a, connection, n := x.which(i)
	switch {
	case connection:
		x.r.mu.Lock()
		defer x.r.mu.Unlock()
		return x.r.all[n].state()
	case a == nil:
		return Surplus
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	return a.r.state(a.steps[n])
}

// state is that of a request; r.mu is held.
func (r *Responder) state(step int32) State {
	switch {
	case r.differed[step] != nil:
		return Different
	case r.asked[step]:
		return Equal
	}
	return Unasked
}

// state is that of a connection; the responder's lock is held.
func (s *recordedStream) state() State {
	switch {
	case !s.used:
		return Unasked
	case !s.over:
		return Awaited
	case s.difference != nil:
		return Different
	}
	return Equal
}

// Read implements [Exchanges].
func (x *served) Read(i int) (Exchange, error) {
	if i < 0 || i >= x.Len() {
		return Exchange{}, fmt.Errorf("replay: there is no exchange %d", i)
	}
	a, connection, n := x.which(i)
	switch {
	case connection:
		return x.r.connection(n), nil
	case a == nil:
		e := x.r.others.all()[n].surplus()
		e.Asks = true
		return e, nil
	}
	return a.request(a.steps[n])
}

// request is what became of a step.
func (a *asks) request(step int32) (Exchange, error) {
	r := a.r
	out := Exchange{Then: -1, Now: -1, Loop: 1, Message: r.message, Asks: true}
	r.mu.Lock()
	out.State, out.Difference = r.state(step), r.differed[step]
	r.mu.Unlock()
	if out.Difference != nil {
		out.Live = withoutAddresses(out.Difference.Live)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	request, b, err := a.read.step(int(step), a.step[:0])
	a.step = b
	out.Request = r.plan.Steps[step].Number
	if err != nil {
		return out, err
	}
	if r.message {
		out.Request = a.read.event.Number
	}
	out.To, out.Asked = a.compare.describe(request, decode.ClientToServer)
	answers := r.answers[step]
	if len(answers) == 0 {
		return out, nil
	}
	e := &r.plan.Expected[answers[0]]
	reply, err := a.again.recorded(e)
	if err != nil {
		return out, err
	}
	out.Answer = e.Number
	if r.message {
		out.Answer = a.again.event.Number
	}
	if _, out.Recorded = a.compare.describe(reply, decode.ServerToClient); len(answers) > 1 {
		out.Recorded += fmt.Sprintf(", and %d more", len(answers)-1)
	}
	return out, nil
}

// connection is what became of connection n.
func (r *Responder) connection(n int) Exchange {
	s := r.all[n]
	out := s.dialogue.exchange()
	r.mu.Lock()
	defer r.mu.Unlock()
	out.State, out.Loop, out.Difference = s.state(), 1, s.difference
	switch out.State {
	case Awaited:
		out.Since = time.Since(s.begun)
	case Equal, Different:
		out.Now, out.Live = s.took, traffic(s.bytes[0], s.bytes[1])
	}
	return out
}

// Different implements [Exchanges].
func (x *served) Different() (n int64) {
	for _, a := range x.asks {
		a.r.mu.Lock()
		n += a.r.report.Total
		a.r.mu.Unlock()
	}
	return n
}

// Differences implements [Exchanges].
func (x *served) Differences() []Difference { return x.r.Report().Differences }
