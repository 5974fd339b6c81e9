package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tundump/decode"
	"tundump/replay"
	"tundump/replay/peer"
	"tundump/replay/tun"
)

// network is what a device gets: its addresses, and what is reached through
// it.
type network struct {
	addresses []netip.Prefix
	routes    []netip.Prefix
}

// maxRoutes is how many single hosts are reached through a device because
// packets came from them.
const maxRoutes = 256

// overDevice plays into a TUN device.
func (f *replayFlags) overDevice(cmd *cobra.Command, p *played) error {
	net, err := p.prepare(f.tun.mtu)
	if err != nil {
		return err
	}
	net.addresses, net.routes = withoutIPv6(net.addresses, p.log), withoutIPv6(net.routes, p.log)
	if err := p.checkDestinations(net); err != nil {
		return err
	}
	mtu := f.tun.mtu
	if mtu == 0 {
		mtu = max(tun.DefaultMTU, p.plan.Largest)
	}
	if err := p.announce(cmd.Context(), fmt.Sprintf("a TUN device with %s, MTU %d", list(net.addresses), mtu)); err != nil {
		return err
	}
	tap, err := f.report.tap(cmd, p)
	if err != nil {
		return err
	}
	up, err := f.tun.open("replay", f.tun.options(mtu), p.log, nil, func(device string) []tun.Change {
		var changes []tun.Change
		for _, a := range net.addresses {
			changes = append(changes, tun.Address(device, a))
		}
		changes = append(changes, tun.Up(device))
		for _, r := range net.routes {
			changes = append(changes, tun.Route(device, r))
		}
		return changes
	})
	if err != nil {
		return errors.Join(err, tap.close())
	}
	if err := ready(cmd.Context(), net.addresses); err != nil {
		return errors.Join(err, tap.close(), up.close())
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "tundump: replay: device %s is up\n", up.dev.Name())
	err = p.against(cmd, &replay.DevicePeer{Device: up.dev, Tap: tap.packets, Resets: p.pace.Loops != 1}, tap)
	return errors.Join(err, up.close())
}

// ready waits until the system answers at the device's addresses. It has
// accepted them, but takes its time over those of IPv6, and drops what comes
// before.
func ready(ctx context.Context, addresses []netip.Prefix) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, a := range addresses {
		for {
			path, err := tun.PathTo(a.Addr())
			if err == nil && path.Local {
				break
			}
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("replay: the system does not take up the address %s of the device", a.Addr())
			}
		}
	}
	return nil
}

func list(nets []netip.Prefix) string {
	text := ""
	for i, n := range nets {
		if i > 0 {
			text += ", "
		}
		text += n.String()
	}
	return text
}

// prepare makes the plan and finds what network it is for.
func (p *played) prepare(mtu int) (net network, err error) {
	f := p.flags
	if net.addresses, err = parsePrefixes("--address", f.address, false); err != nil {
		return net, err
	}
	if net.routes, err = parsePrefixes("--route", f.route, true); err != nil {
		return net, err
	}
	if err := p.compile(mtu); err != nil {
		return net, err
	}
	recorded := p.recorded()
	if f.change.assigned {
		if err := p.assign(recorded, net.addresses); err != nil {
			return net, err
		}
		if err := p.compile(mtu); err != nil {
			return net, err
		}
	}
	if len(net.addresses) == 0 {
		if net.addresses, err = p.deviceAddresses(recorded); err != nil {
			return net, err
		}
	}
	if len(net.routes) == 0 {
		net.routes = p.ways(recorded, net.addresses)
	}
	p.near = net.addresses
	return net, nil
}

func parsePrefixes(flag string, texts []string, masked bool) (list []netip.Prefix, err error) {
	for _, s := range texts {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, usage(fmt.Errorf("replay: %s %s: write 10.8.0.1/24", flag, s))
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if masked {
			p = p.Masked()
		}
		list = append(list, p)
	}
	return list, nil
}

// recorded is what the recorded configurations assigned. Without any, it is the
// addresses that most of the client's packets came from or went to.
func (p *played) recorded() (all peer.Assigned) {
	for i := range p.plan.Tunnels {
		t := &p.plan.Tunnels[i]
		var m decode.Message
		if t.Record == nil || m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: t.Record}) != nil {
			continue
		}
		a := peer.ParseAssigned(m.Configuration())
		all.Addresses = append(all.Addresses, a.Addresses...)
		all.Routes = append(all.Routes, a.Routes...)
	}
	return all
}

// clients are the addresses that the client of a recording had, one a family:
// those of most of its packets.
func (p *played) clients() (list []netip.Prefix) {
	sum := make(map[netip.Addr]int64)
	for i := range p.plan.Tunnels {
		for a, n := range p.plan.Tunnels[i].Clients {
			sum[a] += n
		}
	}
	for _, a := range byCount(sum) {
		if usable(a) && !slices.ContainsFunc(list, func(q netip.Prefix) bool { return q.Addr().Is4() == a.Is4() }) {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return list
}

// usable reports whether a device can have the address or lead to it.
func usable(a netip.Addr) bool {
	return a.IsValid() && !a.IsLoopback() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast()
}

// deviceAddresses are those of the side that is not played: the client's, or a
// gateway's in its network.
func (p *played) deviceAddresses(recorded peer.Assigned) (list []netip.Prefix, err error) {
	own := recorded.Addresses
	if len(own) == 0 {
		if p.dir == decode.ClientToServer {
			return nil, usage(fmt.Errorf("replay: %s holds no configuration that assigns an address: say which one the device gets, with --address 10.8.0.1/24", p.file))
		}
		own = p.clients()
	}
	for _, o := range own {
		o = p.mapper.prefix(o)
		if !usable(o.Addr()) || o.Bits() == 0 {
			continue
		}
		if p.dir == decode.ServerToClient {
			list = append(list, netip.PrefixFrom(o.Addr(), o.Addr().BitLen()))
			continue
		}
		list = append(list, p.gateway(o))
	}
	if list = slices.Compact(list); len(list) == 0 {
		if len(own) == 0 {
			return nil, usage(fmt.Errorf("replay: %s names no address that a device can have: say which one it gets, with --address 10.8.0.1/24", p.file))
		}
		return nil, usage(fmt.Errorf("replay: %s names no address that a device can have, the client's is %s: put another in its place, with --map %s=10.8.0.2", p.file, own[0].Addr(), own[0].Addr()))
	}
	return list, nil
}

// gateway is the first address of the client's network that is not its own. A
// configuration that gives a single address says nothing of the network: then
// it is the neighbour that most packets go to, or the first one of the usual
// network around it.
func (p *played) gateway(client netip.Prefix) netip.Prefix {
	if client.Bits() < client.Addr().BitLen()-1 {
		return netip.PrefixFrom(firstBut(client), client.Bits())
	}
	around := netip.PrefixFrom(client.Addr(), 64)
	if client.Addr().Is4() {
		around = netip.PrefixFrom(client.Addr(), 24)
	}
	for _, d := range byCount(p.plan.Dests) {
		if around.Contains(d) && d != client.Addr() {
			return netip.PrefixFrom(d, d.BitLen())
		}
	}
	a := firstBut(around)
	return netip.PrefixFrom(a, a.BitLen())
}

// firstBut is the first host of a network, or the second if the first is the
// prefix's own address.
func firstBut(n netip.Prefix) netip.Addr {
	a := n.Masked().Addr().Next()
	if a == n.Addr() {
		a = a.Next()
	}
	return a
}

// ways are the routes into the device: to the client, or to the servers.
func (p *played) ways(recorded peer.Assigned, addresses []netip.Prefix) (routes []netip.Prefix) {
	add := func(a netip.Addr) {
		own := slices.ContainsFunc(addresses, func(d netip.Prefix) bool { return d.Contains(a) })
		if r := netip.PrefixFrom(a, a.BitLen()); usable(a) && !own && len(routes) < maxRoutes && !slices.Contains(routes, r) {
			routes = append(routes, r)
		}
	}
	if p.dir == decode.ClientToServer {
		clients := recorded.Addresses
		if len(clients) == 0 {
			clients = p.clients()
		}
		for _, c := range clients {
			add(p.mapper.addr(c.Addr()))
		}
		return routes
	}
	for _, a := range byCount(p.plan.Sources) {
		add(a)
	}
	return routes
}

// assign maps the recorded address of the device's end to the one it has now.
func (p *played) assign(recorded peer.Assigned, now []netip.Prefix) error {
	was, err := p.deviceAddresses(recorded)
	if err != nil {
		return err
	}
	for _, n := range now {
		for _, w := range was {
			if w.Addr().Is4() == n.Addr().Is4() {
				from := netip.PrefixFrom(w.Addr(), w.Addr().BitLen())
				if err := p.mapper.addrs.Add(from, netip.PrefixFrom(n.Addr(), n.Addr().BitLen())); err != nil {
					return usage(fmt.Errorf("replay: --assigned: %w", err))
				}
				p.mapper.changes = true
				break
			}
		}
	}
	if !p.mapper.changes {
		return usage(errors.New("replay: --assigned: to which address? give it with --address"))
	}
	return nil
}

// checkDestinations refuses to send where the device's own networks do not
// reach, unless that is asked for.
func (p *played) checkDestinations(net network) error {
	if p.flags.yes || len(p.flags.change.addrs) > 0 {
		return nil
	}
	var outside int64
	var first netip.Addr
	hosts := 0
	for _, d := range byCount(p.plan.Dests) {
		in := func(n netip.Prefix) bool { return n.Contains(d) }
		if slices.ContainsFunc(net.addresses, in) || slices.ContainsFunc(net.routes, in) {
			continue
		}
		if outside += p.plan.Dests[d]; hosts == 0 {
			first = d
		}
		hosts++
	}
	if outside += p.plan.MoreDests; outside == 0 {
		return nil
	}
	return usage(fmt.Errorf("replay: %s would go to %s outside %s, most of them to %s: give them others with --map OLD=NEW, or say --yes",
		count(outside, "packet"), count(int64(hosts), "destination"), list(net.addresses), first))
}
