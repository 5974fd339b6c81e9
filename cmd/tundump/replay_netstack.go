package main

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/spf13/cobra"

	"tundump/decode"
	"tundump/replay"
	"tundump/replay/netstack"
)

// overNetstack plays into a user-space stack.
func (f *replayFlags) overNetstack(cmd *cobra.Command, p *played) error {
	if p.dir == decode.ServerToClient {
		return f.intoClient(cmd, p)
	}
	if err := p.compile(f.tun.mtu); err != nil {
		return err
	}
	world, err := startInternet()
	if err != nil {
		return err
	}
	services := anywhere{world}
	dev, err := netstack.New(netstack.Config{MTU: p.stackMTU(), Dial: services.dial, Echo: services.echo, Flows: 1 << 16, FlowsPerSource: 1 << 16})
	if err != nil {
		return errors.Join(err, world.close())
	}
	err = p.overStack(cmd, dev, "a user-space stack with its own services")
	return errors.Join(err, dev.Close(), world.close())
}

// intoClient plays what the server sent into a stack with the client's
// addresses.
func (f *replayFlags) intoClient(cmd *cobra.Command, p *played) error {
	net, err := p.prepare(f.tun.mtu)
	if err != nil {
		return err
	}
	dev, err := netstack.New(netstack.Config{MTU: p.stackMTU(), Addresses: net.addresses})
	if err != nil {
		return err
	}
	err = p.overStack(cmd, dev, "a user-space stack with "+list(net.addresses))
	return errors.Join(err, dev.Close())
}

func (p *played) overStack(cmd *cobra.Command, dev replay.Device, into string) error {
	if err := p.announce(cmd.Context(), into); err != nil {
		return err
	}
	tap, err := p.flags.report.tap(cmd, p)
	if err != nil {
		return err
	}
	return p.against(cmd, &replay.DevicePeer{Device: dev, Tap: tap.packets, Senders: byCount(p.plan.Sources)}, tap)
}

// stackMTU is the size of the packets that the stack sends.
func (p *played) stackMTU() int {
	const least, usual, most = 1280, 1500, 65535
	if p.flags.tun.mtu > 0 {
		return min(max(p.flags.tun.mtu, least), most)
	}
	return min(max(usual, p.plan.Largest), most)
}

// anywhere has the demo's services at every address.
type anywhere struct{ world *demoInternet }

// dial reaches the service on that port, wherever it was looked for.
func (a anywhere) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	at := demoWeb6
	if to.Addr().Is4() {
		at = demoWeb4
	}
	return a.world.uplink.DialContext(ctx, network, netip.AddrPortFrom(at, to.Port()).String())
}

// echo answers for every address.
func (a anywhere) echo(context.Context, netip.Addr, []byte) error { return nil }
