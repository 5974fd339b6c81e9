package replay

import (
	"net/netip"
	"sync"

	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

// maxOpened bounds how many connections are remembered, to be ended.
const maxOpened = 1 << 16

// opened is the TCP connections that a host took up because of what was sent
// into it. It is for two goroutines.
type opened struct {
	mu     sync.Mutex
	parser *packet.Parser
	next   map[[2]netip.AddrPort]uint32 // what the host expects next, by its end and the other
}

// see takes what came from the host.
func (o *opened) see(pkts [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.parser == nil {
		o.parser, o.next = packet.NewParser(), make(map[[2]netip.AddrPort]uint32)
	}
	var f packet.Facts
	for _, p := range pkts {
		o.parser.Facts(p, &f)
		if f.Transport != packet.TCP || f.IsFragment() || f.Flags&packet.ACK == 0 {
			continue
		}
		c := [2]netip.AddrPort{netip.AddrPortFrom(f.Src, f.SrcPort), netip.AddrPortFrom(f.Dst, f.DstPort)}
		if _, known := o.next[c]; f.Flags&packet.RST != 0 {
			delete(o.next, c)
		} else if known || len(o.next) < maxOpened {
			o.next[c] = f.Ack
		}
	}
}

// resets returns segments that end all of them, and forgets them.
func (o *opened) resets() (pkts [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c, next := range o.next {
		pkts = append(pkts, rewrite.AppendTCP(nil, &rewrite.TCP{Src: c[1], Dst: c[0], Seq: next, Flags: packet.RST}, nil))
	}
	clear(o.next)
	return pkts
}
