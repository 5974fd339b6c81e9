package tun

import (
	"fmt"
	"net/netip"
	"strings"
)

// Change is one change to this machine's network. [Setup] makes it and undoes
// it. The functions below make the changes that there are.
type Change struct {
	Op     op           `json:"op"`
	Device string       `json:"device,omitempty"`
	Index  int          `json:"index,omitempty"` // the device's, so that another one of its name is left alone
	Net    netip.Prefix `json:"net"`
	Via    netip.Addr   `json:"via"`
	Name   string       `json:"name,omitempty"`
	Value  string       `json:"value,omitempty"`
	Was    string       `json:"was,omitempty"`
}

type op string

const (
	opUp        op = "up"
	opAddress   op = "address"
	opRoute     op = "route"
	opHostRoute op = "host-route"
	opSysctl    op = "sysctl"
	opTable     op = "nft-table"
)

// Up takes a device into service.
func Up(device string) Change { return Change{Op: opUp, Device: device} }

// Address gives a device an address. A prefix shorter than the address also
// leads its network into the device.
func Address(device string, a netip.Prefix) Change {
	return Change{Op: opAddress, Device: device, Net: a}
}

// Route leads a network into a device. A default route is taken in halves, see
// [Halves].
func Route(device string, n netip.Prefix) Change {
	return Change{Op: opRoute, Device: device, Net: n.Masked()}
}

// HostRoute keeps the way to a host as it is now, whatever routes follow. For
// an address of this machine it changes nothing.
func HostRoute(host netip.Addr) Change {
	host = host.Unmap().WithZone("")
	return Change{Op: opHostRoute, Net: netip.PrefixFrom(host, host.BitLen())}
}

// Sysctl sets a kernel variable, in the notation of sysctl(8), and back to
// what it was.
func Sysctl(name, value string) Change {
	return Change{Op: opSysctl, Name: name, Value: value}
}

// Table makes an nftables table of family inet that must not be there yet.
// body is what stands between its braces. Linux only.
func Table(name, body string) Change {
	return Change{Op: opTable, Name: name, Value: body}
}

// String says in a few words what the change is.
func (c Change) String() string {
	switch c.Op {
	case opUp:
		return "take " + c.Device + " into service"
	case opAddress:
		return fmt.Sprintf("address %s on %s", c.Net, c.Device)
	case opRoute:
		return fmt.Sprintf("route %s into %s", c.Net, c.Device)
	case opHostRoute:
		return fmt.Sprintf("route to the server %s outside the tunnel", c.Net.Addr())
	case opSysctl:
		return fmt.Sprintf("sysctl %s = %s", c.Name, c.Value)
	case opTable:
		return "nftables table inet " + c.Name
	}
	return string(c.Op)
}

// outlives reports whether the change stays when the process and with it its
// device is gone.
func (c Change) outlives() bool {
	return c.Op == opHostRoute || c.Op == opSysctl || c.Op == opTable
}

// Halves returns the network, or two that make it up if it is a default route:
// they go before the default route that is there, which stays for later.
func Halves(n netip.Prefix) []netip.Prefix {
	if n.Bits() != 0 {
		return []netip.Prefix{n.Masked()}
	}
	if n.Addr().Is4() {
		return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 1), netip.PrefixFrom(netip.AddrFrom4([4]byte{128}), 1)}
	}
	return []netip.Prefix{netip.PrefixFrom(netip.IPv6Unspecified(), 1), netip.PrefixFrom(netip.AddrFrom16([16]byte{0x80}), 1)}
}

// Path is how packets to a host leave this machine.
type Path struct {
	Device string
	MTU    int        // of the link, or of the route if that is less
	Via    netip.Addr // invalid if the host is on the link
	Local  bool       // the host is this machine
}

// Rules returns the text, for nft -f, of the table that [Table] makes.
func Rules(name, body string) string { return "table inet " + name + " {\n" + body + "}\n" }

// parseRoute reads what route(8) of macOS says about the way to a host: lines
// of a word, a colon and a value.
func parseRoute(text string) Path {
	var p Path
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "interface":
			p.Device = value
		case "gateway":
			p.Via, _ = netip.ParseAddr(value) // link#4: on the link
		}
	}
	return p
}
