package replay

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"tundump/decode"
)

// Missing is a difference of Diff alone: the second recording does not ask what
// the first does.
const Missing DifferenceKind = "missing"

// DiffReport is how two recordings differ.
type DiffReport struct {
	A, B Metrics
	// Asked is how many requests and flows both have, Compared how many answers
	// and flows were compared.
	Asked, Compared int64
	// Differences are in the order of the first recording; Total counts all.
	// Request and Answer are numbers in the first recording, and for Extra in
	// the second.
	Differences []Difference
	Total       int64
}

// Metrics is what is counted in a recording.
type Metrics struct {
	Tunnels  int64
	Messages int64
	Packets  [2]int64 // by direction
	Bytes    [2]int64 // of those packets
	Flows    int64    // TCP inside tunnels, and app-proxy connections
	Payload  [2]int64 // bytes that those carried
	Damaged  int64
	Requests int64
	Answers  int64
	Duration time.Duration
	RTT      Quantiles // of requests that are answered
}

// Same reports whether nothing differs.
func (r *DiffReport) Same() bool { return r.Total == 0 }

// looseIgnored is what has nothing to say between two recordings: the key that
// aligned them has the other end's address and port, and the rest is chosen
// anew each time.
var looseIgnored = []string{
	"ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "icmp.ident", "icmp.seq",
}

// Diff compares two recordings. What the client asks in a is aligned with what
// it asks in b, by kind, the other end's address and port, and question, in
// order; then requests and answers are compared by the rules, and flows by the
// bytes that they carry each way. If one of them is of bare packets, messages
// are left out. What differs anyway is left out: ports that
// the client chose, identifiers, sequence numbers. An Options' Dir, Select,
// Pace and MTU do not count.
func Diff(a, b Source, rules Rules) (DiffReport, error) {
	var r DiffReport
	flowsA, err := flowsOf(a, &r.A)
	if err != nil {
		return r, err
	}
	flowsB, err := flowsOf(b, &r.B)
	if err != nil {
		return r, err
	}
	// A recording of bare packets has no messages to compare with.
	o := Options{Messages: r.A.Tunnels > 0 && r.B.Tunnels > 0, Rules: rules.with(looseIgnored), Preload: -1, loose: true}
	plan, err := Compile(a, o)
	if errors.Is(err, ErrEmpty) {
		return r, fmt.Errorf("replay: the first recording: %w", err)
	}
	if err != nil {
		return r, err
	}
	d := &differ{plan: plan, report: &r}
	d.match = newMatcher(plan, &d.live, time.Unix(0, 0))
	d.next = make([]int32, len(plan.chains))
	for i := range d.next {
		d.next[i] = plan.chains[i].first
	}
	if err := d.second(b); err != nil {
		return r, err
	}
	d.finish()
	d.flows(flowsA, flowsB)
	slices.SortStableFunc(r.Differences, func(x, y Difference) int { return cmp.Compare(x.Request, y.Request) })
	return r, nil
}

// with returns rules that ignore more.
func (r Rules) with(names []string) Rules {
	ignore := make(map[string]bool, len(r.ignore)+len(names))
	for n := range r.ignore {
		ignore[n] = true
	}
	for _, n := range names {
		ignore[n] = r.match[n] == nil
	}
	r.ignore = ignore
	return r
}

// differ holds a second recording against the plan of a first.
type differ struct {
	plan   *Plan
	match  *matcher
	live   Report
	report *DiffReport
	next   []int32 // of each chain: the first step that the second recording has not asked
}

// second takes in the second recording: what its client sent marks the steps
// as sent, what its server sent is matched.
func (d *differ) second(b Source) error {
	c := newCompiler(b, d.plan.opt)
	c.Plan.seed, c.keyer = d.plan.seed, newKeyer(d.plan.seed)
	c.keyer.loose, c.keyer.opened = true, make(map[flowKey]uint64)
	d.match.keyer.opened = c.keyer.opened // it looks at the answers
	c.seen = d.take
	for i := range b.Len() {
		ev, err := b.At(i, c.buf)
		if err != nil {
			return fmt.Errorf("replay: row %d: %w", i, err)
		}
		if cap(ev.Raw) > cap(c.buf) {
			c.buf = ev.Raw[:0]
		}
		if err := c.event(int32(i), ev); err != nil {
			return err
		}
	}
	return nil
}

// take takes one item of the second recording.
func (d *differ) take(it Item, dir decode.Direction, at time.Duration, number int64, k key, class class, sum uint64) {
	now := time.Unix(0, 0).Add(at + 1)
	if dir != d.plan.opt.Dir {
		d.match.take([]Item{it}, now)
		return
	}
	if class == noClass {
		return
	}
	d.report.B.Requests++
	chain, ok := d.plan.keys[k]
	if !ok || d.next[chain] < 0 {
		d.report.add(Difference{Kind: Extra, Request: number, Message: it.Kind != decode.Packet, Loop: 1, Live: d.match.compare.line(it, dir)})
		return
	}
	step := d.next[chain]
	d.next[chain] = d.plan.Steps[step].same
	d.match.sent[step].Store(int64(at) + 1)
	d.report.Asked++
	if d.plan.sums[step] == sum && !d.plan.opt.Rules.strict() {
		return
	}
	d.request(step, it)
}

// request compares what both clients asked.
func (d *differ) request(step int32, it Item) {
	recorded, _, err := d.match.read.step(int(step), nil)
	if err != nil {
		return // what cannot be read is counted as damaged
	}
	s := &d.plan.Steps[step]
	if b, ok := d.plan.joined[place{s.Row, s.Index}]; ok {
		recorded.Data = b
	}
	dir := d.plan.opt.Dir
	diff := Difference{Kind: Changed, Request: d.plan.Steps[step].Number, Message: it.Kind != decode.Packet, Loop: 1}
	if it.Kind == decode.Packet {
		diff.Fields = d.match.compare.Packets(recorded.Data, it.Data)
	} else {
		diff.Fields = d.match.compare.Messages(decode.Event{Kind: decode.Record, Dir: dir, Raw: recorded.Data}, decode.Event{Kind: decode.Record, Dir: dir, Raw: it.Data})
	}
	if len(diff.Fields) == 0 {
		return
	}
	diff.Recorded, diff.Live = d.match.compare.line(recorded, dir), d.match.compare.line(it, dir)
	d.report.add(diff)
}

func (r *DiffReport) add(d Difference) {
	r.Total++
	if len(r.Differences) < maxDifferences {
		r.Differences = append(r.Differences, d)
	}
}

// finish adds what the second recording did not ask, and what the matcher found.
func (d *differ) finish() {
	d.match.finish()
	p := d.plan
	d.report.A.Answers, d.report.B.Answers = int64(len(p.Expected)), d.live.Answered+d.live.Extra
	for i := range p.Steps {
		if p.asked[i] {
			d.report.A.Requests++
		}
		if p.asked[i] && d.match.sent[i].Load() == 0 {
			diff := Difference{Kind: Missing, Request: p.Steps[i].Number, Message: p.Steps[i].Index < 0, Loop: 1}
			if it, _, err := d.match.read.step(i, nil); err == nil && d.report.Total < maxDifferences {
				diff.Recorded = d.match.compare.line(it, p.opt.Dir)
			}
			d.report.add(diff)
		}
	}
	for _, diff := range d.live.Differences {
		d.report.add(diff)
	}
	d.report.Total += d.live.Total - int64(len(d.live.Differences))
	d.report.Compared += d.live.Answered
	d.report.A.RTT, d.report.B.RTT = d.match.before.quantiles(), d.match.rtt.quantiles()
}
