// Package sniff turns what others captured, and what passes on a network
// interface, into the rows that everything else works on.
//
// Any capture file, tundump's own among them:
//
//	c, err := sniff.Open(path, sniff.Options{})
//	if err != nil {
//		return err // a *NoTunnelError says what is in it instead
//	}
//	defer c.Close()
//	for … {
//		row := c.Store() …
//	}
//	return c.Err() // why the rows ended before the capture did
//
// The packets of a foreign capture go through package stream, whose events are
// recorded as the proxy's are, into a file without a name: a row costs as much
// memory as ever, and everything downstream works the same.
//
// What passes on an interface, on Linux:
//
//	l, err := sniff.Listen("eth0", sniff.Options{Ports: []uint16{8890}})
//	if err != nil {
//		return err
//	}
//	err = l.Run(ctx, recorder) // until ctx is done
//	… l.Stats() …
package sniff

import (
	"fmt"
	"strings"

	"tundump/decode"
	"tundump/decode/stream"
)

// Options say what to look for. The zero value finds tunnels on any port.
type Options struct {
	// Ports, if any, are the TCP ports that carry tunnels: see stream.Options.
	Ports []uint16
	// Bare takes IP packets as they are, without looking for tunnels.
	Bare bool
	// InOrder says that the rows will be read in order, once and by one
	// goroutine, as a session does: see store.OpenInOrder.
	InOrder bool
}

// NoTunnelError says that a capture was read to its end and no tunnel was
// found.
type NoTunnelError struct {
	Name  string // of the capture
	Ports []uint16
	Stats stream.Stats
}

func (e *NoTunnelError) Error() string {
	s := &e.Stats
	if s.Packets == 0 {
		return fmt.Sprintf("%s: there are no packets in it", e.Name)
	}
	var links []string
	for _, l := range s.Links {
		name := stream.LinkName(l)
		if name == "" {
			name = fmt.Sprintf("%d, which is not known", l)
		}
		links = append(links, name)
	}
	what := "no tunnel in it"
	if len(e.Ports) > 0 {
		what = fmt.Sprintf("no connection to port %s in it", list(e.Ports))
	}
	text := fmt.Sprintf("%s: %s: %d packets of link type %s, %d of them IP", e.Name, what, s.Packets, strings.Join(links, " and "), s.IP)
	switch {
	case len(s.Ports) > 0:
		return fmt.Sprintf("%s, TCP connections to port %s; name the tunnel's with --port N, or print the packets as they are with --bare", text, ports(s.Ports))
	case s.IP > 0:
		return text + ", no TCP connection; --bare prints them as they are"
	}
	return text
}

func list(ports []uint16) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ports), " ", " or "), "[]")
}

// ports lists the most used ports.
func ports(counts []stream.PortCount) string {
	const most = 8
	var parts []string
	for i, p := range counts {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(counts)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%d (%d)", p.Port, p.Connections))
	}
	return strings.Join(parts, ", ")
}

// direction is what a capture says of the way that a packet went: out of the
// machine that captured it, on which the client is, is to the server.
func direction(outbound bool) decode.Direction {
	if outbound {
		return decode.ClientToServer
	}
	return decode.ServerToClient
}
