package peer

import (
	"fmt"
	"net/netip"
	"sync"
)

// pool hands out the addresses from start up to, and not including, end: the
// end address itself is never assigned, as in Apple's AddressPool.swift. The
// lowest free one goes first.
type pool struct {
	start, end netip.Addr

	mu   sync.Mutex
	used map[netip.Addr]struct{}
}

// newPool checks a pool as it stands in a configuration.
func newPool(start, end string, v4 bool) (*pool, error) {
	s, err := parsePoolAddress("StartAddress", start, v4)
	if err != nil {
		return nil, err
	}
	e, err := parsePoolAddress("EndAddress", end, v4)
	if err != nil {
		return nil, err
	}
	switch {
	case e.Less(s):
		return nil, fmt.Errorf("pool ends at %s, before its start, %s", e, s)
	case e == s:
		return nil, fmt.Errorf("pool is empty: the end address, %s, is never assigned", e)
	case v4 && !netip.PrefixFrom(s, 16).Masked().Contains(e):
		return nil, fmt.Errorf("pool from %s to %s is not within one /16: the first two numbers must be equal", s, e)
	}
	return &pool{start: s, end: e, used: make(map[netip.Addr]struct{})}, nil
}

func parsePoolAddress(key, text string, v4 bool) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Is4() != v4 || a.Zone() != "" || a.Is4In6() {
		family := "IPv6"
		if v4 {
			family = "IPv4"
		}
		return netip.Addr{}, fmt.Errorf("%s %q is not an %s address", key, text, family)
	}
	return a, nil
}

// take returns the lowest free address.
func (p *pool) take() (netip.Addr, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := p.start; a != p.end; a = a.Next() {
		if _, ok := p.used[a]; !ok {
			p.used[a] = struct{}{}
			return a, true
		}
	}
	return netip.Addr{}, false
}

// give takes an address back.
func (p *pool) give(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, a)
}

// contains reports whether the pool may assign a.
func (p *pool) contains(a netip.Addr) bool {
	return a.Is4() == p.start.Is4() && !a.Less(p.start) && a.Less(p.end)
}
