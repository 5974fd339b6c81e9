package flow

import (
	"encoding/binary"
	"net/netip"

	"tundump/decode/packet"
)

// key is a flow's 5-tuple and tunnel. Of the two ends the lower stands first,
// so that both directions have the same key.
type key struct {
	addr   [2]address
	port   [2]uint16
	tunnel uint32
	proto  packet.Transport
	v6     bool
}

// address is an IP address of either version; IPv4 is mapped into IPv6.
type address struct{ high, low uint64 }

func addressOf(a netip.Addr) address {
	b := a.As16()
	return address{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}

// above reports whether the end a, p comes after the end b, q.
func above(a address, p uint16, b address, q uint16) bool {
	switch {
	case a.low != b.low:
		return a.low > b.low
	case a.high != b.high:
		return a.high > b.high
	}
	return p > q
}

// keyOf returns the key of f's flow, and whether its sender is the second end.
func keyOf(tunnel uint32, f *packet.Facts) (k key, second bool) {
	k = key{tunnel: tunnel, proto: f.Transport, v6: f.Version == 6}
	k.addr[0], k.addr[1] = addressOf(f.Src), addressOf(f.Dst)
	k.port[0], k.port[1] = f.SrcPort, f.DstPort
	if above(k.addr[0], f.SrcPort, k.addr[1], f.DstPort) {
		k.addr[0], k.addr[1] = k.addr[1], k.addr[0]
		k.port[0], k.port[1] = k.port[1], k.port[0]
		second = true
	}
	return k, second
}

// slot is where in Table.near the flow may be.
func (k *key) slot() uint8 {
	h := uint32(k.port[0])<<16 ^ uint32(k.port[1]) ^ uint32(k.addr[0].low)<<8 ^ uint32(k.addr[1].low)<<12 ^ k.tunnel
	return uint8(h * 2654435761 >> 24) // Fibonacci hashing
}

// lookup returns f's flow, a new one if it has none yet, and whether its
// sender is the second end of the flow's key.
func (t *Table) lookup(tunnel uint32, f *packet.Facts, now int64) (_ *Flow, second bool) {
	k, second := keyOf(tunnel, f)
	near := &t.near[k.slot()]
	if *near != nil && (*near).key == k {
		return *near, second
	}
	fl := t.flows[k]
	if fl == nil {
		fl = t.create(k, second, f, now)
	}
	*near = fl
	return fl, second
}

func (t *Table) create(k key, second bool, f *packet.Facts, now int64) *Flow {
	fl := &Flow{Tunnel: k.tunnel, Proto: k.proto, key: k, flip: second,
		Addr: [2]netip.AddrPort{netip.AddrPortFrom(f.Src, f.SrcPort), netip.AddrPortFrom(f.Dst, f.DstPort)}}
	n := &t.streams[0]
	if k.proto == packet.TCP {
		fl.tcp = newTCP()
	} else {
		n = &t.streams[1]
	}
	fl.Stream = *n
	*n++
	t.expire(now)
	t.flows[k] = fl
	t.count++
	t.push(fl)
	fl.lastActive = now
	return fl
}

// reuse begins a new flow with the same ends as old, which stays as it is.
func (t *Table) reuse(old *Flow, f *packet.Facts, now int64) (_ *Flow, second bool) {
	old.tcp.release(&t.pool)
	t.end(old.dialog)
	old.dialog = nil
	k, second := keyOf(old.Tunnel, f)
	fl := t.create(k, second, f, now)
	t.near[k.slot()] = fl
	return fl, second
}

// expire makes room for one flow, and forgets a few of those that were idle
// too long: as many as come, so that no packet waits for many.
func (t *Table) expire(now int64) {
	for n := 0; t.oldest != nil; n++ {
		idle := t.opt.Idle > 0 && n < 2 && now-t.oldest.lastActive > t.opt.Idle
		if t.count < t.opt.Flows && !idle {
			return
		}
		t.forget(t.oldest)
	}
}

func (t *Table) forget(fl *Flow) {
	if fl.tcp != nil {
		fl.tcp.release(&t.pool)
	}
	t.end(fl.dialog)
	if t.flows[fl.key] == fl {
		delete(t.flows, fl.key)
	}
	if near := &t.near[fl.key.slot()]; *near == fl {
		*near = nil
	}
	t.unlink(fl)
	t.count--
	t.losses.Flows++
}

// touch notes that fl is in use.
func (t *Table) touch(fl *Flow, now int64) {
	fl.lastActive = now
	if t.recent != fl {
		t.unlink(fl)
		t.push(fl)
	}
}

func (t *Table) push(fl *Flow) {
	fl.newer, fl.older = nil, t.recent
	if t.recent != nil {
		t.recent.newer = fl
	} else {
		t.oldest = fl
	}
	t.recent = fl
}

func (t *Table) unlink(fl *Flow) {
	if fl.newer != nil {
		fl.newer.older = fl.older
	} else {
		t.recent = fl.older
	}
	if fl.older != nil {
		fl.older.newer = fl.newer
	} else {
		t.oldest = fl.newer
	}
	fl.newer, fl.older = nil, nil
}
