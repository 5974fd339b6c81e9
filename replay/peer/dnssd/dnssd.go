// Package dnssd announces a tunnel server on the local network and finds one
// by its name: service instances of _tunnelserver._tcp in local., as Apple's
// SimpleTunnel does with Bonjour.
//
//	a, err := dnssd.Announce(ctx, dnssd.Config{Name: "My Tunnel", Addr: listener})
//	if err != nil {
//		return err // *ConflictError: somebody else has the name
//	}
//	defer a.Close() // says goodbye
//
//	addrs, err := dnssd.Find(ctx, "My Tunnel") // in the order to try them
//
// It speaks multicast DNS (RFC 6762) and DNS service discovery (RFC 6763) as
// far as that takes: it probes for the name, announces it on each interface,
// answers, says goodbye; and it asks again until it has an answer. It works
// beside a resolver of the system's that listens on the same port.
//
// hashicorp/mdns was tried against avahi and left: its browser takes the
// addresses of a host for those of one service, so that of two services on a
// host it finds none; a name with a dot is not found; there is no goodbye, so
// that a server that has ended is listed for two minutes more.
package dnssd

import (
	"errors"
	"fmt"
	"net/netip"
	"unicode/utf8"
)

// Service is the type of the services.
const Service = "_tunnelserver._tcp"

var (
	serviceName = makeName("_tunnelserver", "_tcp", "local")
	// typesName is where the types of services are listed, RFC 6763 section 9.
	typesName = makeName("_services", "_dns-sd", "_udp", "local")
)

// instanceName returns the name of a service instance: one label, of any
// characters.
//
// Source: RFC 6763 section 4.1.1.
func instanceName(instance string) (name, error) {
	switch {
	case instance == "":
		return "", errors.New("dnssd: an empty name")
	case len(instance) > 63:
		return "", fmt.Errorf("dnssd: the name %q has %d bytes; 63 are possible", instance, len(instance))
	case !utf8.ValidString(instance):
		return "", fmt.Errorf("dnssd: the name %q is not UTF-8", instance)
	}
	for _, r := range instance {
		if r < ' ' || r == 0x7f {
			return "", fmt.Errorf("dnssd: the name %q has control characters", instance)
		}
	}
	return makeName(instance) + serviceName, nil
}

// A ConflictError reports that another host has a service of that name.
type ConflictError struct {
	Name string
	Host string // as it names itself
	Port uint16
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("dnssd: the name %q is taken, by %q port %d; choose another", e.Name, e.Host, e.Port)
}

// endpoint is where a service is.
type endpoint struct {
	host name
	port uint16
}

// add appends an address that is not there yet.
func add(addrs []netip.Addr, a netip.Addr) []netip.Addr {
	for _, have := range addrs {
		if have == a {
			return addrs
		}
	}
	return append(addrs, a)
}
