package stats

import (
	"bytes"
	"slices"
	"strings"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

// maxChains bounds how many different protocol chains are counted.
const maxChains = 1024

// Protocol is one line of the hierarchy, with what is above it in it.
type Protocol struct {
	Name  string
	Depth int
	Count
}

// Hierarchy counts packets by the protocols in them.
type Hierarchy struct {
	parser *packet.Parser
	chains map[string]*Count
	order  []string // the chains as they appeared
	last   *Count
	key    []byte // last's chain
	work   []byte
	others Count
}

// NewHierarchy returns an empty hierarchy.
func NewHierarchy() *Hierarchy {
	return &Hierarchy{parser: packet.NewParser(), chains: make(map[string]*Count)}
}

// Add takes in a packet.
func (h *Hierarchy) Add(f *packet.Facts, a *flow.Analysis) {
	h.work = flow.AppendProtocols(h.work[:0], h.parser, f, a)
	if h.last == nil || !bytes.Equal(h.work, h.key) {
		c := h.chains[string(h.work)]
		if c == nil {
			if len(h.order) >= maxChains {
				h.others.add(f.Len)
				return
			}
			c = new(Count)
			chain := string(h.work)
			h.chains[chain] = c
			h.order = append(h.order, chain)
		}
		h.last, h.key = c, append(h.key[:0], h.work...)
	}
	h.last.add(f.Len)
}

// Others counts the packets that are in no line of the hierarchy.
func (h *Hierarchy) Others() Count { return h.others }

// List returns the hierarchy from the outside in, each protocol followed by
// those in it, in the order in which they appeared.
func (h *Hierarchy) List() []Protocol {
	root := &node{}
	for _, chain := range h.order {
		root.add(listed(chain), *h.chains[chain])
	}
	return root.appendTo(nil, -1)
}

// notListed are in frame.protocols and, in tshark's eyes, a part of the layer
// above.
var notListed = [...]string{":ipv6.hopopts", ":ipv6.routing", ":ipv6.fraghdr", ":ipv6.dstopts"}

// listed returns the protocols of a chain that the hierarchy has: without what
// an ICMP error quotes, and without extension headers.
func listed(chain string) string {
	for _, icmp := range [...]string{":icmp", ":icmpv6"} {
		if before, _, ok := strings.Cut(chain, icmp+":ip"); ok {
			chain = before + icmp
		}
	}
	for _, name := range notListed {
		chain = strings.ReplaceAll(chain, name, "")
	}
	return chain
}

// node is a protocol on its way into the list.
type node struct {
	Protocol
	below []*node
}

func (n *node) add(chain string, c Count) {
	name, rest, more := strings.Cut(chain, ":")
	i := slices.IndexFunc(n.below, func(b *node) bool { return b.Name == name })
	if i < 0 {
		i = len(n.below)
		n.below = append(n.below, &node{Protocol: Protocol{Name: name}})
	}
	n.below[i].Count = n.below[i].Plus(c)
	if more {
		n.below[i].add(rest, c)
	}
}

func (n *node) appendTo(dst []Protocol, depth int) []Protocol {
	if depth >= 0 {
		n.Depth = depth
		dst = append(dst, n.Protocol)
	}
	for _, b := range n.below {
		dst = b.appendTo(dst, depth+1)
	}
	return dst
}
