package session

import (
	"net/netip"
	"sync"
	"time"

	"tundump/decode/packet"
	"tundump/decode/stats"
)

// counts is the statistics of a view.
type counts struct {
	mu        sync.Mutex
	collector *stats.Collector
	seen      int64 // rows

	made   *stats.Snapshot
	madeAt time.Time
	madeOf int64 // rows
}

// countEvery is how often statistics are summed up at most.
const countEvery = 250 * time.Millisecond

// maxTalkers is how many conversations and addresses statistics list.
const maxTalkers = 100

func (c *counts) take(r *Row) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	c.collector.Event(&r.Event, r.Message)
	for i := range r.Packets {
		c.collector.Packet(&r.Event, &r.Packets[i].Facts, &r.Packets[i].Flow)
	}
}

// Stats returns the statistics so far, which never change: those of a quarter
// of a second ago at most, while the pass goes on.
func (v *View) Stats() *stats.Snapshot {
	c := &v.counts
	complete := v.Snapshot().Complete
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil || c.madeOf != c.seen && (complete || time.Since(c.madeAt) >= countEvery) {
		c.made, c.madeOf = c.collector.Snapshot(maxTalkers), c.seen
		c.madeAt = time.Now()
	}
	return c.made
}

// Flows returns the flows that are kept, the oldest first. The slice is the
// caller's.
func (v *View) Flows() []Flow {
	list, last := []Flow{}, v.Snapshot().Summary.Last
	v.flows.mu.RLock()
	names := v.flows.names
	v.flows.mu.RUnlock()
	v.flows.all(func(_ int64, st *flowState) bool {
		if st.stream < 0 {
			return true
		}
		f := Flow{
			Tunnel: st.tunnel, Proto: st.transport, Stream: st.stream, Count: st.count,
			InitialRTT: st.rtt, Retrans: st.retrans, Errors: st.errors, Completeness: st.complete, App: v.protocols.name(st.app), Rate: st.rates(last),
		}
		f.Addr[0], f.Addr[1] = st.addrPort(0), st.addrPort(1)
		if int(st.name) < len(names) {
			f.Name = names[st.name]
		}
		if f.Name == "" { // another flow's packets may have told it since
			f.Name = v.Name(st.tunnel, f.Addr[1].Addr())
		}
		list = append(list, f)
		return true
	})
	return list
}

// maxUnnamed is how many packets of a flow's first side are asked for the name
// of its server: a TLS client says it when the flow has begun, and the answer
// to a query may come as late. Of those behind, fewer and fewer are.
const maxUnnamed = 16

// asksName reports whether packet n of a flow's first side is asked for its
// server's name.
func asksName(n int64) bool { return n <= maxUnnamed || n&(n-1) == 0 }

// nameFlow notes under which name the server of a flow is known, if it is. f is
// a packet to it.
func (v *View) nameFlow(id int64, tunnel uint32, f *packet.Facts) {
	if name := v.session.flows.Name(tunnel, f.Dst); name != "" {
		v.flows.name(id, tunnel, f.Dst, name)
	}
}

// Name returns the name under which an address in a tunnel was asked for, as
// packets to it have told; "" if it was not, or that is forgotten. It is safe
// to print.
func (v *View) Name(tunnel uint32, addr netip.Addr) string {
	v.flows.mu.RLock()
	defer v.flows.mu.RUnlock()
	return v.flows.names[v.flows.ofAddr[named{tunnel, addr}]]
}
