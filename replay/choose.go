package replay

import (
	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// chooser asks an Options' Select. It is told of all packets of a recording, in
// order, so that their streams have the numbers that they have elsewhere. A nil
// chooser selects everything.
type chooser struct {
	selects func(*field.Row) bool
	dir     decode.Direction // whose packets and messages it is asked about
	parser  *packet.Parser
	flows   *flow.Table
	flow    flow.Analysis
	row     field.Row
}

// newChooser returns nil if everything is selected.
func newChooser(o *Options, p *packet.Parser) *chooser {
	if o.Select == nil {
		return nil
	}
	return &chooser{selects: o.Select, dir: o.Dir, parser: p, flows: flow.New(flow.Options{})}
}

// inner is where a packet stands.
type inner struct {
	event   decode.Event
	message *decode.Message // that carries it; nil for a bare packet
	index   int             // in the message
	family  int64           // as the message says, -1 for none
	number  int64           // frame.number
	data    []byte
}

// packet takes in a packet, whose facts are f. If it is asked it reports
// whether the packet is one that is selected.
func (c *chooser) packet(p *inner, f *packet.Facts, asked bool) bool {
	if c == nil {
		return true
	}
	c.flows.Packet(flow.Packet{Tunnel: p.event.Tunnel, Number: p.number, Time: p.event.Time, Facts: f}, &c.flow)
	if !asked || p.event.Dir != c.dir {
		return false
	}
	c.row = field.Row{Event: &p.event, Message: p.message, Packet: f, Flow: &c.flow, Data: p.data, Number: p.number, Index: p.index, Family: p.family, Parser: c.parser}
	return c.selects(&c.row)
}

// message reports whether a message without packets is one that is selected.
func (c *chooser) message(ev decode.Event, m *decode.Message) bool {
	if c == nil {
		return true
	}
	if ev.Dir != c.dir {
		return false
	}
	c.row = field.Row{Event: &ev, Message: m, Parser: c.parser}
	return c.selects(&c.row)
}
