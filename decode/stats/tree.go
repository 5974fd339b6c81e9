package stats

import (
	"cmp"
	"slices"
	"strings"
)

// Branch is one line of a statistics tree, as tshark's -z …,tree prints them.
// Nodes below it are sorted, the most frequent first.
type Branch struct {
	Name     string // safe to print
	N        int64
	Averages bool // Sum, Min and Max are of the N values
	Sum      int64
	Min, Max int64
	Scale    int64 // what a value's unit is: 1, or 1e6 for milliseconds in nanoseconds
	Burst    int64 // the most within 100 ms
	BurstAt  int64 // when that was: time of its first packet, in nanoseconds since the Unix epoch
	Below    []*Branch

	recent [burstSlots]slot
	window int64 // what recent adds up to
	newest int64
}

// The bursts are those of Wireshark's defaults: 100 ms in steps of 5 ms.
const (
	burstStep  = 5_000_000
	burstSlots = 20
)

type slot struct{ n, at int64 }

// child returns the branch of that name below b, a new one if there is none:
// then room says whether there may be.
func (b *Branch) child(name []byte, room bool) *Branch {
	for _, c := range b.Below {
		if c.Name == string(name) {
			return c
		}
	}
	if !room {
		return b.child([]byte("(others)"), true)
	}
	c := &Branch{Name: string(name), Scale: 1}
	b.Below = append(b.Below, c)
	return c
}

// tick counts one at a time.
func (b *Branch) tick(ns int64) {
	b.N++
	s := floor(ns, burstStep)
	if b.N == 1 {
		b.newest = s
	}
	for s > b.newest {
		if s-b.newest >= burstSlots {
			b.recent, b.window, b.newest = [burstSlots]slot{}, 0, s
			break
		}
		b.newest++
		old := &b.recent[uint64(b.newest)%burstSlots]
		b.window -= old.n
		*old = slot{}
	}
	at := &b.recent[uint64(b.newest)%burstSlots] // what comes out of order counts with the newest
	if at.n == 0 {
		at.at = ns
	}
	at.n++
	b.window++
	if b.window > b.Burst {
		b.Burst, b.BurstAt = b.window, b.oldest()
	}
}

// oldest returns when the first of the recent ones was.
func (b *Branch) oldest() int64 {
	for i := b.newest - burstSlots + 1; i <= b.newest; i++ {
		if s := b.recent[uint64(i)%burstSlots]; s.n > 0 {
			return s.at
		}
	}
	return 0
}

// value counts one value at a time.
func (b *Branch) value(ns, v int64) {
	if b.N == 0 {
		b.Min, b.Max = v, v
	}
	b.Averages = true
	b.Min, b.Max = min(b.Min, v), max(b.Max, v)
	b.Sum += v
	b.tick(ns)
}

// sorted returns a copy of the tree as it is printed.
func (b *Branch) sorted() *Branch {
	c := *b
	c.Below = make([]*Branch, len(b.Below))
	for i, n := range b.Below {
		c.Below[i] = n.sorted()
	}
	slices.SortStableFunc(c.Below, func(a, b *Branch) int {
		return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(b.Name, a.Name))
	})
	return &c
}
