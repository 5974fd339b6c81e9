package stats

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"tundump/decode"
	"tundump/decode/bplist"
)

// Configuration is what the server tells the client to set up, as the genuine
// client reads it. Text is as it came from the network: escape it.
type Configuration struct {
	Address, Netmask string // "" if it is not there, or no string
	HasRoutes        bool   // Routes replace the default route, even if there are none
	Routes           []Route
	HasServers       bool // there is a list of DNS servers that the client takes
	Servers          []string
	HasDomains       bool // there is a list of search domains that the client takes
	Domains          []string
	More             int  // entries of all lists that are not here, beyond 64 each
	Result           bool // it came in an openResult, which is what a packet tunnel takes; else in a fetchConfiguration
}

// Route is one network that goes through the tunnel.
type Route struct{ Address, Netmask string }

// maxList bounds how many entries of a list are kept.
const maxList = 64

// ConfigurationOf reads the configuration in a message; ok is false if there
// is none.
//
// Source: PacketTunnelProvider.swift, createTunnelSettingsFromConfiguration: an
// array that has one element of another type is no array of that type, and a
// route that lacks one of its two entries is skipped.
func ConfigurationOf(m *decode.Message) (c *Configuration, ok bool) {
	v := m.Configuration()
	if !v.Exists() {
		return nil, false
	}
	c = &Configuration{Result: m.Command == decode.OpenResult}
	ip := v.Get("IPv4")
	c.Address, c.Netmask = text(ip.Get("Address").Text()), text(ip.Get("Netmask").Text())
	c.routes(ip.Get("Routes"))
	dns := v.Get("DNS")
	c.Servers, c.HasServers = c.strings(dns.Get("Servers"))
	c.Domains, c.HasDomains = c.strings(dns.Get("SearchDomains"))
	return c, true
}

// routes reads Routes: an array of which every element is a dictionary.
func (c *Configuration) routes(v bplist.Value) {
	if !allOf(v, bplist.Dict) {
		return
	}
	c.HasRoutes = true
	for i := range v.Len() {
		address, ok := v.At(i).Get("Address").Text()
		netmask, ok2 := v.At(i).Get("Netmask").Text()
		switch {
		case !ok || !ok2:
		case len(c.Routes) == maxList:
			c.More++
		default:
			c.Routes = append(c.Routes, Route{short(address), short(netmask)})
		}
	}
}

// strings reads an array of which every element is a string.
func (c *Configuration) strings(v bplist.Value) (list []string, ok bool) {
	if !allOf(v, bplist.String) {
		return nil, false
	}
	n := min(v.Len(), maxList)
	c.More += v.Len() - n
	for i := range n {
		s, _ := v.At(i).Text()
		list = append(list, short(s))
	}
	return list, true
}

func allOf(v bplist.Value, t bplist.Type) bool {
	if v.Type() != bplist.Array {
		return false
	}
	for i := range v.Len() {
		if v.At(i).Type() != t {
			return false
		}
	}
	return true
}

func text(s string, _ bool) string { return short(s) }

// tunnelOverhead is what the genuine client takes off the link's MTU:
// tunnelOverheadBytes in PacketTunnelProvider.swift.
const tunnelOverhead = 150

// Words says what the configuration means for a genuine client whose link has
// that MTU, one statement each:
//
//	everything goes through the tunnel (no Routes)
//	asks 10.8.0.1 for all names
//	MTU 1350 on a 1500 link
//	IPv6 stays outside the tunnel
//
// Text from the network is in them as it came: escape it.
func (c *Configuration) Words(linkMTU int) []string {
	if c.Result && (c.Address == "" || c.Netmask == "") {
		return []string{"the tunnel does not start: IPv4 has no Address or no Netmask"}
	}
	var words []string
	if c.Result {
		words = append(words, c.routing())
	}
	words = append(words, c.naming()...)
	if c.Result {
		words = append(words, fmt.Sprintf("MTU %d on a %d link", linkMTU-tunnelOverhead, linkMTU), "IPv6 stays outside the tunnel")
	}
	return words
}

func (c *Configuration) routing() string {
	switch {
	case !c.HasRoutes:
		return "everything goes through the tunnel (no Routes)"
	case len(c.Routes) == 0:
		return "nothing goes through the tunnel (Routes is empty)"
	}
	names := make([]string, len(c.Routes))
	for i, r := range c.Routes {
		names[i] = r.String()
	}
	return "only " + some(names) + " goes through the tunnel"
}

// naming says who is asked for names, and whether that server is reached
// through the tunnel.
func (c *Configuration) naming() []string {
	switch {
	case !c.HasServers || len(c.Servers) == 0:
		return []string{"asks for names outside the tunnel (no DNS Servers)"}
	case !c.HasRoutes || !c.Result:
		words := []string{"asks " + some(c.Servers) + " for all names"}
		if len(c.Domains) > 0 {
			words = append(words, "completes short names with "+some(c.Domains))
		}
		return words
	}
	var words []string
	if c.HasDomains && len(c.Domains) > 0 {
		words = append(words, "asks "+some(c.Servers)+" for names in "+some(c.Domains)+" only")
	} else {
		words = append(words, "asks "+some(c.Servers)+" for all names")
	}
	var outside []string
	for _, s := range c.Servers {
		if a, err := netip.ParseAddr(s); err == nil && !c.routed(a) {
			outside = append(outside, s)
		}
	}
	if len(outside) > 0 {
		words = append(words, "reaches "+some(outside)+" outside the tunnel (no route)")
	}
	return words
}

// routed reports whether a route leads a into the tunnel.
func (c *Configuration) routed(a netip.Addr) bool {
	for _, r := range c.Routes {
		if p, ok := r.prefix(); ok && p.Contains(a) {
			return true
		}
	}
	return false
}

// String writes the route as 10.0.0.0/8, or as it came if it is none.
func (r Route) String() string {
	if p, ok := r.prefix(); ok {
		return p.String()
	}
	return r.Address + "/" + r.Netmask
}

func (r Route) prefix() (p netip.Prefix, ok bool) {
	a, err := netip.ParseAddr(r.Address)
	m, err2 := netip.ParseAddr(r.Netmask)
	if err != nil || err2 != nil || !a.Is4() || !m.Is4() {
		return p, false
	}
	b := m.As4()
	mask := binary.BigEndian.Uint32(b[:])
	ones := bits.LeadingZeros32(^mask)
	if mask<<ones != 0 {
		return p, false // not contiguous
	}
	return netip.PrefixFrom(a, ones), true
}

// some joins names, the first few of many.
func some(names []string) string {
	const shown = 4
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
