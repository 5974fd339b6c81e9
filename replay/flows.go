package replay

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"

	"tundump/decode"
	"tundump/decode/packet"
	"tundump/decode/reasm"
)

// Bounds of what Diff keeps.
const (
	maxFlows  = 1 << 16
	blockSize = 1 << 10 // bytes; where a stream differs is known to that
	maxBlocks = 1 << 10
	headSize  = blockSize
)

// streamSeed makes the blocks of two recordings comparable.
var streamSeed = maphash.MakeSeed()

// carried is what one flow carried one way.
type carried struct {
	length int64
	lost   int64 // bytes that the recording does not have
	head   []byte
	blocks []uint64 // hashes of the first maxBlocks blocks, and one of all the rest
	hash   maphash.Hash
	stream reasm.Stream

	dialogue *kept // nil: only compared
	dir      decode.Direction
}

func (c *carried) write(b []byte) {
	c.dialogue.say(c.dir, b)
	if c.length == 0 {
		c.hash.SetSeed(streamSeed)
	}
	c.head = append(c.head, b[:min(len(b), headSize-len(c.head))]...)
	for len(b) > 0 {
		room := len(b)
		if len(c.blocks) < maxBlocks {
			room = min(room, blockSize-int(c.length%blockSize))
		}
		c.hash.Write(b[:room])
		c.length += int64(room)
		if b = b[room:]; len(c.blocks) < maxBlocks && c.length%blockSize == 0 {
			c.close()
		}
	}
}

func (c *carried) close() {
	if c.length == 0 {
		return
	}
	c.blocks = append(c.blocks, c.hash.Sum64())
	c.hash.Reset()
}

// first returns where a and b begin to differ, to a block, -1 if they do not.
func (c *carried) first(b *carried) int64 {
	for i := range min(len(c.blocks), len(b.blocks)) {
		if c.blocks[i] != b.blocks[i] {
			return int64(i) * blockSize
		}
	}
	if c.length != b.length {
		return min(c.length, b.length) / blockSize * blockSize
	}
	return -1
}

// describe says what c carried that differs from b from the block at on.
func (c *carried) describe(b *carried, at int64) string {
	text := fmt.Sprintf("%d bytes", c.length)
	if c.lost > 0 {
		text += fmt.Sprintf(" and %d that were not captured", c.lost)
	}
	if at < headSize {
		text += ": " + excerpt(c.head, b.head)
	}
	return text
}

// flowOf is one TCP connection inside a tunnel, or one app-proxy connection.
type flowOf struct {
	align   string // what its counterpart has in common with it
	line    string
	number  int64 // of its first packet, or of its message
	message bool
	way     [2]carried // by direction

	dialogue *kept // nil if nothing is kept
	chosen   bool  // something that the client's side sent of it is selected
}

// flowKey names a flow in one recording.
type flowKey struct {
	tunnel         uint32
	client, server netip.AddrPort // of TCP
	id             int64          // of an app-proxy connection
}

// flowReader finds the flows of a recording.
type flowReader struct {
	metrics *Metrics
	parser  *packet.Parser
	facts   packet.Facts
	message decode.Message
	inner   inner
	memory  reasm.Memory
	flows   []*flowOf
	open    map[flowKey]*flowOf
	tunnels map[uint32]bool
	number  int64
	first   int64
	now     time.Duration

	// of dialogues
	keep    *keeper
	choose  *chooser
	only    []bool // of the flows, those that are kept; nil: all
	tunnel  uint32 // 0: all
	rewrite func(dst, pkt []byte, dir decode.Direction) []byte
	changed []byte
}

// flowsOf reads a recording and counts what is in it.
func flowsOf(src Source, m *Metrics) ([]*flowOf, error) {
	r := newFlowReader(m)
	if err := r.read(src); err != nil {
		return nil, err
	}
	for _, f := range r.flows {
		for d := range f.way {
			f.way[d].close()
			m.Payload[d] += f.way[d].length
		}
	}
	m.Flows = int64(len(r.flows))
	return r.flows, nil
}

func newFlowReader(m *Metrics) *flowReader {
	return &flowReader{metrics: m, parser: packet.NewParser(), open: make(map[flowKey]*flowOf), tunnels: make(map[uint32]bool)}
}

// read reads a recording to its end.
func (r *flowReader) read(src Source) error {
	var buf []byte
	for i := range src.Len() {
		ev, err := src.At(i, buf)
		if err != nil {
			return fmt.Errorf("replay: row %d: %w", i, err)
		}
		if cap(ev.Raw) > cap(buf) {
			buf = ev.Raw[:0]
		}
		r.event(ev)
	}
	for _, f := range r.flows {
		for d := range f.way {
			w := &f.way[d]
			w.stream.Flush()
			w.drain()
			w.stream.Close()
		}
	}
	return nil
}

func (r *flowReader) event(ev decode.Event) {
	m := r.metrics
	if r.first == 0 {
		r.first = ev.Time
	}
	r.now = time.Duration(max(0, ev.Time-r.first))
	m.Duration = max(m.Duration, r.now)
	// What the client saw is compared.
	played := !elsewhere(ev, decode.ClientToServer) && (r.tunnel == 0 || ev.Tunnel == r.tunnel)
	if played && ev.Tunnel != 0 && !r.tunnels[ev.Tunnel] && len(r.tunnels) < maxFlows {
		r.tunnels[ev.Tunnel] = true
		m.Tunnels++
	}
	switch ev.Kind {
	case decode.Packet:
		r.inner = inner{event: ev, family: -1, data: ev.Raw}
		r.packet(&r.inner, played)
	case decode.Unframed, decode.Gap:
		if played {
			m.Damaged++
		}
	case decode.Record:
		r.record(ev, played)
	}
}

func (r *flowReader) record(ev decode.Event, played bool) {
	m := &r.message
	err := m.Decode(ev)
	if played {
		r.metrics.Messages++
		if err != nil {
			r.metrics.Damaged++
		}
	}
	switch {
	case err != nil:
	case m.Command == decode.Packets:
		for i := range m.PacketCount() {
			if p, family := m.Packet(i); len(p) > 0 {
				r.inner = inner{event: ev, message: m, index: i, family: family, data: p}
				r.packet(&r.inner, played)
			}
		}
	case played:
		r.connection(ev)
	}
}

// connection takes in a message of an app-proxy connection.
func (r *flowReader) connection(ev decode.Event) {
	m := &r.message
	switch m.Command {
	case decode.Open:
		kind, _ := m.Int(decode.KeyAppProxyFlowType)
		if host, ok := m.Host(); ok && ev.Dir == decode.ClientToServer && kind == decode.FlowTCP {
			port, _ := m.Port()
			to := fmt.Sprintf("%s:%d", packet.AppendSafe(nil, host), port)
			f := &flowOf{align: "app-proxy TCP to " + to, line: fmt.Sprintf("connection %d to %s", m.Identifier, to), number: ev.Number, message: true}
			_, text := m.Value(decode.KeyPort).Text()
			r.dialogue(f, Dialogue{Tunnel: ev.Tunnel, Host: host, Port: uint16(port), IntegerPort: !text})
			r.add(flowKey{tunnel: ev.Tunnel, id: m.Identifier}, f)
		}
	case decode.OpenResult:
		if code, ok := m.Int(decode.KeyResultCode); ok && code == decode.ResultSuccess {
			if f := r.open[flowKey{tunnel: ev.Tunnel, id: m.Identifier}]; f != nil {
				f.dialogue.connected()
			}
		}
	case decode.Close:
		if f := r.open[flowKey{tunnel: ev.Tunnel, id: m.Identifier}]; f != nil {
			f.dialogue.at(r.now)
			f.dialogue.fin(ev.Dir)
		}
	case decode.Data:
		if b, ok := m.Data(); ok {
			if f := r.open[flowKey{tunnel: ev.Tunnel, id: m.Identifier}]; f != nil {
				f.dialogue.at(r.now)
				f.way[ev.Dir].write(b)
			}
		}
	}
	if f := r.open[flowKey{tunnel: ev.Tunnel, id: m.Identifier}]; f != nil && m.HasIdentifier {
		f.chosen = f.chosen || r.choose.message(ev, m)
	}
}

func (r *flowReader) add(k flowKey, f *flowOf) {
	if len(r.flows) == maxFlows {
		return
	}
	for d := range f.way {
		f.way[d].stream.Memory = &r.memory
	}
	r.flows = append(r.flows, f)
	r.open[k] = f
}

func (r *flowReader) packet(p *inner, played bool) {
	r.number++
	p.number = r.number
	f := &r.facts
	r.parser.Facts(p.data, f)
	chosen := r.choose.packet(p, f, played)
	if !played {
		return
	}
	ev := &p.event
	r.metrics.Packets[ev.Dir]++
	r.metrics.Bytes[ev.Dir] += int64(len(p.data))
	if r.rewrite != nil {
		r.changed = r.rewrite(r.changed[:0], p.data, ev.Dir)
		r.parser.Facts(r.changed, f)
	}
	if f.Transport != packet.TCP || !f.L4Complete {
		return
	}
	src, dst := netip.AddrPortFrom(f.Src, f.SrcPort), netip.AddrPortFrom(f.Dst, f.DstPort)
	k, dir := flowKey{tunnel: ev.Tunnel, client: src, server: dst}, decode.ClientToServer
	flow := r.open[k]
	if flow == nil {
		back := flowKey{tunnel: ev.Tunnel, client: dst, server: src}
		if flow = r.open[back]; flow != nil {
			dir = decode.ServerToClient
		}
	}
	begins := f.Flags&(packet.SYN|packet.ACK) == packet.SYN
	if flow == nil || begins && dir == decode.ClientToServer && flow.way[dir].stream.Started() && !flow.way[dir].stream.Near(f.Seq) {
		if !begins {
			return // met in its middle: there is nothing to align it by
		}
		dir = decode.ClientToServer
		flow = &flowOf{align: "TCP to " + dst.String(), line: src.String() + " > " + dst.String() + " TCP", number: r.number}
		r.dialogue(flow, Dialogue{Tunnel: ev.Tunnel, Client: src, Host: f.Dst.String(), Port: f.DstPort})
		r.add(k, flow)
	}
	flow.chosen = flow.chosen || chosen
	flow.dialogue.at(r.now)
	if dir == decode.ServerToClient && synAck(f) {
		flow.dialogue.connected()
	}
	w := &flow.way[dir]
	w.stream.Add(&reasm.Segment{Seq: f.Seq, SYN: f.Flags&packet.SYN != 0, FIN: f.Flags&packet.FIN != 0, PSH: f.Flags&packet.PSH != 0, Data: f.Payload})
	w.drain()
	if f.Flags&packet.ACK != 0 {
		other := &flow.way[dir.Opposite()]
		other.stream.Acked(f.Ack)
		other.drain()
	}
}

func (c *carried) drain() {
	for p, ok := c.stream.Next(); ok; p, ok = c.stream.Next() {
		switch p.Kind {
		case reasm.Data:
			c.write(p.Data)
		case reasm.Gap:
			c.lost += p.Len
		case reasm.Fin:
			c.dialogue.fin(c.dir)
		}
	}
}

// Names of what differs in a flow.
var payloadNames = [2]string{"tcp.payload.c2s", "tcp.payload.s2c"}

// flows aligns the flows of two recordings by where they go, in order, and
// compares what they carried.
func (d *differ) flows(a, b []*flowOf) {
	there := make(map[string][]*flowOf)
	for _, f := range b {
		there[f.align] = append(there[f.align], f)
	}
	for _, f := range a {
		list := there[f.align]
		if len(list) == 0 {
			continue // that its SYN or Open is missing is said already
		}
		there[f.align] = list[1:]
		d.report.Compared++
		d.flow(f, list[0])
	}
}

func (d *differ) flow(a, b *flowOf) {
	diff := Difference{Kind: Changed, Request: a.number, Message: a.message, Loop: 1, Recorded: a.line, Live: b.line}
	for way, name := range payloadNames {
		x, y := &a.way[way], &b.way[way]
		at := x.first(y)
		if at < 0 || d.plan.opt.Rules.ignores(name) {
			continue
		}
		if at > 0 {
			name = fmt.Sprintf("%s at %d", name, at)
		}
		diff.Fields = append(diff.Fields, FieldDifference{name, x.describe(y, at), y.describe(x, at)})
	}
	if len(diff.Fields) > 0 {
		d.report.add(diff)
	}
}
