package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tundump/replay/peer"
	"tundump/replay/tun"
)

// overhead is what Apple's client takes off the link's MTU for its tunnel:
// tunnelOverheadBytes in PacketTunnelProvider.swift.
const overhead = 150

// carry takes this machine's packets through the tunnel until ctx, the tunnel
// or the device ends, and undoes whatever that took.
func (t *tunFlags) carry(ctx context.Context, cmd *cobra.Command, c *peer.Client, server netip.Addr, a peer.Assigned, log *slog.Logger) error {
	path, err := tun.PathTo(server)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	a.Addresses = withoutIPv6(a.Addresses, log)
	if err := checkAssigned(a.Addresses); err != nil {
		return err
	}
	routes := tunnelRoutes(a, server, log)
	o := t.options(min(max(path.MTU-overhead, tun.MinMTU), tun.MaxMTU))
	up, err := t.open("connect", o, log, []tun.Change{tun.HostRoute(server)}, func(device string) []tun.Change {
		var changes []tun.Change
		for _, p := range a.Addresses {
			changes = append(changes, tun.Address(device, p))
		}
		changes = append(changes, tun.Up(device))
		for _, r := range routes {
			changes = append(changes, tun.Route(device, r))
		}
		return changes
	})
	if err != nil {
		return err
	}
	if err := t.drop("connect", up); err != nil {
		return err
	}
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "tundump: connected: device %s, MTU %d\n", up.dev.Name(), up.dev.MTU())
	printDNS(w, up.dev.Name(), a)
	if err = c.Carry(ctx, up.dev); err != nil {
		err = fmt.Errorf("connect: %w", err)
	}
	return errors.Join(err, up.close())
}

// checkAssigned refuses addresses that no interface can have. The system takes
// some of them, and then misroutes its own traffic.
func checkAssigned(addrs []netip.Prefix) error {
	if len(addrs) == 0 {
		return errors.New("connect: the server assigned no address that this system can take")
	}
	for _, p := range addrs {
		if a := p.Addr(); a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || p.Bits() == 0 {
			return fmt.Errorf("connect: the server assigned %s, which no device can have", p)
		}
	}
	return nil
}

// tunnelRoutes returns what goes into the tunnel: the routes that the server
// names and its DNS servers, or everything of the families that it assigned an
// address of. The server itself is never among them, nor is what never leaves
// a machine or its link.
func tunnelRoutes(a peer.Assigned, server netip.Addr, log *slog.Logger) []netip.Prefix {
	server = server.Unmap()
	assigned := func(v4 bool) bool {
		return slices.ContainsFunc(a.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() == v4 })
	}
	wanted := slices.Clone(a.Routes)
	if len(wanted) == 0 {
		wanted = append(wanted, netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0))
		if !assigned(false) {
			log.Warn("IPv6 goes past the tunnel: the server assigned no IPv6 address")
		}
	} else {
		for _, d := range a.DNS {
			wanted = append(wanted, netip.PrefixFrom(d, d.BitLen()))
		}
	}
	var routes []netip.Prefix
	for _, w := range wanted {
		addr := w.Addr()
		switch {
		case !assigned(addr.Is4()):
		case addr == server && w.IsSingleIP():
		case addr.IsLoopback() || addr.IsMulticast() || addr.IsLinkLocalUnicast():
			log.Warn("route left out: it stays on this machine or its link", "route", w)
		default:
			routes = append(routes, tun.Halves(w)...)
		}
	}
	slices.SortFunc(routes, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(routes)
}

// printDNS prints the line that would make the system ask the tunnel's DNS
// servers. It has nothing in it that a shell would take for something else.
func printDNS(w io.Writer, device string, a peer.Assigned) {
	if len(a.DNS) == 0 {
		return
	}
	var servers, domains []string
	for _, d := range a.DNS {
		servers = append(servers, d.String())
	}
	for _, s := range a.SearchDomains {
		if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == "" && s[0] != '-' {
			domains = append(domains, s)
		}
	}
	line := "resolvectl dns " + device + " " + strings.Join(servers, " ")
	switch {
	case runtime.GOOS == "darwin":
		line = "networksetup -setdnsservers Wi-Fi " + strings.Join(servers, " ")
	case len(a.Routes) == 0:
		line += " && resolvectl domain " + device + " " + strings.Join(append(domains, "'~.'"), " ")
	case len(domains) > 0:
		line += " && resolvectl domain " + device + " " + strings.Join(domains, " ")
	}
	fmt.Fprintf(w, "tundump: the system's DNS is as it was; to use the tunnel's: %s\n", line)
}
