package replay

import (
	"errors"
	"fmt"

	"tundump/decode"
)

// reader gets the bytes of steps and expected items out of a plan. It is for
// one goroutine.
type reader struct {
	plan    *Plan
	source  Source // nil: the plan's
	row     int32
	read    bool // event is that of row
	event   decode.Event
	message decode.Message
	buf     []byte
	changed []byte
}

var errMoved = errors.New("the recording has changed since it was read")

// step returns what step i sends, appended to dst if it has to be read.
func (r *reader) step(i int, dst []byte) (Item, []byte, error) {
	s := &r.plan.Steps[i]
	it := Item{Kind: decode.Packet, Tunnel: s.Tunnel, Step: i}
	if s.Index < 0 {
		it.Kind = decode.Record
	}
	if r.plan.memory != nil {
		it.Data = r.plan.memory[i]
		return it, dst, nil
	}
	n := len(dst)
	if part, ok := r.plan.splits[int32(i)]; ok {
		dst = append(dst, part...)
	} else {
		b, err := r.at(s.Row, s.Index)
		if err != nil {
			return it, dst, err
		}
		dst = r.rewrite(dst, b, s.Index, r.plan.opt.Dir)
	}
	if it.Data = dst[n:len(dst):len(dst)]; len(it.Data) != int(s.Len) {
		return it, dst, fmt.Errorf("replay: row %d: %w", s.Row, errMoved)
	}
	return it, dst, nil
}

// recorded returns an expected item as it was recorded, and changed. Its data
// is valid until the next call.
func (r *reader) recorded(e *Expected) (Item, error) {
	it := Item{Kind: decode.Packet, Tunnel: r.plan.Steps[e.Cause].Tunnel, Step: int(e.Cause)}
	if e.Index < 0 {
		it.Kind = decode.Record
	}
	if b, ok := r.plan.joined[place{e.Row, e.Index}]; ok {
		it.Data = b
		return it, nil
	}
	b, err := r.at(e.Row, e.Index)
	if err != nil {
		return it, err
	}
	r.changed = r.rewrite(r.changed[:0], b, e.Index, r.plan.opt.Dir.Opposite())
	it.Data = r.changed
	return it, nil
}

func (r *reader) rewrite(dst, b []byte, index int32, dir decode.Direction) []byte {
	if index < 0 || r.plan.opt.Rewrite == nil {
		return append(dst, b...)
	}
	return r.plan.opt.Rewrite(dst, b, dir)
}

// at returns the bytes of a packet, or of a whole record if index is -1.
func (r *reader) at(row, index int32) ([]byte, error) {
	if !r.read || r.row != row {
		r.read = false
		src := r.source
		if src == nil {
			src = r.plan.source
		}
		ev, err := src.At(int(row), r.buf)
		if err != nil {
			return nil, fmt.Errorf("replay: row %d: %w", row, err)
		}
		if cap(ev.Raw) > cap(r.buf) {
			r.buf = ev.Raw[:0]
		}
		if ev.Kind == decode.Record && r.message.Decode(ev) != nil {
			return nil, fmt.Errorf("replay: row %d: %w", row, errMoved)
		}
		r.event, r.row, r.read = ev, row, true
	}
	if index < 0 || r.event.Kind == decode.Packet {
		return r.event.Raw, nil
	}
	if int(index) >= r.message.PacketCount() {
		return nil, fmt.Errorf("replay: row %d: %w", row, errMoved)
	}
	b, _ := r.message.Packet(int(index))
	return b, nil
}
