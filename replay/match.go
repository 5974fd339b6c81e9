package replay

import (
	"sync"
	"sync/atomic"
	"time"

	"tundump/decode"
	"tundump/decode/packet"
)

// matchWindow is how many of the answers that are still expected for one key
// are looked at for one that equals what came.
const matchWindow = 64

// matcher takes what comes and finds what it answers. One goroutine sends and
// one receives.
type matcher struct {
	plan  *Plan
	begin time.Time
	sent  []atomic.Int64 // of each step: nanoseconds since begin when it was sent, 0 if it was not
	got   []atomic.Int64 // of each expected item: when it came, 0 if it has not, or never
	// changed are the expected items whose answers differ.
	changed flags
	begun   atomic.Int64 // dialogues

	mu      sync.Mutex // guards what is below
	cursor  []int32    // of each chain: all before it have come
	keyer   *keyer
	compare *Comparer
	read    reader
	facts   packet.Facts
	parts   packet.Datagrams // of answers that come in fragments
	message decode.Message
	report  *Report
	loop    int
	rtt     histogram
	before  histogram
	missing int             // what settle still waits for; -1 while nothing waits
	rows    []int64         // of each expected item: Item.Number of what came; nil as long as there is none
	differs map[int32]int32 // of expected items, to the report's differences, from 1
	extras  []int32         // of the report's differences, those that no expected item has
	talks   []talked        // of each dialogue

	came   chan struct{} // something that was expected has come
	failed chan struct{} // receiving has ended
	err    error         // why; set before failed is closed
}

// never is when something came that will not.
const never = -1

func newMatcher(p *Plan, r *Report, begin time.Time) *matcher {
	m := &matcher{
		plan: p, begin: begin,
		sent:  make([]atomic.Int64, len(p.Steps)),
		got:   make([]atomic.Int64, len(p.Expected)),
		keyer: newKeyer(p.seed), compare: NewComparer(p.opt.Rules), read: reader{plan: p}, report: r, missing: -1,
		cursor:  make([]int32, len(p.chains)),
		changed: newFlags(len(p.Expected)), differs: make(map[int32]int32), talks: make([]talked, len(p.Dialogues)),
		came:   make(chan struct{}, 1),
		failed: make(chan struct{}),
	}
	m.keyer.loose = p.opt.loose
	m.start(1) // something may come before anything is sent
	return m
}

// receive takes what comes until the peer is closed or fails.
func (m *matcher) receive(p Peer) {
	defer close(m.failed)
	items := make([]Item, receiveBatch)
	for {
		n, err := p.Receive(items)
		if err != nil {
			m.err = err
			return
		}
		m.take(items[:n], time.Now())
	}
}

func (m *matcher) take(items []Item, now time.Time) {
	m.mu.Lock()
	matched := false
	for _, it := range items {
		matched = m.one(it, now) || matched
	}
	m.plan.Control.answered.Store(m.report.Answered)
	m.plan.Control.different.Store(m.report.Changed + m.report.Extra)
	m.mu.Unlock()
	if matched {
		select {
		case m.came <- struct{}{}:
		default:
		}
	}
}

// one takes one item and reports whether it was expected.
func (m *matcher) one(it Item, now time.Time) bool {
	r := m.report
	r.Received++
	if it.Kind == decode.Packet {
		m.keyer.parser.Facts(it.Data, &m.facts)
		if m.facts.IsFragment() {
			whole := m.parts.Add(it.Tunnel, 0, &m.facts)
			if whole == nil {
				r.Fragments++
				return false
			}
			it.Data = packet.AppendWhole(nil, &m.facts, whole)
			m.keyer.parser.Facts(it.Data, &m.facts)
		}
	}
	k, class, sum := m.identify(it)
	at, ok := m.plan.keys[k]
	if class == noClass || !ok {
		r.Unrelated++
		return false
	}
	e := m.find(at, class, sum)
	if e < 0 {
		m.surplus(at, class, it)
		return false
	}
	m.matched(e, it, sum, now)
	return true
}

// identify finds what it answers; m.facts are those of a packet.
func (m *matcher) identify(it Item) (k key, c class, sum uint64) {
	if it.Kind == decode.Packet {
		if k, c = m.keyer.answer(it.Tunnel, &m.facts); c == noClass {
			return 0, noClass, 0
		}
		return k, c, m.keyer.sum(&m.facts)
	}
	ev := decode.Event{Kind: decode.Record, Dir: m.plan.opt.Dir.Opposite(), Raw: it.Data}
	if m.message.Decode(ev) != nil {
		return 0, noClass, 0
	}
	k, c = m.keyer.message(it.Tunnel, &m.message)
	return k, c, m.keyer.sumBytes(it.Data)
}

// find returns which of a chain's expected items has come: one that equals it
// if there is one, else the oldest; -1 if none is expected yet. Messages may
// cross: what the recording has as an answer may come unasked.
func (m *matcher) find(at int32, c class, sum uint64) int32 {
	p := m.plan
	for m.cursor[at] >= 0 && m.got[m.cursor[at]].Load() != 0 {
		m.cursor[at] = p.Expected[m.cursor[at]].next
	}
	oldest, early, looked := int32(-1), int32(-1), 0
	for i := m.cursor[at]; i >= 0 && looked < matchWindow; i = p.Expected[i].next {
		e := &p.Expected[i]
		if m.got[i].Load() != 0 {
			continue
		}
		if m.sent[e.Cause].Load() == 0 {
			if looked++; early < 0 && e.sum == sum && c == messageClass {
				early = i
			}
			continue
		}
		if e.sum == sum {
			return i
		}
		if oldest < 0 {
			oldest = i
		}
		looked++
	}
	if oldest < 0 {
		return early
	}
	return oldest
}

// surplus counts an answer that nothing waits for.
func (m *matcher) surplus(at int32, class class, it Item) {
	ch := m.plan.chains[at]
	if class.once() && ch.head >= 0 {
		m.report.Repeated++
		return
	}
	if m.loop == 1 && m.sent[ch.first].Load() == 0 {
		m.report.Unrelated++ // nothing like it was asked yet
		return
	}
	m.report.Extra++
	d := Difference{Kind: Extra, Request: m.plan.Steps[ch.last].Number, Message: it.Kind != decode.Packet, Loop: m.loop, Came: it.Number}
	d.Live = m.compare.line(it, m.plan.opt.Dir.Opposite())
	if at := m.report.add(d); at > 0 {
		m.extras = append(m.extras, at-1)
	}
}

func (m *matcher) matched(i int32, it Item, sum uint64, now time.Time) {
	e := &m.plan.Expected[i]
	at := int64(now.Sub(m.begin))
	if it.Number != 0 {
		if m.rows == nil {
			m.rows = make([]int64, len(m.got))
		}
		m.rows[i] = it.Number
	}
	r := m.report
	r.Answered++
	if sent := m.sent[e.Cause].Load(); sent != 0 { // else it came before it was asked for
		rtt, before := time.Duration(at-sent), m.plan.recordedRTT(e)
		m.rtt.add(rtt)
		m.before.add(before)
		if rtt > before+m.plan.opt.Late {
			r.Late++
		}
		if m.missing > 0 {
			m.missing--
		}
	}
	if e.sum != sum || m.plan.opt.Rules.strict() {
		m.differ(i, e, it)
	}
	m.got[i].Store(max(at, 1)) // last, so that nobody sees it without what is different
}

// differ compares what came with what was recorded.
func (m *matcher) differ(i int32, e *Expected, it Item) {
	recorded, err := m.read.recorded(e)
	r := m.report
	d := Difference{Kind: Changed, Request: m.plan.Steps[e.Cause].Number, Answer: e.Number, Message: it.Kind != decode.Packet, Loop: m.loop, Came: it.Number}
	dir := m.plan.opt.Dir.Opposite()
	switch {
	case err != nil:
		d.Fields = []FieldDifference{{Name: "frame.raw", Recorded: "cannot be read: " + string(packet.AppendSafe(nil, err.Error()))}}
	case it.Kind == decode.Packet:
		d.Fields = m.compare.Packets(recorded.Data, it.Data)
	default:
		d.Fields = m.compare.Messages(decode.Event{Kind: decode.Record, Dir: dir, Raw: recorded.Data}, decode.Event{Kind: decode.Record, Dir: dir, Raw: it.Data})
	}
	if len(d.Fields) == 0 {
		return
	}
	r.Changed++
	d.Live = m.compare.line(it, dir)
	if err == nil {
		d.Recorded = m.compare.line(recorded, dir)
	}
	m.changed.set(i)
	m.keep(i, d)
}

// keep adds a difference to the report, as that of an expected item.
func (m *matcher) keep(i int32, d Difference) {
	if at := m.report.add(d); at > 0 {
		m.differs[i] = at
	}
}

// start forgets what was sent and came, for another loop.
func (m *matcher) start(loop int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loop, m.missing = loop, -1
	for i := range m.sent {
		m.sent[i].Store(0)
	}
	for i := range m.got {
		m.got[i].Store(0)
	}
	m.changed.clear()
	m.begun.Store(0)
	clear(m.talks)
	for i := range m.cursor {
		m.cursor[i] = m.plan.chains[i].head
	}
}

// outstanding counts what has not come of what was asked for.
func (m *matcher) outstanding() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missing = 0
	for i := range m.plan.Expected {
		if m.got[i].Load() == 0 && m.sent[m.plan.Expected[i].Cause].Load() != 0 {
			m.missing++
		}
	}
	return m.missing
}

func (m *matcher) left() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.missing
}

// finish counts a loop's answers that never came.
func (m *matcher) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.report
	dir := m.plan.opt.Dir.Opposite()
	for i := range m.plan.Expected {
		e := &m.plan.Expected[i]
		if m.sent[e.Cause].Load() == 0 {
			continue
		}
		r.Expected++
		if m.got[i].Load() != 0 {
			continue
		}
		r.Unanswered++
		m.got[i].Store(never) // what comes now is too late for this loop
		d := Difference{Kind: Unanswered, Request: m.plan.Steps[e.Cause].Number, Answer: e.Number, Message: e.Index < 0, Loop: m.loop}
		if r.Total < maxDifferences {
			if it, err := m.read.recorded(e); err == nil {
				d.Message = it.Kind != decode.Packet
				d.Recorded = m.compare.line(it, dir)
			}
		}
		m.keep(int32(i), d)
	}
}
