package field

import "tundump/decode/packet"

// condition is what rows with a packet have that have values of a field. Fields
// that share one are asked for together.
type condition struct {
	row    func(*Row) bool
	packet func(*packet.Facts) bool // in row's place: what the packet is, or one inside it
}

func rowHas(holds func(*Row) bool) *condition             { return &condition{row: holds} }
func packetHas(holds func(*packet.Facts) bool) *condition { return &condition{packet: holds} }

// in reports whether r, which has a packet, has it.
func (c *condition) in(r *Row) bool {
	if c.row != nil {
		return c.row(r)
	}
	if c.packet(r.Packet) {
		return true
	}
	inside := r.inside()
	for i := range inside {
		if c.packet(&inside[i]) {
			return true
		}
	}
	return false
}

// Section is fields that follow each other in the table and have values only
// where the row has something that they share, so that who reads all fields
// of a row asks once for many of them.
type Section struct {
	Fields []*Field
	when   *condition // nil: cannot be told at once
}

// In reports whether fields of the section may have values in r.
func (s *Section) In(r *Row) bool {
	return s.when == nil || r.Packet != nil && s.when.in(r)
}

// Sections returns those fields of the table that keep takes, in the order of
// the table.
func Sections(keep func(*Field) bool) []Section {
	var list []Section
	for i := range table {
		f := &table[i]
		if !keep(f) {
			continue
		}
		if len(list) == 0 || list[len(list)-1].when != f.when {
			list = append(list, Section{when: f.when})
		}
		s := &list[len(list)-1]
		s.Fields = append(s.Fields, f)
	}
	return list
}
