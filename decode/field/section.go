package field

import (
	"strings"

	"tundump/decode/packet"
)

// Section is fields that follow each other in the table and have values only
// where the row has something that they share, so that who reads all fields
// of a row asks once for many of them.
type Section struct {
	Fields []*Field
	in     func(*Row) bool // nil: cannot be told at once
}

// condition is what rows with a packet have that have a field.
type condition struct{ holds func(*Row) bool }

// In reports whether fields of the section may have values in r.
func (s *Section) In(r *Row) bool { return s.in == nil || s.in(r) }

// Sections returns those fields of the table that keep takes, in the order of
// the table.
func Sections(keep func(*Field) bool) []Section {
	var list []Section
	last, when := "", (*condition)(nil)
	for i := range table {
		f := &table[i]
		if !keep(f) {
			continue
		}
		group, _, _ := strings.Cut(f.Name, ".")
		if f.Cost < FromPacket {
			group = ""
		}
		if len(list) == 0 || group != last || f.when != when {
			s := Section{in: ofGroup(group)}
			if f.when != nil {
				s.in = func(r *Row) bool { return r.Packet != nil && f.when.holds(r) }
			}
			list, last, when = append(list, s), group, f.when
		}
		s := &list[len(list)-1]
		s.Fields = append(s.Fields, f)
	}
	return list
}

// ofGroup is what rows have that have fields of a group.
func ofGroup(group string) func(*Row) bool {
	p, _ := LookupProtocol(group)
	switch {
	case p.version == 4: // ip.version is IPv6's, too
		return func(r *Row) bool { return r.Packet != nil && r.Packet.Version != 0 }
	case p.version != 0, p.transport != packet.NoTransport:
		return p.In
	case p.app == packet.AppHTTP, p.app == packet.AppQUIC:
		return hasUnit(p.app, p.app)
	case p.app == packet.AppTLS:
		return hasUnit(packet.AppTLS, packet.AppQUIC)
	case p.app != packet.NoApp:
		return anyApp
	}
	return nil
}

// hasUnit is whether a unit of one of two protocols ends in r's packet.
func hasUnit(a, b packet.App) func(*Row) bool {
	return func(r *Row) bool {
		if r.Packet == nil {
			return false
		}
		list := units(r)
		for i := range list {
			if list[i].App == a || list[i].App == b {
				return true
			}
		}
		return false
	}
}

// anyApp reports whether there is anything above the transport in r's packet,
// or in one inside it.
func anyApp(r *Row) bool {
	if r.Packet == nil {
		return false
	}
	f := r.Packet
	for depth := 0; f != nil; depth++ {
		if f.App != packet.NoApp {
			return true
		}
		if f.Carries == packet.NotInside {
			return false
		}
		f = r.Parser.Inside(f, depth)
	}
	return false
}
