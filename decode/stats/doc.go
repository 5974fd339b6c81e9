// Package stats counts what is in tunnels: conversations and endpoints, the
// protocol hierarchy, rates over time, and for each tunnel its life with
// times, what its framing costs and what its configuration means.
//
// A [Collector] keeps everything that a screen shows, and hands out immutable
// snapshots of it:
//
//	c := stats.New(stats.Options{})
//	for each row of a session {
//		c.Event(&row.Event, row.Message)
//		for i := range row.Packets {
//			c.Packet(&row.Event, &row.Packets[i].Facts, &row.Packets[i].Flow)
//		}
//		if it is time {
//			publish(c.Snapshot(20))
//		}
//	}
//
// What it is made of can be used alone: [Conversations], [Hierarchy],
// [Tunnels], [Rates], [DNS], [Expert], [Intervals].
//
// Adding does not allocate unless something is seen for the first time. Every
// table is bounded; what no longer fits is added up in a row of its own, so
// that totals stay exact, and counted in [Losses].
//
// Counts have tshark's meanings (its -z conv, endpoints, io,phs, io,stat,
// dns,tree and expert, version 4.0): bytes are those of whole IP packets, and
// what an ICMP error quotes is no packet. Unlike tshark, everything is counted
// for each tunnel by itself: two tunnels may carry the same addresses.
package stats

// Count is a number of packets, or messages, and their bytes.
type Count struct {
	N     int64
	Bytes int64
}

func (c *Count) add(bytes int) {
	c.N++
	c.Bytes += int64(bytes)
}

// Plus returns the sum of both.
func (c Count) Plus(d Count) Count { return Count{c.N + d.N, c.Bytes + d.Bytes} }

// Timing is a set of times, added up. All are nanoseconds.
type Timing struct {
	N                   int64
	Min, Max, Sum, Last int64
}

// Add takes in one time.
func (t *Timing) Add(ns int64) {
	if t.N == 0 || ns < t.Min {
		t.Min = ns
	}
	if t.N == 0 || ns > t.Max {
		t.Max = ns
	}
	t.N++
	t.Sum += ns
	t.Last = ns
}

// Mean returns the average, 0 if there is no time.
func (t *Timing) Mean() int64 {
	if t.N == 0 {
		return 0
	}
	return t.Sum / t.N
}

// Losses counts what was folded into sums to keep memory bounded.
type Losses struct {
	Conversations int64 // the smallest, when there were too many
	Protocols     int64 // packets whose protocols are not listed
	Tunnels       int64 // those that ended first
}
