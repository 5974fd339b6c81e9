package stats

import (
	"cmp"
	"net/netip"
	"slices"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Layer is what conversations and endpoints are counted between.
type Layer uint8

const (
	IPv4 Layer = iota // addresses
	IPv6
	TCP // addresses and ports
	UDP
	layers
)

// String returns the layer's name in a heading: "IPv4".
func (l Layer) String() string { return [...]string{"IPv4", "IPv6", "TCP", "UDP"}[l] }

// ParseLayer reads the name that tshark's -z gives a layer: ip, ipv6, tcp,
// udp.
func ParseLayer(s string) (l Layer, ok bool) {
	for i, name := range [...]string{"ip", "ipv6", "tcp", "udp"} {
		if s == name {
			return Layer(i), true
		}
	}
	return 0, false
}

// Conversation is what two ends said to each other in one tunnel. Side 0 sent
// the first packet.
type Conversation struct {
	Tunnel uint32 // 0: packets outside any tunnel
	Layer  Layer
	Stream int64             // of TCP and UDP: the flow's number, from 0; else -1
	Addr   [2]netip.AddrPort // port 0 between addresses
	Count  [2]Count          // by sender
	First  int64             // time of the first packet, in nanoseconds since the Unix epoch
	Last   int64
	Errors int64 // ICMP errors about a flow's packets, which Count does not count

	order int64 // place of its first packet among all
	flip  uint8 // the flow's side that is side 0 here: who sent the first packet that was counted
}

// Total returns both directions together.
func (c *Conversation) Total() Count { return c.Count[0].Plus(c.Count[1]) }

// Rate returns the bytes a second that a side sent between the first packet and
// the last, whoever sent them; 0 if that is no time.
func (c *Conversation) Rate(side int) float64 {
	return flow.Rate(c.Count[side].Bytes, c.First, c.Last)
}

// Endpoint is one end of conversations in one tunnel.
type Endpoint struct {
	Tunnel   uint32
	Addr     netip.AddrPort // port 0 for an address
	Sent     Count
	Received Count

	order int64
}

// Total returns both directions together.
func (e *Endpoint) Total() Count { return e.Sent.Plus(e.Received) }

// Others is what no longer has a row of its own.
type Others struct {
	Rows int64 // how many there were; one that went on counts again
	Count
}

type pairKey struct {
	addr   [2]netip.Addr
	tunnel uint32
}

type endKey struct {
	addr   netip.AddrPort
	tunnel uint32
}

// Conversations counts who talks with whom, and so what each end sends and
// receives, on all layers. When it is full, half of the rows, the smallest,
// are folded into what is left of them a layer below, and at last into
// [Others].
type Conversations struct {
	limit  int
	parser *packet.Parser
	flows  map[int64]int32 // by twice the stream's number, and 1 for UDP
	rows   []Conversation  // of TCP and UDP
	near   [256]int32      // by the key's low bits, 1 + index in rows: most packets belong to few flows
	pairs  map[pairKey]*Conversation
	last   *Conversation
	ends   [layers]map[endKey]*Endpoint // of folded conversations
	others [layers]Others
	lost   [layers]Others // endpoints
	order  int64
}

// NewConversations returns an empty table of at most limit conversations on
// each layer; 65,536 if limit is 0.
func NewConversations(limit int) *Conversations {
	if limit <= 0 {
		limit = 1 << 16
	}
	c := &Conversations{limit: limit, parser: packet.NewParser(), flows: make(map[int64]int32), pairs: make(map[pairKey]*Conversation)}
	for l := range c.ends {
		c.ends[l] = make(map[endKey]*Endpoint)
	}
	return c
}

// Add takes in a packet. Where it carries another, the addresses of both have a
// conversation, as in tshark.
func (c *Conversations) Add(ev *decode.Event, f *packet.Facts, a *flow.Analysis) {
	if f.Header == nil || !f.Dst.IsValid() {
		return
	}
	c.order++
	bytes := f.Len
	for depth := 0; f.Carries == packet.Encapsulated; depth++ {
		in := c.parser.Inside(f, depth)
		if in == nil || in.Header == nil || !in.Dst.IsValid() {
			break
		}
		c.addressed(ev, f, bytes)
		f = in
	}
	if a.Proto != packet.NoTransport && !a.Quoted && f.Transport == a.Proto {
		c.flow(ev, f, a, bytes)
		return
	}
	c.addressed(ev, f, bytes)
	if a.Quoted {
		if i, ok := c.flows[flowKey(a)]; ok {
			c.rows[i].Errors++
		}
	}
}

// addressed counts a packet that is in no flow.
func (c *Conversations) addressed(ev *decode.Event, f *packet.Facts, bytes int) {
	side := 0
	p := c.last
	switch {
	case p != nil && p.Tunnel == ev.Tunnel && p.Addr[0].Addr() == f.Src && p.Addr[1].Addr() == f.Dst:
	case p != nil && p.Tunnel == ev.Tunnel && p.Addr[1].Addr() == f.Src && p.Addr[0].Addr() == f.Dst:
		side = 1
	default:
		p, side = c.pair(ev.Tunnel, f.Src, f.Dst, ev.Time, c.order)
		c.last = p
	}
	p.Count[side].add(bytes)
	p.Last = max(p.Last, ev.Time)
}

func (c *Conversations) flow(ev *decode.Event, f *packet.Facts, a *flow.Analysis, bytes int) {
	k := flowKey(a)
	near := &c.near[k&255]
	if i := *near - 1; i < 0 || int(i) >= len(c.rows) || c.rows[i].key() != k {
		i, ok := c.flows[k]
		if !ok {
			i = c.begin(k, ev, f, a)
		}
		*near = i + 1
	}
	r := &c.rows[*near-1]
	r.Count[(a.Side^r.flip)&1].add(bytes)
	r.Last = max(r.Last, ev.Time)
}

func flowKey(a *flow.Analysis) int64 {
	if a.Proto == packet.UDP {
		return a.Stream<<1 | 1
	}
	return a.Stream << 1
}

// key is the flowKey of its packets.
func (c *Conversation) key() int64 {
	if c.Layer == UDP {
		return c.Stream<<1 | 1
	}
	return c.Stream << 1
}

func (c *Conversations) begin(k int64, ev *decode.Event, f *packet.Facts, a *flow.Analysis) int32 {
	if len(c.rows) >= c.limit {
		c.foldFlows()
	}
	r := Conversation{Tunnel: ev.Tunnel, Layer: TCP, Stream: a.Stream, First: ev.Time, Last: ev.Time, order: c.order, flip: a.Side,
		Addr: [2]netip.AddrPort{netip.AddrPortFrom(f.Src, f.SrcPort), netip.AddrPortFrom(f.Dst, f.DstPort)}}
	if a.Proto == packet.UDP {
		r.Layer = UDP
	}
	i := int32(len(c.rows))
	c.rows = append(c.rows, r)
	c.flows[k] = i
	return i
}

// pair returns the conversation between two addresses, a new one begun by src
// at now if there is none.
func (c *Conversations) pair(tunnel uint32, src, dst netip.Addr, now, order int64) (p *Conversation, side int) {
	k := pairKey{[2]netip.Addr{src, dst}, tunnel}
	if dst.Less(src) {
		k.addr[0], k.addr[1] = dst, src
	}
	p = c.pairs[k]
	if p == nil {
		if len(c.pairs) >= c.limit {
			c.foldPairs()
		}
		l := IPv4
		if src.Is6() {
			l = IPv6
		}
		p = &Conversation{Tunnel: tunnel, Layer: l, Stream: -1, First: now, Last: now, order: order,
			Addr: [2]netip.AddrPort{netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)}}
		c.pairs[k] = p
	}
	if p.Addr[0].Addr() != src {
		side = 1
	}
	return p, side
}

// List returns the conversations of a layer, those with the most packets
// first, and what is in none of them.
func (c *Conversations) List(l Layer) ([]Conversation, Others) {
	var rows []Conversation
	if l == TCP || l == UDP {
		for i := range c.rows {
			if c.rows[i].Layer == l {
				rows = append(rows, c.rows[i])
			}
		}
	} else {
		for _, p := range c.between(l) {
			rows = append(rows, *p)
		}
	}
	slices.SortFunc(rows, func(a, b Conversation) int {
		return cmp.Or(cmp.Compare(b.Total().N, a.Total().N), cmp.Compare(a.order, b.order))
	})
	return rows, c.others[l]
}

// between adds up the conversations of addresses.
func (c *Conversations) between(l Layer) map[pairKey]*Conversation {
	sum := Conversations{limit: len(c.pairs) + len(c.rows) + 1, pairs: make(map[pairKey]*Conversation)}
	for k, p := range c.pairs {
		if p.Layer == l {
			q := *p
			sum.pairs[k] = &q
		}
	}
	for i := range c.rows {
		if r := &c.rows[i]; r.Addr[0].Addr().Is6() == (l == IPv6) {
			sum.addresses(r)
		}
	}
	return sum.pairs
}

// Top returns the n conversations of TCP and UDP with the most bytes, the most
// first.
func (c *Conversations) Top(n int) []Conversation {
	var t top[Conversation]
	for i := range c.rows {
		t.add(n, c.rows[i].Total().Bytes, &c.rows[i])
	}
	return t.rows
}

// TopAddresses returns the n addresses with the most bytes, of both versions,
// the most first.
func (c *Conversations) TopAddresses(n int) []Endpoint {
	m := make(map[endKey]*Endpoint)
	for _, l := range [...]Layer{IPv4, IPv6} {
		for k, e := range c.ends[l] {
			f := *e
			m[k] = &f
		}
	}
	for _, p := range c.pairs {
		addEnds(m, p, false)
	}
	for i := range c.rows {
		addEnds(m, &c.rows[i], false)
	}
	var t top[Endpoint]
	for _, e := range m {
		t.add(n, e.Total().Bytes, e)
	}
	return t.rows
}

// top is the rows with the highest keys, in descending order.
type top[Row any] struct {
	keys []int64
	rows []Row
}

// add takes in a row if it is among the first n.
func (t *top[Row]) add(n int, key int64, row *Row) {
	if len(t.keys) >= n && (n == 0 || key <= t.keys[n-1]) {
		return
	}
	at, _ := slices.BinarySearchFunc(t.keys, key, func(have, key int64) int {
		if have >= key {
			return -1
		}
		return 1
	})
	t.keys, t.rows = slices.Insert(t.keys, at, key), slices.Insert(t.rows, at, *row)
	t.keys, t.rows = t.keys[:min(len(t.keys), n)], t.rows[:min(len(t.rows), n)]
}

// Endpoints returns the ends of a layer, those with the most packets first,
// and what is in none of them.
func (c *Conversations) Endpoints(l Layer) ([]Endpoint, Others) {
	m := make(map[endKey]*Endpoint, len(c.ends[l]))
	for k, e := range c.ends[l] {
		f := *e
		m[k] = &f
	}
	if l == TCP || l == UDP {
		for i := range c.rows {
			if c.rows[i].Layer == l {
				addEnds(m, &c.rows[i], true)
			}
		}
	} else {
		for _, p := range c.between(l) {
			addEnds(m, p, false)
		}
	}
	rows := make([]Endpoint, 0, len(m))
	for _, e := range m {
		rows = append(rows, *e)
	}
	slices.SortFunc(rows, func(a, b Endpoint) int {
		return cmp.Or(cmp.Compare(b.Total().N, a.Total().N), cmp.Compare(a.order, b.order))
	})
	return rows, c.lost[l]
}
