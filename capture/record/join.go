package record

import (
	"maps"
	"slices"

	"tundump/decode"
)

// beginFile goes on in a new file, at offset base. It writes the handshakes of
// the tunnels that are open, in at most about room bytes; those of the others
// come when something happens to them.
func (e *encoder) beginFile(base int64, room int) {
	e.continueAt(base)
	e.blocks = [3]int64{}
	e.file++
	for _, id := range slices.Sorted(maps.Keys(e.tunnels)) {
		if len(e.out) >= room {
			return
		}
		e.join(e.tunnels[id], e.last)
	}
}

// join writes the state of a tunnel's connections into a file that begins in
// the middle of them: the handshake, right before the next byte, and what has
// ended. The file can then be read alone. None of it is a row: what it repeats
// has one.
func (e *encoder) join(t *tunnel, time int64) {
	t.file = e.file
	for side := range t.conns {
		c := &t.conns[side]
		if !c.open {
			continue
		}
		c.rewind()
		first := e.syn(t, c, time)
		first.none = true // what still waits comes behind the opening
		if side == clientSide {
			ev := decode.Event{Kind: decode.Opened, Tunnel: t.id, Detail: &t.opened}
			first.tag.Describe(&ev, ifaceSides[side], false)
		}
		e.handshake(t, &first)
		e.joinEnd(t, c, time)
	}
}

// joinEnd repeats the FINs and the RST of a connection.
func (e *encoder) joinEnd(t *tunnel, c *conn, time int64) {
	for d, ended := range c.fin {
		if ended {
			dir := decode.Direction(d)
			e.write(t, &segment{c: c, dir: dir, flags: fin | ack, time: time, tag: t.plain(dir)})
		}
	}
	if c.reset {
		dir := decode.ClientToServer
		e.write(t, &segment{c: c, dir: dir, flags: rst | ack, time: time, tag: t.plain(dir)})
	}
}

// rewind goes back by what the handshake and the FINs will count again.
func (c *conn) rewind() {
	for d := range c.next {
		c.next[d]--
		if c.fin[d] {
			c.next[d]--
		}
	}
	c.acked = c.next
}
