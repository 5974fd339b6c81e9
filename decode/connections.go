package decode

import (
	"slices"

	"tundump/decode/bplist"
)

// ConnKind is what a connection of a tunnel carries.
type ConnKind uint8

const (
	ConnUnknown ConnKind = iota
	ConnIP
	ConnTCP
	ConnUDP
)

var connNames = [...]string{"unknown", "ip", "tcp", "udp"}

func (k ConnKind) String() string { return connNames[k] }

// maxConnections bounds what one tunnel's opens can make us remember.
const maxConnections = 8192

// Connections follows the connections of one tunnel as both genuine ends keep
// them, from the messages of both directions in order, and finds what is
// wrong between messages. The zero value is a tunnel that has just begun.
//
// Source: PROTOCOL sections 5 to 11, read from Connection.swift, Tunnel.swift
// and ServerTunnel.swift.
type Connections struct {
	// Midstream says that the tunnel was not seen from its beginning, so that
	// an identifier that was never opened is no mistake.
	Midstream bool

	open     map[int64]*connection
	closed   int // of open
	overflow bool
}

type connection struct {
	kind      ConnKind
	closed    bool // a close was seen; what crosses it on its way is no mistake
	suspended int
}

// Kind returns what the connection named id carries, ConnUnknown if it is not
// open.
func (c *Connections) Kind(id int64) ConnKind {
	if e := c.open[id]; e != nil && !e.closed {
		return e.kind
	}
	return ConnUnknown
}

// Check appends to m.Problems what m does wrong to the connections, and
// follows what it does to them; what Decode said and the kind of connection
// makes untrue it takes back. Messages come in the order in which they were
// seen.
func (c *Connections) Check(m *Message) {
	if m.Command == 0 || !m.HasIdentifier {
		return
	}
	switch m.Command {
	case Open:
		if m.Dir == ClientToServer {
			c.opened(m)
		}
		return
	case FetchConfiguration, DNS:
		return
	}
	e := c.open[m.Identifier]
	if e == nil {
		if !c.Midstream && !c.overflow {
			m.problem(ProblemUnknownIdentifier, m.spanOf(KeyIdentifier), Ignores, Ignores, "identifier %d was never opened", m.Identifier)
		}
		return
	}
	if e.closed {
		return
	}
	switch m.Command {
	case OpenResult:
		c.result(m, e)
	case Data:
		checkFlow(m, e)
	case Packets:
		if e.kind != ConnIP {
			m.problem(ProblemConnectionType, m.spanOf(KeyPackets), Ignores, Ignores, "packets for a %s connection", e.kind)
		}
	case Suspend, Resume:
		c.suspend(m, e)
	case Close:
		if n, _ := m.Int(KeyCloseType); n != CloseNone {
			c.close(e)
		}
	}
}

func (c *Connections) opened(m *Message) {
	kind := ConnUnknown
	t, ok := m.Int(KeyTunnelType)
	f, _ := m.Int(KeyAppProxyFlowType)
	switch {
	case ok && t == TunnelIP:
		kind = ConnIP
	case ok && t == TunnelApp && f == FlowTCP:
		kind = ConnTCP
	case ok && t == TunnelApp && f == FlowUDP:
		kind = ConnUDP
	default:
		return // no genuine server opens anything
	}
	if c.Kind(m.Identifier) != ConnUnknown {
		m.problem(ProblemDuplicateOpen, m.spanOf(KeyIdentifier), Accepts, Unstated,
			"identifier %d is open already: a genuine server forgets the first and leaves it running", m.Identifier)
	}
	if c.open == nil {
		c.open = make(map[int64]*connection)
	}
	old := c.open[m.Identifier]
	if old == nil && len(c.open) >= maxConnections && !c.forgetClosed() {
		c.overflow = true
		return
	}
	if old != nil && old.closed {
		c.closed--
	}
	c.open[m.Identifier] = &connection{kind: kind}
}

func (c *Connections) close(e *connection) {
	e.closed = true
	c.closed++
}

// forgetClosed makes room. It does nothing and reports false unless there is
// enough to forget for what the search costs.
func (c *Connections) forgetClosed() bool {
	if c.closed < maxConnections/8 {
		return false
	}
	for id, e := range c.open {
		if e.closed {
			delete(c.open, id)
		}
	}
	c.closed = 0
	return true
}

func (c *Connections) result(m *Message, e *connection) {
	if m.Dir != ServerToClient {
		return
	}
	if e.kind != ConnIP { // an app-proxy client takes no settings from it
		m.Problems = slices.DeleteFunc(m.Problems, func(p Problem) bool { return p.Code == ProblemConfiguration })
	}
	n, ok := m.Int(KeyResultCode)
	switch {
	case !ok:
	case n != ResultSuccess:
		c.close(e)
	case e.kind == ConnIP && !m.Configuration().Exists():
		m.problem(ProblemConfigurationMissing, m.Root().Span(), Unstated, FailsStart, "success without a configuration")
	}
}

// checkFlow says what becomes of data: an endpoint makes it a datagram, and
// each kind of connection takes only its own.
func checkFlow(m *Message, e *connection) {
	if e.kind == ConnIP {
		m.problem(ProblemConnectionType, m.spanOf(KeyData), Ignores, Ignores, "data for an ip connection")
		return
	}
	if m.values[KeyData].Type() != bplist.Data {
		return // said already
	}
	host, port := m.values[KeyHost], m.values[KeyPort]
	switch endpoint := m.HasEndpoint(); {
	case e.kind == ConnTCP && endpoint:
		m.problem(ProblemTCPEndpoint, host.Span(), Ignores, Ignores, "data of a tcp connection names an endpoint, as only a datagram does")
	case e.kind == ConnTCP && host.Exists() && port.Exists():
		m.problem(ProblemTCPEndpoint, m.spanOf(KeyHost), Accepts, Accepts, "data of a tcp connection names an endpoint whose port is no number: it is taken as data")
	case e.kind == ConnUDP && !endpoint:
		m.problem(ProblemUDPEndpoint, m.spanOf(KeyPort), Ignores, Ignores, "a datagram without a host that is a string and a port that is a number")
	}
}

// suspend follows what the client sends: what the server sends of it has no
// effect, because no client class overrides it.
func (c *Connections) suspend(m *Message, e *connection) {
	if m.Dir == ServerToClient {
		return
	}
	if m.Command == Suspend {
		e.suspended++
		return
	}
	if e.suspended > 0 {
		e.suspended--
		return
	}
	if e.kind == ConnIP {
		m.problem(ProblemResume, m.spanOf(KeyCommand), Crashes, Ignores, "resume of an ip connection that is not suspended")
	}
}
