package output

import (
	"slices"

	"tundump/capture/session"
	"tundump/decode"
	"tundump/decode/filter"
)

// selection is which rows of an event a filter leaves: the event's own, and
// those of its packets. A message is left when any packet inside matches.
type selection struct {
	event   bool
	all     bool   // every packet is left
	packets []bool // else which
	scratch filter.Scratch

	messages, inner int64 // that were left so far
}

// take asks flt, nil for all, of r and what is inside.
func (s *selection) take(r *session.Row, flt *filter.Filter) {
	if s.event, s.all = true, flt == nil; s.all {
		return
	}
	s.packets = slices.Grow(s.packets[:0], len(r.Packets))[:len(r.Packets)]
	if s.event = false; !flt.AsksPackets() && !flt.Findings() {
		s.event = flt.Match(r.MessageRow(), &s.scratch)
		for i := range s.packets {
			s.packets[i] = s.event
		}
	} else {
		for i := range s.packets {
			s.packets[i] = flt.Match(r.PacketRow(i), &s.scratch) || s.finding(r, i, flt)
			s.event = s.event || s.packets[i]
		}
		s.event = s.event || s.alone(r, flt)
	}
	for _, left := range s.packets {
		if left {
			s.inner++
		}
	}
	if s.event && r.Event.Kind.Counts() {
		s.messages++
	}
}

// packet reports whether packet i is left.
func (s *selection) packet(i int) bool { return s.all || s.packets[i] }

// alone asks flt of the event without its packets: a filter about packets
// matches a message through them, if it has any.
func (s *selection) alone(r *session.Row, flt *filter.Filter) bool {
	if len(r.Packets) > 0 && flt.AsksPackets() || r.Event.Kind == decode.Packet {
		return false
	}
	if flt.Match(r.MessageRow(), &s.scratch) {
		return true
	}
	if !flt.Findings() || r.Message == nil {
		return false
	}
	for i := range r.Message.Problems {
		if flt.Match(problemRow(r, i), &s.scratch) {
			return true
		}
	}
	return false
}

func (s *selection) finding(r *session.Row, i int, flt *filter.Filter) bool {
	if !flt.Findings() {
		return false
	}
	f, ok := r.Finding(i)
	if !ok {
		return false
	}
	row := r.PacketRow(i)
	row.Problem = &f
	return flt.Match(row, &s.scratch)
}

// Filters reports whether rows are filtered.
func (p *Printer) Filters() bool { return p.opt.Filter != nil }

// Matched returns how many messages and packets the filter has left so far.
func (p *Printer) Matched() (messages, packets int64) {
	return p.selected.messages, p.selected.inner
}
