package record

import (
	"tundump/capture/pcapng"
	"tundump/decode"
)

// opened begins one of the tunnel's connections.
func (e *encoder) opened(t *tunnel, ev *decode.Event, side int) {
	if t.conns[side].open {
		e.note(t, ev)
		return
	}
	d := ev.Detail
	if d == nil {
		d = &decode.Detail{}
	}
	if side == clientSide {
		t.opened.Client, t.opened.Listener, t.opened.Upstream = d.Client, d.Listener, d.Upstream
	} else {
		t.opened.Local, t.opened.Remote = d.Local, d.Remote
	}
	e.begin(t, ev, side, d)
}

// begin makes a connection and writes its handshake. The event, if it has a
// kind, stands on it.
func (e *encoder) begin(t *tunnel, ev *decode.Event, side int, d *decode.Detail) {
	c := &t.conns[side]
	from, to := d.Client, d.Listener
	if side == serverSide {
		from, to = d.Local, d.Remote
	}
	from, to = endpoints(from, to, t.id, side)
	c.begin(side, from, to, t.id*isnStep)
	first := e.syn(t, c, ev.Time)
	if ev.Kind != 0 {
		ev.Number = 0
		first.event = ev
		first.tag.Describe(ev, ifaceSides[side], false)
	}
	e.handshake(t, &first)
}

// syn is the first packet of c.
func (e *encoder) syn(t *tunnel, c *conn, time int64) segment {
	const c2s = decode.ClientToServer
	return segment{c: c, dir: c2s, flags: syn, options: c.synOptions(), time: time, tag: t.plain(c2s)}
}

// handshake writes SYN, SYN and ACK, ACK.
func (e *encoder) handshake(t *tunnel, first *segment) {
	const c2s, s2c = decode.ClientToServer, decode.ServerToClient
	c, time := first.c, first.time
	e.write(t, first)
	e.write(t, &segment{c: c, dir: s2c, flags: syn | ack, options: c.synOptions(), time: time, tag: t.plain(s2c)})
	e.write(t, &segment{c: c, dir: c2s, flags: ack, time: time, tag: t.plain(c2s)})
}

// isnStep keeps the sequence numbers of tunnels with the same addresses apart.
const isnStep = 0x9e3779b1

// halfClosed writes a FIN on the client side, which the event stands on, and
// on the server side.
func (e *encoder) halfClosed(t *tunnel, ev *decode.Event) {
	c := e.need(t, clientSide, ev.Time)
	if c.fin[ev.Dir] || c.reset {
		e.note(t, ev)
		return
	}
	f := segment{c: c, dir: ev.Dir, flags: fin | ack, time: ev.Time, event: ev}
	ev.Number = 0
	f.tag.Describe(ev, ifaceSides[clientSide], false)
	c.fin[ev.Dir] = true
	e.write(t, &f)
	if s := &t.conns[serverSide]; s.open && !s.fin[ev.Dir] && !s.reset {
		f.c, f.event, f.tag.Twin = s, nil, true
		s.fin[ev.Dir] = true
		e.write(t, &f)
	}
}

// reset writes a RST on the connection where it was seen. The other one is
// reset when the tunnel is closed.
func (e *encoder) reset(t *tunnel, ev *decode.Event) {
	by := decode.Nobody
	if ev.Detail != nil {
		by = ev.Detail.By
	}
	c, d := e.need(t, clientSide, ev.Time), decode.ServerToClient
	switch s := &t.conns[serverSide]; {
	case by == decode.Client:
		d = decode.ClientToServer
	case by == decode.Server && s.open:
		c = s
	}
	if c.reset {
		e.note(t, ev)
		return
	}
	f := segment{c: c, dir: d, flags: rst | ack, time: ev.Time, event: ev}
	ev.Number = 0
	f.tag.Describe(ev, ifaceSides[c.iface], false)
	c.reset = true
	e.write(t, &f)
}

// closed ends both connections. The event, and whatever still waits for a
// block, stands on the last block of all.
//
// Of the FINs that nobody reported only the proxy's own are written: it did
// close its sockets, and what the others did after that was not seen.
func (e *encoder) closed(t *tunnel, ev *decode.Event) {
	client, server := e.need(t, clientSide, ev.Time), &t.conns[serverSide]
	var frames [4]segment
	last := frames[:0]
	wasReset := client.reset || server.reset
	if server.open {
		last = server.ending(last, decode.ClientToServer, wasReset)
	}
	last = client.ending(last, decode.ServerToClient, wasReset)
	if len(last) == 0 {
		f := segment{c: client, flags: rst | ack}
		if !wasReset {
			f.flags = ack
			client.window ^= 1
		}
		last = append(last, f)
	}
	for i := range last {
		f := &last[i]
		f.time, f.tag = ev.Time, t.plain(f.dir)
		if i == len(last)-1 {
			ev.Number = 0
			f.event, f.all = ev, true
			f.tag.Describe(ev, ifaceSides[f.c.iface], false)
		}
		e.write(t, f)
	}
}

// ending appends what is missing at the end of a connection. own is the
// direction that the proxy sends in.
func (c *conn) ending(frames []segment, own decode.Direction, wasReset bool) []segment {
	peer := own.Opposite()
	switch {
	case c.reset:
	case wasReset:
		c.reset = true
		frames = append(frames, segment{c: c, dir: own, flags: rst | ack})
	case !c.fin[own]:
		c.fin[own] = true
		frames = append(frames, segment{c: c, dir: own, flags: fin | ack}, segment{c: c, dir: peer, flags: ack})
	case c.canAck(peer):
		frames = append(frames, segment{c: c, dir: peer, flags: ack})
	case c.canAck(own):
		frames = append(frames, segment{c: c, dir: own, flags: ack})
	}
	return frames
}

// statistics appends the interface statistics blocks.
func (e *encoder) statistics(started, now int64, lost *pcapng.Losses) {
	for i := range ifaceNames {
		st := pcapng.Statistics{Interface: i, Start: started, Time: now, Received: uint64(e.blocks[i])}
		if i == clientSide {
			st.Dropped = uint64(lost.Events())
			st.Comment = lost.Comment()
		}
		e.out = pcapng.AppendStatistics(e.out, &st)
	}
}
