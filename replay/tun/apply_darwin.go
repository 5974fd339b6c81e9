package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// The system's own commands. Their arguments are names and addresses that
// were parsed before, never text from anywhere else.
const (
	ifconfig = "/sbin/ifconfig"
	route    = "/sbin/route"
	sysctl   = "/usr/sbin/sysctl"
)

// Available reports why there can be no device here, nil if there can.
func Available() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("tun: make a device: %w: it takes root", ErrPrivilege)
	}
	return nil
}

// IPv6 reports whether devices can have IPv6 addresses here.
func IPv6() bool { return true }

// Advertised has nothing to say: macOS keeps its default route.
func Advertised() (device string, ok bool) { return "", false }

// run runs a command of the system's. route(8) reports some failures only in
// its text.
func run(name string, args ...string) error {
	_, err := output(name, args...)
	return err
}

func output(name string, args ...string) (string, error) {
	b, err := exec.Command(name, args...).CombinedOutput()
	text := strings.TrimSpace(string(b))
	if err == nil && !strings.Contains(text, "File exists") && !strings.Contains(text, "not in table") {
		return text, nil
	}
	first, _, _ := strings.Cut(text, "\n")
	if err == nil {
		return "", errors.New(first)
	}
	return "", fmt.Errorf("%s: %w: %s", name, err, first)
}

// PathTo returns how packets to a host leave this machine.
func PathTo(host netip.Addr) (Path, error) {
	host = host.Unmap().WithZone("")
	text, err := output(route, "-n", "get", family(host), host.String())
	if err != nil {
		return Path{}, fmt.Errorf("tun: route to %s: %w", host, err)
	}
	p := parseRoute(text)
	if p.Device == "" {
		return Path{}, fmt.Errorf("tun: there is no route to %s", host)
	}
	link, err := net.InterfaceByName(p.Device)
	if err != nil {
		return Path{}, fmt.Errorf("tun: route to %s: %w", host, err)
	}
	p.MTU, p.Local = link.MTU, link.Flags&net.FlagLoopback != 0
	return p, nil
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "-inet"
	}
	return "-inet6"
}

func resolve(c Change) (Change, bool, error) {
	switch c.Op {
	case opUp, opAddress, opRoute:
		link, err := net.InterfaceByName(c.Device)
		if err != nil {
			return c, false, err
		}
		c.Index = link.Index
	case opHostRoute:
		p, err := PathTo(c.Net.Addr())
		if err != nil || p.Local {
			return c, false, err
		}
		link, err := net.InterfaceByName(p.Device)
		if err != nil {
			return c, false, err
		}
		c.Device, c.Index, c.Via = p.Device, link.Index, p.Via
	case opSysctl:
		was, err := output(sysctl, "-n", c.Name)
		if err != nil || was == c.Value {
			return c, false, err
		}
		c.Was = was
	case opTable:
		return c, false, fmt.Errorf("%w: nftables are Linux's; macOS has pf", ErrSystem)
	}
	return c, true, nil
}

func perform(c Change) error {
	switch c.Op {
	case opUp:
		return run(ifconfig, c.Device, "up")
	case opAddress:
		if err := run(ifconfig, addressArgs(c.Device, c.Net)...); err != nil || c.Net.IsSingleIP() {
			return err
		}
		return run(route, routeArgs("add", c)...)
	case opRoute, opHostRoute:
		return run(route, routeArgs("add", c)...)
	case opSysctl:
		return run(sysctl, "-w", c.Name+"="+c.Value)
	}
	return fmt.Errorf("%q is no change", c.Op)
}

func revert(c Change) error {
	if c.Op == opSysctl {
		now, err := output(sysctl, "-n", c.Name)
		if err != nil || now != c.Value {
			return err // somebody else has set it since
		}
		return run(sysctl, "-w", c.Name+"="+c.Was)
	}
	if link, err := net.InterfaceByName(c.Device); err != nil || link.Index != c.Index {
		return nil // it went, and all of this with it
	}
	switch c.Op {
	case opUp:
		return run(ifconfig, c.Device, "down")
	case opAddress:
		return run(ifconfig, c.Device, family(c.Net.Addr())[1:], c.Net.Addr().String(), "delete")
	case opRoute, opHostRoute:
		if err := run(route, routeArgs("delete", c)...); err != nil && !strings.Contains(err.Error(), "not in table") {
			return err
		}
		return nil
	}
	return fmt.Errorf("%q is no change", c.Op)
}

// addressArgs are those of ifconfig. A point-to-point device wants the other
// end's address too; there is none, and it gets the same.
func addressArgs(device string, p netip.Prefix) []string {
	a := p.Addr().String()
	if p.Addr().Is4() {
		return []string{device, "inet", a, a, "netmask", net.IP(net.CIDRMask(p.Bits(), 32)).String()}
	}
	return []string{device, "inet6", a, "prefixlen", strconv.Itoa(p.Bits())}
}

func routeArgs(verb string, c Change) []string {
	args := []string{"-n", verb, family(c.Net.Addr())}
	if c.Op == opHostRoute {
		args = append(args, "-host", c.Net.Addr().String())
	} else {
		args = append(args, "-net", c.Net.Masked().String())
	}
	if c.Via.IsValid() {
		return append(args, c.Via.String())
	}
	return append(args, "-interface", c.Device)
}
