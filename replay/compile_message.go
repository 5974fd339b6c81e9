package replay

import (
	"fmt"
	"time"

	"tundump/decode"
	"tundump/decode/field"
)

// stream reports whether a message is of a connection that is a dialogue.
func (c *compiler) stream(ev decode.Event) bool {
	m := &c.message
	if !c.opt.Flows || !m.HasIdentifier {
		return false
	}
	k := flowKey{tunnel: ev.Tunnel, id: m.Identifier}
	if kind, ok := m.Int(decode.KeyAppProxyFlowType); m.Command == decode.Open && ev.Dir == decode.ClientToServer {
		if len(c.streams) >= maxFlows {
			return false
		}
		_, host := m.Host()
		c.streams[k] = ok && kind == decode.FlowTCP && host
	}
	return c.streams[k]
}

// other makes a step of a message, or something expected.
func (c *compiler) other(i int32, ev decode.Event) error {
	c.since(ev)
	k, class := c.keyer.message(ev.Tunnel, &c.message)
	c.tell(decode.Record, ev, ev.Raw, ev.Number, k, class)
	if ev.Dir != c.opt.Dir {
		at, ok := c.keys[k]
		if class == noClass || !ok {
			c.Unasked++
			return nil
		}
		c.answers(at, Expected{At: time.Duration(max(0, ev.Time-c.begin)), Number: ev.Number, Row: i, Index: -1, sum: c.keyer.sumBytes(ev.Raw)})
		return nil
	}
	if c.opt.Select != nil {
		c.row = field.Row{Event: &ev, Message: &c.message, Parser: c.keyer.parser}
		if !c.opt.Select(&c.row) {
			return nil
		}
	}
	if len(c.Steps) == maxSteps {
		return fmt.Errorf("replay: more than %d messages", maxSteps)
	}
	step := Step{At: c.at(ev), Number: ev.Number, Row: i, Index: -1, Len: int32(len(ev.Raw)), Tunnel: ev.Tunnel, Answer: -1, same: -1, Wait: int32(len(c.Expected)) - 1}
	if class != noClass {
		c.asks(k, class)
	}
	c.Steps = append(c.Steps, step)
	c.Bytes += int64(len(ev.Raw))
	c.keep(ev.Raw)
	if c.opt.loose {
		c.sums, c.asked = append(c.sums, c.keyer.sumBytes(ev.Raw)), append(c.asked, class != noClass)
	}
	return nil
}
