package replay

import (
	"math/bits"
	"time"
)

// Report is what came of playing a plan.
type Report struct {
	Sent    int64 // items that the peer took
	Bytes   int64
	Refused int64 // items that it did not take
	TooBig  int64 // packets that did not fit, whose sender was told so instead
	Loops   int   // that were begun
	Skipped int64 // steps that were not sent: passed over by Seek, or after the end

	Elapsed time.Duration // from the first item to the last
	Planned time.Duration // what that should have been; 0 at a pace that plans nothing
	// Lateness is how long after it was due each item was sent.
	Lateness Quantiles

	Expected   int64 // answers to what was sent
	Answered   int64
	Unanswered int64
	Late       int64 // of the answered: longer than in the recording by Options.Late
	Changed    int64 // of the answered: different from the recorded
	Extra      int64 // answers to what was sent that the recording did not have
	Repeated   int64 // answers that came again
	Unrelated  int64 // what came and answers nothing that was sent, TCP past its handshake among it
	Fragments  int64 // parts of datagrams but the last to come, as which the datagram counts
	Received   int64 // all that came

	Flows     int64    // connections that were opened again
	FlowsSame int64    // of them: the same bytes came
	FlowBytes [2]int64 // what they carried, by direction

	RTT, RecordedRTT Quantiles // of what was answered

	// Differences are the first of them, in the order found: Total counts all.
	Differences []Difference
	Total       int64
	// Stopped says what ended it before its end, "" if nothing did.
	Stopped string
}

// Same reports whether all that was expected came and nothing differs.
func (r *Report) Same() bool {
	return r.Total == 0 && r.Refused == 0 && r.Unanswered == 0
}

// maxDifferences is how many differences a report keeps.
const maxDifferences = 1000

// add returns where the difference is kept, from 1; 0 if it is not.
func (r *Report) add(d Difference) int32 {
	r.Total++
	if len(r.Differences) == maxDifferences {
		return 0
	}
	r.Differences = append(r.Differences, d)
	return int32(len(r.Differences))
}

// Quantiles are of many durations.
type Quantiles struct {
	Count         int64
	P50, P99, Max time.Duration
}

// histogram counts durations with a resolution of three percent, in fixed
// memory.
type histogram struct {
	count [64 * 32]int64
	n     int64
	max   time.Duration
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.n++
	h.max = max(h.max, d)
	h.count[bucket(uint64(d))]++
}

// bucket numbers durations: exactly up to 31, then 32 in each power of two.
func bucket(v uint64) int {
	if v < 32 {
		return int(v)
	}
	shift := bits.Len64(v) - 6
	return (shift+1)*32 + int(v>>shift) - 32
}

// upper is the largest duration of a bucket.
func upper(b int) time.Duration {
	if b < 32 {
		return time.Duration(b)
	}
	shift := b/32 - 1
	return time.Duration(uint64(b%32+33)<<shift - 1)
}

func (h *histogram) at(q float64) time.Duration {
	want := int64(q * float64(h.n))
	for b, n := range h.count {
		if want -= n; want < 0 {
			return min(upper(b), h.max)
		}
	}
	return h.max
}

func (h *histogram) quantiles() Quantiles {
	return Quantiles{Count: h.n, P50: h.at(0.5), P99: h.at(0.99), Max: h.max}
}
