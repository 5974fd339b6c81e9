package packet

// maxUnitNodes limits the nodes of a packet with TLS, HTTP or QUIC: 64 KiB
// could hold 30,000 cipher suites.
const maxUnitNodes = 2048

// carried is bytes that nodes are made for: those of the packet, or what was
// decrypted out of them, which has the place of what carries it.
type carried struct {
	t     *treeBuilder
	b     []byte // of the packet; its capacity ends with it
	off   int    // where it begins in the packet
	whole bool   // nodes are for something that b carries, not for slices of it
}

// carried returns what the transport carries.
func (t *treeBuilder) carried() carried {
	f := &t.f
	off := f.HdrLen + len(f.Segment) - len(f.Payload)
	if f.Transport == UDP {
		off = f.HdrLen + udpLen
	}
	return carried{t: t, b: f.Payload[:len(f.Payload):len(f.Payload)], off: off}
}

// node makes a node for s, which was cut out of c.b without limiting its
// capacity: so both end where the capacity does.
func (c carried) node(name, label, value string, s []byte, children ...Node) Node {
	if c.whole {
		return c.t.node(name, label, value, c.off, len(c.b), children...)
	}
	return c.t.node(name, label, value, c.off+cap(c.b)-cap(s), len(s), children...)
}

// full reports whether nothing more is to be added.
func (c carried) full() bool { return c.t.nodes >= maxUnitNodes }

func safe(b []byte) string { return string(AppendSafe(nil, b)) }

// units makes a node for each unit that begins in the packet.
func (t *treeBuilder) units() []Node {
	c := t.carried()
	switch t.f.App {
	case AppTLS:
		return c.tls(tlsPDUs(nil, c.b))
	case AppHTTP, AppSSDP:
		return c.http(httpPDUs(nil, c.b))
	}
	return c.quic(t.p.quic.pdus(nil, c.b))
}
