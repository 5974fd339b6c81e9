package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/decode"
	"tundump/replay"
	"tundump/replay/netstack"
	"tundump/replay/peer"
)

// serverFlags say which server is played against, and how.
type serverFlags struct {
	to      string
	flows   bool
	timeout time.Duration
}

func (s *serverFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&s.to, "to", "", "play the client's side against the server at this address, `HOST:PORT` or bonjour:NAME")
	fl.BoolVar(&s.flows, "flows", false, "with --to: open the recorded TCP connections again, those of app proxies among them (with -Y, those of which something passes), say what the client said, and compare what comes byte for byte")
	fl.DurationVar(&s.timeout, "timeout", 10*time.Second, "with --to: how long to wait for a connection, and for the answer to Open")
}

// check finds what does not go together.
func (s *serverFlags) check(f *replayFlags) error {
	if s.to == "" {
		if s.flows {
			return errors.New("replay: --flows goes with --to")
		}
		return nil
	}
	switch {
	case f.dir != decode.ClientToServer.String():
		return errors.New("replay: --to plays the client's side: leave --dir out")
	case len(f.address) > 0:
		return errors.New("replay: --address is a device's; with --to the server assigns one")
	case s.timeout <= 0:
		return fmt.Errorf("replay: --timeout %s: it is more than 0", s.timeout)
	}
	if err := checkServer(s.to); err != nil {
		return fmt.Errorf("replay: --to: %w", err)
	}
	return nil
}

// skipped says what is not sent.
func (s *serverFlags) skipped(plan *replay.Plan) (notes []string) {
	if plan.SkippedTCP > 0 && !s.flows {
		notes = append(notes, fmt.Sprintf("%s left out: TCP inside the tunnel cannot be sent again as packets, --flows opens the connections again", count(plan.SkippedTCP, "TCP segment")))
	}
	if n := plan.LargeDialogues; n > 0 {
		notes = append(notes, fmt.Sprintf("%s left out: what they carry does not fit into memory", count(n, "connection")))
	}
	if n := plan.LostDialogues; n > 0 {
		notes = append(notes, fmt.Sprintf("%s left out: they were not captured whole", count(n, "connection")))
	}
	return notes
}

// steps says what is sent.
func steps(plan *replay.Plan) string {
	messages := planMessages(plan)
	packets := int64(len(plan.Steps)) - messages
	text := count(packets, "packet")
	switch {
	case messages > 0 && packets == 0:
		text = count(messages, "message")
	case messages > 0:
		text = count(messages, "message") + " and " + text
	}
	if n := len(plan.Dialogues); n > 0 {
		text += ", and opening " + count(int64(n), "connection")
	}
	return text
}

// planMessages counts the steps that are messages without packets.
func planMessages(plan *replay.Plan) (n int64) {
	for i := range plan.Steps {
		if plan.Steps[i].Index < 0 {
			n++
		}
	}
	return n
}

// overServer plays against a live server.
func (f *replayFlags) overServer(cmd *cobra.Command, p *played) error {
	if err := p.compile(0); err != nil {
		return err
	}
	if err := p.checkTunnels(); err != nil {
		return usage(err)
	}
	if err := p.announce(cmd.Context(), "a tunnel with "+f.server.to); err != nil {
		return err
	}
	tap, err := f.report.tap(cmd, p)
	if err != nil {
		return err
	}
	player := peer.NewPlayer(peer.PlayerConfig{
		Dial: func(ctx context.Context) (net.Conn, error) {
			c, err := dialServer(ctx, f.server.to)
			if err != nil || tap.wire == nil {
				return c, err
			}
			return tap.wire.client(c), nil
		},
		Tunnels: p.plan.Tunnels,
		Map:     p.mapper.addr,
		Stack: func(addrs []netip.Prefix) (peer.FlowStack, error) {
			return netstack.New(netstack.Config{Addresses: addrs, Logger: p.log})
		},
		Timeout: f.server.timeout,
		Tap:     tap.items,
	})
	err = p.against(cmd, player, tap)
	for _, n := range player.Notes() {
		fmt.Fprintf(cmd.ErrOrStderr(), "tundump: replay: %s\n", safe(n))
	}
	return err
}

// checkTunnels finds what a server cannot be asked.
func (p *played) checkTunnels() error {
	carries := make(map[uint32]bool)
	for i := range p.plan.Steps {
		s := &p.plan.Steps[i]
		if s.Tunnel == 0 {
			return fmt.Errorf("replay: %s has packets without a tunnel, which no server takes: play them with --tun or --netstack", p.file)
		}
		carries[s.Tunnel] = carries[s.Tunnel] || s.Index >= 0
	}
	for _, d := range p.plan.Dialogues {
		if d.Tunnel == 0 {
			return fmt.Errorf("replay: %s has connections without a tunnel, which no server takes", p.file)
		}
		carries[d.Tunnel] = carries[d.Tunnel] || !d.Message
	}
	for i := range p.plan.Tunnels {
		t := &p.plan.Tunnels[i]
		var m decode.Message
		if !carries[t.Number] {
			continue
		}
		if t.Record == nil || m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: t.Record}) != nil ||
			len(peer.ParseAssigned(m.Configuration()).Addresses) == 0 {
			return fmt.Errorf("replay: %s: tunnel %d carries packets, and there is no configuration that says which address the client had: it was recorded from its middle on", p.file, t.Number)
		}
	}
	return nil
}

// items takes what was sent and came over a tunnel: the packets.
func (t *replayTap) items(sent bool, items []replay.Item) {
	pkts := make([][]byte, 0, len(items))
	for i := range items {
		if items[i].Kind == decode.Packet {
			pkts = append(pkts, items[i].Data)
		}
	}
	if len(pkts) > 0 {
		t.packets(sent, pkts)
	}
}
