package stats

import (
	"slices"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Tunnels follows the life of each tunnel. When there are too many, those are
// forgotten first that have ended.
type Tunnels struct {
	limit     int
	tunnels   map[uint32]*tunnel
	last      *tunnel
	forgotten int64
}

// NewTunnels returns an empty table of at most limit tunnels; 8,192 if limit
// is 0.
func NewTunnels(limit int) *Tunnels {
	if limit <= 0 {
		limit = 8192
	}
	return &Tunnels{limit: limit, tunnels: make(map[uint32]*tunnel)}
}

// Event takes in what happened in a tunnel; m is the message of a record, nil
// for anything else. It keeps nothing of either.
func (s *Tunnels) Event(ev *decode.Event, m *decode.Message) {
	if t := s.of(ev); t != nil {
		t.event(ev, m)
	}
}

// Packet takes in an inner packet of the event.
func (s *Tunnels) Packet(ev *decode.Event, f *packet.Facts, a *flow.Analysis) {
	t := s.of(ev)
	if t == nil {
		return
	}
	d := ev.Dir & 1
	t.Packets[d].add(f.Len)
	switch {
	case a.AckRTT > 0:
		t.ACKs[d].Add(a.AckRTT)
	case a.AnswerTo == 0:
	case f.Transport == packet.ICMP || f.Transport == packet.ICMPv6:
		t.Echo.Add(a.Latency)
	default:
		t.DNS.Add(a.Latency)
	}
}

// of returns the tunnel of an event, nil for a packet outside any.
func (s *Tunnels) of(ev *decode.Event) *tunnel {
	if ev.Tunnel == 0 {
		return nil
	}
	t := s.last
	if t == nil || t.Number != ev.Tunnel {
		if t = s.tunnels[ev.Tunnel]; t == nil {
			t = s.begin(ev)
		}
		s.last = t
	}
	t.published = nil
	return t
}

func (s *Tunnels) begin(ev *decode.Event) *tunnel {
	if len(s.tunnels) >= s.limit {
		s.forget()
	}
	t := &tunnel{Tunnel: Tunnel{Number: ev.Tunnel, Midstream: ev.Kind != decode.Opened, ResultCode: -1}}
	s.tunnels[ev.Tunnel] = t
	return t
}

// forget makes room for a quarter of all.
func (s *Tunnels) forget() {
	old := s.numbers()
	slices.SortStableFunc(old, func(a, b uint32) int {
		switch x, y := s.tunnels[a].Closed != 0, s.tunnels[b].Closed != 0; {
		case x && !y:
			return -1
		case y && !x:
			return 1
		}
		return 0
	})
	for _, n := range old[:len(old)/4+1] {
		delete(s.tunnels, n)
		s.forgotten++
	}
	s.last = nil
}

func (s *Tunnels) numbers() []uint32 {
	all := make([]uint32, 0, len(s.tunnels))
	for n := range s.tunnels {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// List returns the tunnels by number, as they are now. They stay as they are;
// those that did not change are the same as in the last list.
func (s *Tunnels) List() []*Tunnel {
	list := make([]*Tunnel, 0, len(s.tunnels))
	for _, n := range s.numbers() {
		list = append(list, s.tunnels[n].snapshot())
	}
	return list
}

// Forgotten counts the tunnels that are no longer listed.
func (s *Tunnels) Forgotten() int64 { return s.forgotten }
