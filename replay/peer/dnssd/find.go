package dnssd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Waits between questions: RFC 6762 section 5.2.
const (
	firstAgain = time.Second
	maxAgain   = 20 * time.Second
)

const (
	// maxSeen bounds how many hosts and other services a search remembers.
	maxSeen = 256
	// more is how long is waited for further addresses after the first.
	more = 100 * time.Millisecond
)

// Find asks for the service of that name on the networks of this machine until
// there is an answer, or ctx ends. The addresses are in the order to try
// them. If nobody has the name, the error says which names there are, and is
// ctx's.
func Find(ctx context.Context, instance string) ([]netip.AddrPort, error) {
	want, err := instanceName(instance)
	if err != nil {
		return nil, err
	}
	links, err := findLinks(netip.Addr{})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type heard struct {
		m     message
		index int
	}
	messages := make(chan heard)
	s, err := openSockets(links, slog.New(slog.DiscardHandler), func(b []byte, index int, from netip.AddrPort) {
		m, err := parse(b)
		if err != nil || m.flags&flagResponse == 0 || m.flags&maskOpcodeAndCode != 0 || from.Port() != port {
			return
		}
		select {
		case messages <- heard{m, index}:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return nil, err
	}
	defer func() { cancel(); s.close() }() // only the sockets' own ends: nothing is lost
	f := search{want: want.fold(), hosts: make(map[name][]netip.Addr), others: make(map[string]bool)}
	again := time.NewTimer(0)
	defer again.Stop()
	wait, enough := firstAgain/2, false
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("dnssd: nobody answers to %q%s: %w", instance, f.seen(), ctx.Err())
		case <-again.C:
			if enough {
				return f.found(), nil
			}
			msg := message{questions: f.questions(want)}
			for _, l := range links {
				s.multicast(l, msg.pack())
			}
			wait = min(2*wait, maxAgain)
			again.Reset(wait)
		case h := <-messages:
			knew := f.at != (endpoint{})
			f.take(&h.m, h.index)
			switch {
			case !enough && len(f.found()) > 0:
				enough = true
				again.Reset(more)
			case !knew && f.at != (endpoint{}) && !enough:
				again.Reset(0) // ask for its addresses
			}
		}
	}
}

// search is what a search has found out.
type search struct {
	want   name // folded
	at     endpoint
	hosts  map[name][]netip.Addr // by folded name
	others map[string]bool       // services of the type
}

// questions returns what is still to be asked.
func (f *search) questions(want name) []question {
	if f.at != (endpoint{}) {
		return []question{{f.at.host, typeA, classIN}, {f.at.host, typeAAAA, classIN}}
	}
	return []question{{want, typeSRV, classIN}, {serviceName, typePTR, classIN}}
}

// take notes what a message says. A record of no more lifetime is a goodbye.
func (f *search) take(m *message, index int) {
	for _, section := range [...][]record{m.answers, m.extra} {
		for _, r := range section {
			if r.class&^topBit != classIN || r.ttl == 0 {
				continue
			}
			switch r.typ {
			case typePTR:
				if r.name.fold() == serviceName && r.target.parent().fold() == serviceName && len(f.others) < maxSeen {
					f.others[r.target.first()] = true
				}
			case typeSRV:
				if r.name.fold() == f.want && r.port != 0 {
					f.at = endpoint{r.target.fold(), r.port}
				}
			case typeA, typeAAAA:
				f.takeAddr(r.name.fold(), withZone(r.addr, index))
			}
		}
	}
}

func (f *search) takeAddr(host name, a netip.Addr) {
	have, known := f.hosts[host]
	if !known && len(f.hosts) >= maxSeen && host != f.at.host || len(have) >= 16 || !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return
	}
	f.hosts[host] = add(have, a.Unmap())
}

// withZone gives a link-local address the interface that it was heard on.
func withZone(a netip.Addr, index int) netip.Addr {
	if !a.Is6() || !a.IsLinkLocalUnicast() {
		return a
	}
	ifi, err := net.InterfaceByIndex(index)
	if err != nil {
		return netip.Addr{} // of no use without
	}
	return a.WithZone(ifi.Name)
}

// found returns the service's addresses: IPv4 first, link-local ones last.
func (f *search) found() []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range f.hosts[f.at.host] {
		out = append(out, netip.AddrPortFrom(a, f.at.port))
	}
	rank := func(a netip.AddrPort) int {
		r := 0
		if a.Addr().Is6() {
			r++
		}
		if a.Addr().IsLinkLocalUnicast() {
			r += 2
		}
		return r
	}
	slices.SortStableFunc(out, func(a, b netip.AddrPort) int { return rank(a) - rank(b) })
	return out
}

// seen says which other services there are.
func (f *search) seen() string {
	if f.at != (endpoint{}) {
		return ": its host tells no address"
	}
	var names []string
	for n := range f.others {
		names = append(names, fmt.Sprintf("%q", n))
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "; there is " + strings.Join(names[:min(len(names), 10)], ", ")
}
