package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"tundump/replay/peer/dnssd"
)

// bonjourPrefix begins the address of a server that is found by its name.
const bonjourPrefix = "bonjour:"

// findTimeout is how long a server is looked for by its name.
const findTimeout = 5 * time.Second

// checkServer checks the address of a server: HOST:PORT, or bonjour:NAME.
func checkServer(s string) error {
	if name, ok := strings.CutPrefix(s, bonjourPrefix); ok {
		if name == "" {
			return errors.New("bonjour: needs the name of a server")
		}
		return nil
	}
	why := ""
	_, port, err := net.SplitHostPort(s)
	if ae := (*net.AddrError)(nil); errors.As(err, &ae) {
		why = ae.Err // without the address, which stands before it
	} else if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		why = strconv.Quote(port) + " is no port"
	}
	if why != "" {
		return fmt.Errorf("%s: %s; write HOST:PORT or bonjour:NAME", s, why)
	}
	return nil
}

// serverDialer dials servers with d, by address or by name: the name is looked
// up each time, because a server may come back elsewhere.
type serverDialer struct{ net.Dialer }

func (d *serverDialer) DialContext(ctx context.Context, network, server string) (net.Conn, error) {
	name, ok := strings.CutPrefix(server, bonjourPrefix)
	if !ok {
		return d.Dialer.DialContext(ctx, network, server)
	}
	find, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	addrs, err := dnssd.Find(find, name)
	if err != nil {
		return nil, err
	}
	var errs []error
	for i, a := range addrs {
		c, err := d.dialOne(ctx, network, a.String(), i == len(addrs)-1)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (d *serverDialer) dialOne(ctx context.Context, network, address string, last bool) (net.Conn, error) {
	if !last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, nextAddress)
		defer cancel()
	}
	return d.Dialer.DialContext(ctx, network, address)
}

// announce makes clients find a listener by a name, "" for none, until stop is
// called.
func announce(ctx context.Context, name string, ln net.Listener, log *slog.Logger) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	at, ok := ln.Addr().(*net.TCPAddr)
	if !ok || at.IP.IsLoopback() {
		return nil, usage(fmt.Errorf("--announce %s: only this machine reaches %s; listen elsewhere, for example with --listen :8890", name, ln.Addr()))
	}
	a, err := dnssd.Announce(ctx, dnssd.Config{Name: name, Addr: at.AddrPort(), Logger: log})
	if ctx.Err() != nil && err != nil {
		return func() {}, nil // interrupted: so is what follows
	}
	if err != nil {
		return nil, usage(fmt.Errorf("--announce: %w", err))
	}
	log.Info("announced on the local network", "name", name, "service", dnssd.Service)
	return func() {
		if err := a.Close(); err != nil {
			log.Debug("the announcement did not end well", "err", err)
		}
	}, nil
}
