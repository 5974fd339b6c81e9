package replay

import (
	"fmt"
	"time"

	"tundump/decode"
)

// connection reports whether a message is of an app-proxy connection, and
// whether that is a dialogue.
func (c *compiler) connection(ev decode.Event) (is, dialogue bool) {
	m := &c.message
	if !m.HasIdentifier {
		return false, false
	}
	k := flowKey{tunnel: ev.Tunnel, id: m.Identifier}
	if m.Command == decode.Open && ev.Dir == decode.ClientToServer {
		delete(c.apps, k)
		if kind, ok := m.Int(decode.KeyAppProxyFlowType); ok && len(c.apps) < maxFlows {
			_, host := m.Host()
			c.apps[k] = c.opt.Flows && kind == decode.FlowTCP && host
		}
	}
	dialogue, is = c.apps[k]
	return is, dialogue
}

// other makes a step of a message, or something expected.
func (c *compiler) other(i int32, ev decode.Event) error {
	app, dialogue := c.connection(ev)
	if dialogue {
		return nil
	}
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
	if app && !c.choose.message(ev, &c.message) {
		return nil
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
