package record

import (
	"maps"
	"slices"

	"tundump/capture/pcapng"
	"tundump/capture/store"
	"tundump/decode"
)

// tunnel is what has to be remembered of an open tunnel.
type tunnel struct {
	id     uint32
	file   int           // the last one that has its handshakes
	opened decode.Detail // what was said of it
	conns  [2]conn       // client side, server side
	notes  [2][]note
}

// note is an event that waits for a block to stand on.
type note struct {
	event  decode.Event
	detail decode.Detail
}

const (
	clientSide = iota
	serverSide
	inner

	// maxNotes is how many events wait for a block before one is made.
	maxNotes = 32
)

var (
	ifaceNames = [...]string{clientSide: pcapng.ClientSide, serverSide: pcapng.ServerSide, inner: pcapng.Inner}
	ifaceSides = [...]decode.Flags{clientSide: decode.OnClientSide, serverSide: decode.OnServerSide, inner: 0}
)

// encoder turns events into blocks and rows. It does no I/O.
type encoder struct {
	out     []byte        // blocks that are not in the file yet
	base    int64         // offset of out[0] in the file
	rows    []store.Entry // whose blocks are in out
	tunnels map[uint32]*tunnel
	message int64    // the last message number given
	last    int64    // when the newest event was
	file    int      // counts the files
	blocks  [3]int64 // written on each interface, in this file

	inner *decode.Message // nil: no inner packets

	// What would be allocated for each block otherwise.
	event    decode.Event
	ethernet [ethernetHeader]byte
	comments [][]byte
	text     []byte
	packet   pcapng.Packet
}

// add appends the blocks of one event.
func (e *encoder) add(event decode.Event) {
	e.event = event
	ev := &e.event
	e.last = max(e.last, ev.Time)
	if ev.Kind == decode.Packet {
		e.barePacket(ev)
		return
	}
	t := e.tunnels[ev.Tunnel]
	if t == nil {
		t = &tunnel{id: ev.Tunnel, file: e.file, opened: decode.Detail{Since: ev.Time}}
		e.tunnels[ev.Tunnel] = t
	}
	if t.file != e.file {
		e.join(t, ev.Time)
	}
	switch ev.Kind {
	case decode.Record, decode.Unframed:
		e.bytes(t, ev)
	case decode.Gap:
		e.gap(t, ev)
	case decode.Opened:
		e.opened(t, ev, clientSide)
	case decode.Connected:
		e.opened(t, ev, serverSide)
	case decode.HalfClosed:
		e.halfClosed(t, ev)
	case decode.Reset:
		e.reset(t, ev)
	case decode.Closed:
		e.closed(t, ev)
		delete(e.tunnels, t.id)
	default:
		e.note(t, ev)
	}
}

// segment is a block to be written, and what stands on it.
type segment struct {
	c       *conn
	dir     decode.Direction // of the packet
	flags   byte
	options []byte
	payload []byte
	time    int64
	tag     pcapng.Tag
	event   *decode.Event // it is a row; nil: it is none
	all     bool          // the notes of both directions go on it
	none    bool          // no notes go on it
}

// write appends one block. The rows of the notes that stand on it come first,
// then its own.
func (e *encoder) write(t *tunnel, f *segment) {
	start := len(e.out)
	e.comments, e.text = e.comments[:0], e.text[:0]
	e.comment(&f.tag)
	row := len(e.rows)
	if !f.none {
		e.attach(t, f.dir)
	}
	if f.all || f.event != nil && f.event.Dir != f.dir {
		e.attach(t, f.dir.Opposite())
	}
	e.packet = pcapng.Packet{
		Interface: f.c.iface, Time: f.time, Comments: e.comments, Flags: direction(f.c.iface, f.dir),
		Data: f.c.frame(f.dir, f.flags, f.options, f.payload),
	}
	e.out = pcapng.AppendPacket(e.out, &e.packet, f.options, f.payload)
	e.blocks[f.c.iface]++
	if f.event != nil {
		e.rows = append(e.rows, store.NewEntry(f.event, 0, 0, 0))
	}
	for i := range e.rows[row:] {
		e.rows[row+i].Place(e.base+int64(start), len(e.out)-start)
	}
}

// attach puts the notes of direction d on the block that is being made.
func (e *encoder) attach(t *tunnel, d decode.Direction) {
	for i := range t.notes[d] {
		n := &t.notes[d][i]
		if n.event.Detail != nil {
			n.event.Detail = &n.detail
		}
		if n.event.Number == 0 {
			e.count(&n.event)
		}
		var tag pcapng.Tag
		tag.Describe(&n.event, 0, true)
		e.rows = append(e.rows, store.NewEntry(&n.event, 0, 0, len(e.comments)))
		e.comment(&tag)
	}
	t.notes[d] = t.notes[d][:0]
}

func (e *encoder) comment(tag *pcapng.Tag) {
	start := len(e.text)
	e.text = tag.Append(e.text)
	e.comments = append(e.comments, e.text[start:len(e.text):len(e.text)])
}

// count gives an event its message number, if it is of a kind that has one.
func (e *encoder) count(ev *decode.Event) {
	ev.Number = 0
	if ev.Kind.Counts() {
		e.message++
		ev.Number = e.message
	}
}

// countRow gives an event its number, after those of the notes that will stand
// on its block: rows are numbered in their order.
func (e *encoder) countRow(t *tunnel, ev *decode.Event) {
	for i := range t.notes[ev.Dir] {
		e.count(&t.notes[ev.Dir][i].event)
	}
	e.count(ev)
}

// direction is the epb_flags of a packet, as the proxy sees it.
func direction(iface int, d decode.Direction) uint32 {
	if (d == decode.ClientToServer) == (iface != serverSide) {
		return pcapng.Inbound
	}
	return pcapng.Outbound
}

// note keeps an event for the next block of its direction.
func (e *encoder) note(t *tunnel, ev *decode.Event) {
	n := note{event: *ev}
	n.event.Raw, n.event.Number = nil, 0
	if ev.Detail != nil {
		n.detail = *ev.Detail
	}
	t.notes[ev.Dir] = append(t.notes[ev.Dir], n)
	if len(t.notes[ev.Dir]) >= maxNotes {
		e.carry(t, ev.Time)
	}
}

// plain is the tag of a block that stands for no event.
func (t *tunnel) plain(d decode.Direction) pcapng.Tag { return pcapng.Tag{Tunnel: t.id, Dir: d} }

// carry writes a block for the notes to stand on: an acknowledgement where one
// is due, else what disturbs least.
func (e *encoder) carry(t *tunnel, time int64) {
	c := e.need(t, clientSide, time)
	f := segment{c: c, flags: ack, time: time, all: true}
	switch {
	case c.canAck(decode.ClientToServer):
		f.dir = decode.ClientToServer
	case c.canAck(decode.ServerToClient):
		f.dir = decode.ServerToClient
	case c.reset:
		f.flags |= rst
	default:
		c.window ^= 1 // a window update: any other would be a duplicate
	}
	f.tag = t.plain(f.dir)
	e.write(t, &f)
}

// need returns a connection of the tunnel, with a handshake at that time if
// nobody said that it was opened.
func (e *encoder) need(t *tunnel, side int, time int64) *conn {
	if !t.conns[side].open {
		ev := decode.Event{Tunnel: t.id, Time: time}
		e.begin(t, &ev, side, &decode.Detail{})
	}
	return &t.conns[side]
}

// carryAll writes the notes that still wait, at the end of the recording.
func (e *encoder) carryAll(time int64) {
	ids := slices.Sorted(maps.Keys(e.tunnels))
	for _, id := range ids {
		if t := e.tunnels[id]; len(t.notes[0])+len(t.notes[1]) > 0 {
			e.carry(t, time)
		}
	}
}

// maxIdle is how much memory the encoder keeps for the next blocks.
const maxIdle = 4 << 20

// continueAt forgets what is written; the next block begins at offset base.
func (e *encoder) continueAt(base int64) {
	e.base, e.rows, e.out = base, e.rows[:0], e.out[:0]
	if cap(e.out) > maxIdle {
		e.out = nil
	}
}
