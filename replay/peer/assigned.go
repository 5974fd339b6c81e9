package peer

import (
	"net"
	"net/netip"

	"tundump/decode/bplist"
)

// Assigned is what a server's configuration says to a client.
type Assigned struct {
	// Addresses are the client's own: IPv4 first, then the IPv6 extension's.
	// Empty in the answer to FetchConfiguration.
	Addresses []netip.Prefix
	// Routes are what goes into the tunnel. Without any, it is everything.
	Routes        []netip.Prefix
	DNS           []netip.Addr
	SearchDomains []string
}

// maxListed is how many elements of one list of a configuration are taken.
const maxListed = 1024

// ParseAssigned reads what it can of a configuration: an entry that is
// incomplete or no address is skipped, as PacketTunnelProvider.swift does.
func ParseAssigned(conf bplist.Value) Assigned {
	var a Assigned
	v4 := conf.Get("IPv4")
	if p, ok := prefix4(v4); ok {
		a.Addresses = append(a.Addresses, p)
	}
	v6 := conf.Get("IPv6")
	if addr, ok := address(v6.Get("Address")); ok && addr.Is6() {
		bits, ok := v6.Get("NetworkPrefixLength").Int()
		if !ok || bits < 0 || bits > 128 {
			bits = 128
		}
		a.Addresses = append(a.Addresses, netip.PrefixFrom(addr, int(bits)))
	}
	each(v4.Get("Routes"), func(v bplist.Value) {
		if p, ok := prefix4(v); ok {
			a.Routes = append(a.Routes, p.Masked())
		}
	})
	each(v6.Get("Routes"), func(v bplist.Value) {
		addr, ok := address(v.Get("Address"))
		bits, okBits := v.Get("NetworkPrefixLength").Int()
		if ok && okBits && addr.Is6() && bits >= 0 && bits <= 128 {
			a.Routes = append(a.Routes, netip.PrefixFrom(addr, int(bits)).Masked())
		}
	})
	dns := conf.Get("DNS")
	each(dns.Get("Servers"), func(v bplist.Value) {
		if addr, ok := address(v); ok {
			a.DNS = append(a.DNS, addr)
		}
	})
	each(dns.Get("SearchDomains"), func(v bplist.Value) {
		if s, ok := v.Text(); ok {
			a.SearchDomains = append(a.SearchDomains, s)
		}
	})
	return a
}

func each(list bplist.Value, f func(bplist.Value)) {
	if list.Type() != bplist.Array {
		return
	}
	for i := range min(list.Len(), maxListed) {
		f(list.At(i))
	}
}

func address(v bplist.Value) (netip.Addr, bool) {
	s, ok := v.Text()
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	return a.WithZone(""), err == nil
}

// prefix4 reads a dictionary with Address and Netmask.
func prefix4(v bplist.Value) (netip.Prefix, bool) {
	addr, ok := address(v.Get("Address"))
	mask, okMask := address(v.Get("Netmask"))
	if !ok || !okMask || !addr.Is4() || !mask.Is4() {
		return netip.Prefix{}, false
	}
	ones, bits := net.IPMask(mask.AsSlice()).Size()
	return netip.PrefixFrom(addr, ones), bits != 0
}
