package stream

import (
	"tundump/decode"
	"tundump/decode/frame"
	"tundump/decode/reasm"
)

// piece takes what a tunnel's stream goes on with.
func (f *Finder) piece(c *conn, side int, p *reasm.Piece, time int64) {
	switch p.Kind {
	case reasm.Data:
		f.data(c, side, p.Data, time)
	case reasm.Gap:
		f.gap(c, side, p.Len, time)
	case reasm.Fin:
		f.cutOff(c, side, time)
		if c.fin < 0 {
			c.fin = side
		}
		f.tell(c, side, decode.HalfClosed, time, "")
		c.ends[side].ended = true
		if o := c.ends[1-side]; o != nil && o.ended {
			f.tell(c, c.fin, decode.Closed, time, "FIN")
			f.close(c)
		}
	}
}

// data tells the records that b completes, and keeps the beginning of the
// next.
func (f *Finder) data(c *conn, side int, b []byte, time int64) {
	e := c.ends[side]
	if e.skip > 0 {
		n := min(e.skip, int64(len(b)))
		f.bytes(c, side, decode.Unframed, 0, b[:n], time, e.insideReason())
		e.skip -= n
		b = b[n:]
	}
	if len(e.buf) == 0 {
		rest := f.cut(c, side, b, time, frame.More)
		f.keep(e, append(e.buf[:0], rest...))
		return
	}
	f.table.hold(e, append(e.buf, b...))
	rest := f.cut(c, side, e.buf, time, frame.More)
	if len(rest) < len(e.buf) {
		f.keep(e, e.buf[:copy(e.buf, rest)])
	}
}

// maxIdle is the capacity that an end keeps for its next record.
const maxIdle = 64 << 10

// keep makes b, which lies at the front of its memory, what is pending.
func (f *Finder) keep(e *end, b []byte) {
	if cap(b) > maxIdle && len(b) < cap(b)/4 {
		b = append([]byte(nil), b...)
	}
	f.table.hold(e, b)
}

// cut tells the spans that b begins with and returns what is left.
func (f *Finder) cut(c *conn, side int, b []byte, time int64, mode frame.Mode) []byte {
	e := c.ends[side]
	for {
		span, ok := e.scan.Next(b, mode)
		if !ok {
			return b
		}
		raw := b[:span.Len:span.Len]
		b = b[span.Len:]
		switch {
		case span.Kind == frame.Record:
			e.inside = false
			f.bytes(c, side, decode.Record, 0, raw, time, "")
		case span.Kind == frame.Cutoff:
			f.bytes(c, side, decode.Unframed, decode.Partial, raw, time, "")
		case span.Lost && e.inside:
			f.bytes(c, side, decode.Unframed, 0, raw, time, e.insideReason())
		case span.Lost:
			f.bytes(c, side, decode.Unframed, 0, raw, time, span.Reason(raw))
		default:
			f.bytes(c, side, decode.Unframed, 0, raw, time, "")
		}
	}
}

// insideReason is said once, of the first bytes behind a gap.
func (e *end) insideReason() string {
	if !e.inside {
		return ""
	}
	e.inside = false
	return "inside a record whose beginning was not captured"
}

// cutOff tells what is pending, as nothing follows it.
func (f *Finder) cutOff(c *conn, side int, time int64) {
	e := c.ends[side]
	f.cut(c, side, e.buf, time, frame.End)
	f.keep(e, e.buf[:0])
}

// cutAll is cutOff for both directions. What may still come is looked through
// for the next record.
func (f *Finder) cutAll(c *conn, time int64) {
	for side, e := range c.ends {
		if e == nil {
			continue
		}
		if len(e.buf) > 0 {
			f.cutOff(c, side, time)
			e.scan.Seek()
		}
		f.table.hold(e, nil)
	}
}

// gap tells that n bytes are missing, and finds out where the next record can
// be: behind the one that was cut, if that was one, else anywhere.
func (f *Finder) gap(c *conn, side int, n, time int64) {
	e := c.ends[side]
	left := int64(-1) // bytes that the record which was cut still has
	switch {
	case e.skip > 0:
		left = e.skip
	case head(e.buf):
		left = int64(recordLen(e.buf) - len(e.buf))
	}
	f.cutOff(c, side, time)
	f.event = f.newEvent(c, side, decode.Gap, time)
	f.event.Flags = decode.OnClientSide
	f.event.Detail = &decode.Detail{Len: n}
	f.emit(&f.event)
	e.offset += n
	e.skip, e.scan, e.inside = 0, frame.Scanner{}, true
	switch {
	case left > n:
		e.skip = left - n
	case left < n:
		e.scan.Seek()
	}
}

// bytes tells bytes of the stream.
func (f *Finder) bytes(c *conn, side int, kind decode.Kind, flags decode.Flags, raw []byte, time int64, why string) {
	e := c.ends[side]
	f.event = f.newEvent(c, side, kind, time)
	f.event.Flags, f.event.Raw = flags|decode.OnClientSide, raw
	if why != "" {
		f.event.Detail = &decode.Detail{Reason: why}
	}
	f.emit(&f.event)
	e.offset += int64(len(raw))
}

// tell tells what the end did to the tunnel.
func (f *Finder) tell(c *conn, side int, kind decode.Kind, time int64, why string) {
	f.event = f.newEvent(c, side, kind, time)
	by := decode.Server
	if side == c.client {
		by = decode.Client
	}
	f.event.Detail = &decode.Detail{By: by, Reason: why}
	f.emit(&f.event)
}

func (f *Finder) newEvent(c *conn, side int, kind decode.Kind, time int64) decode.Event {
	ev := decode.Event{Kind: kind, Tunnel: c.tunnel, Time: time, Dir: decode.ServerToClient}
	if side == c.client {
		ev.Dir = decode.ClientToServer
	}
	if e := c.ends[side]; e != nil {
		ev.Offset = e.offset
	}
	return ev
}
