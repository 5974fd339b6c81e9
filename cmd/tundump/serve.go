package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tundump/replay/netstack"
	"tundump/replay/peer"
)

// serveFlags are those of tundump serve.
type serveFlags struct {
	listen      string
	config      string
	announce    string
	allow, only []string
	tun         tunFlags
	log         logFlags
}

func serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "a SimpleTunnel server",
		Long: `Is a SimpleTunnel server without Apple's: it hands out addresses and carries IP
connections and app-proxy TCP and UDP flows. The flows inside end in a
user-space TCP/IP stack and go on over ordinary sockets of this machine, so that
it needs no root, no forwarding and no NAT rules.

Clients do not reach loopback, link-local and multicast addresses, the cloud
metadata address, and this server itself, unless --allow names them; with --only
they reach nothing else.

With --tun the packets go to a TUN device of this system instead, and from there
wherever the system forwards them; the same addresses stay refused, but for the
machine's own on its networks, which are its firewall's to guard. Everything
that it changes is undone at the end, and after a kill by the next start. --user
gives all privileges up once the device is there; a small process then keeps
them, which only waits for the end and undoes the changes.

Without --config it hands out 10.8.0.2 and fd00:8::2 onwards, and asks this
machine's resolver for its clients. The configuration is a property list as
Apple's tunnel_server reads it: IPv4 with Pool and Routes, DNS, and other keys
that are passed through; IPv6 with a Pool is an extension.`,
		Example: `  tundump serve --listen :8890
  tundump serve --listen :8890 --config server.plist
  tundump serve --only 192.0.2.0/24
  sudo tundump serve --listen :8890 --tun --nat=apply --user nobody`,
		Args: f.tun.args(0),
		RunE: func(cmd *cobra.Command, args []string) error { f.tun.take(args); return f.run(cmd) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8890", "address to accept clients on; :8890 is every address of this machine")
	fl.StringVar(&f.config, "config", "", "configuration, a property list")
	fl.StringVar(&f.announce, "announce", "", "let clients on the local network find this server by a name (DNS-SD, Bonjour)")
	fl.StringArrayVar(&f.allow, "allow", nil, "network (CIDR) that clients reach although it would be refused; repeatable")
	fl.StringArrayVar(&f.only, "only", nil, "network (CIDR) that clients are limited to; repeatable")
	f.tun.register(fl, "1500")
	f.tun.registerNAT(fl)
	f.log.register(fl)
	return c
}

func (f *serveFlags) run(cmd *cobra.Command) error {
	log, err := f.log.logger(cmd)
	if err != nil {
		return err
	}
	conf, err := f.configuration()
	if err != nil {
		return usage(err)
	}
	dialer := &peer.Dialer{Refuse: conf.Networks()}
	if dialer.Allow, err = prefixes("--allow", f.allow); err != nil {
		return err
	}
	if dialer.Only, err = prefixes("--only", f.only); err != nil {
		return err
	}
	if err := f.tun.check("serve"); err != nil {
		return err
	}
	dialer.Redirect = redirectDNS(conf.Gateways(), dialer.Only, log)
	ln, err := net.Listen("tcp", f.listen)
	if err != nil {
		return usage(listenError(f.listen, err))
	}
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		dialer.Own = []netip.AddrPort{a.AddrPort()}
	}
	stop, err := announce(cmd.Context(), f.announce, ln, log)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer stop()
	if f.tun.on() {
		return f.tun.serve(cmd.Context(), cmd, ln, conf, dialer, log)
	}
	dev, err := netstack.New(netstack.Config{Addresses: conf.Gateways(), Dial: dialer.DialAddrPort, Echo: dialer.Echo, Logger: log})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "tundump: serving on %s\n", ln.Addr())
	srv := &peer.Server{Configuration: conf, Device: dev, Dial: dialer.DialContext, Logger: log}
	return srv.Serve(cmd.Context(), ln)
}

// maxConfig is more than the peer reads, so that it can say what is too much.
const maxConfig = 2 << 20

func (f *serveFlags) configuration() (*peer.Configuration, error) {
	if f.config == "" {
		return peer.DefaultConfiguration(), nil
	}
	file, err := os.Open(f.config)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxConfig))
	if err != nil {
		return nil, err
	}
	c, err := peer.ReadConfiguration(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.config, err)
	}
	return c, nil
}

func prefixes(flag string, args []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range args {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); err != nil && aerr == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, usage(fmt.Errorf("%s %s: not a network; write 192.0.2.0/24", flag, s))
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// redirectDNS leads what clients ask the server's own addresses on port 53 to
// this machine's resolver, if --only lets it.
func redirectDNS(gateways, only []netip.Prefix, log *slog.Logger) map[netip.AddrPort]string {
	resolver, ok := systemResolver()
	if !ok {
		log.Warn("this machine names no resolver, so that clients' DNS queries fail; give them DNS servers with --config")
		return nil
	}
	if len(only) > 0 && !slices.ContainsFunc(only, func(p netip.Prefix) bool { return p.Contains(resolver) }) {
		return nil
	}
	m := make(map[netip.AddrPort]string)
	for _, g := range gateways {
		m[netip.AddrPortFrom(g.Addr(), 53)] = netip.AddrPortFrom(resolver, 53).String()
	}
	return m
}

// systemResolver returns the first name server of resolv.conf(5).
func systemResolver() (netip.Addr, bool) {
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return netip.Addr{}, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if w := strings.Fields(lines.Text()); len(w) > 1 && w[0] == "nameserver" {
			if a, err := netip.ParseAddr(w[1]); err == nil {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}
