package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tundump/replay/netstack"
	"tundump/replay/peer"
)

// demoCheck is how long one kind of traffic may take to be answered.
const demoCheck = 20 * time.Second

const (
	demoPause = time.Second // between rounds, on a screen
	untilQuit = 1000 * time.Hour
)

func demoCommand() *cobra.Command {
	f := proxyFlags{}
	var duration time.Duration
	c := &cobra.Command{
		Use:   "demo",
		Short: "a server, the proxy, a client and real traffic, in one process",
		Long: `Starts a SimpleTunnel server, the dump proxy and a SimpleTunnel client over
user-space IP stacks, sends DNS, HTTP, a bulk TCP transfer, ICMP echo, IPv6 and
app-proxy flows through the tunnel, and prints every message and every packet.
It needs no root, no network and no configuration. On a terminal it shows the
terminal UI, and goes on until q; a flag about what is printed, or --no-tui, has
it print. Then it ends by itself: with 0 when everything was answered, else with
1 and the names of what was not.`,
		Example: `  tundump demo
  tundump demo --no-tui -w demo.pcapng
  tundump demo -q --for 10s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.demo(cmd, duration) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.DurationVar(&duration, "for", 0, "go on sending traffic for so long")
	f.record.register(fl)
	f.print.register(fl)
	f.log.register(fl)
	f.ui.register(fl)
	return c
}

// demo runs the server and the proxy until the client is done.
func (f *proxyFlags) demo(cmd *cobra.Command, duration time.Duration) error {
	if duration < 0 {
		return usage(fmt.Errorf("--for %s: a duration is not negative", duration))
	}
	held, err := f.ui.start(cmd, !asksToPrint(cmd), &f.record)
	if err != nil {
		return err
	}
	err = f.perform(cmd, duration, held != nil)
	return errors.Join(err, held.release())
}

// perform is the demo; screen says that the terminal UI shows it.
func (f *proxyFlags) perform(cmd *cobra.Command, duration time.Duration, screen bool) error {
	log, err := f.log.logger(cmd)
	if err != nil {
		return err
	}
	start, err := f.recording(cmd, log, screen)
	if err != nil {
		return err
	}
	world, err := startInternet()
	if err != nil {
		return err
	}
	defer world.close()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	serverAddr, err := startDemoServer(ctx, &wg, world)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l, err := start(cancel)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	f.upstream = serverAddr
	var pause time.Duration
	if screen { // there is time to look, and something to look at until q
		if pause = demoPause; duration == 0 {
			duration = untilQuit
		}
	}
	var results []demoResult
	closed := make(chan struct{})
	wg.Go(func() {
		if !screen {
			defer cancel() // the client's end is the demo's
		}
		results = runDemoClient(ctx, ln.Addr().String(), duration, pause, closed)
	})
	err = f.serve(ctx, cancel, cmd, ln, l, nil, func() {
		select {
		case closed <- struct{}{}:
		case <-ctx.Done():
		}
	}, log)
	wg.Wait()
	return errors.Join(err, reportDemo(cmd.ErrOrStderr(), results))
}

// startDemoServer serves tunnels on a loopback address until ctx is done.
func startDemoServer(ctx context.Context, wg *sync.WaitGroup, world *demoInternet) (addr string, err error) {
	conf := peer.DefaultConfiguration()
	dev, err := netstack.New(netstack.Config{Addresses: conf.Gateways(), Dial: world.dialAddrPort, Echo: world.echo})
	if err != nil {
		return "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", errors.Join(err, dev.Close())
	}
	srv := &peer.Server{Configuration: conf, Device: dev, Dial: world.dial}
	wg.Go(func() { srv.Serve(ctx, ln) }) // its error would show as traffic without an answer
	return ln.Addr().String(), nil
}

// demoResult is how one kind of traffic went.
type demoResult struct {
	name string
	note string
	err  error
}

// runDemoClient sends each kind of traffic once, and again until duration has
// passed, with a pause between, and returns the last round's results, or the first that failed.
// closed says that the proxy has seen the end of a tunnel.
func runDemoClient(ctx context.Context, proxyAddr string, duration, pause time.Duration, closed <-chan struct{}) []demoResult {
	end := time.Now().Add(duration)
	for {
		results := demoRound(ctx, proxyAddr, closed)
		failed := false
		for _, r := range results {
			failed = failed || r.err != nil
		}
		if failed || time.Now().After(end) || ctx.Err() != nil {
			return results
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return results
		}
	}
}

// demoRound is one packet tunnel and one app-proxy tunnel.
func demoRound(ctx context.Context, proxyAddr string, closed <-chan struct{}) []demoResult {
	var results []demoResult
	round := func(kind string, run func(context.Context, *peer.Client, func(string, func(context.Context) (string, error))) error) {
		try := func(name string, do func(context.Context) (string, error)) {
			limited, cancel := context.WithTimeout(ctx, demoCheck)
			defer cancel()
			note, err := do(limited)
			if ctx.Err() != nil {
				err = ctx.Err() // interrupted: nothing that failed now says anything
			}
			results = append(results, demoResult{name, note, err})
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", proxyAddr)
		if err == nil {
			c := peer.NewClient(conn, peer.ClientConfig{})
			err = run(ctx, c, try)
			if cerr := c.Close(); err == nil {
				err = ignoreClosed(cerr)
			}
			select {
			case <-closed:
			case <-ctx.Done():
			}
		}
		if err != nil && ctx.Err() == nil {
			results = append(results, demoResult{kind, "", err})
		}
	}
	round("packet tunnel", packetTunnel)
	round("app-proxy tunnel", appProxyTunnel)
	return results
}

// packetTunnel sends what a phone would, from a stack with the assigned
// addresses.
func packetTunnel(ctx context.Context, c *peer.Client, try func(string, func(context.Context) (string, error))) error {
	assigned, err := c.Open(ctx)
	if err != nil {
		return err
	}
	if len(assigned.DNS) == 0 {
		return errors.New("the server names no DNS server")
	}
	phone, err := netstack.New(netstack.Config{Addresses: assigned.Addresses})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	carried := make(chan error, 1)
	go func() { carried <- c.Carry(ctx, phone) }() // ends with ctx, and closes phone
	defer func() { cancel(); <-carried }()
	r := requester{dial: phone.DialContext}
	dns := net.JoinHostPort(assigned.DNS[0].String(), "53")
	try("DNS", func(ctx context.Context) (string, error) { return r.resolve(ctx, dns) })
	try("HTTP", func(ctx context.Context) (string, error) { return r.page(ctx, demoWeb4.String()) })
	try("bulk TCP", func(ctx context.Context) (string, error) {
		return r.bulk(ctx, net.JoinHostPort(demoWeb4.String(), bulkPort))
	})
	try("ICMP echo", func(ctx context.Context) (string, error) { return ping(ctx, phone, demoWeb4) })
	try("ICMPv6 echo", func(ctx context.Context) (string, error) { return ping(ctx, phone, demoWeb6) })
	try("HTTP over IPv6", func(ctx context.Context) (string, error) { return r.page(ctx, "["+demoWeb6.String()+"]") })
	return nil
}

// appProxyTunnel sends flows instead of packets.
func appProxyTunnel(ctx context.Context, c *peer.Client, try func(string, func(context.Context) (string, error))) error {
	if _, err := c.FetchConfiguration(ctx); err != nil {
		return err
	}
	r := requester{dial: c.Dial}
	try("app-proxy TCP", func(ctx context.Context) (string, error) { return r.page(ctx, demoName) })
	try("app-proxy UDP", func(ctx context.Context) (string, error) {
		return r.resolve(ctx, net.JoinHostPort(demoWeb4.String(), "53"))
	})
	return nil
}

// reportDemo prints how each kind of traffic went; the error names what was
// not answered.
func reportDemo(w io.Writer, results []demoResult) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var failed []string
	for _, r := range results {
		switch {
		case errors.Is(r.err, context.Canceled):
		case r.err != nil:
			failed = append(failed, r.name)
			fmt.Fprintf(tw, "failed\t%s\t%v\n", r.name, r.err)
		default:
			fmt.Fprintf(tw, "ok\t%s\t%s\n", r.name, r.note)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("demo: not answered: %s", strings.Join(failed, ", "))
	}
	return nil
}
