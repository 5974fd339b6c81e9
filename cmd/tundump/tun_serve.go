package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tundump/replay/peer"
	"tundump/replay/tun"
)

// serve is serve --tun: it hands the clients' packets to the system.
func (t *tunFlags) serve(ctx context.Context, cmd *cobra.Command, ln net.Listener, conf *peer.Configuration, dialer *peer.Dialer, log *slog.Logger) error {
	gateways, nets := withoutIPv6(conf.Gateways(), log), withoutIPv6(conf.Networks(), slog.New(slog.DiscardHandler))
	up, err := t.open("serve", t.options(tun.DefaultMTU), log, nil, func(device string) []tun.Change {
		changes := deviceChanges(device, gateways, nets)
		if t.nat == natApply {
			changes = append(changes, natChanges(device, nets)...)
		}
		return changes
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	dns := listenDNS(dialer.Redirect, gateways, log) // a port below 1024
	if err := t.drop("serve", up); err != nil {
		dns.close()
		return errors.Join(err, ln.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	dns.start(ctx)
	fmt.Fprintf(cmd.ErrOrStderr(), "tundump: serving on %s, device %s, MTU %d\n", ln.Addr(), up.dev.Name(), up.dev.MTU())
	if t.nat == natPrint {
		printNAT(cmd.OutOrStdout(), up.dev.Name(), nets)
	}
	dev := &policed{Device: up.dev, dialer: dialer}
	for _, g := range gateways {
		dev.own = append(dev.own, g.Addr())
	}
	srv := &peer.Server{Configuration: conf, Device: dev, Dial: dialer.DialContext, Logger: log}
	err = srv.Serve(ctx, ln)
	cancel()
	dns.close()
	return errors.Join(err, up.close())
}

// deviceChanges gives the device the gateways' addresses, which lead their
// networks into it, and leads the networks into it that have none.
func deviceChanges(device string, gateways, nets []netip.Prefix) []tun.Change {
	var changes []tun.Change
	for _, g := range gateways {
		changes = append(changes, tun.Address(device, g))
	}
	changes = append(changes, tun.Up(device))
	for _, n := range nets {
		if !slices.ContainsFunc(gateways, func(g netip.Prefix) bool { return g.Masked() == n }) {
			changes = append(changes, tun.Route(device, n))
		}
	}
	return changes
}

// policed is a device that drops what clients must not reach: the same that
// the user-space stack refuses.
type policed struct {
	*tun.Device
	dialer *peer.Dialer
	own    []netip.Addr // of the gateways, which clients do reach
}

// Write hands on what may pass.
func (d *policed) Write(pkts [][]byte) (int, error) {
	from := 0
	for i, p := range pkts {
		if d.passes(p) {
			continue
		}
		if n, err := d.Device.Write(pkts[from:i]); err != nil {
			return from + n, err
		}
		from = i + 1
	}
	n, err := d.Device.Write(pkts[from:])
	return from + n, err
}

func (d *policed) passes(p []byte) bool {
	var to netip.Addr
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		to = netip.AddrFrom4([4]byte(p[16:20]))
	case len(p) >= 40 && p[0]>>4 == 6:
		to = netip.AddrFrom16([16]byte(p[24:40]))
	default:
		return false
	}
	return slices.Contains(d.own, to) || d.dialer.Check(to) == nil
}

// natChanges lets the clients out into other networks, under this machine's
// address.
func natChanges(device string, nets []netip.Prefix) []tun.Change {
	var changes []tun.Change
	for _, s := range forwarding(nets) {
		changes = append(changes, tun.Sysctl(s[0], s[1]))
	}
	return append(changes, tun.Table(natTable(device), natBody(device, nets)))
}

// forwarding returns the kernel variables that forwarding needs.
func forwarding(nets []netip.Prefix) [][2]string {
	var vars [][2]string
	for _, n := range nets {
		if n.Addr().Is4() {
			vars = append(vars, [2]string{"net.ipv4.ip_forward", "1"})
			continue
		}
		// A router takes no router advertisements any more, and would lose
		// its own default route: 2 says that it takes them all the same.
		if uplink, ok := tun.Advertised(); ok {
			vars = append(vars, [2]string{"net/ipv6/conf/" + uplink + "/accept_ra", "2"})
		}
		vars = append(vars, [2]string{"net.ipv6.conf.all.forwarding", "1"})
	}
	return vars
}

func natTable(device string) string { return "tundump_" + device }

func natBody(device string, nets []netip.Prefix) string {
	var b strings.Builder
	b.WriteString("\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n")
	for _, n := range nets {
		family := "ip6"
		if n.Addr().Is4() {
			family = "ip"
		}
		fmt.Fprintf(&b, "\t\t%s saddr %s oifname != %q masquerade\n", family, n, device)
	}
	b.WriteString("\t}\n")
	return b.String()
}

// printNAT prints what --nat=apply does, for a shell.
func printNAT(w interface{ Write([]byte) (int, error) }, device string, nets []netip.Prefix) {
	for _, s := range forwarding(nets) {
		fmt.Fprintf(w, "sysctl -w %s=%s\n", s[0], s[1])
	}
	fmt.Fprintf(w, "nft -f - <<'END'\n%sEND\n", tun.Rules(natTable(device), natBody(device, nets)))
}
