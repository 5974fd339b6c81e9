package packet

import "net/netip"

// Node is one line of the detail tree, in Wireshark's words. Text is safe to
// print.
type Node struct {
	Name     string // the field's name, "ip.ttl", or its protocol's, "ip"; "" for a line that is no field
	Label    string // "Time to Live"
	Value    string // "64"; "" where the label says all
	Span     Span   // in the packet
	Children []Node
}

type treeDecoder struct{}

// Tree returns the detail tree of packet b, one node a layer. It may allocate;
// the number of nodes is bounded by the length of b.
func (p *Parser) Tree(b []byte) []Node { return nil }

func appendAddr(dst []byte, a netip.Addr) []byte { return a.AppendTo(dst) }
