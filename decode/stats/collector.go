package stats

import (
	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Options limit a collector. Zero stands for the default in each.
type Options struct {
	Conversations int // with a row of their own, on each layer; 65,536
	Tunnels       int // 8,192
}

// Collector counts everything that a screen shows of a capture. It is for one
// goroutine; its snapshots are for any.
type Collector struct {
	first, last   int64
	started       bool
	messages      [2]Count
	packets       [2]Count
	data          [2]Count
	perMessage    [2]Histogram
	rates         Rates
	hierarchy     *Hierarchy
	conversations *Conversations
	tunnels       *Tunnels
}

// New returns an empty collector.
func New(o Options) *Collector {
	return &Collector{hierarchy: NewHierarchy(), conversations: NewConversations(o.Conversations), tunnels: NewTunnels(o.Tunnels)}
}

// Event takes in an event of any kind, before its packets; m is the message of
// a record, nil for anything else. It keeps nothing of either.
func (c *Collector) Event(ev *decode.Event, m *decode.Message) {
	if !c.started {
		c.first, c.last, c.started = ev.Time, ev.Time, true
	}
	c.last = max(c.last, ev.Time)
	c.tunnels.Event(ev, m)
	if !ev.Kind.Counts() {
		return
	}
	d := ev.Dir & 1
	c.messages[d].add(len(ev.Raw))
	c.rates.Event(ev)
	if m == nil {
		return
	}
	switch m.Command {
	case decode.Packets:
		c.perMessage[d].Add(m.PacketCount())
	case decode.Data:
		if b, ok := m.Data(); ok {
			c.data[d].add(len(b))
		}
	}
}

// Packet takes in an inner packet of the event, or the bare packet that it is.
// It keeps nothing of f and a.
func (c *Collector) Packet(ev *decode.Event, f *packet.Facts, a *flow.Analysis) {
	c.packets[ev.Dir&1].add(f.Len)
	c.rates.Packet(ev, f.Len)
	c.hierarchy.Add(f, a)
	c.conversations.Add(ev, f, a)
	c.tunnels.Packet(ev, f, a)
}

// Snapshot is what a collector had counted at one moment. It does not change.
type Snapshot struct {
	First, Last int64        // times of the first and the latest event
	Messages    [2]Count     // by direction, with their length fields
	Packets     [2]Count     // by direction
	Data        [2]Count     // by direction: bytes of app-proxy flows
	PerMessage  [2]Histogram // by direction: packets in a packets message
	Whole       Series       // the whole capture
	Recent      Series       // its last two minutes, by the second
	Hierarchy   []Protocol
	Talkers     []Conversation // of TCP and UDP, those with the most bytes first
	Addresses   []Endpoint     // those with the most bytes first
	Tunnels     []*Tunnel      // by number
	Losses      Losses
}

// Snapshot returns what was counted so far, with at most talkers conversations
// and as many addresses. Most of what it costs is adding up the conversations
// of each address: see BenchmarkSnapshot.
func (c *Collector) Snapshot(talkers int) *Snapshot {
	return &Snapshot{
		First: c.first, Last: c.last,
		Messages: c.messages, Packets: c.packets, Data: c.data, PerMessage: c.perMessage,
		Whole: c.rates.Whole(), Recent: c.rates.Recent(),
		Hierarchy: c.hierarchy.List(), Talkers: c.conversations.Top(talkers), Addresses: c.conversations.TopAddresses(talkers), Tunnels: c.tunnels.List(),
		Losses: Losses{
			Conversations: c.conversations.Folded(),
			Protocols:     c.hierarchy.Others().N,
			Tunnels:       c.tunnels.Forgotten(),
		},
	}
}

// Conversations returns the collector's conversations, for more than the
// snapshot has of them. It is for the goroutine that adds.
func (c *Collector) Conversations() *Conversations { return c.conversations }

// Overhead returns what the framing costs in a direction: the bytes on the
// streams that are neither packet nor data, and how many there are for each
// hundred that are; 0 if nothing was carried.
func (s *Snapshot) Overhead(d decode.Direction) (bytes int64, percent float64) {
	return overhead(s.Messages[d&1].Bytes, s.Packets[d&1].Bytes+s.Data[d&1].Bytes)
}
