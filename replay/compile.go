package replay

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"

	"tundump/decode"
	"tundump/decode/packet"
)

// ErrEmpty says that there is nothing to send in a recording.
var ErrEmpty = errors.New("replay: nothing in the recording is to be sent")

// Compile reads a recording to its end and plans how it is played. The plan
// keeps reading from src while it is played, unless it fits Options.Preload.
//
// The error is ErrEmpty if there is no step, ErrPace, or that of src.
func Compile(src Source, o Options) (*Plan, error) {
	c, err := compile(src, o)
	if err != nil {
		return nil, err
	}
	return c.finish()
}

func compile(src Source, o Options) (*compiler, error) {
	o.setDefaults()
	if err := o.Pace.check(); err != nil {
		return nil, err
	}
	o.SkipTCP = o.SkipTCP || o.Flows
	c := newCompiler(src, o)
	for i := range src.Len() {
		ev, err := src.At(i, c.buf)
		if err != nil {
			return nil, fmt.Errorf("replay: row %d: %w", i, err)
		}
		if cap(ev.Raw) > cap(c.buf) {
			c.buf = ev.Raw[:0]
		}
		if err := c.event(int32(i), ev); err != nil {
			return nil, err
		}
	}
	if o.Flows { // which count from the same event
		var err error
		if c.Dialogues, c.LargeDialogues, c.LostDialogues, err = dialogues(src, &o, c.begin); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// compiler is a plan that is being made.
type compiler struct {
	*Plan
	keyer   *keyer
	choose  *chooser
	buf     []byte
	changed []byte
	message decode.Message
	facts   packet.Facts
	parts   packet.Datagrams // of what was recorded in fragments
	whole   int              // bytes of joined
	inner   inner
	number  int64 // of packets so far
	begin   int64 // time of the first event that counts
	begun   bool
	tunnels map[uint32]int
	kept    int64 // bytes in memory
	arena   []byte
	apps    map[flowKey]app // connections of app proxies
	// seen, if set, is told of all that is asked and answered; for Diff.
	seen func(it Item, dir decode.Direction, at time.Duration, number int64, k key, c class, sum uint64)
}

func newCompiler(src Source, o Options) *compiler {
	seed := maphash.MakeSeed()
	c := &compiler{
		Plan:    &Plan{Control: newController(), Dests: make(map[netip.Addr]int64), Sources: make(map[netip.Addr]int64), source: src, opt: o, seed: seed, keys: make(map[key]int32)},
		keyer:   newKeyer(seed),
		tunnels: make(map[uint32]int),
		apps:    make(map[flowKey]app),
	}
	c.keyer.loose = o.loose
	c.choose = newChooser(&o, c.keyer.parser)
	if o.Pace.OneByOne {
		c.Control.Pause()
	}
	return c
}

func (c *compiler) finish() (*Plan, error) {
	p := c.Plan
	if len(p.Steps) == 0 && len(p.Dialogues) == 0 {
		return nil, ErrEmpty
	}
	if len(p.Steps) == 0 {
		return p, nil
	}
	first, last := p.Steps[0].At, p.Steps[len(p.Steps)-1].At
	p.Duration = last - first
	if len(p.memory) != len(p.Steps) {
		p.memory = nil
	}
	return p, nil
}

// event takes in one event.
func (c *compiler) event(i int32, ev decode.Event) error {
	played := !elsewhere(ev, c.opt.Dir) && (c.opt.Tunnel == 0 || c.opt.Tunnel == ev.Tunnel)
	switch ev.Kind {
	case decode.Packet:
		c.inner = inner{event: ev, family: -1, data: ev.Raw}
		return c.packet(i, &c.inner, played)
	case decode.Record:
		return c.record(i, ev, played)
	case decode.Unframed, decode.Gap:
		if played {
			c.broken(ev, ev.Kind.String())
		}
	}
	return nil
}

// elsewhere reports whether the side that sends in direction dir did not see ev
// as it is: the proxy changed, dropped or made it.
func elsewhere(ev decode.Event, dir decode.Direction) bool {
	client, server := ev.Flags&decode.OnClientSide != 0, ev.Flags&decode.OnServerSide != 0
	if dir == decode.ClientToServer {
		return server && !client
	}
	return client && !server && ev.Flags&(decode.Edited|decode.Dropped|decode.Injected) != 0
}

func (c *compiler) broken(ev decode.Event, why string) {
	if c.Damaged++; c.Damaged == 1 {
		c.FirstBroken = fmt.Sprintf("#%d, %s", ev.Number, why)
	}
}

func (c *compiler) record(i int32, ev decode.Event, played bool) error {
	m := &c.message
	if err := m.Decode(ev); err != nil {
		if played {
			c.broken(ev, "no property list")
		}
		return nil
	}
	if played && ev.Flags&decode.Partial != 0 {
		c.broken(ev, "cut")
		return nil
	}
	if played && m.Configuration().Exists() {
		c.configured(ev)
	}
	if m.Command != decode.Packets {
		if !played || !c.opt.Messages || c.opt.loose && ofFlow(m.Command) {
			return nil
		}
		return c.other(i, ev)
	}
	for j := range m.PacketCount() {
		pkt, family := m.Packet(j)
		if len(pkt) == 0 {
			continue
		}
		c.inner = inner{event: ev, message: m, index: j, family: family, data: pkt}
		if err := c.packet(i, &c.inner, played); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) tunnel(ev decode.Event) *TunnelInfo {
	at, ok := c.tunnels[ev.Tunnel]
	if !ok {
		if at = len(c.Tunnels); at == maxTunnels {
			return nil
		}
		c.tunnels[ev.Tunnel] = at
		c.Tunnels = append(c.Tunnels, TunnelInfo{Number: ev.Tunnel, Clients: make(map[netip.Addr]int64)})
	}
	return &c.Tunnels[at]
}

// configured keeps what assigns an address, the first such and otherwise
// anything: the answer to fetchConfiguration has none.
func (c *compiler) configured(ev decode.Event) {
	t := c.tunnel(ev)
	if t == nil || ev.Dir != decode.ServerToClient || t.Record != nil && c.message.Command != decode.OpenResult {
		return
	}
	t.Record = append([]byte(nil), ev.Raw...)
}

// packet takes in one packet.
func (c *compiler) packet(i int32, p *inner, played bool) error {
	c.number++
	p.number = c.number
	ev, pkt, index := p.event, p.data, int32(p.index)
	f := &c.facts
	c.keyer.parser.Facts(pkt, f)
	chosen := c.choose.packet(p, f, played)
	if !played {
		return nil
	}
	c.since(ev)
	if t := c.tunnel(ev); t != nil {
		t.seen(ev.Dir, f)
	}
	if ev.Dir == c.opt.Dir && !chosen {
		return nil
	}
	if c.opt.SkipTCP && f.Transport == packet.TCP {
		if ev.Dir == c.opt.Dir {
			c.SkippedTCP++
		}
		return nil
	}
	if c.opt.Rewrite != nil {
		c.changed = c.opt.Rewrite(c.changed[:0], pkt, ev.Dir)
		pkt = c.changed
		c.keyer.parser.Facts(pkt, f)
	}
	if ev.Dir == c.opt.Dir {
		return c.send(i, index, ev, pkt)
	}
	c.expect(i, index, ev, pkt)
	return nil
}

func (t *TunnelInfo) seen(dir decode.Direction, f *packet.Facts) {
	t.Packets[dir]++
	client := f.Src
	if dir == decode.ServerToClient {
		client = f.Dst
	}
	if client.IsValid() {
		tally(t.Clients, client)
	}
}

// tally counts a, unless that is one too many.
func tally(m map[netip.Addr]int64, a netip.Addr) bool {
	if _, known := m[a]; !known && len(m) >= maxDests {
		return false
	}
	m[a]++
	return true
}

func (c *compiler) since(ev decode.Event) {
	if !c.begun {
		c.begin, c.begun = ev.Time, true
	}
}

// step is one that asks for nothing yet and waits for nothing but its time.
func (c *compiler) step(ev decode.Event, i, index int32, number int64) Step {
	return Step{At: c.at(ev), Number: number, Row: i, Index: index, Tunnel: ev.Tunnel, After: -1, Answer: -1, same: -1, Wait: int32(len(c.Expected)) - 1}
}

// at is when an event came, never before the one in front of it.
func (c *compiler) at(ev decode.Event) time.Duration {
	at := time.Duration(max(0, ev.Time-c.begin))
	if n := len(c.Steps); n > 0 {
		at = max(at, c.Steps[n-1].At)
	}
	return at
}

// send makes a step of a packet, or several.
func (c *compiler) send(i, index int32, ev decode.Event, pkt []byte) error {
	c.Largest = max(c.Largest, len(pkt))
	parts := [][]byte{pkt}
	if c.opt.MTU > 0 && len(pkt) > c.opt.MTU {
		if c.Oversize++; c.Oversize == 1 {
			c.FirstLarge = c.number
		}
		if parts = c.fit(pkt); parts == nil {
			return nil
		}
	}
	asked := pkt
	if whole := c.join(i, index, ev); whole != nil {
		asked = whole
	}
	step := c.step(ev, i, index, c.number)
	k, class := c.keyer.request(c.keyTunnel(ev), &c.facts)
	c.tell(decode.Packet, ev, asked, c.number, k, class)
	for n, part := range parts {
		if len(c.Steps) == maxSteps {
			return fmt.Errorf("replay: more than %d packets", maxSteps)
		}
		step.Part, step.Len = int32(n), int32(len(part))
		if len(parts) > 1 || len(part) != len(pkt) {
			if c.splits == nil {
				c.splits = make(map[int32][]byte)
			}
			c.splits[int32(len(c.Steps))] = append([]byte(nil), part...)
		}
		if n == 0 && class != noClass {
			c.asks(k, class)
		}
		c.Steps = append(c.Steps, step)
		c.Bytes += int64(len(part))
		c.keep(part)
		if c.opt.loose {
			c.sums, c.asked = append(c.sums, c.keyer.sum(&c.facts)), append(c.asked, class != noClass)
		}
	}
	if class == noClass && c.facts.Transport == packet.TCP {
		c.TCP++
	}
	if d := c.facts.Dst; d.IsValid() {
		if !tally(c.Dests, d) {
			c.MoreDests++
		}
		tally(c.Sources, c.facts.Src)
	}
	return nil
}

// maxJoined bounds the memory of datagrams that were recorded in fragments;
// those beyond are sent and not compared.
const maxJoined = 64 << 20

// join puts a datagram together if c.facts are of the last of its fragments that
// was missing. The facts are then those of the datagram, which is kept.
func (c *compiler) join(i, index int32, ev decode.Event) []byte {
	if !c.facts.IsFragment() || c.whole >= maxJoined {
		return nil
	}
	whole := c.parts.Add(c.keyTunnel(ev), c.number, &c.facts)
	if whole == nil {
		return nil
	}
	b := packet.AppendWhole(nil, &c.facts, whole)
	if len(b) == 0 {
		return nil
	}
	if c.joined == nil {
		c.joined = make(map[place][]byte)
	}
	c.joined[place{i, index}] = b
	c.whole += len(b)
	c.keyer.parser.Facts(b, &c.facts)
	return b
}

// fit makes packets of one that is larger than the MTU. One that still is larger
// is not sent: its sender is told.
func (c *compiler) fit(pkt []byte) (parts [][]byte) {
	if c.opt.Split != nil {
		parts = c.opt.Split(pkt, c.opt.MTU)
	}
	if len(parts) > 0 {
		c.Cut++
		return parts
	}
	if c.opt.TooBig == nil {
		return nil
	}
	if _, ok := c.opt.TooBig(nil, pkt, c.opt.MTU); !ok {
		return nil
	}
	c.TooBig++
	return [][]byte{pkt}
}

// tell says what was asked or answered, to whom it may concern.
func (c *compiler) tell(kind decode.Kind, ev decode.Event, data []byte, number int64, k key, class class) {
	if c.seen == nil {
		return
	}
	sum := uint64(0)
	if kind == decode.Packet {
		sum = c.keyer.sum(&c.facts)
	} else {
		sum = c.keyer.sumBytes(data)
	}
	c.seen(Item{Kind: kind, Tunnel: c.keyTunnel(ev), Data: data}, ev.Dir, time.Duration(max(0, ev.Time-c.begin)), number, k, class, sum)
}

// keyTunnel is the tunnel in keys: packets without their messages arrive from
// a device, which knows of none.
func (c *compiler) keyTunnel(ev decode.Event) uint32 {
	if c.opt.Messages {
		return ev.Tunnel
	}
	return 0
}

// asks notes that the next step has key k.
func (c *compiler) asks(k key, class class) {
	step := int32(len(c.Steps))
	at, ok := c.keys[k]
	if !ok {
		at = int32(len(c.chains))
		c.keys[k] = at
		c.chains = append(c.chains, chain{class: class, head: -1, tail: -1, open: -1, first: step, last: -1})
	}
	ch := &c.chains[at]
	if ch.last >= 0 {
		c.Steps[ch.last].same = step
	}
	ch.last = step
	if ch.open < 0 {
		ch.open = step
	}
}

// expect makes something expected of what the other side sent.
func (c *compiler) expect(i, index int32, ev decode.Event, pkt []byte) {
	if c.facts.IsFragment() {
		c.Fragments++
		if pkt = c.join(i, index, ev); pkt == nil {
			return
		}
	}
	k, class := c.keyer.answer(c.keyTunnel(ev), &c.facts)
	c.tell(decode.Packet, ev, pkt, c.number, k, class)
	at, ok := c.keys[k]
	if class == noClass || !ok {
		c.Unasked++
		return
	}
	c.answers(at, Expected{At: time.Duration(max(0, ev.Time-c.begin)), Number: c.number, Row: i, Index: index, sum: c.keyer.sum(&c.facts)})
}

// answers adds e to a chain. It answers the oldest step of the chain that has
// no answer yet, and if all have, the newest.
func (c *compiler) answers(at int32, e Expected) {
	ch := &c.chains[at]
	if ch.class.once() && ch.head >= 0 && ch.open < 0 {
		c.Unasked++ // the same answer again
		return
	}
	n := int32(len(c.Expected))
	e.Cause, e.next = ch.last, -1
	if ch.open >= 0 {
		e.Cause, ch.open = ch.open, c.Steps[ch.open].same
	}
	if c.Steps[e.Cause].Answer < 0 {
		c.Steps[e.Cause].Answer = n
	}
	if ch.head < 0 {
		ch.head = n
	} else {
		c.Expected[ch.tail].next = n
	}
	ch.tail = n
	c.Expected = append(c.Expected, e)
}

// arenaSize is how much memory is taken at a time for packets that are kept.
const arenaSize = 1 << 20

// keep puts the bytes of the newest step into memory while there is room.
func (c *compiler) keep(b []byte) {
	if c.kept += int64(len(b)); c.kept > c.opt.Preload {
		c.memory, c.arena = nil, nil
		return
	}
	if cap(c.arena)-len(c.arena) < len(b) {
		c.arena = make([]byte, 0, max(arenaSize, len(b)))
	}
	n := len(c.arena)
	c.arena = append(c.arena, b...)
	c.memory = append(c.memory, c.arena[n:len(c.arena):len(c.arena)])
}
