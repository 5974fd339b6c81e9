package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"tundump/replay/peer"
)

// connectTimeout bounds reaching the server and opening the tunnel.
const connectTimeout = 15 * time.Second

// connectFlags are those of tundump connect.
type connectFlags struct {
	get         string
	socks       string
	reconnect   bool
	tunnels     int
	appProxy    bool
	integerPort bool
	tun         tunFlags
	log         logFlags
}

func connectCommand() *cobra.Command {
	var f connectFlags
	c := &cobra.Command{
		Use:   "connect HOST:PORT|bonjour:NAME",
		Short: "a SimpleTunnel client",
		Long: `Is a SimpleTunnel client, to test a server with: it opens a tunnel, prints what
the server assigned, and with --get fetches a page through it. It needs no root:
a user-space TCP/IP stack takes the assigned addresses. With --app-proxy it
fetches the configuration and carries the page as an app-proxy flow instead.

With --tun this machine's own packets go through the tunnel: those to the routes
that the server names, or all. That needs root; everything that it changes is
undone at the end, and after a kill by the next start. The system's DNS stays as
it is; the line that would set it is printed.

With --socks other programs reach through the tunnel, TCP and UDP: it serves
SOCKS 5, without a password, until it is interrupted or the tunnel ends. Names
are resolved by the tunnel's DNS servers; with --app-proxy each connection is a
TCP flow, whose name the server resolves, and each UDP association a UDP flow.
With --reconnect a tunnel that ended is opened again, after one second and then
less and less often, up to every 30 seconds; meanwhile clients are answered
"host unreachable".`,
		Example: `  tundump connect tunnel.example:8890
  tundump connect tunnel.example:8890 --get http://intranet.example/
  tundump connect tunnel.example:8890 --app-proxy --get http://intranet.example/
  sudo tundump connect tunnel.example:8890 --tun
  tundump connect tunnel.example:8890 --socks 127.0.0.1:1080 --reconnect &
  curl --socks5-hostname 127.0.0.1:1080 http://intranet.example/`,
		Args: f.tun.args(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, f.tun.take(args)[0]) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.get, "get", "", "URL to fetch through the tunnel; its body goes to standard output")
	fl.StringVar(&f.socks, "socks", "", "serve SOCKS 5 at this address, over the tunnel, until interrupted; without a host it is a loopback address")
	fl.BoolVar(&f.reconnect, "reconnect", false, "with --socks: connect again when the tunnel ends")
	fl.IntVar(&f.tunnels, "tunnels", 1, "with --socks: open so many tunnels, and give each SOCKS connection to the next one")
	fl.BoolVar(&f.appProxy, "app-proxy", false, "carry flows instead of packets, as an app proxy does")
	fl.BoolVar(&f.integerPort, "integer-port", false, "send an app-proxy flow's port as a number, which Apple's original server wants")
	f.tun.register(fl, "that of the link to the server less 150")
	f.log.register(fl)
	return c
}

func (f *connectFlags) run(cmd *cobra.Command, server string) error {
	log, err := f.log.logger(cmd)
	if err != nil {
		return err
	}
	if err := checkServer(server); err != nil {
		return usage(fmt.Errorf("connect: %w", err))
	}
	if u, err := url.Parse(f.get); f.get != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return usage(fmt.Errorf("connect: --get %s: not a URL; write http://HOST/PATH", f.get))
	}
	if err := f.tun.check("connect"); err != nil {
		return err
	}
	if err := f.checkSOCKS(); err != nil {
		return usage(err)
	}
	if f.socks != "" {
		return f.serveSOCKS(cmd, server, log)
	}
	if f.tun.on() {
		return f.overTUN(cmd, server, log)
	}
	ctx := cmd.Context()
	t, err := openTunnel(ctx, server, f.appProxy, peer.ClientConfig{IntegerPort: f.integerPort, Logger: log})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	printAssigned(cmd.ErrOrStderr(), t.assigned)
	if f.get != "" {
		err = fetch(ctx, cmd, f.get, t.dial)
	}
	return errors.Join(err, t.close())
}

// overTUN carries this machine's packets through a tunnel.
func (f *connectFlags) overTUN(cmd *cobra.Command, server string, log *slog.Logger) error {
	open, cancel := context.WithTimeout(cmd.Context(), connectTimeout)
	defer cancel()
	conn, err := dialServer(open, server)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	remote := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
	c := peer.NewClient(conn, peer.ClientConfig{Logger: log})
	assigned, err := c.Open(open)
	if err != nil {
		return errors.Join(fmt.Errorf("connect: %w", err), ignoreClosed(c.Close()))
	}
	printAssigned(cmd.ErrOrStderr(), assigned)
	err = f.tun.carry(cmd.Context(), cmd, c, remote.Unmap(), assigned, log)
	return errors.Join(err, ignoreClosed(c.Close()))
}

// cause leaves out the address that a net.OpError repeats.
func cause(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
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
