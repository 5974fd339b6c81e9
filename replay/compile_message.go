package replay

import (
	"fmt"
	"time"

	"tundump/decode"
)

// ofFlow reports whether Diff leaves a message to the comparison of what flows
// carry as a whole: where data is cut, who asks for a pause and who ends a
// connection first is a matter of time.
func ofFlow(c decode.Command) bool {
	return c == decode.Data || c == decode.Close || c == decode.Suspend || c == decode.Resume
}

// app is a connection of an app proxy.
type app struct {
	dialogue bool  // it is opened again as a whole
	opened   int32 // the expected answer to Open, -1 if there is none so far
	latest   int32 // the last expected item of it, likewise
}

// connection returns the connection that a message is of, if it is of one.
func (c *compiler) connection(ev decode.Event) (k flowKey, a app, ok bool) {
	m := &c.message
	if !m.HasIdentifier {
		return k, a, false
	}
	k = flowKey{tunnel: ev.Tunnel, id: m.Identifier}
	if m.Command == decode.Open && ev.Dir == decode.ClientToServer {
		delete(c.apps, k)
		if kind, ok := m.Int(decode.KeyAppProxyFlowType); ok && len(c.apps) < maxFlows {
			_, host := m.Host()
			c.apps[k] = app{dialogue: c.opt.Flows && kind == decode.FlowTCP && host, opened: -1, latest: -1}
		}
	}
	a, ok = c.apps[k]
	return k, a, ok
}

// other makes a step of a message, or something expected.
func (c *compiler) other(i int32, ev decode.Event) error {
	key, conn, ok := c.connection(ev)
	if conn.dialogue {
		return nil
	}
	c.since(ev)
	k, class := c.keyer.message(ev.Tunnel, &c.message)
	c.tell(decode.Record, ev, ev.Raw, ev.Number, k, class)
	if ev.Dir != c.opt.Dir {
		at, known := c.keys[k]
		if class == noClass || !known {
			c.Unasked++
			return nil
		}
		c.answers(at, Expected{At: time.Duration(max(0, ev.Time-c.begin)), Number: ev.Number, Row: i, Index: -1, sum: c.keyer.sumBytes(ev.Raw)})
		if n := len(c.Expected) - 1; ok && n >= 0 && c.Expected[n].Row == i {
			if conn.latest = int32(n); c.message.Command == decode.OpenResult {
				conn.opened = int32(n)
			}
			c.apps[key] = conn
		}
		return nil
	}
	if ok && !c.choose.message(ev, &c.message) {
		return nil
	}
	if len(c.Steps) == maxSteps {
		return fmt.Errorf("replay: more than %d messages", maxSteps)
	}
	step := c.step(ev, i, -1, ev.Number)
	step.Len = int32(len(ev.Raw))
	switch {
	case ok && c.message.Command == decode.Close:
		step.After = conn.latest
	case ok:
		step.After = conn.opened
	}
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
