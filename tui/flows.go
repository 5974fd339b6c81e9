package tui

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/flow"
	"tundump/decode/packet"
	"tundump/tui/paint"
	"tundump/tui/pane"
)

// flowsTab is the conversations.
type flowsTab struct {
	tab
	table *pane.Table
	asker *flowAsker // what they are asked, nil for a text
	flows []Flow
	keys  map[int64]int // of an entry, to the flow
	by    int
	down  bool
	last  int64
	width int // that it was laid for
}

// Columns of the flows.
const (
	flowProto = iota
	flowTunnel
	flowClient
	flowServer
	flowName
	flowUpPackets
	flowUpBytes
	flowDownPackets
	flowDownBytes
	flowRate
	flowRTT
	flowRetrans
	flowState
)

// flowTitles are the columns in words.
var flowTitles = [...]string{"protocol", "tunnel", "client", "server", "name", "packets up", "bytes up", "packets down", "bytes down", "rate", "round-trip time", "retransmissions", "state"}

// Where there is little room, the server's column has its name, if that is
// known, and the name's, which is left out, its address: so that both are
// searched.
const flowsNarrow = 122

func flowColumns(width int) []pane.Column {
	if width >= flowsNarrow {
		return []pane.Column{
			flowProto:       {Title: "Proto", Width: 7},
			flowTunnel:      {Title: "T", Width: 3},
			flowClient:      {Title: "Client", Width: 21, Min: 14, Ends: true},
			flowServer:      {Title: "Server", Width: 21, Min: 14, Ends: true},
			flowName:        {Title: "Name", Width: 20, Flex: true, Drop: 1},
			flowUpPackets:   {Title: "▲ pkts", Width: 6, Right: true, Drop: 4},
			flowUpBytes:     {Title: "▲ bytes", Width: 9, Right: true},
			flowDownPackets: {Title: "▼ pkts", Width: 6, Right: true, Drop: 4},
			flowDownBytes:   {Title: "▼ bytes", Width: 9, Right: true},
			flowRate:        {Title: "Rate", Width: 8, Drop: 6},
			flowRTT:         {Title: "RTT", Width: 6, Right: true, Drop: 5},
			flowRetrans:     {Title: "Retr", Width: 5, Right: true, Drop: 2},
			flowState:       {Title: "State", Width: 11, Drop: 3},
		}
	}
	return []pane.Column{
		flowProto:       {Title: "Proto", Width: 7, Min: 5},
		flowTunnel:      {Title: "T", Width: 3, Drop: 1},
		flowClient:      {Title: "Client", Width: 21, Min: 11, Ends: true},
		flowServer:      {Title: "Server", Width: 40, Min: 14, Ends: true},
		flowName:        {},
		flowUpPackets:   {Title: "▲pkt", Width: 5, Right: true},
		flowUpBytes:     {Title: "▲byte", Width: 6, Right: true},
		flowDownPackets: {Title: "▼pkt", Width: 5, Right: true},
		flowDownBytes:   {Title: "▼byte", Width: 6, Right: true},
		flowRate:        {},
		flowRTT:         {Title: "RTT", Width: 6, Right: true},
		flowRetrans:     {Title: "Retr", Width: 5, Min: 4, Right: true},
		flowState:       {Title: "State", Width: 11, Min: 7},
	}
}

func newFlowsTab() *flowsTab {
	return &flowsTab{by: flowDownBytes, down: true, table: pane.NewTable(flowColumns(0), "no flows yet")}
}

// fit lays the table for a width.
func (t *flowsTab) fit(width int) {
	if t.width == width {
		return
	}
	t.width = width
	t.table.Columns = flowColumns(width)
	t.lay()
}

func (t *flowsTab) set(flows []Flow, last int64) {
	t.flows, t.last = flows, last
	t.lay()
}

// key tells a flow from the others.
func (f *Flow) key() int64 {
	k := f.Stream << 1
	if f.Proto == packet.UDP {
		k |= 1
	}
	return k
}

// filter is the display filter that the flow's packets pass.
func (f *Flow) filter() string {
	if f.Proto == packet.UDP {
		return "udp.stream == " + strconv.FormatInt(f.Stream, 10)
	}
	return "tcp.stream == " + strconv.FormatInt(f.Stream, 10)
}

// lay puts the flows into the table, in order.
func (t *flowsTab) lay() {
	slices.SortStableFunc(t.flows, func(a, b Flow) int {
		n := cmp.Or(compareFlows(&a, &b, t.by), cmp.Compare(b.key(), a.key()))
		if t.down {
			n = -n
		}
		return n
	})
	t.keys = make(map[int64]int, len(t.flows))
	entries := make([]pane.Entry, 0, len(t.flows))
	for i := range t.flows {
		f := &t.flows[i]
		e := pane.Entry{Key: f.key(), Text: f.cells(t.last, t.width < flowsNarrow), Style: f.style()}
		if t.shows(f, &e) {
			t.keys[e.Key] = i
			entries = append(entries, e)
		}
	}
	for i := range t.table.Columns {
		c := &t.table.Columns[i]
		c.Title = strings.TrimRight(c.Title, "↑↓")
		if i == t.by {
			c.Title += map[bool]string{true: "↓", false: "↑"}[t.down]
		}
	}
	t.table.Set(entries)
}

func compareFlows(a, b *Flow, by int) int {
	switch by {
	case flowProto:
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), strings.Compare(a.App, b.App))
	case flowTunnel:
		return cmp.Compare(a.Tunnel, b.Tunnel)
	case flowClient:
		return a.Addr[0].Compare(b.Addr[0])
	case flowServer:
		return a.Addr[1].Compare(b.Addr[1])
	case flowName:
		return strings.Compare(a.Name, b.Name)
	case flowUpPackets:
		return cmp.Compare(a.Count[0].Packets, b.Count[0].Packets)
	case flowUpBytes:
		return cmp.Compare(a.Count[0].Bytes, b.Count[0].Bytes)
	case flowDownPackets:
		return cmp.Compare(a.Count[1].Packets, b.Count[1].Packets)
	case flowDownBytes:
		return cmp.Compare(a.Count[1].Bytes, b.Count[1].Bytes)
	case flowRate:
		return cmp.Compare(lastOf(a.Rate), lastOf(b.Rate))
	case flowRTT:
		return cmp.Compare(a.InitialRTT, b.InitialRTT)
	case flowRetrans:
		return cmp.Compare(a.Retrans, b.Retrans)
	}
	return strings.Compare(a.state(0), b.state(0))
}

func lastOf(v []int64) int64 {
	if len(v) == 0 {
		return 0
	}
	return v[len(v)-1]
}

func (f *Flow) cells(last int64, narrow bool) []string {
	proto := f.App
	if proto == "" {
		proto = map[packet.Transport]string{packet.TCP: "TCP", packet.UDP: "UDP"}[f.Proto]
	}
	rtt, retrans := "", ""
	if f.InitialRTT > 0 {
		rtt = short(time.Duration(f.InitialRTT))
	}
	if f.Retrans > 0 {
		retrans = thousands(f.Retrans)
	}
	tunnel := ""
	if f.Tunnel != 0 {
		tunnel = strconv.FormatUint(uint64(f.Tunnel), 10)
	}
	server, name, packets, bytes := f.Addr[1].String(), f.Name, thousands, size
	if narrow {
		packets, bytes = shortCount, shortSize
		if name != "" {
			server, name = name, server
		}
	}
	return []string{
		proto, tunnel, f.Addr[0].String(), server, name,
		packets(f.Count[0].Packets), bytes(f.Count[0].Bytes), packets(f.Count[1].Packets), bytes(f.Count[1].Bytes),
		paint.Spark(f.Rate, 8), rtt, retrans, f.state(last),
	}
}

func (f *Flow) style() paint.Style {
	switch {
	case f.Completeness&flow.SawRST != 0:
		return paint.RowReset
	case f.Retrans > 0:
		return paint.RowTCPTrouble
	case strings.Contains(f.App, "DNS"):
		return paint.RowDNS
	case strings.HasPrefix(f.App, "HTTP"):
		return paint.RowHTTP
	case strings.HasPrefix(f.App, "TLS"), f.App == "QUIC":
		return paint.RowTLS
	}
	return paint.Plain
}

// state says in a word what a flow is up to.
func (f *Flow) state(last int64) string {
	unanswered := "no answer"
	if f.Errors > 0 {
		unanswered = "ICMP error"
	}
	if f.Proto != packet.TCP {
		if f.Count[1].Packets == 0 {
			return unanswered
		}
		return ""
	}
	c := f.Completeness
	switch {
	case c&flow.SawRST != 0:
		return "reset"
	case c&flow.SawFIN != 0:
		return "closed"
	case c&flow.SawSYN != 0 && c&flow.SawSYNACK == 0:
		if f.Count[1].Packets == 0 {
			return unanswered
		}
		return "opening"
	case c&flow.SawSYNACK != 0 && c&(flow.SawACK|flow.SawData) == 0:
		return "opening"
	case last-max(f.Count[0].Last, f.Count[1].Last) > 60e9:
		return "idle"
	case c&flow.SawSYN == 0:
		return "midstream"
	}
	return "established"
}

// narrow shows the flows that pass a display filter, or else have the text.
func (t *flowsTab) narrow(part string) {
	t.part, t.asker = part, nil
	if f, _ := flowFilter(part); f != nil {
		t.asker = newFlowAsker(f)
	}
	t.lay()
}

func (t *flowsTab) shows(f *Flow, e *pane.Entry) bool {
	if t.asker != nil {
		return t.asker.passes(f)
	}
	return t.has(e.Text)
}

func (t *flowsTab) sortBy(column int) {
	if column == t.by {
		t.down = !t.down
	} else {
		t.by, t.down = column, column >= flowUpPackets && column != flowState
	}
	t.lay()
}

func (t *flowsTab) reverse() { t.down = !t.down; t.lay() }

func (t *flowsTab) current() *Flow {
	e := t.table.Current()
	if e == nil {
		return nil
	}
	return &t.flows[t.keys[e.Key]]
}

// openFlow shows the packets of the flow at the cursor.
func (m *Model) openFlow() tea.Cmd {
	f := m.scr().flows.current()
	if f == nil {
		return nil
	}
	return m.lead(packetsView, f.filter())
}
