package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"tundump/capture/pcapng"
	"tundump/decode"
)

// ErrForeign is returned for a capture that was not written by tundump.
var ErrForeign = errors.New("store: there is no tunnel recorded by tundump in it")

const (
	// foreignAfter is how many packets without a tag make a file foreign.
	foreignAfter = 1000
	// maxSpan bounds what a row's blocks can take in the file: the largest
	// record that is decoded, in blocks of 64 KiB, and room for their headers.
	maxSpan = pcapng.MaxBlock
)

// indexer turns the blocks of one file into rows.
type indexer struct {
	s    *Store
	w    Writer
	g    *segment
	r    *pcapng.Reader
	name string
	more func(struct{}) bool // hands over to who waits for rows; nil: nobody does

	block  pcapng.Block
	packet pcapng.Packet
	rows   []Entry
	split  splitRow

	ours       bool // the file says that tundump wrote it
	untagged   int  // packets
	unreadable int  // blocks
	incomplete int  // records of which blocks are missing
}

// splitRow is a record whose blocks are being collected.
type splitRow struct {
	entry  Entry
	number int64
	want   int64 // bytes of the record; 0: nothing is being collected
	have   int64
	part   int
}

// run reads to the end of the file, publishes the rows on the way, and says
// what ended them. It is the only writer of the store.
func (x *indexer) run() {
	err := x.blocks()
	x.abandon()
	x.publish()
	var damage *pcapng.DamageError
	switch {
	case x.s.Len() == 0 && (errors.Is(err, ErrForeign) || x.untagged > 0 && !x.ours):
		err = fmt.Errorf("%s: %w", x.name, ErrForeign)
	case errors.As(err, &damage):
		x.s.warn(x.describe(damage))
		err = nil
	case err == io.EOF:
		err = nil
	case err != nil:
		err = fmt.Errorf("%s: %w", x.name, err)
	}
	x.count(x.incomplete, "records lack some of their blocks and are left out")
	x.count(x.unreadable, "packet blocks cannot be read and are left out")
	if x.s.Len() > 0 {
		x.count(x.untagged, "packets are not tundump's and are left out")
	}
	x.s.end(err)
}

func (x *indexer) describe(d *pcapng.DamageError) string {
	if d.Cut {
		return fmt.Sprintf("%s: the file ends inside a block at offset %d: it was cut, or is still being written; everything before is here", x.name, d.Offset)
	}
	return fmt.Sprintf("%s: the file is damaged at offset %d (%s); everything before is here", x.name, d.Offset, d.Reason)
}

func (x *indexer) count(n int, what string) {
	if n > 0 {
		x.s.warn(fmt.Sprintf("%s: %d %s", x.name, n, what))
	}
}

// blocks returns io.EOF at the end.
func (x *indexer) blocks() error {
	for !x.s.stop.Load() {
		if err := x.r.Next(&x.block); err != nil {
			return err
		}
		switch b := &x.block; {
		case b.Type == pcapng.SectionHeader || b.Type == pcapng.InterfaceDescription:
			x.setSection(b.Section())
		case b.Type == pcapng.ClassicHeader:
			return ErrForeign
		case b.IsPacket():
			x.packetBlock()
		case b.Type == pcapng.InterfaceStatistics:
			x.abandon()
			if l, ok := b.Section().Losses(b.Raw); ok {
				x.s.lost(l)
			}
		default:
			x.abandon()
		}
		if x.untagged >= foreignAfter && !x.ours && x.s.Len() == 0 && len(x.rows) == 0 {
			return ErrForeign
		}
	}
	return nil
}

// setSection lets readers see the section as it is now.
func (x *indexer) setSection(now *pcapng.Section) {
	if len(now.Application) >= len(pcapng.Application) && now.Application[:len(pcapng.Application)] == pcapng.Application {
		x.ours = true
	}
	x.g.mu.Lock()
	defer x.g.mu.Unlock()
	if k := len(x.g.sections); k > 0 && x.g.sections[k-1].Offset == now.Offset {
		x.g.sections[k-1] = *now
		return
	}
	x.abandon()
	x.g.sections = append(x.g.sections, *now)
}

func (x *indexer) packetBlock() {
	p := &x.packet
	if x.block.Packet(p) != nil {
		x.abandon()
		x.unreadable++
		return
	}
	if x.isInner(p) {
		x.abandon()
		return
	}
	var own pcapng.Tag
	if len(p.Comments) == 0 || !pcapng.ParseTag(p.Comments[0], &own) || own.IsFact() {
		x.abandon()
		x.untagged++
		return
	}
	side := x.block.Section().Interfaces[p.Interface].Side()
	if own.Part > 0 {
		x.continued(&own)
		return
	}
	x.abandon()
	x.notes(&own, side)
	if own.Kind == 0 || own.Twin || own.Inner {
		return
	}
	ev := own.Event(side, p.Time)
	if carriesBytes(ev.Kind) {
		start, ok := payload(p.Data, ev.Kind)
		if !ok {
			x.unreadable++
			return
		}
		ev.Raw = p.Data[start:]
	}
	e := NewEntry(&ev, x.block.Offset, len(x.block.Raw), 0)
	if have := int64(len(ev.Raw)); ev.Kind.Counts() && ev.Kind != decode.Gap && own.Len > have {
		x.split = splitRow{entry: e, number: ev.Number, want: own.Len, have: have}
		return
	}
	x.rows = append(x.rows, e)
}

// isInner reports, without reading its tag, an inner packet of a message. Most
// blocks of a capture of small packets are such, and none is a row.
func (x *indexer) isInner(p *pcapng.Packet) bool {
	return len(p.Comments) == 1 && x.block.Section().Interfaces[p.Interface].Name == pcapng.Inner &&
		bytes.HasPrefix(p.Comments[0], ownTag) && bytes.Contains(p.Comments[0], innerKey)
}

var ownTag, innerKey = []byte("tundump:1 "), []byte(" pkt=")

// notes adds the rows of the comments behind the first.
func (x *indexer) notes(own *pcapng.Tag, side decode.Flags) {
	for i, c := range x.packet.Comments {
		var t pcapng.Tag
		if i == 0 || !pcapng.ParseTag(c, &t) || t.Kind == 0 || !t.Timed && !t.IsFact() {
			continue
		}
		if t.IsFact() {
			t.Tunnel = own.Tunnel
		}
		ev := t.Event(side, x.packet.Time)
		x.rows = append(x.rows, NewEntry(&ev, x.block.Offset, len(x.block.Raw), i))
	}
}

// continued takes a block that continues the record before it.
func (x *indexer) continued(own *pcapng.Tag) {
	sp := &x.split
	start, ok := payload(x.packet.Data, decode.Record)
	switch {
	case own.Twin:
		return
	case !ok || sp.want == 0 || own.Number != sp.number || own.Tunnel != sp.entry.Tunnel || own.Part != sp.part+1 ||
		x.block.Offset != sp.entry.End() || int64(sp.entry.span)+int64(len(x.block.Raw)) > maxSpan:
		x.abandon()
		return
	}
	sp.part++
	sp.have += int64(len(x.packet.Data) - start)
	sp.entry.span += uint32(len(x.block.Raw))
	if sp.have < sp.want {
		return
	}
	sp.entry.Len = uint32(sp.have)
	x.rows = append(x.rows, sp.entry)
	*sp = splitRow{}
}

// abandon gives up the record that is being collected.
func (x *indexer) abandon() {
	if x.split.want != 0 {
		x.incomplete++
		x.split = splitRow{}
	}
}

// shown lets readers see the rows that were found in held, the bytes at an
// offset of the file, before more are read.
func (x *indexer) shown(held []byte, offset int64) error {
	x.publish()
	if x.more == nil {
		return nil
	}
	p := &x.s.piece
	p.number++
	p.file, p.offset, p.bytes = x.g.file, offset, held
	more := x.more(struct{}{})
	*p = piece{number: p.number + 1} // it is read over now
	if !more {
		return os.ErrClosed
	}
	return nil
}

func (x *indexer) publish() {
	x.w.Append(x.rows)
	x.rows = x.rows[:0]
	x.s.indexed.Store(x.r.Offset())
}
