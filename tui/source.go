package tui

import (
	"context"
	"errors"

	"tundump/decode/field"
	"tundump/decode/filter"
)

// List names one of the two lists that may be very long.
type List uint8

const (
	// Messages is every event whose Kind counts, in the order of the capture:
	// records, bytes that are no record, and gaps.
	Messages List = iota
	// Packets is every inner packet, those outside any tunnel included. The
	// packets of one message stand together.
	Packets
)

// String returns the list's name for people, in lower case.
func (l List) String() string {
	if l == Packets {
		return "packets"
	}
	return "messages"
}

// ErrGone is returned for what a limited capture no longer holds.
var ErrGone = errors.New("the capture is limited in size and no longer holds this row")

// ErrNotHere is returned for what this source or program cannot do: recording
// is not started in a file, Wireshark is not installed.
var ErrNotHere = errors.New("not possible here")

// Source is one capture, growing or complete, as the screen sees it.
//
// A row's position says where it stands in its list: positions are dense,
// begin at 0, and never change. A capture that is limited in size loses its
// oldest rows; the others keep their positions. The number that people see is
// another thing: see [Row].
//
// Methods that take a context read files or walk through much memory. The
// screen calls them on goroutines of its own, several at once, and never waits
// for them; they end soon after ctx is done, with ctx's error. All other
// methods return at once, whatever the capture is doing, and are safe for
// concurrent use too.
//
// Text that a Source hands over in a field that is documented as safe has gone
// through packet.AppendSafe; every other text may be hostile, and the screen
// escapes it.
type Source interface {
	// Snapshot returns the newest state. It is shared and never changes.
	Snapshot() *Snapshot

	// Changed waits until there is a state whose Version is not version, and
	// returns it. It is also how growing selections and followed streams
	// announce that they have grown. It returns at most 20 times a second, and
	// the newest state, so that a screen which is slow misses states and
	// nothing else. The error is io.EOF when nothing will change any more:
	// the capture is complete and every selection is.
	Changed(ctx context.Context, version uint64) (*Snapshot, error)

	// Read calls visit for each of the positions of l, in the order given,
	// which may be any. A row that is gone is passed over; what cannot be read
	// for another reason ends the reading with that error. The row and all
	// that it points to is valid during the call alone. Read ends early,
	// without an error, if visit returns false.
	//
	// It is called for the rows on the screen (some 50 positions, in order),
	// and by searches and sorting for thousands of successive ones at a time:
	// both should read the file in long pieces.
	Read(ctx context.Context, l List, positions []int, visit func(*Row) bool) error

	// Locate returns the position of the first row that stands at p or after
	// it; the last position if all stand before it. The error is ErrGone if
	// there are no rows.
	Locate(ctx context.Context, l List, p Place) (int, error)

	// Select begins to look for the rows of l that pass f, from the oldest on,
	// and goes on while the capture grows. It returns at once. The selection
	// is the caller's to close.
	Select(l List, f *filter.Filter) Selection

	// Flows returns all flows that are known, in any order. The slice is the
	// caller's.
	Flows(ctx context.Context) ([]Flow, error)

	// Tunnels returns all tunnels, by number. The slice is the caller's, what
	// it points to is shared and never changes.
	Tunnels(ctx context.Context) ([]Tunnel, error)

	// Findings returns the problems so far, the gravest first: those of one
	// code in one tunnel are one finding. The slice is the caller's, what it
	// points to is shared and never changes.
	Findings(ctx context.Context) ([]Finding, error)

	// Stats returns the statistics so far. They are shared and never change.
	Stats(ctx context.Context) (*Stats, error)

	// Follow begins to read a stream from its beginning on. It returns at
	// once. The follower is the caller's to close.
	Follow(s Stream) Follower
}

// Snapshot is the state of a source at one moment.
type Snapshot struct {
	Version uint64 // differs from every other state of this source

	Name string // of the capture, for people: the file's base name, "live"; not safe
	Path string // the file; "" if it has none that somebody else could open
	Size int64  // bytes of the capture so far

	// Live says that more rows may come because something is being recorded;
	// Indexing that they may come because a file is still being read: then
	// Indexed of Size bytes are.
	Live     bool
	Indexing bool
	Indexed  int64

	// Err is why rows ended before the capture did, nil if they did not.
	// Warnings are what the user should know about the file; not safe.
	Err      error
	Warnings []string

	Messages, Packets Extent

	Tunnels int64    // so far
	Open    int64    // of them, those that are not closed
	Bytes   [2]int64 // on the tunnels' streams, by direction
	// Rate is what came in the last whole second of a live capture, by
	// direction; zero in a file.
	PacketRate [2]int64
	ByteRate   [2]int64
	// Problems counts rows by decode.Severity.
	Problems [3]int64

	Waits   int64 // how often a tunnel had to wait for the recorder
	Waited  int64 // for how long in all, in nanoseconds
	Dropped int64 // events that were not recorded
	// Forgotten counts flows that were given up to keep memory bounded.
	Forgotten int64

	Playing *Playback // of a replay; nil if nothing is being played

	First, Last int64 // times of the first and the last event, in nanoseconds since the Unix epoch; 0 without events
}

// Extent is the positions that a list has: First <= position < End.
type Extent struct{ First, End int }

// Len reports how many there are.
func (e Extent) Len() int { return e.End - e.First }

// Row is one message or one packet.
type Row struct {
	// The row's fields. Event is always there. Of a message: Message, nil if
	// it is no record. Of a packet: Packet, Flow, Data, Number and the others,
	// and Event and Message are those that carried it.
	//
	// The problems in Message.Problems are those of the analysis, with what
	// decode.Connections found, as far as they are still known.
	field.Row

	Pos int // the row's own position
	// MessagePos is the position of the message: Pos for a message's row, -1
	// for a packet outside any tunnel.
	MessagePos int
	// FirstPacket and PacketCount are the positions of the message's packets:
	// FirstPacket is that of the first of PacketCount.
	FirstPacket, PacketCount int
}

// Place is where to go in a list: to a number if that is not 0, else to a time.
type Place struct {
	Number int64 // tunnel.msg or frame.number
	Time   int64 // nanoseconds since the Unix epoch
}

// Selection is the rows of a list that pass a filter, as far as they have been
// found. Its methods return at once.
type Selection interface {
	// Len reports how many rows have been found.
	Len() int
	// At returns the position of row i of the selection; positions ascend. It
	// must be fast: a screen calls it for each row that it shows, a search for
	// as many as it visits. i is below what Len last returned.
	At(i int) int
	// Progress reports how many rows have been looked at, and how many there
	// are to look at so far.
	Progress() (done, all int)
	// Err reports why it ended early, nil if it did not.
	Err() error
	// Close stops the looking and waits for nothing.
	Close()
}

// StreamKind says what a stream is.
type StreamKind uint8

const (
	TCPStream        StreamKind = iota // an inner TCP flow: its payload in order
	UDPStream                          // an inner UDP flow: one chunk a datagram
	ConnectionStream                   // an app-proxy connection: the contents of its data messages
	TunnelStream                       // the tunnel itself: its bytes as they are
)

// Stream names what can be followed.
type Stream struct {
	Kind   StreamKind
	Tunnel uint32
	ID     int64 // tcp.stream, udp.stream or the connection's identifier; of no meaning for a tunnel
}

// Follower reads a stream. It is used by one goroutine at a time.
type Follower interface {
	// Next returns the chunks that follow those it returned before, about a
	// mebibyte at most; none if there are none yet: then the next change of
	// the source may bring some. The chunks are the caller's. The error is
	// io.EOF when no more will come, together with the last chunks.
	Next(ctx context.Context) ([]Chunk, error)
	// Close ends the following. It may be called while Next runs.
	Close()
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
