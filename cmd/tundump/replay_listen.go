package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/decode"
	"tundump/replay"
	"tundump/replay/netstack"
	"tundump/replay/peer"
)

// clientFlags say for whom the recorded server is there, and how.
type clientFlags struct {
	listen    string
	once      bool
	unmatched string
	forward   string // HOST:PORT of --unmatched forward:HOST:PORT
	what      replay.Unmatched
}

func (c *clientFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&c.listen, "listen", "", "be the recorded server for clients that connect to this `ADDR`; without a host it is every address of this machine")
	fl.BoolVar(&c.once, "once", false, "with --listen: end when the first client has gone")
	fl.StringVar(&c.unmatched, "unmatched", "ignore", "with --listen: what becomes of what the recording does not have: ignore; rst, TCP is reset; icmp, port unreachable; forward:HOST:PORT, TCP and UDP go on to there")
}

// check finds what does not go together.
func (c *clientFlags) check(f *replayFlags) error {
	if c.listen == "" {
		if c.once || c.unmatched != "ignore" {
			return errors.New("replay: --once and --unmatched go with --listen")
		}
		return nil
	}
	if f.dir != decode.ClientToServer.String() || len(f.pace.changed()) > 0 || f.pick != (pickFlags{}) {
		return errors.New("replay: --listen answers what the client asks, when it asks: leave --dir, the pace and the selection out")
	}
	const forward = "forward:"
	switch {
	case c.unmatched == "ignore":
		c.what = replay.Ignore
	case c.unmatched == "rst":
		c.what = replay.Reset
	case c.unmatched == "icmp":
		c.what = replay.Unreachable
	case len(c.unmatched) > len(forward) && c.unmatched[:len(forward)] == forward:
		c.what, c.forward = replay.Forward, c.unmatched[len(forward):]
		if _, port, err := net.SplitHostPort(c.forward); err != nil || port == "" {
			return fmt.Errorf("replay: --unmatched %s: write forward:HOST:PORT", c.unmatched)
		}
	default:
		return fmt.Errorf("replay: --unmatched %s: there is ignore, rst, icmp and forward:HOST:PORT", c.unmatched)
	}
	return nil
}

// overClients is the recorded server until an interrupt, or the end of the
// first client.
func (f *replayFlags) overClients(cmd *cobra.Command, p *played) (err error) {
	o := replay.Options{Tunnel: f.tunnel, Rewrite: p.mapper.rewrite(decode.ServerToClient)}
	if o.Rules, err = replay.NewRules(f.compare.ignore, f.compare.match); err != nil {
		return usage(fmt.Errorf("replay: %w", err))
	}
	recorded, err := replay.NewResponder(p.rows, o)
	if err != nil {
		return usage(err)
	}
	p.plan, p.compared, p.dir = recorded.Plan(), recorded.Exchanges, decode.ServerToClient
	conf, err := p.configuration()
	if err != nil {
		return usage(err)
	}
	if p.stage.screen() { // without one it is said once the port is known
		if err := p.stage.announce(cmd.Context(), []string{p.serving(f.client.listen)}); err != nil {
			return err
		}
	}
	tap, err := f.report.tap(cmd, p)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", f.client.listen)
	if err != nil {
		return errors.Join(usage(listenError(f.client.listen, err)), tap.close())
	}
	if tap.wire != nil {
		ln = wireListener{ln, tap.wire}
	}
	return p.shown(cmd, tap, func(ctx context.Context) (replay.Report, error) {
		begin := time.Now()
		err := f.serveRecorded(ctx, cmd, p, recorded, conf, ln, tap)
		recorded.Wait()
		report := recorded.Report()
		report.Elapsed = time.Since(begin)
		return report, err
	})
}

// serveRecorded serves until an interrupt, or with --once the first client's
// end.
func (f *replayFlags) serveRecorded(ctx context.Context, cmd *cobra.Command, p *played, recorded *replay.Responder, conf *peer.Configuration, ln net.Listener, tap *replayTap) error {
	next := f.client.next()
	stack, err := netstack.New(netstack.Config{
		MTU: 1500, Flows: 1 << 16, FlowsPerSource: 1 << 16, Logger: p.log,
		Dial: func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
			return recorded.Dial(ctx, network, to.String(), next)
		},
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	dev := &replay.ResponderDevice{Responder: recorded, Stack: stack, Unmatched: f.client.what, Tap: func(sent bool, pkts [][]byte) { tap.packets(sent, pkts) }}
	dev.Start()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.client.once {
		ln = &onceListener{Listener: ln, over: cancel}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "tundump: replay: %s\n", p.serving(ln.Addr().String()))
	srv := &peer.Server{Configuration: conf, Device: dev, Logger: p.log, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if network == "udp" {
			return recorded.DialDatagrams(ctx, address)
		}
		if !recorded.HasStream(address) {
			recorded.Unmatched("TCP", address)
		}
		return recorded.Dial(ctx, network, address, next)
	}}
	return srv.Serve(ctx, ln)
}

// serving says what is answered.
func (p *played) serving(address string) string {
	return safe(fmt.Sprintf("%s as a server on %s: %s and %s are answered",
		p.file, address, count(int64(len(p.plan.Steps)), "packet"), count(int64(len(p.plan.Dialogues)), "connection")))
}

// next is what unmatched connections go on to, nil for nothing.
func (c *clientFlags) next() func(context.Context, string, string) (net.Conn, error) {
	if c.what != replay.Forward {
		return nil
	}
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, c.forward)
	}
}

// configuration is what the recorded server told its clients.
func (p *played) configuration() (*peer.Configuration, error) {
	var rec []byte
	for i := range p.plan.Tunnels {
		t := &p.plan.Tunnels[i]
		if t.Record != nil && (rec == nil || !assigns(rec) && assigns(t.Record)) {
			rec = t.Record
		}
	}
	if rec == nil {
		return nil, fmt.Errorf("replay: %s has no configuration that a client could be given: it has no tunnel, or was recorded from its middle on", p.file)
	}
	var first netip.Addr
	if len(p.flags.address) > 0 {
		list, err := parsePrefixes("--address", p.flags.address[:1], false)
		if err != nil {
			return nil, err
		}
		first = list[0].Addr()
	}
	return peer.RecordedConfiguration(rec, first)
}

// assigns reports whether a message has an address for the client.
func assigns(rec []byte) bool {
	var m decode.Message
	return m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: rec}) == nil &&
		len(peer.ParseAssigned(m.Configuration()).Addresses) > 0
}

// onceListener accepts one connection, and says when that is over.
type onceListener struct {
	net.Listener
	over func()
	once sync.Once
}

func (l *onceListener) Accept() (conn net.Conn, err error) {
	first := false
	l.once.Do(func() {
		first = true
		conn, err = l.Listener.Accept()
	})
	if !first {
		return l.Listener.Accept()
	}
	if err != nil {
		return nil, err
	}
	return &onceConn{conn, l.over}, nil
}

type onceConn struct {
	net.Conn
	over func()
}

func (c *onceConn) Close() error {
	defer c.over()
	return c.Conn.Close()
}

// printListened prints what came of being the recorded server.
func printListened(w io.Writer, r *replay.Report) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "requests\t%d, %d of them in the recording, %d changed; %d not in it\n", r.Received, r.Answered, r.Changed, r.Extra)
	fmt.Fprintf(tw, "answers\t%s, %s\n", count(r.Sent, "packet"), size(r.Bytes))
	fmt.Fprintf(tw, "connections\t%d, %d as recorded, %s came, %s sent\n", r.Flows, r.FlowsSame, size(r.FlowBytes[0]), size(r.FlowBytes[1]))
	fmt.Fprintf(tw, "not asked\t%d of the recorded requests and connections\n", r.Skipped)
	return tw.Flush()
}
