package replay

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"tundump/decode"
	"tundump/decode/packet"
)

// Responder is a recorded server: it answers what a live client asks with what
// was recorded. A request is one of the recorded if its kind, where it goes to
// and its question are equal; of several the first that is equal in everything
// counts, else the first that has not been asked, else the last. Its methods
// are safe for concurrent use.
type Responder struct {
	plan    *Plan
	answers map[int32][]int32 // by step, the expected items
	streams map[string][]*recordedStream
	flows   *Responder        // to datagrams of app-proxy flows; nil in itself
	message bool              // its packets stand for messages
	all     []*recordedStream // as the plan has them
	others  *strangers        // shared with flows

	talking sync.WaitGroup // connections that are played

	mu      sync.Mutex // guards what is below
	asked   []bool     // of each step
	keyer   *keyer
	compare *Comparer
	read    reader
	again   reader
	fit     fitter
	facts   packet.Facts
	step    []byte
	strange map[string]bool // what was reported as unmatched
	// differed is of each step that was asked for otherwise the last such time,
	// of as many as a report has.
	differed map[int32]*Difference
	report   Report
}

// recordedStream is a connection that a client may open again.
type recordedStream struct {
	dialogue   *Dialogue
	used       bool
	begun      time.Time
	over       bool
	took       time.Duration
	bytes      [2]int64
	difference *Difference // nil for none
}

// maxStrange bounds how many unmatched requests are told apart.
const maxStrange = 4096

// NewResponder reads a recording to its end. Of the options, Tunnel, Rewrite
// and Rules count. A recording without anything to answer is no error.
func NewResponder(src Source, o Options) (*Responder, error) {
	plan := Options{Tunnel: o.Tunnel, Rewrite: o.Rewrite, Rules: o.Rules.with(looseIgnored), Preload: -1, Flows: true, loose: true}
	r, err := newResponder(src, plan)
	if err != nil {
		return nil, err
	}
	plan.Flows, plan.Rewrite = false, nil
	if r.flows, err = newResponder(&datagrams{Source: src}, plan); err != nil {
		return nil, err
	}
	r.flows.message, r.flows.others = true, r.others
	return r, nil
}

func newResponder(src Source, o Options) (*Responder, error) {
	c, err := compile(src, o)
	if err != nil {
		return nil, err
	}
	plan := c.Plan
	if _, err := c.finish(); err != nil && !errors.Is(err, ErrEmpty) {
		return nil, err
	}
	r := &Responder{
		plan: plan, answers: make(map[int32][]int32), streams: make(map[string][]*recordedStream),
		asked: make([]bool, len(plan.Steps)), keyer: newKeyer(plan.seed), compare: NewComparer(plan.opt.Rules),
		read: reader{plan: plan}, again: reader{plan: plan}, strange: make(map[string]bool),
		others: new(strangers), differed: make(map[int32]*Difference),
	}
	r.keyer.loose, r.fit.parser = true, packet.NewParser()
	for i := range plan.Expected {
		cause := plan.Expected[i].Cause
		r.answers[cause] = append(r.answers[cause], int32(i))
	}
	for _, d := range plan.Dialogues {
		k, s := streamKey(d.Host, d.Port), &recordedStream{dialogue: d}
		r.streams[k], r.all = append(r.streams[k], s), append(r.all, s)
	}
	return r, nil
}

func streamKey(host string, port uint16) string {
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), strconv.Itoa(int(port)))
}

// Plan is the recording as it was compiled.
func (r *Responder) Plan() *Plan { return r.plan }

// Answer appends to dst the packets that answer pkt, which is no TCP. known
// reports whether the recording has such a request.
func (r *Responder) Answer(dst [][]byte, pkt []byte) (answers [][]byte, known bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.facts
	r.keyer.parser.Facts(pkt, f)
	k, class := r.keyer.request(0, f)
	if class == noClass {
		return dst, true, nil // asks nothing
	}
	r.report.Received++
	at, ok := r.plan.keys[k]
	if !ok {
		r.unmatched(pkt)
		return dst, false, nil
	}
	sum := r.keyer.sum(f)
	step := r.choose(at, sum)
	r.asked[step] = true
	r.report.Answered++
	request, _, err := r.read.step(int(step), r.step[:0])
	if err != nil {
		return dst, true, err
	}
	r.step = request.Data
	if r.plan.sums[step] != sum || r.plan.opt.Rules.strict() {
		r.differs(step, request, pkt)
	}
	for _, i := range r.answers[step] {
		reply, err := r.again.recorded(&r.plan.Expected[i])
		if err != nil {
			return dst, true, err
		}
		if p := r.fit.append(nil, request.Data, reply.Data, f, pkt); len(p) > 0 {
			dst = append(dst, p)
			r.report.Sent++
			r.report.Bytes += int64(len(p))
		}
	}
	return dst, true, nil
}

// choose returns the step of a chain that a request is.
func (r *Responder) choose(at int32, sum uint64) int32 {
	ch := &r.plan.chains[at]
	unasked, equal, looked := int32(-1), int32(-1), 0
	for i := ch.first; i >= 0; i = r.plan.Steps[i].same {
		switch same := r.plan.sums[i] == sum; {
		case same && !r.asked[i]:
			return i
		case same:
			equal = i
		case unasked < 0 && !r.asked[i]:
			unasked = i
		}
		if !r.asked[i] {
			if looked++; looked >= matchWindow {
				break
			}
		}
	}
	switch {
	case equal >= 0:
		return equal // the same once more
	case unasked >= 0:
		return unasked
	}
	return ch.last
}

// differs compares a request with the recorded one that it is taken for.
func (r *Responder) differs(step int32, request Item, pkt []byte) {
	fields := r.compare.Packets(request.Data, pkt)
	if len(fields) == 0 {
		return
	}
	r.report.Changed++
	it := Item{Kind: decode.Packet, Data: pkt}
	d := Difference{Kind: Changed, Request: r.plan.Steps[step].Number, Loop: 1, Fields: fields}
	if r.message {
		d.Request, d.Message = r.read.event.Number, true
	}
	d.Recorded, d.Live = r.compare.line(request, decode.ClientToServer), r.compare.line(it, decode.ClientToServer)
	if len(r.differed) < maxDifferences || r.differed[step] != nil {
		r.differed[step] = &d
	}
	r.report.add(d)
}

// unmatched notes a request that the recording does not have, once.
func (r *Responder) unmatched(pkt []byte) {
	r.strangers(r.compare.line(Item{Kind: decode.Packet, Data: pkt}, decode.ClientToServer), r.message)
}

func (r *Responder) strangers(line string, message bool) {
	if r.strange[line] {
		return
	}
	if len(r.strange) < maxStrange {
		r.strange[line] = true
	}
	r.report.Extra++
	d := Difference{Kind: Extra, Message: message, Loop: 1, Live: line}
	r.others.add(d)
	r.report.add(d)
}

// Unmatched notes a connection that the recording does not have.
func (r *Responder) Unmatched(network, address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.strangers(safeText("a "+network+" connection to "+address), true)
}

// Wait waits until every connection that was dialled has been closed and its
// end is in the report.
func (r *Responder) Wait() { r.talking.Wait() }

// Report returns what came so far. Received counts requests, Answered those
// that the recording has, Extra those that it does not have, Sent the answers,
// Skipped what was recorded and not asked.
func (r *Responder) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := r.report
	rep.Differences = append([]Difference(nil), rep.Differences...)
	for i := range r.asked {
		if !r.asked[i] && r.plan.asked[i] {
			rep.Skipped++
		}
	}
	if r.flows != nil {
		rep.merge(r.flows.Report())
	}
	for _, list := range r.streams {
		for _, s := range list {
			if !s.used {
				rep.Skipped++
			}
		}
	}
	return rep
}

// merge adds what another one counted of requests and answers.
func (r *Report) merge(b Report) {
	r.Received += b.Received
	r.Answered += b.Answered
	r.Extra += b.Extra
	r.Changed += b.Changed
	r.Sent += b.Sent
	r.Bytes += b.Bytes
	r.Skipped += b.Skipped
	r.Total += b.Total
	r.Differences = append(r.Differences, b.Differences...)
}
