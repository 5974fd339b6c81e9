package stats

import "tundump/decode"

// Bucket is what passed in one interval of time, by direction.
type Bucket struct {
	Wire  [2]Count // messages, as they are on the tunnels' streams
	Inner [2]Count // packets in them
}

func (b *Bucket) merge(o *Bucket) {
	for d := range 2 {
		b.Wire[d] = b.Wire[d].Plus(o.Wire[d])
		b.Inner[d] = b.Inner[d].Plus(o.Inner[d])
	}
}

// Series is a row of buckets of equal width, the first beginning at Start.
type Series struct {
	Start   int64 // nanoseconds since the Unix epoch
	Width   int64 // nanoseconds
	Buckets []Bucket
}

const (
	maxBuckets  = 1024
	firstWidth  = 1_000_000 // 1 ms
	recentWidth = 1_000_000_000
	recentCount = 128
)

// Rates follows what passes over time: the whole of it in at most 1,024
// buckets, whose width doubles from 1 ms on as the capture grows, and the last
// two minutes by the second. The zero value is empty.
type Rates struct {
	start, width int64
	buckets      []Bucket
	current      *Bucket // where the last was added, and the times it stands for
	from, until  int64

	recent [recentCount]Bucket
	newest int64 // the second of the newest of them
}

// Event takes in an event that counts as a message.
func (r *Rates) Event(ev *decode.Event) {
	d := ev.Dir & 1
	whole, recent := r.at(ev.Time)
	whole.Wire[d].add(len(ev.Raw))
	recent.Wire[d].add(len(ev.Raw))
}

// Packet takes in an inner packet of so many bytes.
func (r *Rates) Packet(ev *decode.Event, bytes int) {
	d := ev.Dir & 1
	whole, recent := r.at(ev.Time)
	whole.Inner[d].add(bytes)
	recent.Inner[d].add(bytes)
}

// at returns the buckets of time ns. What comes before the beginning is taken
// for the beginning, and what is too old for the recent ones for the oldest.
func (r *Rates) at(ns int64) (whole, recent *Bucket) {
	if r.width == 0 {
		r.start, r.width, r.newest = ns, firstWidth, floor(ns, recentWidth)
	}
	if r.current == nil || ns < r.from || ns >= r.until {
		r.move(ns)
	}
	second := floor(ns, recentWidth)
	if second > r.newest {
		for n := range min(second-r.newest, recentCount) {
			r.recent[uint64(second-n)%recentCount] = Bucket{}
		}
		r.newest = second
	}
	return r.current, &r.recent[uint64(max(second, r.newest-recentCount+1))%recentCount]
}

// move makes the bucket of ns the current one, and room for it.
func (r *Rates) move(ns int64) {
	since := uint64(max(ns, r.start)) - uint64(r.start)
	for since/uint64(r.width) >= maxBuckets {
		r.coarsen()
	}
	i := int(since / uint64(r.width))
	for len(r.buckets) <= i {
		r.buckets = append(r.buckets, Bucket{})
	}
	r.current = &r.buckets[i]
	r.from = r.start + int64(i)*r.width
	r.until = r.from + r.width
}

// coarsen makes buckets of twice the width.
func (r *Rates) coarsen() {
	n := (len(r.buckets) + 1) / 2
	for i := range n {
		b := r.buckets[2*i]
		if 2*i+1 < len(r.buckets) {
			b.merge(&r.buckets[2*i+1])
		}
		r.buckets[i] = b
	}
	clear(r.buckets[n:])
	r.buckets = r.buckets[:n]
	r.width *= 2
}

// Whole returns a copy of the whole.
func (r *Rates) Whole() Series {
	return Series{Start: r.start, Width: r.width, Buckets: append([]Bucket(nil), r.buckets...)}
}

// Recent returns the last two minutes up to the newest time that was seen, the
// oldest second first; fewer if there are no more. The last second is not over
// yet.
func (r *Rates) Recent() Series {
	s := Series{Width: recentWidth}
	if r.width == 0 {
		return s
	}
	n := min(r.newest-floor(r.start, recentWidth)+1, recentCount)
	s.Start = (r.newest - n + 1) * recentWidth
	s.Buckets = make([]Bucket, 0, n)
	for i := r.newest - n + 1; i <= r.newest; i++ {
		s.Buckets = append(s.Buckets, r.recent[uint64(i)%recentCount])
	}
	return s
}

// floor divides, rounding down.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
