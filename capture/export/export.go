package export

import (
	"errors"
	"io"
	"strconv"

	"tundump/capture/notes"
	"tundump/capture/pcapng"
	"tundump/capture/session"
	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/flow"
	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

// Format is a file format.
type Format uint8

const (
	Pcapng Format = iota
	Pcap          // classic
)

// Split says what gets a file of its own.
type Split uint8

const (
	NoSplit  Split = iota
	ByTunnel       // each tunnel: NAME-T1.SUFFIX
	ByFlow         // each flow: NAME-T1-tcp0.SUFFIX, -udp3; -id7 an app-proxy connection; -other what has no flow
)

// Options say what is exported and where to: give them at least one of Path,
// Output and Payload.
type Options struct {
	Path   string    // of the file, or what the names of several are made of
	Output io.Writer // takes the place of a file; not with Split
	Format Format
	Split  Split

	Filter *filter.Filter // of packets; nil: all
	Count  int64          // stop after so many packets; 0: never

	// AppProxy adds the connections of app proxies, as TCP and UDP packets.
	AppProxy bool
	// Outer writes the tunnels' own TCP connections, as the client sees them,
	// instead of what is inside.
	Outer bool

	// Payload is a folder, which must be there, for what the sides of flows
	// said: T1-tcp0-0.bin is what who sent first said in TCP flow 0 of tunnel
	// 1, T1-udp3-1.bin all datagrams of the other side one after the other,
	// T1-id7-0.bin what the client said over an app proxy's connection.
	// Missing bytes are left out. "": none are written.
	Payload string

	Notes *notes.Notes // merged in as comments and names; nil: none
	// Anonymizer changes every packet before it is written. Notes and names
	// are left out then.
	Anonymizer *rewrite.Anonymizer
}

// Stats counts what was done.
type Stats struct {
	Packets   int64 // written
	Files     int
	Flows     int64 // connections of app proxies that were not asked for
	NotesLeft int   // notes on messages behind which no packet was written

	Payloads     int   // files of them
	PayloadBytes int64 // in these
	Missing      int64 // bytes of flows that were not captured
}

// Exporter writes files. It is for one goroutine.
type Exporter struct {
	opt    Options
	files  *files
	stats  Stats
	parser packet.Parser
	talks  talks
	loads  *payloads // nil: none are written

	scratch filter.Scratch
	facts   packet.Facts
	row     field.Row
	flow    flow.Analysis

	name     []byte // of the file to write to
	changed  []byte
	text     []byte
	comments [][]byte
	notes    []string
	pending  []string // notes on messages, for the next packet
	block    pcapng.Packet
}

// linkRaw is the link type of everything exported: a packet begins with its IP
// header.
const linkRaw = 101

// snapLen is the longest packet that tools accept.
const snapLen = 262144

// New returns an exporter, and creates the file that it writes unless there
// will be several.
func New(o Options) (*Exporter, error) {
	e := &Exporter{opt: o}
	if o.Anonymizer != nil {
		e.opt.Notes = nil
	}
	e.talks.exporter = e
	if o.Payload != "" {
		e.loads = newPayloads(o.Payload)
	}
	e.files = newFiles(o.Path, e.head())
	var err error
	switch {
	case !e.packets():
	case o.Split != NoSplit:
	case o.Output != nil:
		err = e.files.stream(o.Output)
	default:
		_, err = e.files.open(nil)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// packets reports whether packets are written, and not only payloads.
func (e *Exporter) packets() bool { return e.opt.Path != "" || e.opt.Output != nil }

// head is what every file begins with.
func (e *Exporter) head() []byte {
	if e.opt.Format == Pcap {
		return pcapng.AppendClassicHeader(nil, linkRaw, snapLen)
	}
	name := pcapng.Inner
	if e.opt.Outer {
		name = pcapng.ClientSide
	}
	b := pcapng.AppendSection(nil, pcapng.Application+" export")
	b = pcapng.AppendInterface(b, &pcapng.Interface{LinkType: linkRaw, SnapLen: snapLen, Name: name})
	if e.opt.Notes != nil && len(e.opt.Notes.Names) > 0 {
		b = pcapng.AppendNames(b, sortedNames(e.opt.Notes.Names))
	}
	return b
}

// Add exports what r holds. more is false when enough was written.
func (e *Exporter) Add(r *session.Row) (more bool, err error) {
	if r.Message != nil && r.Event.Number > 0 {
		e.pending = e.opt.Notes.Comments(e.pending, notes.Row{Message: r.Event.Number})
	}
	if e.opt.Outer {
		err = e.talks.outer(r)
		return err == nil && !e.enough(), err
	}
	for i := range r.Packets {
		if err := e.inner(r, i); err != nil || e.enough() {
			return false, err
		}
	}
	if e.loads != nil {
		if err := e.loads.message(r); err != nil {
			return false, err
		}
	}
	if e.packets() && (r.Message != nil && r.Event.Kind == decode.Record || r.Event.Kind == decode.Closed) {
		err = e.talks.appProxy(r)
	}
	return err == nil && !e.enough(), err
}

func (e *Exporter) enough() bool { return e.opt.Count > 0 && e.stats.Packets >= e.opt.Count }

// inner writes packet i of r.
func (e *Exporter) inner(r *session.Row, i int) error {
	p, number := &r.Packets[i], r.FirstPacket+int64(i)
	if e.opt.Filter != nil && !e.opt.Filter.Match(r.PacketRow(i), &e.scratch) {
		return nil
	}
	if e.loads != nil {
		if err := e.loads.packet(r, i); err != nil {
			return err
		}
	}
	if !e.packets() {
		e.stats.Packets++
		return nil
	}
	tag := pcapng.Tag{
		Dir: r.Event.Dir, Tunnel: r.Event.Tunnel, Number: r.Event.Number, Offset: r.Event.Offset,
		Flags: r.Event.Flags, Inner: true, Packet: p.Index,
	}
	if r.Message != nil {
		tag.Identifier = r.Message.Identifier
	}
	e.name = e.appendName(e.name[:0], r.Event.Tunnel, &p.Flow)
	e.notes = e.opt.Notes.Comments(append(e.notes[:0], e.pending...), notes.Row{Frame: number})
	e.pending = e.pending[:0]
	e.text = tag.Append(e.text[:0])
	return e.write(r.Event.Time, r.Event.Dir, p.Data)
}

// appendName appends what sets the file of a packet apart from others.
func (e *Exporter) appendName(dst []byte, tunnel uint32, a *flow.Analysis) []byte {
	if e.opt.Split == NoSplit {
		return dst
	}
	dst = strconv.AppendUint(append(dst, "-T"...), uint64(tunnel), 10)
	if e.opt.Split == ByTunnel {
		return dst
	}
	switch {
	case a.Quoted || a.Proto == packet.NoTransport:
		return append(dst, "-other"...)
	case a.Proto == packet.TCP:
		dst = append(dst, "-tcp"...)
	default:
		dst = append(dst, "-udp"...)
	}
	return strconv.AppendInt(dst, a.Stream, 10)
}

// rebuilt writes a packet that was made here, if the filter leaves it. The
// name of the file and the comment are set.
func (e *Exporter) rebuilt(r *session.Row, dir decode.Direction, pkt []byte) error {
	if e.enough() {
		return nil
	}
	if e.opt.Filter != nil {
		e.parser.Facts(pkt, &e.facts)
		e.row = field.Row{Event: &r.Event, Message: r.Message, Parser: &e.parser, Packet: &e.facts, Flow: &e.flow, Data: pkt}
		if !e.opt.Filter.Match(&e.row, &e.scratch) {
			return nil
		}
	}
	e.notes = append(e.notes[:0], e.pending...)
	e.pending = e.pending[:0]
	return e.write(r.Event.Time, dir, pkt)
}

// write writes a packet with the comments in e.text and e.notes to the file
// e.name.
func (e *Exporter) write(time int64, dir decode.Direction, pkt []byte) error {
	f, err := e.files.open(e.name)
	if err != nil {
		return err
	}
	if e.opt.Anonymizer != nil {
		e.changed = e.opt.Anonymizer.Append(e.changed[:0], pkt)
		pkt = e.changed
	}
	e.block = pcapng.Packet{Time: time, Length: len(pkt), Data: pkt[:min(len(pkt), snapLen)], Flags: pcapng.Inbound}
	if dir == decode.ServerToClient {
		e.block.Flags = pcapng.Outbound
	}
	e.stats.Packets++
	if e.opt.Format == Pcap {
		return f.write(pcapng.AppendClassicPacket(f.buffer(), &e.block))
	}
	e.comments = append(e.comments[:0], e.text)
	for _, n := range e.notes {
		e.comments = append(e.comments, []byte(n))
	}
	e.block.Comments = e.comments
	return f.write(pcapng.AppendPacket(f.buffer(), &e.block))
}

// addName writes what an address stands for to the file e.name.
func (e *Exporter) addName(n pcapng.Name) error {
	if e.opt.Format == Pcap || e.opt.Anonymizer != nil {
		return nil
	}
	f, err := e.files.open(e.name)
	if err != nil {
		return err
	}
	return f.write(pcapng.AppendNames(f.buffer(), []pcapng.Name{n}))
}

// Stats returns what was done so far.
func (e *Exporter) Stats() Stats {
	s := e.stats
	s.Files, s.NotesLeft = e.files.made, len(e.pending)
	if e.loads != nil {
		s.Payloads, s.PayloadBytes, s.Missing = e.loads.files.made, e.loads.bytes, e.loads.missing
	}
	return s
}

// Flush writes out what is complete.
func (e *Exporter) Flush() error {
	if e.loads != nil {
		if err := e.loads.files.flush(); err != nil {
			return err
		}
	}
	return e.files.flush()
}

// Close writes what is left and closes the files.
func (e *Exporter) Close() error {
	err := e.files.close()
	if e.loads != nil {
		err = errors.Join(err, e.loads.close())
	}
	return err
}
