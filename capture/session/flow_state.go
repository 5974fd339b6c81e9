package session

import (
	"net/netip"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

// flowState is what is kept of a flow, or, for packets that have none, of the
// two ends. It has no pointers: the collector passes over the table.
type flowState struct {
	addr      [2][16]byte
	port      [2]uint16
	tunnel    uint32
	version   uint8
	transport packet.Transport
	protocol  uint8 // of IP
	complete  flow.Completeness
	app       uint8 // place in View.protocols
	epochs    uint8 // how many of epoch are set; more are in flows.more
	name      uint32
	stream    int64 // -1: it is no flow
	first     int64 // number of its first packet
	last      int64
	count     [2]flow.Count
	rtt       int64
	rttFrom   int64 // number of the first packet that knew it
	retrans   int64
	errors    int64 // of ICMP
	epoch     [2]epoch
	second    int64 // since 1970, of the last packet
	rate      [rateSeconds]uint32
}

// rateSeconds is for how many seconds the bytes of a flow are kept apart.
const rateSeconds = 8

// measure counts bytes at a time, in nanoseconds.
func (st *flowState) measure(time int64, bytes int) {
	now := time / 1e9
	if n := now - st.second; n >= rateSeconds || n <= -rateSeconds {
		clear(st.rate[:])
		st.second = now
	}
	for st.second < now {
		st.second++
		st.rate[slot(st.second)] = 0
	}
	st.rate[slot(now)] += uint32(bytes)
}

func slot(second int64) int { return int(uint64(second) % rateSeconds) }

// rates returns the bytes of each of the seconds up to last, nil if there are
// none.
func (st *flowState) rates(last int64) (list []int64) {
	last /= 1e9
	for now := last - rateSeconds + 1; now <= last; now++ {
		n := uint32(0)
		if now > st.second-rateSeconds && now <= st.second {
			n = st.rate[slot(now)]
		}
		if n > 0 && list == nil {
			list = make([]int64, rateSeconds)
		}
		if list != nil {
			list[rateSeconds-1-int(last-now)] = int64(n)
		}
	}
	return list
}

// epoch is what sequence and acknowledgment numbers are counted from, by
// sender, from packet since on. It changes while a connection is set up, and
// with some broken or hostile ones.
type epoch struct {
	since int64
	base  [2]packet.Base
	known [2]bool
}

func (st *flowState) addrPort(side uint8) netip.AddrPort {
	return netip.AddrPortFrom(st.address(side), st.port[side])
}

func (st *flowState) address(side uint8) netip.Addr {
	a := netip.AddrFrom16(st.addr[side])
	if st.version == 4 {
		return a.Unmap()
	}
	return a
}

// based notes what the numbers of packet n are counted from.
func (fs *flows) based(id int64, st *flowState, n int64, a *flow.Analysis) {
	var now *epoch
	switch {
	case st.epochs == 0:
		st.epochs, now = 1, &st.epoch[0]
		now.since = n
	case st.epochs <= 2:
		now = &st.epoch[st.epochs-1]
	}
	if now == nil {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		list := fs.more[id]
		now = &list[len(list)-1]
	}
	if now.known[a.Side] && now.base[a.Side] == a.Base {
		return
	}
	if !now.known[a.Side] {
		now.known[a.Side], now.base[a.Side] = true, a.Base
		return
	}
	next := *now
	next.since, next.base[a.Side] = n, a.Base
	switch {
	case st.epochs == 1:
		st.epochs, st.epoch[1] = 2, next
	case st.epochs == 2:
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if fs.extra < maxEpochs {
			st.epochs = 3
			fs.extra++
			fs.more[id] = []epoch{next}
		}
	case fs.extra < maxEpochs:
		fs.extra++
		fs.more[id] = append(fs.more[id], next)
	}
}

// baseOf returns what the numbers of packet n, sent by side, are counted from.
func (fs *flows) baseOf(id, n int64, side uint8, st *flowState) packet.Base {
	if st.epochs > 2 {
		fs.mu.RLock()
		defer fs.mu.RUnlock()
		list := fs.more[id]
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].since <= n {
				return list[i].base[side]
			}
		}
	}
	if st.epochs > 1 && st.epoch[1].since <= n {
		return st.epoch[1].base[side]
	}
	return st.epoch[0].base[side]
}
