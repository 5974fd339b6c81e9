package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/rewrite"
	"tundump/replay"
)

// paceFlags are tcpreplay's, with its letters and meanings.
type paceFlags struct {
	multiplier float64
	pps        float64
	mbps       float64
	top        bool
	oneByOne   bool
	pace       string
	loop       int
	loopDelay  int64
	limit      int64
	duration   string
	maxSleep   string
	stats      string
	set        *pflag.FlagSet
}

func (p *paceFlags) register(f *pflag.FlagSet) {
	p.set = f
	f.Float64VarP(&p.multiplier, "multiplier", "x", 1, "times the recorded speed")
	f.Float64VarP(&p.pps, "pps", "p", 0, "packets a second; 0.25 is one in four seconds")
	f.Float64VarP(&p.mbps, "mbps", "M", 0, "megabits a second, of packets")
	f.BoolVarP(&p.top, "topspeed", "t", false, "as fast as they are taken")
	f.BoolVarP(&p.oneByOne, "oneatatime", "o", false, "one packet each time that a key is pressed")
	f.StringVar(&p.pace, "pace", "recorded", "recorded, answer (each as soon as what it waited for has come) or top")
	f.IntVarP(&p.loop, "loop", "l", 1, "how often; 0 is until it is stopped")
	f.Int64Var(&p.loopDelay, "loopdelay-ms", 0, "milliseconds between one loop and the next")
	f.Int64VarP(&p.limit, "limit", "L", 0, "stop after so many packets")
	f.StringVar(&p.duration, "duration", "", "stop after so many seconds (or 1m)")
	f.StringVar(&p.maxSleep, "maxsleep", "", "never wait longer than so many milliseconds (or 2s) for the next packet")
	f.StringVar(&p.stats, "stats", "", "print how far it is every so many seconds")
}

// changed names those of the flags that were given.
func (p *paceFlags) changed() (given []string) {
	for _, name := range [...]string{"multiplier", "pps", "mbps", "topspeed", "oneatatime", "pace", "loop", "loopdelay-ms", "limit", "duration", "maxsleep", "stats"} {
		if p.set.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	return given
}

// options checks the flags and returns what they ask for.
func (p *paceFlags) options() (replay.Pace, error) {
	var r replay.Pace
	var given []string
	for _, name := range [...]string{"multiplier", "pps", "mbps", "topspeed", "oneatatime", "pace"} {
		if p.set.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) > 1 {
		return r, fmt.Errorf("%s set one pace: choose", strings.Join(given, " and "))
	}
	for name, v := range map[string]float64{"multiplier": p.multiplier, "pps": p.pps, "mbps": p.mbps} {
		if p.set.Changed(name) && (!(v > 0) || math.IsInf(v, 0)) {
			return r, fmt.Errorf("--%s %v: it is more than 0", name, v)
		}
	}
	switch {
	case p.loop < 0:
		return r, fmt.Errorf("--loop %d: how often, and 0 until it is stopped", p.loop)
	case p.limit < 0 || p.loopDelay < 0:
		return r, errors.New("--limit and --loopdelay-ms are not negative")
	}
	if p.set.Changed("multiplier") {
		r.Multiplier = p.multiplier
	}
	r.PPS, r.Mbps, r.Top, r.OneByOne = p.pps, p.mbps, p.top, p.oneByOne
	switch p.pace {
	case "recorded":
	case "answer":
		r.Answer = true
	case "top":
		r.Top = true
	default:
		return r, fmt.Errorf("--pace %s: there is recorded, answer and top", p.pace)
	}
	if r.OneByOne {
		r.Top = true
	}
	r.Loops, r.LoopDelay, r.Limit = p.loop, time.Duration(p.loopDelay)*time.Millisecond, p.limit
	if r.Loops == 0 {
		r.Loops = -1
	}
	var err error
	if r.Duration, err = unitless(p.duration, "s"); err != nil {
		return r, fmt.Errorf("--duration: %w", err)
	}
	if r.MaxSleep, err = unitless(p.maxSleep, "ms"); err != nil {
		return r, fmt.Errorf("--maxsleep: %w", err)
	}
	return r, nil
}

// unitless reads a duration; a bare number has the unit that tcpreplay gives
// it.
func unitless(s, unit string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		s += unit
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no time; write 5 or 1500ms", s)
	}
	return d, nil
}

// describe says how long it takes, at which pace.
func (p *paceFlags) describe(plan *replay.Plan) string {
	round := func(d time.Duration) string { return d.Round(time.Millisecond).String() }
	text := ""
	switch n := float64(len(plan.Steps)); {
	case p.oneByOne:
		text = "one at a time"
	case p.top || p.pace == "top":
		text = "at top speed"
	case p.pace == "answer":
		text = "as fast as answers come"
	case p.pps > 0:
		text = fmt.Sprintf("in %s at %v packets a second", round(time.Duration(n/p.pps*1e9)), p.pps)
	case p.mbps > 0:
		text = fmt.Sprintf("in %s at %v Mbit/s", round(time.Duration(float64(plan.Bytes)*8e3/p.mbps)), p.mbps)
	default:
		text = fmt.Sprintf("in %s at ×%v", round(time.Duration(float64(plan.Duration)/p.multiplier)), p.multiplier)
	}
	switch {
	case p.loop == 0:
		text += ", until it is stopped"
	case p.loop > 1:
		text += fmt.Sprintf(", %d times", p.loop)
	}
	return text
}

// pickFlags say which packets are sent.
type pickFlags struct {
	include, exclude string
	display          string
	from, until      string
}

func (p *pickFlags) register(f *pflag.FlagSet) {
	f.StringVarP(&p.display, "display-filter", "Y", "", "send only what passes this display filter")
	f.StringVar(&p.include, "include", "", "send only the packets of these numbers: 1-5,9,15-")
	f.StringVar(&p.exclude, "exclude", "", "do not send the packets of these numbers")
	f.StringVar(&p.from, "from", "", "send from this time on: 10s after the first, 2026-01-31T12:00:00Z or seconds since 1970")
	f.StringVar(&p.until, "until", "", "send up to this time")
}

// selector returns what chooses, nil for all.
func (p *pickFlags) selector(src replay.Source) (func(*field.Row) bool, error) {
	if *p == (pickFlags{}) {
		return nil, nil
	}
	if p.include != "" && p.exclude != "" {
		return nil, errors.New("--include and --exclude: choose one")
	}
	var tests []func(*field.Row) bool
	if p.display != "" {
		f, err := filter.Compile(p.display)
		if err != nil {
			return nil, fmt.Errorf("-Y: %w", err)
		}
		var s filter.Scratch
		tests = append(tests, func(r *field.Row) bool { return f.Match(r, &s) })
	}
	for flag, text := range map[string]string{"--include": p.include, "--exclude": p.exclude} {
		if text == "" {
			continue
		}
		list, err := parseNumbers(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		want := flag == "--include"
		tests = append(tests, func(r *field.Row) bool { return list.has(r.Number) == want })
	}
	from, until, err := p.times(src)
	if err != nil {
		return nil, err
	}
	return func(r *field.Row) bool {
		if r.Event.Time < from || r.Event.Time > until {
			return false
		}
		for _, t := range tests {
			if !t(r) {
				return false
			}
		}
		return true
	}, nil
}

// times reads --from and --until.
func (p *pickFlags) times(src replay.Source) (from, until int64, err error) {
	from, until = math.MinInt64, math.MaxInt64
	begin := int64(0)
	if src.Len() > 0 {
		ev, err := src.At(0, nil)
		if err != nil {
			return 0, 0, err
		}
		begin = ev.Time
	}
	for flag, v := range map[string]struct {
		text string
		to   *int64
	}{"--from": {p.from, &from}, "--until": {p.until, &until}} {
		if v.text == "" {
			continue
		}
		if *v.to, err = parseMoment(v.text, begin); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", flag, err)
		}
	}
	if from > until {
		return 0, 0, errors.New("--from is after --until")
	}
	return from, until, nil
}

// parseMoment reads a time: after begin, absolute, or since 1970.
func parseMoment(s string, begin int64) (int64, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return begin + int64(d), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UnixNano(), nil
	}
	for _, layout := range [...]string{"2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t.UnixNano(), nil
		}
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<33 {
		return int64(f * 1e9), nil
	}
	return 0, fmt.Errorf("%q is no time; write 10s, 2026-01-31T12:00:00Z or seconds since 1970", s)
}

// numbers is a list of ranges: 1-5,9,15-.
type numbers []struct{ from, to int64 }

func parseNumbers(s string) (list numbers, err error) {
	for part := range strings.SplitSeq(s, ",") {
		a, b, dash := strings.Cut(part, "-")
		from, ferr := strconv.ParseInt(a, 10, 64)
		to := from
		if dash {
			if to = math.MaxInt64; b != "" {
				to, err = strconv.ParseInt(b, 10, 64)
			}
		}
		if ferr != nil || err != nil || from < 1 || to < from {
			return nil, fmt.Errorf("%q is no list of numbers; write 1-5,9,15-", s)
		}
		list = append(list, struct{ from, to int64 }{from, to})
	}
	return list, nil
}

func (l numbers) has(n int64) bool {
	for _, r := range l {
		if r.from <= n && n <= r.to {
			return true
		}
	}
	return false
}

// changeFlags say what is changed in the packets.
type changeFlags struct {
	addrs    []string
	ports    []string
	ttl      string
	newIDs   bool
	assigned bool
}

func (c *changeFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&c.addrs, "map", nil, "put an address or a network in the place of another, OLD=NEW; repeatable")
	f.StringArrayVar(&c.ports, "portmap", nil, "put a port in the place of another, OLD=NEW; repeatable")
	f.StringVar(&c.ttl, "ttl", "", "time to live: N, or +N or -N")
	f.BoolVar(&c.newIDs, "new-ids", false, "other IP identifications than the recorded ones")
	f.BoolVar(&c.assigned, "assigned", false, "put the address that the device has now in the place of the one in the recorded configuration")
}

// mapper changes packets and addresses.
type mapper struct {
	mu       sync.Mutex // what is sent and what is compared is changed at the same time
	rewriter rewrite.Rewriter
	addrs    rewrite.AddrMap
	changes  bool
	ttl      rewrite.TTL
}

func (c *changeFlags) mapper() (*mapper, error) {
	m := new(mapper)
	for _, s := range c.addrs {
		if err := m.addrs.Parse(s); err != nil {
			return nil, fmt.Errorf("--map: %w", err)
		}
	}
	ports := new(rewrite.PortMap)
	for _, s := range c.ports {
		if err := ports.Parse(s); err != nil {
			return nil, fmt.Errorf("--portmap: %w", err)
		}
	}
	if c.ttl != "" {
		var err error
		if m.ttl, err = rewrite.ParseTTL(c.ttl); err != nil {
			return nil, fmt.Errorf("--ttl: %w", err)
		}
	}
	m.rewriter.Addrs, m.rewriter.Ports = &m.addrs, ports
	if c.newIDs {
		// Any other number does; a fixed one makes two replays alike.
		m.rewriter.AddID = 0x5a5a5a5a
	}
	m.changes = len(c.addrs)+len(c.ports) > 0 || c.ttl != "" || c.newIDs
	return m, nil
}

// rewrite returns what changes packets, nil if nothing does. The time to live
// is that of what is sent in direction dir.
func (m *mapper) rewrite(dir decode.Direction) func(dst, pkt []byte, dir decode.Direction) []byte {
	if !m.changes {
		return nil
	}
	return func(dst, pkt []byte, d decode.Direction) []byte {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.rewriter.TTL = (rewrite.TTL{}); d == dir {
			m.rewriter.TTL = m.ttl
		}
		return m.rewriter.Append(dst, pkt)
	}
}

// addr maps one address, prefix one with its length.
func (m *mapper) addr(a netip.Addr) netip.Addr { return m.addrs.Map(a) }
func (m *mapper) prefix(p netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(m.addrs.Map(p.Addr()), p.Bits())
}

// split cuts a packet; none are left of one that must not be cut.
func split(pkt []byte, mtu int) (parts [][]byte) {
	var f rewrite.Fragmenter
	if f.Reset(pkt, mtu) != nil {
		return nil
	}
	for f.More() {
		parts = append(parts, f.Append(nil))
	}
	return parts
}

// tooBig is what the device's end tells the sender of a packet that must not be
// cut. Where it has no address of the packet's family, or is the sender's own
// end, the packet's destination tells it.
func (p *played) tooBig(dst, pkt []byte, mtu int) ([]byte, bool) {
	var f rewrite.Fragmenter
	if !errors.Is(f.Reset(pkt, mtu), rewrite.ErrDontFragment) {
		return dst, false
	}
	from := netip.Addr{}
	for _, n := range p.near {
		if n.Addr().Is4() == (pkt[0]>>4 == 4) {
			from = n.Addr()
			break
		}
	}
	return rewrite.AppendTooBig(dst, pkt, mtu, from)
}

// compareFlags say what may differ.
type compareFlags struct {
	ignore, match []string
	wait, late    time.Duration
}

func (c *compareFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&c.ignore, "ignore", nil, "field that may differ, or all below it (dns); repeatable")
	f.StringArrayVar(&c.match, "match", nil, "what a field of an answer must look like instead of the recorded one, FIELD=REGEX; repeatable")
	f.DurationVar(&c.wait, "wait", time.Second, "how long nothing may come before what is missing counts as unanswered")
	f.DurationVar(&c.late, "late", time.Second, "how much longer than in the recording an answer may take")
}

// byCount returns the addresses, the most frequent first.
func byCount(m map[netip.Addr]int64) []netip.Addr {
	list := slices.Collect(maps.Keys(m))
	slices.SortFunc(list, func(a, b netip.Addr) int { return cmp.Or(cmp.Compare(m[b], m[a]), a.Compare(b)) })
	return list
}
