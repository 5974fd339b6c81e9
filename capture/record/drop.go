package record

import (
	"cmp"
	"slices"

	"tundump/capture"
	"tundump/decode"
)

// dropped counts events that there is no room for. What happens to a tunnel is
// kept all the same, and waited for if it must be.
func (q *queue) dropped(events []decode.Event) {
	if q.shut {
		return
	}
	for i := range events {
		ev := &events[i]
		switch ev.Kind {
		case decode.Opened, decode.Connected, decode.Refused, decode.HalfClosed, decode.Reset, decode.Closed:
			cost := 0
			if !q.fits(0, 1) {
				cost = chunkBytes + chunkEvents*capture.EventSize
			}
			if !q.admit(cost, q.limit+reserve) {
				return
			}
			q.fillGaps(ev.Tunnel, ev.Dir, ev.Kind == decode.Closed)
			q.copy(ev)
			q.signal()
		default:
			q.drop(ev)
		}
	}
}

func (q *queue) drop(ev *decode.Event) {
	q.stats.Dropped[ev.Dir]++
	q.stats.DroppedBytes[ev.Dir] += int64(len(ev.Raw))
	n := int64(len(ev.Raw))
	if ev.Kind == decode.Gap && ev.Detail != nil {
		n = ev.Detail.Len
	}
	if !ev.Kind.Counts() || n <= 0 {
		return
	}
	key := stream{ev.Tunnel, ev.Dir}
	l := q.losses[key]
	if l == nil {
		l = &loss{offset: ev.Offset, flags: ev.Flags & (decode.OnClientSide | decode.OnServerSide)}
		q.losses[key] = l
	}
	l.bytes += n
	l.time = ev.Time
}

// gap stands for what was dropped.
func (l *loss) gap(key stream) decode.Event {
	return decode.Event{
		Kind: decode.Gap, Dir: key.dir, Flags: l.flags, Tunnel: key.tunnel, Time: l.time, Offset: l.offset,
		Detail: &decode.Detail{Len: l.bytes},
	}
}

// fillGaps queues the gap that stands for what was dropped of a stream, before
// what follows it: the rebuilt connection must not close over it. both is for
// the end of a tunnel.
func (q *queue) fillGaps(tunnel uint32, dir decode.Direction, both bool) {
	for _, key := range [...]stream{{tunnel, dir}, {tunnel, dir.Opposite()}} {
		if l := q.losses[key]; l != nil && (key.dir == dir || both) {
			delete(q.losses, key)
			gap := l.gap(key)
			q.copy(&gap)
		}
	}
}

// rest takes the gaps of what was dropped at the end of the recording.
func (q *queue) rest() []decode.Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	var gaps []decode.Event
	for key, l := range q.losses {
		gaps = append(gaps, l.gap(key))
	}
	clear(q.losses)
	slices.SortFunc(gaps, func(a, b decode.Event) int {
		return cmp.Or(cmp.Compare(a.Tunnel, b.Tunnel), cmp.Compare(a.Dir, b.Dir))
	})
	return gaps
}

func closes(events []decode.Event) bool {
	for i := range events {
		if events[i].Kind == decode.Closed {
			return true
		}
	}
	return false
}
