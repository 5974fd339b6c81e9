package session

import "context"

// Rows calls use for the rows of the store behind some rows of l, whose
// positions ascend: a message with all of its packets, or of a message those
// of its packets that were asked for; successive ones come in one Row. Rows
// that are gone are passed over. The row is valid during the call alone; it
// has no Tunnel. It ends early when use returns false.
func (v *View) Rows(ctx context.Context, l List, positions []int, use func(*Row) (more bool, err error)) error {
	r := v.reader()
	defer v.readers.Put(r)
	out := Row{parser: r.parser}
	for i := 0; i < len(positions); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, ok, err := r.row(l, positions[i:], &out)
		if err != nil {
			return err
		}
		i += n
		if !ok {
			continue
		}
		if more, err := use(&out); err != nil || !more {
			return err
		}
	}
	return nil
}

// row makes out of as many of the positions as belong in one row, at least
// one, and reports how many; ok is false if they are gone.
func (r *reader) row(l List, positions []int, out *Row) (n int, ok bool, err error) {
	if ok, err := r.item(l, positions[0]); !ok {
		return 1, false, err
	}
	first, count := r.first, r.count
	if n = 1; l == Packets {
		first, count = positions[0], 1
		for n < len(positions) && positions[n] == first+n && first+n < r.first+r.count {
			n, count = n+1, count+1
		}
	}
	out.Packets = out.Packets[:0]
	for pos := first; pos < first+count; pos++ {
		if ok, err := r.packet(pos, everything); !ok {
			return n, false, err
		}
		out.Packets = append(out.Packets, Carried{Index: r.out.Index, Family: r.out.Family, Data: r.out.Data, Facts: r.facts, Flow: r.analysis})
	}
	out.Index, out.Event, out.Message, out.FirstPacket = r.event, r.ev, nil, int64(first)+1
	if r.decoded {
		out.Message = &r.message
	}
	return n, true, nil
}

// Event returns the store's row behind a row of l; ok is false if it is not
// there, or not any more.
func (s *Snapshot) Event(l List, pos int) (i int, ok bool) {
	e := s.Messages
	if l == Packets {
		e = s.Packets
	}
	switch {
	case pos < e.First || pos >= e.End:
		return 0, false
	case l == Packets:
		return int(s.rows.at(pos).event), true
	}
	return int(*s.events.at(pos)), true
}

// Message returns the position of the message that is row i of the store, -1
// if that is none.
func (s *Snapshot) Message(i int) int {
	pos := s.events.search(func(e *uint32) bool { return int(*e) >= i })
	if pos == s.events.n || int(*s.events.at(pos)) != i {
		return -1
	}
	return pos
}
