package session

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// StreamKind says what a stream is.
type StreamKind uint8

const (
	TCPStream        StreamKind = iota // an inner TCP flow: its payload in order
	UDPStream                          // an inner UDP flow: one chunk a datagram
	ConnectionStream                   // an app proxy's connection: the contents of its data messages
	TunnelStream                       // the tunnel itself: its bytes as they are
)

// Stream names what can be followed.
type Stream struct {
	Kind   StreamKind
	Tunnel uint32
	ID     int64 // tcp.stream, udp.stream or the connection's identifier; of no meaning for a tunnel
}

// Chunk is successive bytes of one side of a stream, or a hole in them.
type Chunk struct {
	// Side is who sent it: 0 the side that began the flow (of a tunnel or a
	// connection: the client), 1 the other.
	Side    uint8
	Time    int64 // nanoseconds since the Unix epoch
	Data    []byte
	Missing int64 // bytes that are known to be missing; then Data is empty
	// List and Pos are the row that brought it.
	List List
	Pos  int
}

// Follower reads a stream of a view. It is for one goroutine at a time, but
// for Close.
type Follower struct {
	v      *View
	what   Stream
	closed atomic.Bool

	next   int   // position to go on at
	flow   int64 // of a flow inside; -1: not looked for yet
	put    flow.Follower
	ended  bool
	chunks []Chunk
	bytes  int
}

// Follow begins to read a stream from its beginning on.
func (v *View) Follow(s Stream) *Follower { return &Follower{v: v, what: s, flow: -1} }

// Close ends the following. It may be called while Next runs.
func (f *Follower) Close() { f.closed.Store(true) }

const (
	// enough is how many bytes Next returns, about; lookedAt after how many
	// rows it looks whether it should end.
	enough   = 1 << 20
	lookedAt = 1024
)

// Next returns the chunks that follow those it returned before, about a
// mebibyte at most; none if there are none yet. The chunks are the caller's.
// The error is io.EOF when no more will come, together with the last chunks.
func (f *Follower) Next(ctx context.Context) ([]Chunk, error) {
	r := f.v.reader()
	defer f.v.readers.Put(r)
	f.chunks, f.bytes = nil, 0
	list, end := Messages, r.snap.Messages
	if f.what.Kind <= UDPStream {
		list, end = Packets, r.snap.Packets
		if f.flow < 0 && !f.find() {
			f.next = end.End // a flow that is not there yet begins behind it
		}
	}
	for f.next = max(f.next, end.First); f.next < end.End && f.bytes < enough; f.next++ {
		if f.next%lookedAt == 0 {
			if f.closed.Load() {
				return nil, io.EOF
			}
			if err := ctx.Err(); err != nil {
				return f.chunks, err
			}
		}
		var err error
		if list == Packets {
			err = f.packet(r, f.next)
		} else {
			err = f.message(r, f.next)
		}
		if err != nil {
			return f.chunks, err
		}
	}
	if f.next < end.End || !r.snap.Complete {
		return f.chunks, nil
	}
	if !f.ended && f.what.Kind == TCPStream {
		f.ended = true
		f.put.End(f.take)
	}
	return f.chunks, io.EOF
}

// find looks for the flow, and begins at its first packet.
func (f *Follower) find() bool {
	proto := packet.TCP
	if f.what.Kind == UDPStream {
		proto = packet.UDP
	}
	f.v.flows.all(func(id int64, st *flowState) bool {
		if st.stream != f.what.ID || st.transport != proto {
			return true
		}
		f.flow, f.next = id, int(st.first-1)
		return false
	})
	return f.flow >= 0
}

// packet takes in the packet at pos if it is of the flow.
func (f *Follower) packet(r *reader, pos int) error {
	at := r.snap.rows.at(pos)
	if at.flowID() != uint32(f.flow)&noFlow || at.flags&quoted == quoted || f.v.flows.id(at) != f.flow {
		return nil
	}
	if ok, err := r.packet(pos, 0); !ok {
		return err
	}
	facts := &r.facts
	if facts.Carries == packet.Encapsulated {
		facts = r.parser.Innermost(facts)
	}
	f.put.Packet(flow.Packet{Tunnel: r.ev.Tunnel, Number: int64(pos) + 1, Time: r.ev.Time, Facts: facts}, &r.analysis, f.take)
	return nil
}

// take keeps a chunk of a flow.
func (f *Follower) take(c *flow.Chunk) {
	f.add(Chunk{Side: c.Side, Time: c.Time, Data: c.Data, Missing: c.Gap, List: Packets, Pos: int(c.Number - 1)})
}

func (f *Follower) add(c Chunk) {
	c.Data = bytes.Clone(c.Data)
	f.chunks = append(f.chunks, c)
	f.bytes += len(c.Data)
}

// message takes in what the message at pos brings a connection or a tunnel.
func (f *Follower) message(r *reader, pos int) error {
	event := int(*r.snap.events.at(pos))
	e := f.v.store.Entry(event)
	if e.Tunnel != f.what.Tunnel || f.what.Kind == ConnectionStream && e.Kind != decode.Record {
		return nil
	}
	if ok, err := r.load(event); !ok {
		return err
	}
	ev := &r.ev
	c := Chunk{Side: uint8(ev.Dir), Time: ev.Time, List: Messages, Pos: pos}
	if f.what.Kind == ConnectionStream {
		if r.decode(); !r.message.HasIdentifier || r.message.Identifier != f.what.ID || ev.Flags&decode.Dropped != 0 {
			return nil
		}
		c.Data, _ = r.message.Data()
	} else if ev.Flags&(decode.OnClientSide|decode.OnServerSide) != decode.OnServerSide { // as the client sees it
		c.Data = ev.Raw
		if ev.Kind == decode.Gap && ev.Detail != nil {
			c.Data, c.Missing = nil, ev.Detail.Len
		}
	}
	if len(c.Data) > 0 || c.Missing > 0 {
		f.add(c)
	}
	return nil
}
