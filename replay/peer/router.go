package peer

import (
	"net/netip"
	"sync"

	"tundump/decode"
)

// maxSources is how many addresses that it was not assigned a client may send
// from.
const maxSources = 64

// router knows which IP connection an address belongs to: the one it was
// assigned to, or else the first that sent from it. Genuine clients have no
// IPv6 address from the server and may use one all the same.
type router struct {
	conf *Configuration

	mu    sync.RWMutex
	conns map[netip.Addr]*ipConn
}

// ipConn is an open IP connection of a tunnel.
type ipConn struct {
	assigned assignment
	queue    *packetQueue
	// sources is the addresses that the client may send from. Only the
	// tunnel's reader touches it.
	sources map[netip.Addr]bool
}

func (c *ipConn) addresses() []netip.Addr {
	if c.assigned.v6.IsValid() {
		return []netip.Addr{c.assigned.v4, c.assigned.v6}
	}
	return []netip.Addr{c.assigned.v4}
}

// add routes the assigned addresses of c to it.
func (r *router) add(c *ipConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.sources = make(map[netip.Addr]bool)
	for _, a := range c.addresses() {
		r.conns[a] = c
		c.sources[a] = true
	}
}

// remove forgets every address of c. Only the tunnel's reader, or whoever
// comes after it has ended, calls it.
func (r *router) remove(c *ipConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a := range c.sources {
		if r.conns[a] == c {
			delete(r.conns, a)
		}
	}
}

// admit reports whether c's client may send p, and routes answers to it. A
// source that is another client's, or could become one's, is not admitted.
func (r *router) admit(c *ipConn, p []byte) bool {
	src, _, ok := endpoints(p)
	if !ok {
		return false
	}
	if c.sources[src] {
		return true
	}
	if src.IsUnspecified() || src.IsLoopback() || src.IsMulticast() || len(c.sources) >= maxSources || r.conf.reserved(src) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns[src] != nil {
		return false
	}
	r.conns[src] = c
	c.sources[src] = true
	return true
}

// deliver queues a packet for the client that it is addressed to.
func (r *router) deliver(p []byte) {
	_, dst, ok := endpoints(p)
	if !ok {
		return
	}
	r.mu.RLock()
	c := r.conns[dst]
	r.mu.RUnlock()
	if c != nil {
		c.queue.push(p)
	}
}

// endpoints returns the addresses of an IP packet. It looks at nothing else.
func endpoints(p []byte) (src, dst netip.Addr, ok bool) {
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20])), true
	case len(p) >= 40 && p[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40])), true
	}
	return src, dst, false
}

// admitted appends to dst the packets of m that c's client may send.
func (r *router) admitted(dst [][]byte, c *ipConn, m *decode.Message) [][]byte {
	for i := range m.PacketCount() {
		if p, _ := m.Packet(i); r.admit(c, p) {
			dst = append(dst, p)
		}
	}
	return dst
}
