package stats

import (
	"net/netip"

	"tundump/decode"
)

// commands is how many kinds of messages there are: those of package decode,
// and at 0 those without a command that is known.
const commands = int(decode.FetchConfiguration) + 1

// Tunnel is the life of one tunnel, and what it carried. Times are
// nanoseconds since the Unix epoch, 0 for what was not seen. Pairs are by
// direction, c2s first.
type Tunnel struct {
	Number    uint32
	Midstream bool // it was open before the capture began

	Client   netip.AddrPort
	Listener netip.AddrPort
	Upstream string // as it was named; from the network, so escape it
	Local    netip.AddrPort
	Remote   netip.AddrPort

	Accepted    int64    // the client's connection
	Connected   int64    // the upstream's
	Refused     int64    // the upstream could not be reached
	Open        int64    // the first open
	Result      int64    // the first openResult
	FirstPacket [2]int64 // the first message with packets or data
	Numbers     [4]int64 // of the messages of these four, in the capture
	HalfClosed  [2]int64 // FIN of the sender of that direction
	Reset       int64
	Closed      int64
	First, Last int64 // of all that was seen of it

	By     decode.Party // who closed or reset it
	Reason string       // why, or why it was refused; from the network, so escape it

	Kind       decode.ConnKind // of the first open
	Identifier int64           // of the first open
	ResultCode int64           // of the first openResult, -1 if none is known
	Opens      int64           // connections that were asked for
	Failures   int64           // openResults other than success

	Configuration *Configuration // the last that the server sent; nil if none. It must not be changed

	Messages   [2]Count           // all, with their length fields
	Commands   [2][commands]Count // by command; 0: none that is known
	Unframed   [2]Count           // bytes that are no record
	Gaps       [2]Count           // bytes that are missing
	Problems   [3]int64           // by severity
	Packets    [2]Count           // carried in packets messages, or outside any tunnel
	Data       [2]Count           // carried in data messages: bytes of flows
	PerMessage [2]Histogram       // packets in a packets message

	Suspends  int64 // times that the server asked to stop sending
	Suspended int64 // nanoseconds in which at least one connection was suspended, to the last event
	Waiting   bool  // one is

	Answers Timing    // from open to openResult
	RTT     [2]Timing // measured on the sockets: the server side's first, then the client side's
	Retrans [2]uint32 // segments sent again, likewise
	Blocked [2]Timing // writes of that direction that had to wait
	ACKs    [2]Timing // inner TCP, from a segment of the other direction to its acknowledgment in this one
	DNS     Timing    // inner, from query to answer
	Echo    Timing    // inner ICMP
}

// Duration is the time from its beginning to its end, or what was last seen of
// it.
func (t *Tunnel) Duration() int64 {
	from, to := t.Accepted, t.Closed
	if from == 0 {
		from = t.First
	}
	if to == 0 {
		to = t.Last
	}
	return to - from
}

// Overhead returns what the framing costs in a direction: the bytes on the
// stream that are neither packet nor data, and how many there are for each
// hundred that are; 0 if nothing was carried.
func (t *Tunnel) Overhead(d decode.Direction) (bytes int64, percent float64) {
	return overhead(t.Messages[d&1].Bytes, t.Packets[d&1].Bytes+t.Data[d&1].Bytes)
}

func overhead(wire, carried int64) (bytes int64, percent float64) {
	bytes = wire - carried
	if carried > 0 {
		percent = 100 * float64(bytes) / float64(carried)
	}
	return bytes, percent
}

// tunnel is a Tunnel while it is counted.
type tunnel struct {
	Tunnel
	conns     map[int64]conn // those that wait for an answer or are suspended
	suspended int            // of conns
	since     int64          // when the first of them was
	published *Tunnel        // as it was when it was last asked for; nil if it has changed
}

type conn struct {
	opened    int64 // 0: it waits for no answer
	suspended bool
}

// maxConns bounds the connections of a tunnel that are followed.
const maxConns = 1024

func (t *tunnel) event(ev *decode.Event, m *decode.Message) {
	if t.First == 0 {
		t.First = ev.Time
	}
	t.Last = max(t.Last, ev.Time)
	d := ev.Dir & 1
	switch ev.Kind {
	case decode.Record:
		t.Messages[d].add(len(ev.Raw))
		if m != nil {
			t.message(ev, m)
		}
	case decode.Unframed:
		t.Messages[d].add(len(ev.Raw))
		t.Unframed[d].add(len(ev.Raw))
	default:
		if det := ev.Detail; det != nil {
			t.detail(ev, det)
		}
		t.step(ev)
	}
}

// detail takes in what an event says that is no bytes.
func (t *tunnel) detail(ev *decode.Event, det *decode.Detail) {
	d := ev.Dir & 1
	switch ev.Kind {
	case decode.Opened:
		t.Client, t.Listener, t.Upstream = det.Client, det.Listener, short(det.Upstream)
		if det.Since != 0 && t.Accepted == 0 {
			t.Accepted, t.Midstream = det.Since, true
		}
	case decode.Connected:
		t.Local, t.Remote = det.Local, det.Remote
	case decode.Refused:
		t.Reason = short(det.Reason)
	case decode.Reset, decode.Closed:
		if t.Reset == 0 && t.Closed == 0 || ev.Kind == decode.Reset {
			t.By, t.Reason = det.By, short(det.Reason)
		}
	case decode.Gap:
		t.Gaps[d].N++
		t.Gaps[d].Bytes += det.Len
	case decode.TCPInfo:
		t.RTT[d].Add(int64(det.RTT))
		t.Retrans[d] = det.Retrans
	case decode.Blocked:
		t.Blocked[d].Add(int64(det.Wait))
	}
}

// step notes when something happened first.
func (t *tunnel) step(ev *decode.Event) {
	at := (*int64)(nil)
	switch ev.Kind {
	case decode.Opened:
		at = &t.Accepted
	case decode.Connected:
		at = &t.Connected
	case decode.Refused:
		at = &t.Refused
	case decode.HalfClosed:
		at = &t.HalfClosed[ev.Dir&1]
	case decode.Reset:
		at = &t.Reset
	case decode.Closed:
		at = &t.Closed
		t.closeAll(ev.Time)
	}
	if at != nil && *at == 0 {
		*at = ev.Time
	}
}

func (t *tunnel) message(ev *decode.Event, m *decode.Message) {
	d := ev.Dir & 1
	t.Commands[d][int(m.Command)%commands].add(len(ev.Raw))
	for i := range m.Problems {
		t.Problems[m.Problems[i].Severity]++
	}
	switch m.Command {
	case decode.Packets:
		t.PerMessage[d].Add(m.PacketCount())
		t.carries(ev)
	case decode.Data:
		if b, ok := m.Data(); ok {
			t.Data[d].add(len(b))
			t.carries(ev)
		}
	case decode.Open:
		t.open(ev, m)
	case decode.OpenResult:
		t.result(ev, m)
	case decode.FetchConfiguration:
		t.configure(m)
	case decode.Suspend, decode.Resume:
		if d == decode.ServerToClient && m.HasIdentifier {
			t.suspend(m.Identifier, m.Command == decode.Suspend, ev.Time)
		}
	case decode.Close:
		if how, ok := m.Int(decode.KeyCloseType); m.HasIdentifier && (!ok || how != decode.CloseNone) {
			t.forget(m.Identifier, ev.Time)
		}
	}
}

func (t *tunnel) carries(ev *decode.Event) {
	if d := ev.Dir & 1; t.FirstPacket[d] == 0 {
		t.FirstPacket[d], t.Numbers[2+d] = ev.Time, ev.Number
	}
}

func (t *tunnel) open(ev *decode.Event, m *decode.Message) {
	t.Opens++
	if t.Open == 0 {
		t.Open, t.Identifier, t.Kind, t.Numbers[0] = ev.Time, m.Identifier, kindOf(m), ev.Number
	}
	if m.HasIdentifier && t.follow(m.Identifier) {
		c := t.conns[m.Identifier]
		c.opened = ev.Time
		t.conns[m.Identifier] = c
	}
}

func kindOf(m *decode.Message) decode.ConnKind {
	how, ok := m.Int(decode.KeyTunnelType)
	if ok && how == decode.TunnelIP {
		return decode.ConnIP
	}
	switch n, _ := m.Int(decode.KeyAppProxyFlowType); {
	case ok && how == decode.TunnelApp && n == decode.FlowTCP:
		return decode.ConnTCP
	case ok && how == decode.TunnelApp && n == decode.FlowUDP:
		return decode.ConnUDP
	}
	return decode.ConnUnknown
}

func (t *tunnel) result(ev *decode.Event, m *decode.Message) {
	code, ok := m.Int(decode.KeyResultCode)
	if !ok {
		code = -1
	}
	if code != decode.ResultSuccess {
		t.Failures++
	}
	if t.Result == 0 {
		t.Result, t.ResultCode, t.Numbers[1] = ev.Time, code, ev.Number
	}
	t.configure(m)
	c, ok := t.conns[m.Identifier]
	if !ok || c.opened == 0 {
		return
	}
	t.Answers.Add(ev.Time - c.opened)
	if c.opened = 0; c.suspended {
		t.conns[m.Identifier] = c
	} else {
		delete(t.conns, m.Identifier)
	}
}

func (t *tunnel) configure(m *decode.Message) {
	if c, ok := ConfigurationOf(m); ok && (t.Configuration == nil || m.Command == decode.OpenResult) {
		t.Configuration = c
	}
}

// follow makes room for a connection and reports whether there is any.
func (t *tunnel) follow(id int64) bool {
	if t.conns == nil {
		t.conns = make(map[int64]conn)
	}
	_, known := t.conns[id]
	return known || len(t.conns) < maxConns
}

func (t *tunnel) suspend(id int64, on bool, now int64) {
	if on {
		t.Suspends++
	}
	c, known := t.conns[id]
	if c.suspended == on || on && !t.follow(id) {
		return
	}
	c.suspended = on
	if known && !on && c.opened == 0 {
		delete(t.conns, id)
	} else {
		t.conns[id] = c
	}
	if on {
		if t.suspended++; t.suspended == 1 {
			t.since = now
		}
	} else {
		t.resumed(now)
	}
}

func (t *tunnel) resumed(now int64) {
	if t.suspended--; t.suspended == 0 {
		t.Suspended += max(now-t.since, 0)
	}
}

// forget ends a connection.
func (t *tunnel) forget(id, now int64) {
	if t.conns[id].suspended {
		t.resumed(now)
	}
	delete(t.conns, id)
}

func (t *tunnel) closeAll(now int64) {
	if t.suspended > 0 {
		t.suspended = 1
		t.resumed(now)
	}
	t.conns = nil
}

// snapshot returns what is known by now.
func (t *tunnel) snapshot() *Tunnel {
	if t.published == nil {
		s := t.Tunnel
		if s.Waiting = t.suspended > 0; s.Waiting {
			s.Suspended += max(t.Last-t.since, 0)
		}
		t.published = &s
	}
	return t.published
}

// maxText bounds what is kept of a name or a reason.
const maxText = 256

func short(s string) string {
	if len(s) > maxText {
		return s[:maxText-3] + "..."
	}
	return s
}
