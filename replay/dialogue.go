package replay

import (
	"net/netip"
	"slices"
	"time"

	"tundump/decode"
	"tundump/decode/packet"
)

// Dialogue is what one recorded TCP connection inside a tunnel, or one
// app-proxy TCP connection, carried: bytes and who sent them in which order.
type Dialogue struct {
	Tunnel uint32
	Number int64 // of its first packet, or of its Open message if Message is set
	// Message says that it is an app-proxy connection. Its host is a name or
	// an address; that of another is an address.
	Message bool
	Host    string
	Port    uint16
	// IntegerPort says that Open had the port as a number, as Apple's clients.
	IntegerPort bool
	Client      netip.AddrPort // of a connection inside packets

	Connected  bool          // the server's side answered
	Begin, End time.Duration // since the first event that counts
	// Payload is what was carried, by direction, and Turns say in which order.
	Payload [2][]byte
	Turns   []Turn

	line string
}

// Turn is what one side said before the other did.
type Turn struct {
	Dir decode.Direction
	At  time.Duration // as in Dialogue
	Len int           // bytes; 0 for Fin
	Fin bool          // it said that nothing more comes
}

// maxDialogues bounds the bytes of all dialogues of a plan.
const maxDialogues = 256 << 20

// dialogues reads the connections of a recording, those of which something is
// selected; left is how many do not fit into memory, lost how many were not
// captured whole. Times count from first, from the first event if that is 0.
func dialogues(src Source, o *Options, first int64) (list []*Dialogue, left, lost int64, err error) {
	read := func(choose *chooser, keep *keeper, only []bool) ([]*flowOf, error) {
		r := newFlowReader(&Metrics{})
		r.first = first
		r.tunnel, r.rewrite, r.choose, r.keep, r.only = o.Tunnel, o.Rewrite, choose, keep, only
		err := r.read(src)
		return r.flows, err
	}
	var only []bool
	if o.Select != nil { // what is kept must be known from its beginning on
		flows, err := read(newChooser(o, packet.NewParser()), nil, nil)
		if err != nil {
			return nil, 0, 0, err
		}
		only = make([]bool, len(flows))
		for i, f := range flows {
			only[i] = f.chosen
		}
	}
	flows, err := read(nil, &keeper{room: maxDialogues}, only)
	if err != nil {
		return nil, 0, 0, err
	}
	for _, f := range flows {
		if f.dialogue == nil {
			continue
		}
		switch d := f.dialogue; {
		case d.over:
			left++
		case f.way[0].lost+f.way[1].lost > 0:
			lost++
		default:
			list = append(list, &d.Dialogue)
		}
	}
	slices.SortStableFunc(list, func(a, b *Dialogue) int { return int(a.Begin - b.Begin) })
	return list, left, lost, nil
}

// keeper keeps what flows carried, while there is room.
type keeper struct{ room int64 }

// kept is a dialogue that is being read.
type kept struct {
	Dialogue
	keeper *keeper
	over   bool // there was no room
	now    time.Duration
}

func (k *kept) say(dir decode.Direction, b []byte) {
	if k == nil || k.over {
		return
	}
	if k.keeper.room -= int64(len(b)); k.keeper.room < 0 {
		k.keeper.room += int64(len(b) + len(k.Payload[0]) + len(k.Payload[1]))
		k.over, k.Payload, k.Turns = true, [2][]byte{}, nil
		return
	}
	k.Payload[dir] = append(k.Payload[dir], b...)
	if n := len(k.Turns); n > 0 && k.Turns[n-1].Dir == dir && !k.Turns[n-1].Fin {
		k.Turns[n-1].Len += len(b)
	} else {
		k.Turns = append(k.Turns, Turn{Dir: dir, At: k.now, Len: len(b)})
	}
	k.End = k.now
}

func (k *kept) fin(dir decode.Direction) {
	if k == nil || k.over {
		return
	}
	k.Turns = append(k.Turns, Turn{Dir: dir, At: k.now, Fin: true})
	k.End = k.now
}

// dialogue begins to keep a flow.
func (r *flowReader) dialogue(f *flowOf, d Dialogue) {
	if n := len(r.flows); r.keep == nil || r.only != nil && (n >= len(r.only) || !r.only[n]) {
		return
	}
	d.Number, d.Message, d.Begin, d.End, d.line = f.number, f.message, r.now, r.now, f.line
	f.dialogue = &kept{Dialogue: d, keeper: r.keep, now: r.now}
	for dir := range f.way {
		f.way[dir].dialogue, f.way[dir].dir = f.dialogue, decode.Direction(dir)
	}
}

// connected notes that the server's side answered.
func (k *kept) connected() {
	if k != nil {
		k.Connected = true
	}
}

// at says when what comes next was seen.
func (k *kept) at(now time.Duration) {
	if k != nil {
		k.now = now
	}
}

// synAck reports whether a segment accepts a connection.
func synAck(f *packet.Facts) bool {
	return f.Flags&(packet.SYN|packet.ACK) == packet.SYN|packet.ACK
}
