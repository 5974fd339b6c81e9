package stream

import (
	"encoding/binary"

	"tundump/decode"
	"tundump/decode/frame"
	"tundump/decode/reasm"
)

// head reports whether b begins as a record does that the genuine ends accept.
func head(b []byte) bool {
	return len(b) >= recordHead && string(b[frame.HeaderLen:recordHead]) == magic &&
		recordLen(b) >= frame.MinLen && recordLen(b) <= frame.MaxLen
}

func recordLen(b []byte) int { return int(binary.LittleEndian.Uint32(b)) }

// probe looks whether a candidate's next piece makes it a tunnel, or makes
// that impossible.
func (f *Finder) probe(c *conn, side int, p *reasm.Piece, time int64) {
	e := c.ends[side]
	f.note(c, entry{side: side, kind: p.Kind, n: p.Len, time: time})
	if p.Offset == 0 && e.stream.Joined() && len(e.buf) == 0 {
		e.scan.Seek()
	}
	switch {
	case p.Kind == reasm.Data && e.barren:
		c.log[len(c.log)-1].kind = reasm.Gap
	case p.Kind == reasm.Data:
		f.table.hold(e, append(e.buf, p.Data...))
		if f.shows(c, side, frame.More) {
			return
		}
		limit := maxProbe
		if !e.stream.Joined() && !head(e.buf) {
			limit = maxPlain
		}
		switch {
		case len(e.buf) <= limit:
		case len(f.opt.Ports) > 0:
			f.declare(c, side, nil)
			return
		default:
			f.giveUp(c, side)
		}
	case p.Kind == reasm.Gap:
		if f.shows(c, side, frame.End) {
			return
		}
		e.scan.Seek()
	}
	if c.finished() || len(c.log) > maxEntries {
		f.decide(c)
	}
}

// note adds to the log. What goes on like the entry before becomes part of it.
func (f *Finder) note(c *conn, n entry) {
	before := cap(c.log)
	if k := len(c.log); k > 0 && n.kind == reasm.Gap && c.log[k-1].kind == reasm.Gap && c.log[k-1].side == n.side {
		c.log[k-1].n += n.n
		c.log[k-1].time = n.time
		return
	}
	c.log = append(c.log, n)
	f.table.held += (cap(c.log) - before) * entrySize
}

// finished reports whether both ends have sent FIN.
func (c *conn) finished() bool {
	return c.ends[0] != nil && c.ends[1] != nil && c.ends[0].stream.Ended() && c.ends[1].stream.Ended()
}

// shows looks for a record in what is new of an end's bytes, and makes the
// connection a tunnel if there is one.
func (f *Finder) shows(c *conn, side int, mode frame.Mode) bool {
	e := c.ends[side]
	for {
		span, ok := e.scan.Next(e.buf[e.probed:], mode)
		if !ok {
			return false
		}
		rec := e.buf[e.probed : e.probed+span.Len]
		if span.Kind == frame.Record && frame.Fits(rec) {
			f.declare(c, side, rec)
			return true
		}
		e.probed += span.Len
	}
}

// giveUp stops keeping what an end sends: no record is in it.
func (f *Finder) giveUp(c *conn, side int) {
	e := c.ends[side]
	e.barren, e.probed = true, 0
	e.scan.Seek()
	f.table.hold(e, nil)
	for i := range c.log {
		if l := &c.log[i]; l.side == side && l.kind == reasm.Data {
			l.kind = reasm.Gap
		}
	}
	if o := c.ends[1-side]; o == nil || !o.barren && (o.stream.Joined() || len(o.buf) < recordHead || head(o.buf)) {
		return
	}
	f.decide(c)
}

// lastChance makes a candidate that can show no more a tunnel if it is one
// after all: its port says so, or the first thing an end sent is the beginning
// of a record.
func (f *Finder) lastChance(c *conn) {
	for side, e := range c.ends {
		if e != nil && !e.barren && f.shows(c, side, frame.End) {
			return
		}
	}
	for side, e := range c.ends {
		if e != nil && (len(f.opt.Ports) > 0 || !e.barren && !e.stream.Joined() && head(e.buf)) {
			f.declare(c, side, nil)
			return
		}
	}
}

// declare makes c a tunnel, because side sent rec, and tells what happened to
// it so far.
func (f *Finder) declare(c *conn, side int, rec []byte) {
	f.stats.Tunnels++
	c.tunnel, c.client = f.stats.Tunnels, f.clientOf(c, side, rec)
	f.table.move(c, open)
	d := &decode.Detail{Client: c.addr(c.client), Listener: c.addr(1 - c.client)}
	d.Upstream = d.Listener.String()
	if c.syn < 0 {
		d.Since = c.opened
	}
	f.event = decode.Event{Kind: decode.Opened, Tunnel: c.tunnel, Time: c.opened, Detail: d}
	f.emit(&f.event)
	f.replay(c)
}

// replay tells a new tunnel's log.
func (f *Finder) replay(c *conn) {
	log := c.log
	var bufs [2][]byte
	for i, e := range c.ends {
		if e == nil {
			continue
		}
		bufs[i] = e.buf
		f.table.hold(e, nil)
		e.scan, e.probed = frame.Scanner{}, 0
		if e.stream.Joined() {
			e.scan.Seek()
			e.inside = true
		}
	}
	f.table.held -= cap(c.log) * entrySize
	c.log = nil
	for _, l := range log {
		p := reasm.Piece{Kind: l.kind, Len: l.n}
		if l.kind == reasm.Data {
			p.Data, bufs[l.side] = bufs[l.side][:l.n], bufs[l.side][l.n:]
		}
		f.piece(c, l.side, &p, l.time)
		if c.state == over {
			return
		}
	}
}

// clientOf finds the client's end: by what the first record says, then by SYN,
// then by the ports.
//
// Source: PROTOCOL section 11, "Telling the direction of a stream without
// ports".
func (f *Finder) clientOf(c *conn, side int, rec []byte) int {
	switch senderOf(&f.message, rec) {
	case decode.Client:
		return side
	case decode.Server:
		return 1 - side
	}
	a, b := c.key.a.Port(), c.key.b.Port()
	switch {
	case c.syn >= 0:
		return c.syn
	case len(f.opt.Ports) > 0 && f.named(a) != f.named(b):
		if f.named(a) {
			return 1
		}
		return 0
	case a < b:
		return 1
	case b < a:
		return 0
	}
	return side
}

// senderOf says who sends a record like rec; Nobody if both do.
func senderOf(m *decode.Message, rec []byte) decode.Party {
	if len(rec) == 0 || m.Decode(decode.Event{Kind: decode.Record, Raw: rec}) != nil {
		return decode.Nobody
	}
	switch m.Command {
	case decode.Open:
		return decode.Client
	case decode.OpenResult, decode.Suspend, decode.Resume:
		return decode.Server
	case decode.FetchConfiguration:
		if m.Configuration().Exists() {
			return decode.Server
		}
		return decode.Client
	}
	return decode.Nobody
}
