package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks our routes (rtm_protocol), so that undoing one never
// takes another program's.
const routeProtocol = 150

// Available reports why there can be no device here, nil if there can.
func Available() error {
	if !capable(unix.CAP_NET_ADMIN) {
		return fmt.Errorf("tun: make a device: %w: it takes root or CAP_NET_ADMIN", ErrPrivilege)
	}
	return nil
}

func capable(c int) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false
	}
	return data[c/32].Effective&(1<<(c%32)) != 0
}

// PathTo returns how packets to a host leave this machine.
func PathTo(host netip.Addr) (Path, error) {
	host = host.Unmap().WithZone("")
	routes, err := netlink.RouteGet(host.AsSlice())
	if err != nil {
		return Path{}, fmt.Errorf("tun: route to %s: %w", host, err)
	}
	if len(routes) == 0 {
		return Path{}, fmt.Errorf("tun: there is no route to %s", host)
	}
	r := routes[0]
	link, err := netlink.LinkByIndex(r.LinkIndex)
	if err != nil {
		return Path{}, fmt.Errorf("tun: route to %s: %w", host, err)
	}
	p := Path{Device: link.Attrs().Name, MTU: link.Attrs().MTU, Local: r.Type == unix.RTN_LOCAL}
	if r.MTU > 0 {
		p.MTU = min(p.MTU, r.MTU)
	}
	p.Via, _ = netip.AddrFromSlice(r.Gw)
	p.Via = p.Via.Unmap()
	return p, nil
}

// resolve completes a change with what it depends on, and reports whether
// there is anything to do.
func resolve(c Change) (Change, bool, error) {
	switch c.Op {
	case opUp, opAddress, opRoute:
		link, err := netlink.LinkByName(c.Device)
		if err != nil {
			return c, false, err
		}
		c.Index = link.Attrs().Index
	case opHostRoute:
		p, err := PathTo(c.Net.Addr())
		if err != nil || p.Local {
			return c, false, err
		}
		if there, err := hasRoute(c.Net); err != nil || there {
			return c, false, err // and it is the way that PathTo found
		}
		link, err := netlink.LinkByName(p.Device)
		if err != nil {
			return c, false, err
		}
		c.Device, c.Index, c.Via = p.Device, link.Attrs().Index, p.Via
	case opSysctl:
		was, err := readSysctl(c.Name)
		if err != nil || was == c.Value {
			return c, false, err
		}
		c.Was = was
	}
	return c, true, nil
}

// hasRoute reports whether there is a route for just that network.
func hasRoute(n netip.Prefix) (bool, error) {
	family := netlink.FAMILY_V6
	if n.Addr().Is4() {
		family = netlink.FAMILY_V4
	}
	routes, err := netlink.RouteListFiltered(family, &netlink.Route{Dst: ipNet(n)}, netlink.RT_FILTER_DST)
	return len(routes) > 0, err
}

func perform(c Change) error {
	switch c.Op {
	case opUp:
		return netlink.LinkSetUp(linkOf(c))
	case opAddress:
		a := &netlink.Addr{IPNet: ipNet(c.Net)}
		if c.Net.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD // there is nobody to ask, and it is to be usable at once
		}
		return netlink.AddrAdd(linkOf(c), a)
	case opRoute:
		return explainRoute(netlink.RouteAdd(routeOf(c)))
	case opHostRoute:
		return explainRoute(netlink.RouteAdd(routeOf(c)))
	case opSysctl:
		return os.WriteFile(sysctlFile(c.Name), []byte(c.Value), 0)
	case opTable:
		return nft("create table inet " + c.Name + "\n" + Rules(c.Name, c.Value))
	}
	return fmt.Errorf("%q is no change", c.Op)
}

// revert undoes a change. What is no longer there counts as undone.
func revert(c Change) error {
	switch c.Op {
	case opSysctl:
		now, err := readSysctl(c.Name)
		if err != nil || now != c.Value {
			return err // somebody else has set it since
		}
		return os.WriteFile(sysctlFile(c.Name), []byte(c.Was), 0)
	case opTable:
		// delete fails if the table is not there; add does not if it is.
		return nft("add table inet " + c.Name + "\ndelete table inet " + c.Name + "\n")
	}
	if link, err := netlink.LinkByIndex(c.Index); err != nil || link.Attrs().Name != c.Device {
		return ignoreNoLink(err) // it went, and all of this with it
	}
	switch c.Op {
	case opUp:
		return ignore(netlink.LinkSetDown(linkOf(c)), unix.ENODEV)
	case opAddress:
		return ignore(netlink.AddrDel(linkOf(c), &netlink.Addr{IPNet: ipNet(c.Net)}), unix.EADDRNOTAVAIL, unix.ENODEV)
	case opRoute, opHostRoute:
		return ignore(netlink.RouteDel(routeOf(c)), unix.ESRCH, unix.ENODEV)
	}
	return fmt.Errorf("%q is no change", c.Op)
}

func linkOf(c Change) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: c.Index, Name: c.Device}}
}

func routeOf(c Change) *netlink.Route {
	r := &netlink.Route{LinkIndex: c.Index, Dst: ipNet(c.Net), Protocol: routeProtocol}
	if c.Via.IsValid() {
		r.Gw = c.Via.AsSlice()
		// A point-to-point link's gateway need not be in any network of it.
		r.Flags = int(netlink.FLAG_ONLINK)
	} else if c.Net.Addr().Is4() {
		r.Scope = netlink.SCOPE_LINK
	}
	return r
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func explainRoute(err error) error {
	switch {
	case errors.Is(err, unix.EEXIST):
		return errors.New("there is another route for it already; see: ip route")
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: it takes root or CAP_NET_ADMIN", ErrPrivilege)
	}
	return err
}

func ignore(err error, harmless ...error) error {
	for _, h := range harmless {
		if errors.Is(err, h) {
			return nil
		}
	}
	return err
}

func ignoreNoLink(err error) error {
	if gone := (netlink.LinkNotFoundError{}); errors.As(err, &gone) {
		return nil
	}
	return err
}

// sysctlFile follows sysctl(8): a name with slashes may have dots in its parts,
// as the names of devices have.
func sysctlFile(name string) string {
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	return filepath.Join("/proc/sys", filepath.Clean("/"+name))
}

func readSysctl(name string) (string, error) {
	b, err := os.ReadFile(sysctlFile(name))
	return strings.TrimSpace(string(b)), err
}

// nft hands commands to nft(8), which does all of them or none. It gets our
// capability if that is all we have.
func nft(commands string) error {
	path, err := exec.LookPath("nft")
	if err != nil {
		return errors.New("nft is not there; install nftables, or set the rules by hand")
	}
	cmd := exec.Command(path, "-f", "-")
	cmd.Stdin = strings.NewReader(commands)
	if os.Geteuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{AmbientCaps: []uintptr{unix.CAP_NET_ADMIN}}
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	why, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return fmt.Errorf("nft: %w: %s", err, why)
}

// hasIPv6 reports whether the kernel speaks IPv6 at all.
func hasIPv6() bool {
	_, err := os.Stat("/proc/sys/net/ipv6")
	return err == nil
}

// IPv6 reports whether devices can have IPv6 addresses here.
func IPv6() bool {
	off, err := readSysctl("net.ipv6.conf.default.disable_ipv6")
	return err == nil && off == "0"
}

// Advertised returns the device whose router advertisements gave this machine
// its IPv6 default route, if it has one from there. A machine that forwards
// IPv6 loses it, unless that device's accept_ra is 2.
func Advertised() (device string, ok bool) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Protocol: unix.RTPROT_RA}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return "", false
	}
	for _, r := range routes {
		if ones, _ := maskOf(r.Dst).Size(); ones > 0 {
			continue
		}
		if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			return link.Attrs().Name, true
		}
	}
	return "", false
}

// maskOf is that of a default route if there is no network.
func maskOf(n *net.IPNet) net.IPMask {
	if n == nil {
		return nil
	}
	return n.Mask
}
