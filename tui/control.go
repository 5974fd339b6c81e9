package tui

import "context"

// Control is what the screen asks for and cannot do itself. All methods but
// Copy may take long: the screen calls them on goroutines of its own. They end
// soon after ctx is done, with ctx's error, and leave nothing half done behind.
// ErrNotHere says that something is not possible in this program or with this
// source; any other error is shown as it is, escaped.
//
// Sources that Control is given are those that it was made with or that Open
// returned.
type Control interface {
	// Open opens another capture. It is shown, and stays open until Close.
	Open(ctx context.Context, path string) (Source, error)
	// Close closes a source that is no longer shown.
	Close(s Source) error

	// SetRecording stops the recording of a live source, or starts it again.
	// The tunnels run on in either case.
	SetRecording(ctx context.Context, s Source, on bool) error

	// Export writes rows to a new file. progress is called now and then, from
	// the calling goroutine; done of all rows. It returns how many packets
	// were written. A file that exists is not overwritten: the error says so.
	Export(ctx context.Context, s Source, e Export, progress func(done, all int64)) (packets int64, err error)

	// SaveStream writes a followed stream to a new file.
	SaveStream(ctx context.Context, s Source, w SaveStream, progress func(done, all int64)) error

	// Notes reads the marks and notes that are kept beside the capture; empty
	// ones if there are none.
	Notes(ctx context.Context, s Source) (Notes, error)
	// SaveNotes writes those that were not Played. The capture is not changed.
	SaveNotes(ctx context.Context, s Source, n Notes) error

	// Wireshark starts Wireshark with the source's file and does not wait for
	// it. pos is a packet to select there, -1 for none.
	Wireshark(ctx context.Context, s Source, pos int) error

	// Replay makes a replay of the capture ready, as tundump replay does by
	// these words of its command line, without the file's name. Nothing is
	// sent yet.
	Replay(ctx context.Context, s Source, words []string) (Replay, error)

	// SaveSettings keeps what the user changed for the next time.
	SaveSettings(ctx context.Context, s Settings) error

	// Paths says what a path that is being typed could become. A large folder
	// is looked at for a moment only; one that answers slowly may take longer.
	Paths(ctx context.Context, typed string) (Paths, error)

	// Copy puts text into the clipboard by way of the terminal (OSC 52),
	// through the writer that the frames go to.
	Copy(ctx context.Context, text string) error
}

// Replay is a replay that is ready.
type Replay interface {
	// Announcement says what would be sent where, a line each; safe.
	Announcement() []string
	// Start has it begin and returns what comes of it, which is to be shown,
	// and closed as a source that was opened is.
	Start(ctx context.Context) (Source, error)
	// Close ends it. It waits for what has begun to be undone.
	Close()
}

// Paths is what a path could become: what was typed of it from byte From on is
// the beginning of each of Names.
type Paths struct {
	From   int
	Names  []Path // by name; a name that begins with a dot only if that was typed
	Folder bool   // what was typed is a folder already
	More   bool   // there may be more than these
}

// Path is a file, or a folder, whose name ends with the separator of paths then.
type Path struct {
	Name   string // as the system has it; not safe
	Folder bool
	Size   int64 // of a file, in bytes
	Time   int64 // of the last change, in nanoseconds since the Unix epoch
}

// Export says what to write.
type Export struct {
	Path string // the suffix says the format, pcapng if it says none
	List List   // what Rows are positions of
	// Rows are the positions, ascending. A message stands for its packets.
	// Nil is all rows.
	Rows  []int
	Outer bool // the tunnels' own TCP connections instead of the inner packets
	Notes Notes
}

// StreamForm says how a stream is written.
type StreamForm uint8

const (
	AsText StreamForm = iota // what is not printable as a dot
	AsHex                    // offset, hexadecimal and characters
	AsRaw                    // the bytes; a gap is nothing
)

// SaveStream says what to write of a stream.
type SaveStream struct {
	Path   string
	Stream Stream
	Side   int // 0 or 1; -1: both
	Form   StreamForm
}

// Notes is what a user has marked and written. The keys are numbers, not
// positions: tunnel.msg and frame.number.
type Notes struct {
	Messages map[int64]Note
	Packets  map[int64]Note
}

// Of returns the notes of a list's rows.
func (n *Notes) Of(l List) map[int64]Note {
	if l == Packets {
		return n.Packets
	}
	return n.Messages
}

// Note is what is kept of one row.
type Note struct {
	Marked bool
	Text   string // as typed; "" if there is none
	// Played says that a replay has found it different, and nobody has written
	// it: it is never saved.
	Played bool
}
