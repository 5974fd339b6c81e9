package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/dns/dnsmessage"

	"tundump/replay/netstack"
	"tundump/replay/peer"
)

// connectTimeout bounds reaching the server and opening the tunnel.
const connectTimeout = 15 * time.Second

// connectFlags are those of tundump connect.
type connectFlags struct {
	get         string
	appProxy    bool
	integerPort bool
	log         logFlags
}

func connectCommand() *cobra.Command {
	var f connectFlags
	c := &cobra.Command{
		Use:   "connect HOST:PORT",
		Short: "a SimpleTunnel client",
		Long: `Is a SimpleTunnel client, to test a server with: it opens a tunnel, prints what
the server assigned, and with --get fetches a page through it. It needs no root:
a user-space TCP/IP stack takes the assigned addresses. With --app-proxy it
fetches the configuration and carries the page as an app-proxy flow instead.`,
		Example: `  tundump connect tunnel.example:8890
  tundump connect tunnel.example:8890 --get http://intranet.example/
  tundump connect tunnel.example:8890 --app-proxy --get http://intranet.example/`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.get, "get", "", "URL to fetch through the tunnel; its body goes to standard output")
	fl.BoolVar(&f.appProxy, "app-proxy", false, "carry flows instead of packets, as an app proxy does")
	fl.BoolVar(&f.integerPort, "integer-port", false, "send an app-proxy flow's port as a number, which Apple's original server wants")
	f.log.register(fl)
	return c
}

func (f *connectFlags) run(cmd *cobra.Command, server string) error {
	log, err := f.log.logger(cmd)
	if err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		return usage(fmt.Errorf("connect: %s: %w; write HOST:PORT", server, err))
	}
	if u, err := url.Parse(f.get); f.get != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return usage(fmt.Errorf("connect: --get %s: not a URL; write http://HOST/PATH", f.get))
	}
	ctx := cmd.Context()
	open, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(open, "tcp", server)
	if err != nil {
		return fmt.Errorf("connect: cannot reach %s: %w; is a server listening there?", server, cause(err))
	}
	c := peer.NewClient(conn, peer.ClientConfig{IntegerPort: f.integerPort, Logger: log})
	if f.appProxy {
		err = f.flows(ctx, open, cmd, c)
	} else {
		err = f.packets(ctx, open, cmd, c, log)
	}
	return errors.Join(err, ignoreClosed(c.Close()))
}

// cause leaves out the address that a net.OpError repeats.
func cause(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

func (f *connectFlags) flows(ctx, open context.Context, cmd *cobra.Command, c *peer.Client) error {
	assigned, err := c.FetchConfiguration(open)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	printAssigned(cmd.ErrOrStderr(), assigned)
	if f.get == "" {
		return nil
	}
	return fetch(ctx, cmd, f.get, c.Dial)
}

func (f *connectFlags) packets(ctx, open context.Context, cmd *cobra.Command, c *peer.Client, log *slog.Logger) error {
	assigned, err := c.Open(open)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	printAssigned(cmd.ErrOrStderr(), assigned)
	if f.get == "" {
		return nil
	}
	if len(assigned.Addresses) == 0 {
		return errors.New("connect: the server assigned no address: a genuine client would fail to start here")
	}
	stack, err := netstack.New(netstack.Config{Addresses: assigned.Addresses, Logger: log})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	carried := make(chan error, 1)
	go func() { carried <- c.Carry(ctx, stack) }() // ends with ctx, and closes stack
	defer func() { cancel(); <-carried }()
	d := tunnelDialer{stack: stack, assigned: assigned}
	return fetch(ctx, cmd, f.get, d.dial)
}

// printAssigned prints what the server's configuration says.
func printAssigned(w io.Writer, a peer.Assigned) {
	for _, p := range a.Addresses {
		fmt.Fprintf(w, "address  %s\n", p)
	}
	for _, p := range a.Routes {
		fmt.Fprintf(w, "route    %s\n", p)
	}
	for _, d := range a.DNS {
		fmt.Fprintf(w, "dns      %s\n", d)
	}
	for _, s := range a.SearchDomains {
		fmt.Fprintf(w, "search   %s\n", safe(s))
	}
}

// tunnelDialer dials inside the tunnel, names resolved by the tunnel's DNS
// servers.
type tunnelDialer struct {
	stack    *netstack.Stack
	assigned peer.Assigned
}

func (d tunnelDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = d.resolve(ctx, host); err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range addrs {
		c, err := d.stack.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// resolve asks the tunnel's DNS servers in turn for the addresses of the
// families that the tunnel has.
func (d tunnelDialer) resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	if len(d.assigned.DNS) == 0 {
		return nil, fmt.Errorf("cannot resolve %s: the server assigned no DNS server; give an address", name)
	}
	r := requester{dial: d.stack.DialContext}
	var found []netip.Addr
	var errs []error
	for _, server := range d.assigned.DNS {
		for _, own := range d.assigned.Addresses {
			t := dnsmessage.TypeA
			if own.Addr().Is6() {
				t = dnsmessage.TypeAAAA
			}
			addrs, err := r.lookup(ctx, net.JoinHostPort(server.String(), "53"), name, t)
			found, errs = append(found, addrs...), append(errs, err)
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s has no address", name)
}

// fetch writes the body of a page to standard output and its status to
// standard error.
func fetch(ctx context.Context, cmd *cobra.Command, address string, dial func(context.Context, string, string) (net.Conn, error)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return usage(err)
	}
	start := time.Now()
	resp, err := requester{dial: dial}.client().Do(req)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(cmd.OutOrStdout(), resp.Body)
	if err != nil {
		return fmt.Errorf("connect: the page broke off after %s: %w", size(n), err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s %s, %s in %s\n", resp.Proto, safe(resp.Status), size(n), ms(time.Since(start)))
	return nil
}
