package sniff

import (
	"tundump/capture"
	"tundump/decode"
)

const (
	// batchBytes and batchEvents are what is collected before it is offered.
	batchBytes  = 192 << 10
	batchEvents = 512
)

// feed gathers events into batches of one direction of one tunnel for a tap.
type feed struct {
	tap  capture.Tap
	b    *capture.Batch
	buf  []byte
	used int
}

// add copies an event.
func (f *feed) add(ev *decode.Event) {
	if f.b != nil {
		last := &f.b.Events[len(f.b.Events)-1]
		if last.Tunnel != ev.Tunnel || last.Dir != ev.Dir || f.used+len(ev.Raw) > batchBytes || len(f.b.Events) >= batchEvents {
			f.flush()
		}
	}
	if f.b == nil {
		f.b, f.used = capture.NewBatch(), 0
		f.buf = f.b.Grow(max(batchBytes, len(ev.Raw)))
	}
	kept := *ev
	n := copy(f.buf[f.used:], ev.Raw)
	kept.Raw = f.buf[f.used : f.used+n : f.used+n]
	f.used += n
	f.b.Events = append(f.b.Events, kept)
}

// flush offers what was gathered.
func (f *feed) flush() {
	if f.b == nil {
		return
	}
	f.tap.Offer(f.b)
	f.b.Release()
	f.b, f.buf = nil, nil
}
