package stats

import (
	"net/netip"
	"slices"
)

// foldFlows gives up the half of the flows that has the fewest bytes.
func (c *Conversations) foldFlows() {
	bound := median(len(c.rows), func(i int) int64 { return c.rows[i].Total().Bytes })
	clear(c.flows)
	clear(c.near[:])
	kept := c.rows[:0]
	give := len(c.rows) / 2
	for i := range c.rows {
		r := c.rows[i]
		if give > 0 && r.Total().Bytes <= bound {
			give--
			c.others[r.Layer].fold(r.Total())
			c.endpoints(&r, r.Layer)
			c.addresses(&r)
			continue
		}
		c.flows[r.key()] = int32(len(kept))
		kept = append(kept, r)
	}
	clear(c.rows[len(kept):])
	c.rows = kept
}

// addresses adds a flow to the conversation of its addresses.
func (c *Conversations) addresses(r *Conversation) {
	p, side := c.pair(r.Tunnel, r.Addr[0].Addr(), r.Addr[1].Addr(), r.First, r.order)
	p.join(r, side)
}

// join adds a conversation whose side 0 is p's side.
func (p *Conversation) join(r *Conversation, side int) {
	p.Errors += r.Errors
	if r.order < p.order {
		p.order = r.order
		if side == 1 { // what began with it goes first
			p.Addr[0], p.Addr[1] = p.Addr[1], p.Addr[0]
			p.Count[0], p.Count[1] = p.Count[1], p.Count[0]
			side = 0
		}
	}
	if p.Addr[0] == p.Addr[1] { // with itself: there is one direction
		p.Count[0] = p.Count[0].Plus(r.Total())
		p.First, p.Last = min(p.First, r.First), max(p.Last, r.Last)
		return
	}
	p.First, p.Last = min(p.First, r.First), max(p.Last, r.Last)
	p.Count[side] = p.Count[side].Plus(r.Count[0])
	p.Count[1-side] = p.Count[1-side].Plus(r.Count[1])
}

func (c *Conversations) foldPairs() {
	totals := make([]int64, 0, len(c.pairs))
	for _, p := range c.pairs {
		totals = append(totals, p.Total().Bytes)
	}
	bound := median(len(totals), func(i int) int64 { return totals[i] })
	give := len(totals) / 2
	for k, p := range c.pairs {
		if give > 0 && p.Total().Bytes <= bound {
			give--
			c.others[p.Layer].fold(p.Total())
			c.endpoints(p, p.Layer)
			delete(c.pairs, k)
		}
	}
	c.last = nil
}

// endpoints adds a conversation to its two ends, for good.
func (c *Conversations) endpoints(r *Conversation, l Layer) {
	m := c.ends[l]
	if len(m)+2 > c.limit {
		c.foldEnds(l)
	}
	addEnds(m, r, true)
}

func (c *Conversations) foldEnds(l Layer) {
	m := c.ends[l]
	totals := make([]int64, 0, len(m))
	for _, e := range m {
		totals = append(totals, e.Total().Bytes)
	}
	bound := median(len(totals), func(i int) int64 { return totals[i] })
	give := (len(totals) + 1) / 2
	for k, e := range m {
		if give > 0 && e.Total().Bytes <= bound {
			give--
			c.lost[l].fold(e.Total())
			delete(m, k)
		}
	}
}

// addEnds adds a conversation to its two ends in m: addresses with ports, or
// without.
func addEnds(m map[endKey]*Endpoint, r *Conversation, ports bool) {
	for side, addr := range r.Addr {
		if !ports {
			addr = netip.AddrPortFrom(addr.Addr(), 0)
		}
		k := endKey{addr, r.Tunnel}
		e := m[k]
		if e == nil {
			e = &Endpoint{Tunnel: r.Tunnel, Addr: addr, order: 2*r.order + int64(side)}
			m[k] = e
		}
		e.order = min(e.order, 2*r.order+int64(side))
		e.Sent = e.Sent.Plus(r.Count[side])
		e.Received = e.Received.Plus(r.Count[1-side])
	}
}

func (o *Others) fold(c Count) {
	o.Rows++
	o.Count = o.Plus(c)
}

// median returns a value that at least half of n values do not exceed.
func median(n int, value func(int) int64) int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = value(i)
	}
	slices.Sort(all)
	return all[n/2]
}

// Folded counts the conversations that no longer have rows.
func (c *Conversations) Folded() int64 {
	var n int64
	for _, o := range c.others {
		n += o.Rows
	}
	return n
}
