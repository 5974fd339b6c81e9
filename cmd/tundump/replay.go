package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/rewrite"
	"tundump/replay"
)

// replayFlags are those of tundump replay.
type replayFlags struct {
	tun      tunFlags
	netstack bool
	server   serverFlags
	client   clientFlags
	dir      string
	tunnel   uint32
	address  []string
	route    []string
	yes      bool
	source   sourceFlags
	pace     paceFlags
	pick     pickFlags
	change   changeFlags
	compare  compareFlags
	report   reportFlags
	ui       uiFlags
	log      logFlags
}

func replayCommand() *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay FILE (--tun [NAME] | --netstack | --to HOST:PORT | --listen ADDR)",
		Short: "send a recorded session again, and compare the answers",
		Long: `Plays a recorded session again, at the recorded pace or another, and compares
what comes back with what came back then. It takes any file that read takes.

With --tun the packets enter this system through a TUN device, which needs
root or CAP_NET_ADMIN: with --dir c2s, those that the client sent, as if it were
behind the device; with --dir s2c, those that the server sent, and the device
gets the client's address. With --netstack they enter a user-space stack with a
name server and a web server of its own, which needs no privileges.

With --to the client's side is played against a live server: a connection for
each recorded tunnel, the recorded messages with new identifiers, the recorded
packets with the address that the server assigns now. What the server answers is
put into the recording's words and compared. Inner TCP is left out: its sequence
numbers are the server's to choose. With --flows each recorded TCP connection is
opened again through the tunnel instead, and each connection of an app proxy:
what the client said is said in its turn, and what comes must be the same bytes.

With --listen it is the recorded server, for a live client: Open and
FetchConfiguration are answered with the recorded configuration, and what the
client asks with what was recorded: echo by address, DNS by address and
question, UDP by address and port in the recorded order, TCP and app-proxy
connections by address and port and by what the client says first. It ends at
an interrupt, or with --once when the first client has gone.

ICMP echo is matched by its numbers, DNS by identifier and name, the first
segment of TCP by the SYN, ACK or reset that answers it, other UDP by its
addresses and ports. TCP beyond that is sent as it was recorded; what comes of
it is not compared, because sequence numbers are the other side's to choose.
Where a session is played several times, the TCP connections that a host took
up are reset after each time: else it would not answer the same SYN again.

The exit code is 0 if all answers came and were the same, 1 if not, 2 if it
could not be tried. SIGUSR1 pauses, SIGCONT resumes.`,
		Example: `  tundump replay session.pcapng --netstack
  tundump replay session.pcapng --tun -x 10 --map 93.184.216.34=10.8.0.1
  tundump replay session.pcapng --tun --dir s2c -Y dns --report junit=replay.xml
  tundump replay inner.pcap --netstack -t -l 50 -w again.pcapng
  tundump replay session.pcapng --to tunnel.example:8890 --flows --pace answer
  tundump replay session.pcapng --listen 127.0.0.1:8890 --once --unmatched icmp`,
		Args: f.tun.args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	f.register(fl)
	f.source.register(fl)
	fl.BoolVar(&f.ui.on, "tui", false, "show the answers, recorded and now side by side, what comes and the recording in the terminal UI, until q; P pauses, . steps, ( and ) change the speed, R goes to a row")
	f.log.register(fl)
	return c
}

// register registers what says how something is played, not what and where it
// is shown.
func (f *replayFlags) register(fl *pflag.FlagSet) {
	f.tun.registerReplay(fl)
	fl.BoolVar(&f.netstack, "netstack", false, "play against a user-space stack with services of its own; needs no root")
	f.server.register(fl)
	f.client.register(fl)
	fl.StringVar(&f.dir, "dir", "c2s", "whose packets are sent: c2s, the client's, or s2c, the server's")
	fl.Uint32Var(&f.tunnel, "tunnel", 0, "play this tunnel only, the `N` of TN")
	fl.StringArrayVar(&f.address, "address", nil, "address of the device, 10.8.0.1/24; repeatable; default: by the recorded configuration")
	fl.StringArrayVar(&f.route, "route", nil, "network that is reached through the device; repeatable; default: what the packets come from")
	fl.BoolVarP(&f.yes, "yes", "y", false, "send to destinations outside the device's own networks too")
	f.pace.register(fl)
	f.pick.register(fl)
	f.change.register(fl)
	f.compare.register(fl)
	f.report.register(fl)
}

// registerReplay registers what replay has of a device.
func (t *tunFlags) registerReplay(fl *pflag.FlagSet) {
	fl.StringVar(&t.name, "tun", "", "send into a TUN device `NAME` of this system, which needs root or CAP_NET_ADMIN; without a name the system chooses")
	fl.Lookup("tun").NoOptDefVal = chooseName
	fl.StringVar(&t.driver, "tun-driver", driverWater, "with --tun: water, or wireguard (Linux)")
	fl.IntVar(&t.mtu, "mtu", 0, "largest packet of the device, in bytes (1500, or the largest that was recorded); larger ones are fragmented, or where they must not be, answered with ICMP too big")
}

// takeFile finds the capture and the device's name: "--tun NAME FILE", in any
// order. The file is the one that is there.
func (f *replayFlags) takeFile(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	if isFile(args[1]) && !isFile(args[0]) {
		args[0], args[1] = args[1], args[0]
	}
	f.tun.name = args[1]
	return args[0]
}

// played is a recording that is ready to be played.
type played struct {
	flags    *replayFlags
	stage    stage
	file     string // its name, for people
	rows     rowsOf
	dir      decode.Direction
	mapper   *mapper
	plan     *replay.Plan
	compared func() replay.Exchanges // of the plan; for a screen
	pace     replay.Pace
	near     []netip.Prefix // the device's addresses, once they are known
	unsaved  error          // why a report is in no file
	log      *slog.Logger
}

// stage is where a replay says what it is about to do, and where it is seen.
type stage interface {
	// announce says what would be sent where, a line each, before anything is.
	// The error is why nothing is to be.
	announce(ctx context.Context, lines []string) error
	// screen reports whether there is one, for which all must be recorded and
	// whose keys steer.
	screen() bool
	// show has play play, and shows what tap records of it if there is a
	// screen; until the screen is left.
	show(ctx context.Context, p *played, tap *replayTap, play player) (replay.Report, error)
}

// player plays to the end, or until ctx is done.
type player func(ctx context.Context) (replay.Report, error)

// printed is the stage of a replay without a screen.
type printed struct{ w io.Writer }

func (s printed) announce(_ context.Context, lines []string) error {
	for _, l := range lines {
		fmt.Fprintf(s.w, "tundump: replay: %s\n", l)
	}
	return nil
}

func (printed) screen() bool { return false }

func (printed) show(ctx context.Context, _ *played, _ *replayTap, play player) (replay.Report, error) {
	return play(ctx)
}

func (f *replayFlags) run(cmd *cobra.Command, args []string) (err error) {
	file := f.takeFile(args)
	held, err := f.ui.start(cmd, false, &recordFlags{path: f.report.capture})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.release()) }()
	log, err := f.log.logger(cmd)
	if err != nil {
		return err
	}
	p := &played{flags: f, file: file, log: log}
	if err := f.check(p); err != nil {
		return err
	}
	if err := f.report.spare(file); err != nil {
		return err
	}
	o, err := f.source.options()
	if err != nil {
		return err
	}
	c, err := openWhole(cmd, file, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	p.rows = allRows(c.Store())
	if p.stage = (printed{cmd.ErrOrStderr()}); held != nil {
		p.stage = &ownScreen{printed{held}, held, file, c, o}
	}
	return f.play(cmd, p)
}

// play plays what is ready, in the way that the flags choose.
func (f *replayFlags) play(cmd *cobra.Command, p *played) error {
	switch {
	case f.netstack:
		return f.overNetstack(cmd, p)
	case f.server.to != "":
		return f.overServer(cmd, p)
	case f.client.listen != "":
		return f.overClients(cmd, p)
	}
	return f.overDevice(cmd, p)
}

// check finds what cannot be, before anything is read or done, and says in p
// what is asked for.
func (f *replayFlags) check(p *played) (err error) {
	if p.mapper, err = f.change.mapper(); err != nil {
		return usage(fmt.Errorf("replay: %w", err))
	}
	ways := 0
	for _, on := range [...]bool{f.tun.on(), f.netstack, f.server.to != "", f.client.listen != ""} {
		if on {
			ways++
		}
	}
	switch {
	case ways > 1:
		return usage(errors.New("replay: --tun, --netstack, --to and --listen are different ways: choose one"))
	case ways == 0:
		return usage(errors.New("replay: into what? --tun takes a TUN device, --netstack a user-space stack, --to a server, --listen waits for a client"))
	case f.tun.mtu != 0 && !f.tun.on() && !f.netstack:
		return usage(errors.New("replay: --mtu goes with --tun and --netstack"))
	case f.tun.mtu != 0 && (f.tun.mtu < rewrite.MinMTU || f.tun.mtu > 65535):
		return usage(fmt.Errorf("replay: --mtu %d: from %d to 65535", f.tun.mtu, rewrite.MinMTU))
	case !f.tun.on() && (len(f.route) > 0 || f.tun.driver != driverWater):
		return usage(errors.New("replay: --route and --tun-driver go with --tun"))
	}
	if err := errors.Join(f.server.check(f), f.client.check(f)); err != nil {
		return usage(err)
	}
	switch f.dir {
	case decode.ClientToServer.String():
	case decode.ServerToClient.String():
		p.dir = decode.ServerToClient
	case "both":
		return usage(errors.New("replay: --dir both cannot be: a host drops packets that come from its own address; play c2s and then s2c"))
	default:
		return usage(fmt.Errorf("replay: --dir %s: there is c2s and s2c", f.dir))
	}
	if err := f.report.check(); err != nil {
		return err
	}
	mtu := f.tun.mtu
	if !f.tun.on() {
		f.tun.mtu = 0
	}
	err = f.tun.check("replay")
	f.tun.mtu = mtu
	return err
}

// rowsOf is the rows that a store had at one moment. It is a replay.Source.
type rowsOf struct {
	store       *store.Store
	first, last int // the one behind the last
}

func allRows(st *store.Store) rowsOf { return rowsOf{st, st.First(), st.Len()} }

func (r rowsOf) Len() int { return r.last - r.first }
func (r rowsOf) At(i int, buf []byte) (decode.Event, error) {
	return r.store.At(r.first+i, buf)
}

// compile makes the plan. Nothing is sent of what is larger than mtu.
func (p *played) compile(mtu int) error {
	f := p.flags
	o := replay.Options{Dir: p.dir, Tunnel: f.tunnel, MTU: mtu, Wait: f.compare.wait, Late: f.compare.late}
	var err error
	if o.Pace, err = f.pace.options(); err != nil {
		return usage(fmt.Errorf("replay: %w", err))
	}
	p.pace = o.Pace
	if o.Rules, err = replay.NewRules(f.compare.ignore, f.compare.match); err != nil {
		return usage(fmt.Errorf("replay: %w", err))
	}
	if o.Select, err = f.pick.selector(p.rows); err != nil {
		return usage(fmt.Errorf("replay: %w", err))
	}
	if f.server.to != "" {
		o.Messages, o.SkipTCP, o.Flows = true, true, f.server.flows
	}
	o.Rewrite = p.mapper.rewrite(p.dir)
	if mtu > 0 {
		o.Split, o.TooBig = split, p.tooBig
	}
	p.plan, err = replay.Compile(p.rows, o)
	if errors.Is(err, replay.ErrEmpty) {
		return usage(fmt.Errorf("replay: %s: nothing is left to send: no packet of the %s's that was selected", p.file, sender(p.dir)))
	}
	if err != nil {
		return usage(err)
	}
	p.compared = p.plan.Exchanges
	return nil
}

func sender(dir decode.Direction) string {
	if dir == decode.ServerToClient {
		return "server"
	}
	return "client"
}

// against sends, compares and reports.
func (p *played) against(cmd *cobra.Command, peer replay.Peer, tap *replayTap) error {
	return p.shown(cmd, tap, func(ctx context.Context) (replay.Report, error) {
		stop := p.flags.pace.steer(ctx, cmd, p.plan.Control, tap, p.stage.screen())
		defer stop()
		return replay.Play(ctx, p.plan, peer)
	})
}

// shown runs what plays, where it is to be seen, and reports.
func (p *played) shown(cmd *cobra.Command, tap *replayTap, play player) error {
	report, err := p.stage.show(cmd.Context(), p, tap, func(ctx context.Context) (replay.Report, error) {
		report, err := play(ctx)
		err = errors.Join(err, tap.finish())
		p.unsaved = p.flags.report.save(p, &report, err)
		return report, err
	})
	err = errors.Join(err, tap.close())
	return p.flags.report.print(cmd, p, &report, err)
}

// announce says in one line what is sent where, before it is.
func (p *played) announce(ctx context.Context, into string) error {
	plan := p.plan
	var lines []string
	if plan.Oversize > 0 {
		lines = append(lines, fmt.Sprintf("%s; the first is packet %d", tooLarge(plan), plan.FirstLarge))
	}
	if plan.Damaged > 0 {
		lines = append(lines, safe(fmt.Sprintf("%s of the recording cannot be read, the first is %s", count(plan.Damaged, "piece"), plan.FirstBroken)))
	}
	if plan.TCP > 0 {
		lines = append(lines, fmt.Sprintf("%s past a handshake, sent and not compared", count(plan.TCP, "TCP segment")))
	}
	lines = append(lines, p.flags.server.skipped(plan)...)
	lines = append(lines, safe(fmt.Sprintf("sending %s, %s, %s, into %s%s; %s expected",
		steps(plan), size(plan.Bytes), p.flags.pace.describe(plan), into, destinations(plan), count(int64(len(plan.Expected)), "answer"))))
	return p.stage.announce(ctx, lines)
}

// shownDestinations is how many are named in a line.
const shownDestinations = 3

func destinations(plan *replay.Plan) string {
	var parts []string
	list := byCount(plan.Dests)
	for _, a := range list[:min(len(list), shownDestinations)] {
		parts = append(parts, fmt.Sprintf("%s (%d)", a, plan.Dests[a]))
	}
	text := strings.Join(parts, ", ")
	if more := len(list) - shownDestinations; more > 0 {
		text += fmt.Sprintf(" and %s", count(int64(more), "other"))
	}
	if text == "" { // of messages alone
		return ""
	}
	return ", to " + text
}

// speed says at what rate n of something came in d.
func speed(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
