package netstack

import (
	"net/netip"
	"sync"
)

// quota bounds how much is under way at once: in all, and for each inner
// source address, so that one hostile client cannot take everybody's share.
type quota struct {
	total, perSource int

	mu   sync.Mutex
	n    int
	used map[netip.Addr]int
}

func newQuota(total, perSource int) *quota {
	return &quota{total: total, perSource: perSource, used: make(map[netip.Addr]int)}
}

// take reports whether one more is allowed for src, and counts it.
func (q *quota) take(src netip.Addr) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n >= q.total || q.used[src] >= q.perSource {
		return false
	}
	q.n++
	q.used[src]++
	return true
}

// give undoes one take.
func (q *quota) give(src netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n--
	if q.used[src]--; q.used[src] == 0 {
		delete(q.used, src)
	}
}

// inUse reports how many are under way.
func (q *quota) inUse() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}
