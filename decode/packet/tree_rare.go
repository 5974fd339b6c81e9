package packet

// rare makes the nodes of the transports that are rarely seen; nil for the
// others.
func (t *treeBuilder) rare() []Node {
	f := &t.f
	name := transports[f.Transport].layer
	if f.Transport <= ICMPv6 || name == "" {
		return nil
	}
	head := len(f.Segment)
	if f.Transport == GRE || f.Transport == UDPLite {
		head -= len(f.Payload)
	}
	label := transports[f.Transport].column
	nodes := []Node{t.node(name, label+": "+string(f.appendRare(nil)), "", f.HdrLen, head, t.items(f.HdrLen)...)}
	switch {
	case f.Carries == Encapsulated && t.depth < maxInside:
		return append(nodes, t.inner()...)
	case head < len(f.Segment):
		return append(nodes, t.data(f.HdrLen+head, len(f.Payload)))
	}
	return nodes
}

// inner makes the nodes of the packet that this one carries.
func (t *treeBuilder) inner() []Node {
	f := &t.f
	at := f.HdrLen + len(f.Segment) - len(f.Payload)
	if f.Transport == UDP {
		at = f.HdrLen + udpLen
	}
	inner := treeBuilder{p: t.p, place: t.place, off: t.off + at + f.carriedAt(), depth: t.depth + 1}
	return inner.packet(f.carriedBytes())
}
