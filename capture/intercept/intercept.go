// Package intercept says what becomes of a record on its way through the
// proxy: it passes, is dropped, is replaced, or is held until somebody has
// decided; and other records may be sent before and after it. The package
// does no input or output and knows no sockets: the proxy's relay asks, and
// carries the answer out.
//
// An interceptor that drops every fetchConfiguration:
//
//	p.SetChain(intercept.DropIf(func(ev decode.Event) bool {
//		var m decode.Message
//		return m.Decode(ev) == nil && m.Command == decode.FetchConfiguration
//	}))
//
// Several are put in order with a [Chain].
package intercept

import (
	"fmt"
	"time"

	"tundump/decode"
	"tundump/decode/frame"
)

// Action is what becomes of a record.
type Action uint8

const (
	// Pass sends the record on unchanged.
	Pass Action = iota
	// Drop does not send it.
	Drop
	// Replace sends Verdict.Raw in its place.
	Replace
	// Hold keeps it, and everything behind it in its direction, until
	// somebody resolves Verdict.ID.
	Hold
)

var actionNames = [...]string{Pass: "pass", Drop: "drop", Replace: "replace", Hold: "hold"}

// String returns the action's name in lower case.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "unknown"
}

// Verdict is the answer of an [Interceptor]. The zero value lets the record
// pass.
//
// The byte slices belong to the verdict: whoever returns one does not touch
// them again, because the capture may refer to them long after. They should
// be whole records. Other bytes are sent as well, for whoever wants to see
// what a peer makes of them, and are captured as unframed.
type Verdict struct {
	Action Action
	Raw    []byte        // Replace: what is sent instead
	ID     uint64        // Hold: the name to resolve it by; unlike that of any other record held at the time
	Delay  time.Duration // send no earlier than this after the record's last byte came; later records of its direction wait too

	Before, After [][]byte // sent before and after the record, or its place, in the same direction
}

// Interceptor decides about records. Both methods are called by many
// goroutines at once, one for each direction of each tunnel, and return at
// once: the direction stands still meanwhile.
type Interceptor interface {
	// Wants reports whether Intercept is to be asked about the records of that
	// direction of that tunnel. It is asked again for each read, so the answer
	// may change. While it is true, records are passed on only when they are
	// whole; what is no record passes at once, unasked.
	Wants(tunnel uint32, dir decode.Direction) bool
	// Intercept decides about one whole record. ev.Kind is decode.Record;
	// ev.Raw is valid until Intercept returns and must not be changed.
	Intercept(ev decode.Event) Verdict
}

// Chain asks several interceptors in order. Each sees what the ones before it
// made of the record, an edited one with the flag decode.Edited; a Drop or a
// Hold ends the round. Of two delays the longer counts.
type Chain []Interceptor

// Wants reports whether any of the chain's interceptors wants the direction.
func (c Chain) Wants(tunnel uint32, dir decode.Direction) bool {
	for _, i := range c {
		if i.Wants(tunnel, dir) {
			return true
		}
	}
	return false
}

// Intercept asks those interceptors that want the record's direction.
func (c Chain) Intercept(ev decode.Event) Verdict {
	var sum Verdict
	for _, i := range c {
		if !i.Wants(ev.Tunnel, ev.Dir) {
			continue
		}
		v := i.Intercept(ev)
		sum.Delay = max(sum.Delay, v.Delay)
		// What a later one puts right before the record comes after what an
		// earlier one put there, and the other way round behind it.
		sum.Before = join(sum.Before, v.Before)
		sum.After = join(v.After, sum.After)
		switch v.Action {
		case Drop, Hold:
			sum.Action, sum.ID, sum.Raw = v.Action, v.ID, nil
			return sum
		case Replace:
			sum.Action, sum.Raw = Replace, v.Raw
			ev.Raw = v.Raw
			ev.Flags |= decode.Edited
		}
	}
	return sum
}

// join never appends in place: the slices are others' verdicts.
func join(a, b [][]byte) [][]byte {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return append(a[:len(a):len(a)], b...)
}

// DropIf returns an interceptor that wants every direction of every tunnel
// and drops the records that match reports true for. match is called by many
// goroutines at once; the event is as in [Interceptor].
func DropIf(match func(ev decode.Event) bool) Interceptor { return dropper(match) }

type dropper func(ev decode.Event) bool

func (dropper) Wants(uint32, decode.Direction) bool { return true }

func (match dropper) Intercept(ev decode.Event) Verdict {
	if match(ev) {
		return Verdict{Action: Drop}
	}
	return Verdict{}
}

// Records cuts b, the content of a file of records to inject, into its
// records, which alias b. No bytes are no records and no error. The error
// names the offset of the first byte that belongs to no whole record.
func Records(b []byte) ([][]byte, error) {
	var recs [][]byte
	for at := 0; at < len(b); {
		n, err := frame.Cut(b[at:], frame.MaxDecode)
		if err != nil {
			return nil, fmt.Errorf("intercept: no whole records: at offset %d: %w", at, err)
		}
		if n == 0 {
			return nil, fmt.Errorf("intercept: no whole records: the one at offset %d is cut off after %d bytes", at, len(b)-at)
		}
		recs = append(recs, b[at:at+n:at+n])
		at += n
	}
	return recs, nil
}
