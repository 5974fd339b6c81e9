package session

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
)

// spansPackets reports whether a field is read from units that may span
// packets: a packet drawn alone has those that begin in it, and only a pass
// has what read -Y sees.
func spansPackets(name string) bool {
	head, _, _ := strings.Cut(name, ".")
	switch head {
	case "http", "tls", "quic", "x509sat", "x509ce":
		return true
	}
	return name == "frame.protocols"
}

// inPass looks for the rows with a pass of its own over the store.
func (s *Selection) inPass(ctx context.Context) error {
	pass := New(s.v.store)
	pass.DecodeAs(s.v.session.parser.DecodeAs)
	var scratch filter.Scratch
	var announced time.Time
	snap := s.v.Snapshot()
	for {
		r, err := pass.Next(ctx)
		if err == io.EOF {
			s.show()
			s.done.Store(s.all.Load())
			return nil
		}
		if err != nil {
			return err
		}
		if r.Index >= snap.passed {
			s.show()
			s.v.announce(func(*Snapshot) {})
			if snap, err = s.v.waitFor(ctx, func(snap *Snapshot) bool { return snap.passed > r.Index || snap.Complete }); err != nil {
				return err
			}
			if r.Index >= snap.passed { // the view's pass ended before its capture did
				return errors.Join(snap.Err, io.ErrUnexpectedEOF)
			}
		}
		s.takeRow(snap, r, &scratch)
		if now := time.Now(); r.Index%1024 == 0 && now.Sub(announced) >= publishEvery {
			announced = now
			s.show()
			s.v.announce(func(*Snapshot) {})
		}
	}
}

// show lets readers see what was found.
func (s *Selection) show() {
	shown := s.found
	s.published.Store(&shown)
}

// takeRow asks the filter of a row of a pass and what is inside.
func (s *Selection) takeRow(snap *Snapshot, r *Row, scratch *filter.Scratch) {
	e := s.extent(snap)
	s.all.Store(int64(e.End))
	pos := snap.Message(r.Index)
	if s.list == Packets {
		event := uint32(r.Index)
		pos = snap.rows.search(func(w *row) bool { return w.event >= event })
	}
	any := false
	for i := range r.Packets {
		if !s.ask.inPacket(r, i, scratch) {
			continue
		}
		if any = true; s.list == Packets {
			s.found.push(uint32(pos + i))
		}
	}
	if s.list == Packets {
		pos += len(r.Packets)
	} else if pos >= 0 {
		if any || s.ask.inEvent(r, scratch) {
			s.found.push(uint32(pos))
		}
		pos++
	}
	if pos >= e.End { // who sees that all was looked at finds all that there is
		s.show()
	}
	if pos >= 0 {
		s.done.Store(int64(pos))
	}
}

// inPacket asks of packet i of a row of a pass.
func (a *asker) inPacket(r *Row, i int, s *filter.Scratch) bool {
	if a.flt.Match(r.PacketRow(i), s) {
		return true
	}
	f, ok := r.Finding(i)
	return ok && a.flt.Findings() && a.aboutFinding(r.PacketRow(i), f, s)
}

// inEvent asks of a row of a pass without its packets.
func (a *asker) inEvent(r *Row, s *filter.Scratch) bool {
	if len(r.Packets) > 0 && a.flt.AsksPackets() || r.Event.Kind == decode.Packet {
		return false
	}
	if a.flt.Match(r.MessageRow(), s) {
		return true
	}
	if !a.flt.Findings() || r.Message == nil {
		return false
	}
	for i := range r.Message.Problems {
		if a.aboutFinding(r.MessageRow(), findingOf(&r.Message.Problems[i]), s) {
			return true
		}
	}
	return false
}

func (a *asker) aboutFinding(row *field.Row, f field.Finding, s *filter.Scratch) bool {
	row.Problem = &f
	return a.flt.Match(row, s)
}
