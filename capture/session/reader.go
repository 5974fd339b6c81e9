package session

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Item is one row of a list, with all that the analysis said of it.
type Item struct {
	field.Row

	Pos int // the row's own position
	// MessagePos is the position of the message: Pos for a message's row, -1
	// for a packet outside any tunnel.
	MessagePos int
	// FirstPacket and PacketCount are the positions of the message's packets:
	// FirstPacket is that of the first of PacketCount.
	FirstPacket, PacketCount int
}

// Read calls visit for each of the positions of l, in the order given. A row
// that is gone is passed over; what cannot be read for another reason is the
// error. The item and all that it points to is valid during the call alone.
// Read ends early, without an error, if visit returns false, and with ctx's
// error once that is done.
//
// Successive positions are read in long pieces.
func (v *View) Read(ctx context.Context, l List, positions []int, visit func(*Item) bool) error {
	r := v.reader()
	defer v.readers.Put(r)
	for _, pos := range positions {
		if err := ctx.Err(); err != nil {
			return err
		}
		ok, err := r.item(l, pos)
		if err != nil {
			return err
		}
		if ok && !visit(&r.out) {
			return nil
		}
	}
	return nil
}

// reader draws rows. It is for one goroutine at a time.
type reader struct {
	v      *View
	store  *store.Reader
	buf    []byte // for the times of other packets
	parser *packet.Parser
	snap   *Snapshot

	event   int // that ev is; -1: none
	ev      decode.Event
	decoded bool // message is ev's
	message decode.Message
	first   int // position of ev's first packet
	count   int
	near    int // position of the message that messageOf found last
	last    int // where the packets end that packetsOf found last

	facts    packet.Facts
	analysis flow.Analysis
	state    flowState
	out      Item
	timeOf   [256]struct{ n, t int64 } // a few packets' times, by their number
}

func newReader(v *View) *reader {
	set := v.session.parser
	return &reader{v: v, store: v.store.Reader(), parser: &packet.Parser{VerifyChecksums: set.VerifyChecksums, DecodeAs: set.DecodeAs}, event: -1}
}

// reader returns a reader that sees the newest state.
func (v *View) reader() *reader {
	r := v.readers.Get().(*reader)
	r.snap = v.Snapshot()
	r.event = -1
	return r
}

// item reads the row at pos into r.out; ok is false if it is not there any
// more.
func (r *reader) item(l List, pos int) (ok bool, err error) {
	if l == Messages {
		if e := r.snap.Messages; pos < e.First || pos >= e.End {
			return false, r.behind(pos, e)
		}
		ok, err = r.load(int(*r.snap.events.at(pos)))
		if !ok {
			return false, err
		}
		r.decode()
		r.out = Item{Row: field.Row{Event: &r.ev, Parser: r.parser}, Pos: pos, MessagePos: pos, FirstPacket: r.first, PacketCount: r.count}
		if r.ev.Kind == decode.Record {
			r.out.Message = &r.message
		}
		return true, nil
	}
	if e := r.snap.Packets; pos < e.First || pos >= e.End {
		return false, r.behind(pos, e)
	}
	return r.packet(pos, everything)
}

// behind is the error of asking for a position that there is not yet.
func (r *reader) behind(pos int, e Extent) error {
	if pos < e.End {
		return nil
	}
	return fmt.Errorf("session: there is no row %d: there are %d", pos, e.End)
}

// What is wanted of a packet.
type want uint8

const (
	withMessage want = 1 << iota // the message decoded, the packet's index in it and its family
	withTimes                    // what the analysis says of times
	everything  = withMessage | withTimes
)

// packet reads the packet at pos, which the snapshot has, into r.out.
func (r *reader) packet(pos int, w want) (ok bool, err error) {
	at := r.snap.rows.at(pos)
	if ok, err := r.load(int(at.event)); !ok {
		return false, err
	}
	index, family := pos-r.first, int64(-1)
	if at.length == longLength || at.offset() == maxPlace {
		w |= withMessage
	}
	var data []byte
	switch {
	case r.ev.Kind == decode.Packet:
		data, index = r.ev.Raw, 0
	case w&withMessage != 0:
		r.decode()
		data, family, index = r.inMessage(index)
	default:
		if end := at.offset() + int(at.length); end <= len(r.ev.Raw) {
			data = r.ev.Raw[at.offset():end:end]
		}
	}
	if len(data) == 0 {
		return false, fmt.Errorf("session: packet %d: the file has changed since it was read", pos+1)
	}
	r.analyse(pos, at, data, w)
	r.out = Item{Row: field.Row{Event: &r.ev, Packet: &r.facts, Flow: &r.analysis, Data: data, Number: int64(pos) + 1, Index: index, Family: family, Parser: r.parser},
		Pos: pos, MessagePos: -1, FirstPacket: r.first, PacketCount: r.count}
	if r.ev.Kind == decode.Record {
		if r.decoded {
			r.out.Message = &r.message
		}
		r.out.MessagePos = r.messageOf(at.event)
	}
	return true, nil
}

// analyse sets r.facts and r.analysis of the packet at pos.
func (r *reader) analyse(pos int, at *row, data []byte, w want) {
	r.parser.Facts(data, &r.facts)
	if r.facts.IsFragment() {
		if whole, ok := r.v.joined.get(int64(pos) + 1); ok {
			r.parser.Join(&r.facts, whole)
		} else {
			r.facts.ReassembledIn, _ = r.v.reassembledIn.get(int64(pos) + 1)
		}
	}
	r.unpack(pos, at)
	if w&withTimes != 0 {
		r.measure()
	}
	if u, followed := r.v.units.get(at.unit()); followed {
		a := &r.analysis
		a.App, a.Segment, a.Again.Column = u.flow, u.segment, u.column
		a.Again.Info = r.snap.info(pos)
		r.facts.App = u.app
	} else if r.analysis.Flags.Repeats() {
		r.facts.App = packet.NoApp
	}
}

// unpack sets r.analysis to what is kept of it, without the file: only times
// are missing, see measure.
func (r *reader) unpack(pos int, at *row) {
	a, n := &r.analysis, int64(pos)+1
	*a = flow.Analysis{}
	own := int64(0)
	if at.flow&acknowledges != 0 {
		own, _ = r.v.acks.get(n)
	}
	at.unpack(n, own, a)
	id, ok := r.v.flows.get(n, at, &r.state)
	if !ok {
		r.state = flowState{stream: -1}
		return
	}
	if r.state.stream < 0 {
		a.Side = 0
		return
	}
	a.Proto, a.Stream = r.state.transport, r.state.stream
	if a.Proto == packet.TCP && !a.Quoted {
		a.Base = r.v.flows.baseOf(id, n, a.Side, &r.state)
		if r.state.rtt != 0 && r.state.rttFrom <= n && (a.Flags != 0 || a.AckOf != 0 || a.InFlight != 0) {
			a.InitialRTT = r.state.rtt
		}
	}
}

// measure sets what r.analysis says of times.
func (r *reader) measure() {
	a := &r.analysis
	if a.AckOf != 0 {
		if t, ok := r.time(a.AckOf); ok {
			a.AckRTT = r.ev.Time - t
		}
	}
	if a.AnswerTo != 0 {
		if t, ok := r.time(a.AnswerTo); ok {
			a.Latency = r.ev.Time - t
		}
	}
}

// time returns the time of packet n; ok is false if it is gone.
func (r *reader) time(n int64) (t int64, ok bool) {
	cached := &r.timeOf[n%int64(len(r.timeOf))]
	if cached.n == n {
		return cached.t, true
	}
	pos := int(n - 1)
	if pos < r.snap.Packets.First || pos >= r.snap.Packets.End {
		return 0, false
	}
	event := int(r.snap.rows.at(pos).event)
	if event == r.event {
		return r.ev.Time, true
	}
	ev, err := r.v.store.At(event, r.buf)
	if err != nil {
		return 0, false
	}
	if cap(ev.Raw) > cap(r.buf) {
		r.buf = ev.Raw[:0]
	}
	cached.n, cached.t = n, ev.Time
	return ev.Time, true
}

// load makes event i the reader's; ok is false if it is gone.
func (r *reader) load(i int) (ok bool, err error) {
	if r.event == i {
		return true, nil
	}
	r.event, r.decoded = -1, false
	ev, err := r.store.At(i)
	switch {
	case errors.Is(err, store.ErrGone):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("session: %w", err)
	}
	r.event, r.ev = i, ev
	r.first, r.count = r.packetsOf(uint32(i))
	return true, nil
}

// decode decodes the event's message, unless that is done.
func (r *reader) decode() {
	if r.decoded || r.ev.Kind != decode.Record {
		return
	}
	r.decoded = true
	_ = r.message.Decode(r.ev) // the problems say what is wrong
	if known, ok := r.v.problems.get(int64(r.event)); ok {
		r.message.Problems = append(r.message.Problems[:0], known...)
	}
}

// inMessage returns the message's packet number k, of those that are not
// empty.
func (r *reader) inMessage(k int) (data []byte, family int64, index int) {
	for i := range r.message.PacketCount() {
		if data, family = r.message.Packet(i); len(data) == 0 {
			continue
		}
		if k == 0 {
			return data, family, i
		}
		k--
	}
	return nil, -1, 0
}

// packetsOf returns the positions of the packets of an event.
func (r *reader) packetsOf(event uint32) (first, count int) {
	rows := &r.snap.rows
	if first = r.last; first <= rows.low || first >= rows.n || rows.at(first).event < event || rows.at(first-1).event >= event {
		first = rows.search(func(w *row) bool { return w.event >= event })
	}
	end := first
	for end < rows.n && rows.at(end).event == event {
		end++
	}
	r.last = end
	return first, end - first
}

// messageOf returns the position of the message that an event is.
func (r *reader) messageOf(event uint32) int {
	events := &r.snap.events
	if p := r.near; p < events.low || p >= events.n || *events.at(p) != event {
		r.near = events.search(func(e *uint32) bool { return *e >= event })
	}
	return r.near
}

// Place is where to go in a list: to a number if that is not 0, else to a time.
type Place struct {
	Number int64 // tunnel.msg or frame.number
	Time   int64 // nanoseconds since the Unix epoch
}

// Locate returns the position of the first row that stands at p or behind it,
// the last position if all stand before it. The error is [store.ErrGone] if
// there are no rows.
func (v *View) Locate(ctx context.Context, l List, p Place) (int, error) {
	r := v.reader()
	defer v.readers.Put(r)
	e := r.snap.Messages
	if l == Packets {
		e = r.snap.Packets
	}
	if e.First >= e.End {
		return 0, store.ErrGone
	}
	if l == Packets && p.Number != 0 {
		return int(max(int64(e.First), min(p.Number-1, int64(e.End)-1))), nil
	}
	var failed error
	k := sort.Search(e.End-e.First, func(k int) bool {
		event := r.eventAt(l, e.First+k)
		if failed = errors.Join(failed, ctx.Err()); failed != nil {
			return true
		}
		ok, err := r.load(event)
		if failed = err; !ok {
			return false // it has gone: what is looked for stands behind it
		}
		if p.Number != 0 {
			return r.ev.Number >= p.Number
		}
		return r.ev.Time >= p.Time
	})
	return min(e.First+k, e.End-1), failed
}

func (r *reader) eventAt(l List, pos int) int {
	if l == Messages {
		return int(*r.snap.events.at(pos))
	}
	return int(r.snap.rows.at(pos).event)
}
