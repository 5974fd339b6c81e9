package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tundump/capture"
	"tundump/capture/intercept"
	"tundump/capture/proxy"
	"tundump/capture/sniff"
	"tundump/decode"
)

// proxyFlags are those of tundump proxy.
type proxyFlags struct {
	listen   string
	upstream string
	announce string
	drop     string
	inject   string
	ui       uiFlags
	print    printFlags
	record   recordFlags
	log      logFlags
}

func proxyCommand() *cobra.Command {
	var f proxyFlags
	c := &cobra.Command{
		Use:   "proxy --upstream HOST:PORT",
		Short: "relay tunnels between client and server, and show what passes",
		Long: `Accepts SimpleTunnel clients, connects each to the server, relays every byte,
and prints every framed message and the IP packets inside. What it does not
understand it passes on untouched. With -w it records a capture that Wireshark,
tshark and tcpdump open without a plug-in.`,
		Example: `  tundump proxy --listen :8890 --upstream tunnel.example:8890 -w session.pcapng
  tundump proxy --listen :8890 --upstream tunnel.example:8890 --tui
  tundump proxy --listen :8890 --announce "My Tunnel" --upstream 10.0.0.5:8890
  tundump proxy --upstream 10.0.0.5:8890 -q -w day-%F.pcapng -G 86400 --keep 50GiB --log-format json
  tundump proxy --upstream 10.0.0.5:8890 -T json | jq .
  tundump proxy --upstream 10.0.0.5:8890 -w - | wireshark -k -i -
  tundump proxy --upstream 10.0.0.5:8890 --drop 'tunnel.command.name == "Suspend" || udp.dstport == 53'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8890", "address to accept clients on; :8890 is every address of this machine")
	fl.StringVar(&f.upstream, "upstream", "", "the server, HOST:PORT, or bonjour:NAME for one on the local network")
	fl.StringVar(&f.announce, "announce", "", "let clients on the local network find the proxy by a name (DNS-SD, Bonjour)")
	fl.StringVar(&f.drop, "drop", "", "drop the messages that match this display filter, or that carry a packet that matches")
	fl.StringVar(&f.inject, "inject", "", "file of records that are sent to the server behind the client's first message, in every tunnel; s2c:FILE sends them to the client behind the server's first")
	f.record.register(fl)
	f.print.register(fl)
	f.log.register(fl)
	f.ui.register(fl)
	return c
}

func (f *proxyFlags) run(cmd *cobra.Command) error {
	held, err := f.ui.start(cmd, false, &f.record)
	if err != nil {
		return err
	}
	err = f.relay(cmd, held != nil)
	return errors.Join(err, held.release())
}

// relay listens and relays; screen says that the terminal UI shows it.
func (f *proxyFlags) relay(cmd *cobra.Command, screen bool) error {
	if f.upstream == "" {
		return usage(errors.New("proxy: --upstream is missing: name the server, HOST:PORT"))
	}
	if err := checkServer(f.upstream); err != nil {
		return usage(fmt.Errorf("proxy: --upstream: %w", err))
	}
	if f.announce != "" && strings.EqualFold(f.upstream, bonjourPrefix+f.announce) {
		return usage(errors.New("proxy: --announce and --upstream are the same name: the proxy would find itself"))
	}
	log, err := f.log.logger(cmd)
	if err != nil {
		return err
	}
	chain, err := f.interceptors(cmd.InOrStdin())
	if err != nil {
		return err
	}
	start, err := f.recording(cmd, log, screen)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", f.listen)
	if err != nil {
		return usage(listenError(f.listen, err))
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	l, err := start(cancel) // before anybody is told of the listener, but not for one that cannot be had: a file may be replaced
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	stop, err := announce(ctx, f.announce, ln, log)
	if err != nil {
		return errors.Join(err, l.close(), ln.Close())
	}
	defer stop()
	if f.log.json() {
		log.Info("listening", "listener", ln.Addr().String(), "upstream", f.upstream)
	} else {
		fmt.Fprintf(cmd.ErrOrStderr(), "tundump: listening on %s, upstream %s\n", ln.Addr(), safe(f.upstream))
	}
	return f.serve(ctx, cancel, cmd, ln, l, chain, nil, log)
}

// serve relays clients of ln until ctx is done, which cancel does when there
// is nothing more to write, and prints the summary. It owns ln and l. closed,
// if not nil, is called whenever a tunnel is over.
func (f *proxyFlags) serve(ctx context.Context, cancel func(), cmd *cobra.Command, ln net.Listener, l *live, chain intercept.Interceptor, closed func(), log *slog.Logger) error {
	var tap capture.Tap = l.recorder
	if closed != nil {
		tap = closeWatcher{tap, closed}
	} else if f.print.quiet {
		tap = tunnelLog{tap, log}
	}
	superviseRecording(ctx, l.recorder, f.record.isFile(), cancel, log)
	conf := proxy.Config{Upstream: f.upstream, Tap: tap, Logger: log}
	if strings.HasPrefix(f.upstream, bonjourPrefix) {
		// As the proxy's own dialer: no keep-alive probes.
		conf.Dial = (&serverDialer{net.Dialer{Timeout: connectTimeout, KeepAlive: -1}}).DialContext
	}
	p := proxy.New(conf)
	p.SetChain(chain)
	shown := l.show(ctx, cancel, sniff.Options{}, cmd.ErrOrStderr())
	err := p.Serve(ctx, ln)
	cancel()
	err = errors.Join(err, <-shown, l.close())
	stats := l.recorder.Stats()
	lost := stats.Losses()
	if f.log.json() {
		logSummary(log, l.summary, lost)
	} else {
		writeSummary(cmd.ErrOrStderr(), l.summary, &lost)
		writeMatched(cmd.ErrOrStderr(), l.printer)
	}
	return err
}

// closeWatcher tells when a tunnel is over, after its tap knows.
type closeWatcher struct {
	capture.Tap
	closed func()
}

func (w closeWatcher) Offer(b *capture.Batch) {
	w.Tap.Offer(b)
	for i := range b.Events {
		if b.Events[i].Kind == decode.Closed {
			w.closed()
		}
	}
}

// recording checks the flags of what stands behind the proxy, the recorder and
// the screen or, unless -q, the printer. start starts it.
func (f *proxyFlags) recording(cmd *cobra.Command, log *slog.Logger, screen bool) (start func(enough func()) (*live, error), err error) {
	po, err := f.print.outputOptions()
	if err != nil {
		return nil, err
	}
	ro, err := f.record.options(cmd.OutOrStdout(), log)
	if err != nil {
		return nil, err
	}
	if f.record.path == "-" {
		f.print.quiet = true
	}
	if screen {
		return func(func()) (*live, error) { return startShown(ro, po.DecodeAs) }, nil
	}
	printer := f.print.printer(cmd.OutOrStdout(), po)
	return func(enough func()) (*live, error) { return startLive(ro, printer, enough) }, nil
}

// interceptors returns what --drop and --inject ask for; nil for nothing.
func (f *proxyFlags) interceptors(stdin io.Reader) (intercept.Interceptor, error) {
	var chain intercept.Chain
	if f.inject != "" {
		i, err := injection(f.inject, stdin)
		if err != nil {
			return nil, usage(fmt.Errorf("--inject: %w", err))
		}
		chain = append(chain, i)
	}
	if f.drop != "" {
		match, err := dropFilter(f.drop)
		if err != nil {
			return nil, usage(fmt.Errorf("--drop: %w", err))
		}
		chain = append(chain, intercept.DropIf(match))
	}
	if len(chain) == 0 {
		return nil, nil
	}
	return chain, nil
}

// maxInject bounds the file of --inject.
const maxInject = 64 << 20

// injection reads "FILE" or "c2s:FILE" or "s2c:FILE".
func injection(arg string, stdin io.Reader) (intercept.Interceptor, error) {
	dir, path := decode.ClientToServer, arg
	if rest, ok := strings.CutPrefix(arg, "s2c:"); ok {
		dir, path = decode.ServerToClient, rest
	} else if rest, ok := strings.CutPrefix(arg, "c2s:"); ok {
		path = rest
	}
	var from io.Reader = stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	b, err := io.ReadAll(io.LimitReader(from, maxInject+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxInject {
		return nil, fmt.Errorf("%s is over %s", path, size(maxInject))
	}
	records, err := intercept.Records(b)
	if err == nil && len(records) == 0 {
		err = errors.New("there is no record in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return intercept.InjectBehindFirst(dir, records), nil
}

// listenError says what a listener's error means, in one line.
func listenError(addr string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("cannot listen on %s: %w; choose another with --listen", addr, err)
}
