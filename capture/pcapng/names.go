package pcapng

import "tundump/decode"

// The names of the interfaces in a file of tundump's.
const (
	ClientSide = "client side"
	ServerSide = "server side"
	Inner      = "inner"

	// Application begins the name of the program in a file of tundump's.
	Application = "tundump"

	// LinkEthernet is the link type of all three.
	LinkEthernet = 1
)

// Side is what the interface's name says of the bytes of a block on it:
// decode.OnClientSide, decode.OnServerSide or 0.
func (i *Interface) Side() decode.Flags {
	switch i.Name {
	case ClientSide:
		return decode.OnClientSide
	case ServerSide:
		return decode.OnServerSide
	}
	return 0
}

// Event puts together what the tag says; Raw is left to the caller. A tag
// without a time happened when its block did. side is that of the block's
// interface: where the tag does not name the sides, the bytes of the block's
// own tag were seen there.
func (t *Tag) Event(side decode.Flags, blockTime int64) decode.Event {
	ev := decode.Event{
		Kind: t.Kind, Dir: t.Dir, Flags: t.Flags, Tunnel: t.Tunnel,
		Number: t.Number, Time: blockTime, Offset: t.Offset, Detail: t.Detail,
	}
	if t.Timed {
		ev.Time = t.Time
	}
	if !t.Sides {
		ev.Flags |= t.impliedSides(side)
	}
	if t.Kind == decode.Gap {
		ev.Detail = t.detail()
		ev.Detail.Len = t.Len
	}
	return ev
}

// Describe makes t the tag of ev, in a block on an interface of that side, or
// anywhere with a time of its own if timed.
func (t *Tag) Describe(ev *decode.Event, side decode.Flags, timed bool) {
	*t = Tag{
		Kind: ev.Kind, Dir: ev.Dir, Flags: ev.Flags, Tunnel: ev.Tunnel,
		Number: ev.Number, Offset: ev.Offset, Detail: ev.Detail, Len: int64(len(ev.Raw)),
	}
	if timed {
		t.Timed, t.Time = true, ev.Time
	}
	if ev.Kind == decode.Gap && ev.Detail != nil {
		t.Len = ev.Detail.Len
	}
	t.Sides = ev.Flags&bothSides != t.impliedSides(side)
}

func (t *Tag) impliedSides(side decode.Flags) decode.Flags {
	if t.Kind.Counts() && !t.Timed {
		return side
	}
	return 0
}
