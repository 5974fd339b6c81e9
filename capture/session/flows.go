package session

import (
	"bytes"
	"net/netip"
	"sync"
	"sync/atomic"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Flow is what is kept of one conversation. Side 0 is who sent its first
// packet.
type Flow struct {
	Tunnel uint32
	Proto  packet.Transport // TCP or UDP
	Stream int64            // tcp.stream or udp.stream
	Addr   [2]netip.AddrPort
	Name   string // of side 1, from a DNS answer or a TLS client; "" if there was none; safe
	App    string // the topmost protocol seen
	Count  [2]flow.Count

	InitialRTT   int64 // nanoseconds; 0 if not known
	Retrans      int64 // segments sent again
	Errors       int64 // ICMP errors about its packets
	Completeness flow.Completeness
	// Rate is the bytes, both ways, of the last seconds of the capture, the
	// oldest first; nil if there were none.
	Rate []int64
}

const (
	flowBlockLen = 256
	// maxKept bounds how many flows are kept for drawing: 96 MiB.
	maxKept = 1 << 19
	// maxOthers bounds how many pairs of addresses without a flow are
	// remembered, so that their packets share one entry.
	maxOthers = 1 << 16
	// maxEpochs bounds, over all flows, how often more than two sets of base
	// numbers are kept for one.
	maxEpochs = 1 << 16
	maxNames  = 1 << 16
)

type flowBlock struct {
	mu    sync.RWMutex
	flows [flowBlockLen]flowState
}

// flows is the table of flows that rows point into. One goroutine adds
// packets; any number read.
type flows struct {
	blocks atomic.Pointer[[]*flowBlock] // nil: given up
	next   atomic.Int64                 // the id of the next flow; ids count from 0

	// For the goroutine that adds:
	first   int64              // ids below were given up
	streams [2]map[int64]int64 // of TCP and UDP: id by stream
	others  map[ends]int64

	mu     sync.RWMutex
	more   map[int64][]epoch // by flow: those that have no place there
	extra  int               // how many of them in all
	names  []string
	nameOf map[string]uint32
	ofAddr map[named]uint32
}

// named is an address that has a name.
type named struct {
	tunnel uint32
	addr   netip.Addr
}

// ends is two ends without a flow, the lower first.
type ends struct {
	addr      [2][16]byte
	port      [2]uint16
	tunnel    uint32
	version   uint8
	transport packet.Transport
	protocol  uint8
}

func newFlows() *flows {
	f := &flows{others: make(map[ends]int64), more: make(map[int64][]epoch), names: []string{""}, nameOf: map[string]uint32{"": 0}, ofAddr: make(map[named]uint32)}
	f.streams = [2]map[int64]int64{make(map[int64]int64), make(map[int64]int64)}
	f.blocks.Store(new([]*flowBlock))
	return f
}

// at returns flow id's block and place; the block is nil if it was given up.
func (fs *flows) at(id int64) (*flowBlock, *flowState) {
	blocks := *fs.blocks.Load()
	i := int(id / flowBlockLen)
	if id < 0 || i >= len(blocks) || blocks[i] == nil {
		return nil, nil
	}
	return blocks[i], &blocks[i].flows[id%flowBlockLen]
}

// add takes in packet n and returns its flow, -1 if it has none, and which
// side of it sent the packet. f is the facts of the packet that a is about;
// plain says that it is the whole packet.
func (fs *flows) add(n int64, ev *decode.Event, f *packet.Facts, a *flow.Analysis, plain bool, app uint8) (id int64, side uint8, nameless bool) {
	switch {
	case a.Proto != packet.NoTransport:
		id, side = fs.stream(n, ev.Tunnel, f, a), a.Side
	case plain:
		id, side = fs.other(n, ev.Tunnel, f)
	default:
		return -1, 0, false
	}
	b, st := fs.at(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	st.last = n
	if a.Quoted {
		st.errors++
		return id, side, false
	}
	c := &st.count[side]
	if c.Packets == 0 {
		c.First = ev.Time
	}
	c.Packets++
	c.Bytes += int64(f.Len)
	c.Last = ev.Time
	st.measure(ev.Time, f.Len)
	if st.stream >= 0 {
		fs.analysed(id, st, n, a, app)
	}
	return id, side, st.name == 0 && side == 0 && asksName(c.Packets)
}

// analysed notes what the analysis of packet n says of its flow.
func (fs *flows) analysed(id int64, st *flowState, n int64, a *flow.Analysis, app uint8) {
	st.app = max(st.app, app)
	if a.Proto != packet.TCP {
		return
	}
	st.complete = a.Completeness
	if a.InitialRTT != 0 && st.rtt == 0 {
		st.rtt, st.rttFrom = a.InitialRTT, n
	}
	if a.Flags&(flow.Retransmission|flow.FastRetransmission|flow.Spurious) != 0 {
		st.retrans++
	}
	fs.based(id, st, n, a)
}

// stream returns the flow that the analysis found.
func (fs *flows) stream(n int64, tunnel uint32, f *packet.Facts, a *flow.Analysis) int64 {
	ids := fs.streams[0]
	if a.Proto == packet.UDP {
		ids = fs.streams[1]
	}
	id, ok := ids[a.Stream]
	if ok {
		return id
	}
	st := flowState{tunnel: tunnel, version: f.Version, transport: a.Proto, protocol: f.Proto, stream: a.Stream, first: n}
	st.addr[a.Side], st.port[a.Side] = f.Src.As16(), f.SrcPort
	st.addr[1-a.Side], st.port[1-a.Side] = f.Dst.As16(), f.DstPort
	id = fs.create(&st)
	ids[a.Stream] = id
	return id
}

// other returns the entry for the ends of a packet without a flow.
func (fs *flows) other(n int64, tunnel uint32, f *packet.Facts) (id int64, side uint8) {
	k := ends{tunnel: tunnel, version: f.Version, transport: f.Transport, protocol: f.Proto}
	k.addr[0], k.addr[1] = f.Src.As16(), f.Dst.As16()
	k.port[0], k.port[1] = f.SrcPort, f.DstPort
	if c := bytes.Compare(k.addr[0][:], k.addr[1][:]); c > 0 || c == 0 && k.port[0] > k.port[1] {
		k.addr[0], k.addr[1] = k.addr[1], k.addr[0]
		k.port[0], k.port[1] = k.port[1], k.port[0]
		side = 1
	}
	id, ok := fs.others[k]
	if ok && id >= fs.first {
		return id, side
	}
	if len(fs.others) >= maxOthers {
		clear(fs.others)
	}
	id = fs.create(&flowState{tunnel: tunnel, version: k.version, transport: k.transport, protocol: k.protocol, stream: -1, first: n, addr: k.addr, port: k.port})
	fs.others[k] = id
	return id, side
}

// create adds a flow, and gives up the oldest when there are too many.
func (fs *flows) create(st *flowState) int64 {
	id := fs.next.Load()
	if id&noFlow == noFlow {
		id++ // in rows it would mean none
	}
	blocks := *fs.blocks.Load()
	if int(id/flowBlockLen) == len(blocks) {
		blocks = append(blocks, new(flowBlock)) // readers of the old length never look at the new element
		if id-fs.first >= maxKept {
			blocks = fs.forget(blocks)
		}
		fs.blocks.Store(&blocks)
	}
	b := blocks[id/flowBlockLen]
	b.mu.Lock()
	b.flows[id%flowBlockLen] = *st
	b.mu.Unlock()
	fs.next.Store(id + 1)
	return id
}

// forget gives up the oldest block.
func (fs *flows) forget(blocks []*flowBlock) []*flowBlock {
	blocks = append([]*flowBlock(nil), blocks...)
	i := fs.first / flowBlockLen
	for j := range blocks[i].flows {
		id := fs.first + int64(j)
		if st := &blocks[i].flows[j]; st.stream >= 0 {
			ids := fs.streams[st.transport-packet.TCP]
			if ids[st.stream] == id {
				delete(ids, st.stream)
			}
		}
		fs.mu.Lock()
		fs.extra -= len(fs.more[id])
		delete(fs.more, id)
		fs.mu.Unlock()
	}
	blocks[i] = nil
	fs.first += flowBlockLen
	return blocks
}

// forgotten reports how many flows and pairs of ends were given up.
func (fs *flows) forgotten() int64 { return fs.first }

// id returns the whole id of packet n's flow, of which its row has 24 bits; -1
// if it is not kept any more, or was none.
func (fs *flows) id(r *row) int64 {
	low := int64(r.flowID())
	if low == noFlow {
		return -1
	}
	last := fs.next.Load() - 1
	id := last&^noFlow | low
	if id > last {
		id -= noFlow + 1
	}
	return id
}

// wrapped reports whether 24 bits may stand for more than one flow.
func (fs *flows) wrapped() bool { return fs.next.Load() > noFlow }

// get copies packet n's flow; ok is false if it is not kept any more.
func (fs *flows) get(n int64, r *row, st *flowState) (id int64, ok bool) {
	id = fs.id(r)
	b, at := fs.at(id)
	if b == nil {
		return -1, false
	}
	b.mu.RLock()
	*st = *at
	b.mu.RUnlock()
	return id, st.first <= n && n <= st.last // else it is another flow with the same low bits
}

// name notes under which name side 1 of a flow is known.
func (fs *flows) name(id int64, tunnel uint32, addr netip.Addr, name string) {
	fs.mu.Lock()
	k, ok := fs.nameOf[name]
	if !ok && len(fs.names) < maxNames {
		k = uint32(len(fs.names))
		fs.names = append(fs.names, name)
		fs.nameOf[name] = k
	}
	if at := (named{tunnel, addr}); len(fs.ofAddr) < maxNames {
		fs.ofAddr[at] = k
	}
	fs.mu.Unlock()
	if b, st := fs.at(id); b != nil {
		b.mu.Lock()
		st.name = k
		b.mu.Unlock()
	}
}

// all calls yield for every flow that is kept, the oldest first.
func (fs *flows) all(yield func(id int64, st *flowState) bool) {
	next := fs.next.Load()
	var copied [flowBlockLen]flowState
	for i, b := range *fs.blocks.Load() {
		if b == nil {
			continue
		}
		b.mu.RLock()
		copied = b.flows
		b.mu.RUnlock()
		for j := range copied {
			id := int64(i)*flowBlockLen + int64(j)
			if id >= next {
				return
			}
			if copied[j].version != 0 && !yield(id, &copied[j]) {
				return
			}
		}
	}
}
