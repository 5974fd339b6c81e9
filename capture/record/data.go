package record

import (
	"encoding/binary"

	"tundump/capture/pcapng"
	"tundump/capture/store"
	"tundump/decode"
)

// sidesOf lists the connections that an event's bytes are written on, the one
// that stands for it first.
func sidesOf(f decode.Flags) []int {
	switch f & (decode.OnClientSide | decode.OnServerSide) {
	case decode.OnClientSide | decode.OnServerSide:
		return bothSides
	case decode.OnServerSide:
		return bothSides[serverSide:]
	}
	return bothSides[:serverSide]
}

var bothSides = []int{clientSide, serverSide}

// bytes writes a record, or bytes that are none.
func (e *encoder) bytes(t *tunnel, ev *decode.Event) {
	if len(ev.Raw) == 0 {
		e.note(t, ev)
		return
	}
	for i, side := range sidesOf(ev.Flags) {
		c := e.need(t, side, ev.Time)
		e.acknowledge(t, c, ev)
		if i == 0 {
			e.countRow(t, ev)
			e.segments(t, c, ev, false)
			continue
		}
		e.segments(t, c, ev, true)
	}
	if ev.Kind == decode.Record && e.inner != nil {
		e.innerPackets(ev)
	}
}

// acknowledge lets the receiver acknowledge what it has, before the sender
// would have filled the window.
func (e *encoder) acknowledge(t *tunnel, c *conn, ev *decode.Event) {
	if c.next[ev.Dir]-c.acked[ev.Dir] < maxUnacked {
		return
	}
	d := ev.Dir.Opposite()
	e.write(t, &segment{c: c, dir: d, flags: ack, time: ev.Time, tag: t.plain(d)})
}

// segments writes the event's bytes on one connection, in as many packets as
// they need, which become one row unless they are a twin.
func (e *encoder) segments(t *tunnel, c *conn, ev *decode.Event, twin bool) {
	f := segment{c: c, dir: ev.Dir, flags: ack, time: ev.Time}
	f.tag.Describe(ev, ifaceSides[c.iface], false)
	f.tag.Twin = twin
	if !twin {
		f.event = ev
	}
	start, row := len(e.out), -1
	for rest := ev.Raw; ; {
		n := min(len(rest), c.maxPayload())
		f.payload, rest = rest[:n], rest[n:]
		if len(rest) == 0 {
			f.flags |= psh
		}
		e.write(t, &f)
		if f.event != nil {
			row = len(e.rows) - 1
			f.event = nil
		}
		if len(rest) == 0 {
			break
		}
		f.tag.Part++
	}
	if row >= 0 {
		e.rows[row].Place(e.base+int64(start), len(e.out)-start)
	}
}

// gap leaves out sequence numbers, and marks it by a packet behind them that
// carries nothing.
func (e *encoder) gap(t *tunnel, ev *decode.Event) {
	if ev.Detail == nil || ev.Detail.Len <= 0 {
		e.note(t, ev)
		return
	}
	for i, side := range sidesOf(ev.Flags) {
		c := e.need(t, side, ev.Time)
		c.next[ev.Dir] += uint32(ev.Detail.Len)
		f := segment{c: c, dir: ev.Dir, flags: ack, time: ev.Time}
		if i == 0 {
			e.countRow(t, ev)
			f.event = ev
		}
		f.tag.Describe(ev, ifaceSides[side], false)
		f.tag.Twin = i > 0
		e.write(t, &f)
	}
}

// maxCaptured is the longest frame that tools accept.
const maxCaptured = 262144

// innerPackets writes the IP packets of a packets message.
func (e *encoder) innerPackets(ev *decode.Event) {
	m := e.inner
	if m.Decode(*ev) != nil || m.Command != decode.Packets {
		return
	}
	tag := pcapng.Tag{
		Dir: ev.Dir, Tunnel: ev.Tunnel, Number: ev.Number, Offset: ev.Offset,
		Flags: ev.Flags, Inner: true, Identifier: m.Identifier,
	}
	for i := range m.PacketCount() {
		pkt, family := m.Packet(i)
		if len(pkt) == 0 {
			continue
		}
		tag.Packet = i
		e.innerBlock(ev, pkt, family, &tag)
	}
}

// barePacket writes a packet that no tunnel carried. It is a row, whose bytes
// are cut where tools would refuse them.
func (e *encoder) barePacket(ev *decode.Event) {
	ev.Number = 0
	var tag pcapng.Tag
	tag.Describe(ev, 0, false)
	start := len(e.out)
	e.innerBlock(ev, ev.Raw, -1, &tag)
	e.rows = append(e.rows, store.NewEntry(ev, e.base+int64(start), len(e.out)-start, 0))
}

func (e *encoder) innerBlock(ev *decode.Event, pkt []byte, family int64, tag *pcapng.Tag) {
	h := e.ethernet[:]
	copy(h, mac(inner, ev.Dir.Opposite()))
	copy(h[6:], mac(inner, ev.Dir))
	binary.BigEndian.PutUint16(h[12:], etherType(pkt, family))
	e.comments, e.text = e.comments[:0], e.text[:0]
	e.comment(tag)
	e.packet = pcapng.Packet{
		Interface: inner, Time: ev.Time, Comments: e.comments, Flags: direction(inner, ev.Dir),
		Length: len(h) + len(pkt), Data: h,
	}
	e.out = pcapng.AppendPacket(e.out, &e.packet, pkt[:min(len(pkt), maxCaptured-len(h))])
	e.blocks[inner]++
}

// etherType goes by the packet's version, then by the family that the message
// gives it: Darwin's, whose AF_INET6 is 30, or Linux's.
func etherType(pkt []byte, family int64) uint16 {
	const linuxIPv6 = 10
	if len(pkt) > 0 {
		switch pkt[0] >> 4 {
		case 4:
			return typeIPv4
		case 6:
			return typeIPv6
		}
	}
	if family == decode.FamilyIPv6 || family == linuxIPv6 {
		return typeIPv6
	}
	return typeIPv4
}
