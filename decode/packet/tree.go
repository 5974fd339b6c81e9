package packet

import (
	"fmt"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Node is one line of the detail tree, in Wireshark's words. Label and Value
// are safe to print.
type Node struct {
	Name     string // the field's name, "ip.ttl", or its protocol's, "ip"; "" for a line that is no field
	Label    string // "Time to Live"; for a layer the whole line
	Value    string // "64"; "" where the label says all
	Span     Span   // in the packet that the tree was made of
	Children []Node
}

// Text returns the line: "Time to Live: 64".
func (n *Node) Text() string {
	if n.Value == "" {
		return n.Label
	}
	return n.Label + ": " + n.Value
}

// maxExtensionNodes limits the IPv6 extension headers in a tree: 64 KiB could
// hold 8,192 of them.
const maxExtensionNodes = 64

// Tree returns the detail tree of packet b, one node a layer; the last is what
// is wrong with the packet, if anything is. Every span is inside b. The tree
// does not alias b.
//
// It allocates, is meant for what somebody looks at, and is bounded: 40
// options, 64 extension headers, 512 DNS records and some 2,000 lines of TLS,
// HTTP or QUIC at the most, and packets quoted by ICMP errors three deep. Of
// those three it has the units that begin in the packet. What was decrypted
// has the place of what it was decrypted from.
func (p *Parser) Tree(b []byte) []Node {
	t := treeBuilder{p: p}
	return t.packet(b)
}

// TreeOf is Tree for the packet b that f are the facts of. Where that completes
// a datagram, the tree is that of the whole: what lies in b has its place
// there, and what came in other packets has the place of what b adds to it.
func (p *Parser) TreeOf(f *Facts, b []byte) []Node {
	t := treeBuilder{p: p, whole: f.Whole, reassembledIn: f.ReassembledIn}
	return t.packet(b)
}

// treeDecoder holds the decoder of google/gopacket that the tree uses: TCP's,
// for the options. It is alone in a DecodingLayerParser, which turns panics
// into errors, and which cannot come to any other decoder: 21 of those panic on
// hostile bytes, and one allocates 4 GiB for 136 of them.
type treeDecoder struct {
	tcp       layers.TCP
	tcpParser *gopacket.DecodingLayerParser
	decoded   []gopacket.LayerType
}

// tcpOptions returns the options in header, a whole TCP header: those in front
// of the first that does not fit. They alias header.
func (d *treeDecoder) tcpOptions(header []byte) []layers.TCPOption {
	if d.tcpParser == nil {
		d.tcpParser = gopacket.NewDecodingLayerParser(layers.LayerTypeTCP, &d.tcp)
		d.tcpParser.IgnoreUnsupported = true
	}
	d.tcp.Options = d.tcp.Options[:0]
	// An error leaves the options that came before it, which is all that can
	// be shown; the facts have the problem.
	_ = d.tcpParser.DecodeLayers(header[:len(header):len(header)], &d.decoded)
	return d.tcp.Options
}

// treeBuilder makes the nodes of one packet.
type treeBuilder struct {
	p     *Parser
	f     Facts
	off   int // where the packet begins in the one that Tree was called with
	depth int // how many packets quote this one
	nodes int // made so far

	whole         *Whole // the datagram that the packet completes
	reassembledIn int64  // the packet that does
	place         place
}

// node makes a node for n bytes at off of the packet.
func (t *treeBuilder) node(name, label, value string, off, n int, children ...Node) Node {
	t.nodes++
	return Node{Name: name, Label: label, Value: value, Span: t.place.of(Span{t.off + off, n}), Children: children}
}

func (t *treeBuilder) packet(b []byte) []Node {
	f := &t.f
	t.p.Facts(b, f)
	t.join()
	var nodes []Node
	switch f.Version {
	case 4:
		nodes = append(nodes, t.ipv4(b))
	case 6:
		nodes = append(nodes, t.ipv6(b))
		nodes = append(nodes, t.extensions()...)
	default:
		nodes = append(nodes, t.data(0, len(b)))
	}
	if f.Header != nil {
		nodes = append(nodes, t.fragments()...)
		nodes = append(nodes, t.segment()...)
	}
	quotedCut := t.depth > 0 && (f.Problem == ProblemCut || f.Problem == ProblemTransportCut)
	if f.Problem != NoProblem && !quotedCut {
		nodes = append(nodes, t.node("_ws.malformed", "["+f.Problem.String()+"]", "", f.ProblemSpan.Off, f.ProblemSpan.Len))
	}
	return nodes
}

// segment makes the nodes of what follows the IP header.
func (t *treeBuilder) segment() []Node {
	f := &t.f
	if f.FragOffset == 0 || f.Whole != nil {
		switch f.Transport {
		case TCP:
			return t.tcp()
		case UDP:
			return t.udp()
		case ICMP, ICMPv6:
			return t.icmp()
		}
		if nodes := t.rare(); nodes != nil {
			return nodes
		}
	}
	if f.Carries == Encapsulated && t.depth < maxInside {
		return t.inner()
	}
	if len(f.Segment) == 0 {
		return nil
	}
	return []Node{t.data(f.HdrLen, len(f.Segment))}
}

func (t *treeBuilder) data(off, n int) Node {
	return t.node("data", fmt.Sprintf("Data (%d byte%s)", n, plural(n)), "", off, n)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// field is a line of a header with fixed places.
type field struct {
	name, label string
	off, n      int
	value       func(f *Facts) string
}

// fields makes the nodes of those fields that lie inside the first have bytes
// of the header at off.
func (t *treeBuilder) fields(list []field, off, have int) []Node {
	nodes := make([]Node, 0, len(list)+2)
	for _, e := range list {
		if e.off+e.n <= have {
			nodes = append(nodes, t.node(e.name, e.label, e.value(&t.f), off+e.off, e.n))
		}
	}
	return nodes
}

func protoValue(proto uint8) string { return fmt.Sprintf("%s (%d)", protoName(proto), proto) }

func checksumValue(sum uint16, s Status) string {
	word := "unverified"
	switch s {
	case Good:
		word = "correct"
	case Bad:
		word = "incorrect"
	case NotPresent:
		word = "zero-value ignored"
	case Partial:
		word = "partial, left to checksum offload"
	}
	return fmt.Sprintf("0x%04x [%s]", sum, word)
}
