package packet

import (
	"fmt"
	"strings"
)

// place says where in a packet the bytes are of a datagram that the packet
// completes. The zero value is of a packet that has all of its bytes.
type place struct {
	set   bool
	own   Span // what the packet has of the datagram
	from  int  // where in the datagram that is
	moved int  // a span of the datagram's first byte, less its place there
}

// of returns where in the packet s is, which counts as if the whole datagram
// stood behind the packet's header.
func (p place) of(s Span) Span {
	if !p.set || s.Off < p.own.Off {
		return s
	}
	at := s.Off - p.moved
	if at >= p.from && at+s.Len <= p.from+p.own.Len {
		return Span{p.own.Off + at - p.from, s.Len}
	}
	return p.own
}

// join has the nodes made of the whole datagram.
func (t *treeBuilder) join() {
	f := &t.f
	if t.whole == nil || !f.IsFragment() {
		return
	}
	t.place = place{set: true, own: Span{t.off + f.HdrLen, len(f.Segment)}, from: f.FragOffset}
	t.p.Join(f, t.whole)
	stripped := len(t.whole.Segment) - len(f.Segment)
	t.place.moved = t.place.own.Off - stripped
}

// maxPieces limits the fragments that the tree lists.
const maxPieces = 64

// fragments makes the node that says which packets have the datagram.
func (t *treeBuilder) fragments() []Node {
	f := &t.f
	prefix, version, in := "ip", "IPv4", "ip.reassembled_in"
	if f.Version == 6 {
		prefix, version, in = "ipv6", "IPv6", "ipv6.reassembled.in"
	}
	if t.reassembledIn > 0 {
		return []Node{t.node(in, "[Reassembled "+version+" in frame", fmt.Sprintf("%d]", t.reassembledIn), f.HdrLen, len(f.Segment))}
	}
	if f.Whole == nil {
		return nil
	}
	own := t.place.own
	at, n := own.Off-t.off, own.Len
	var text strings.Builder
	var kids []Node
	for i, p := range f.Whole.Pieces {
		if i == maxPieces {
			text.WriteString(", …")
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "#%d(%d)", p.Number, p.Len)
		kids = append(kids, t.node(prefix+".fragment", "Frame", fmt.Sprintf("%d, payload: %d-%d (%d byte%s)", p.Number, p.Off, p.Off+p.Len-1, p.Len, plural(p.Len)), at, n))
	}
	size := len(f.Whole.Segment)
	kids = append(kids,
		t.node(prefix+".fragment.count", "Fragment count", fmt.Sprint(len(f.Whole.Pieces)), at, n),
		t.node(prefix+".reassembled.length", "Reassembled "+version+" length", fmt.Sprint(size), at, n))
	label := fmt.Sprintf("[%d %s Fragments (%d bytes): %s]", len(f.Whole.Pieces), version, size, text.String())
	return []Node{t.node(prefix+".fragments", label, "", at, n, kids...)}
}
