package socks

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Codes of RFC 1928: section 3 for methods, 4 for commands, 5 for addresses.
const (
	version = 5

	methodNone         = 0x00
	methodUnacceptable = 0xff

	cmdConnect      = 1
	cmdBind         = 2
	cmdUDPAssociate = 3

	addrIPv4 = 1
	addrName = 3
	addrIPv6 = 4
)

// maxRequest is the longest greeting or request: 4 bytes, a length, a name of
// 255 bytes and a port, or 2 bytes and 255 methods.
const maxRequest = 4 + 1 + 255 + 2

// maxHeader is the longest header of a datagram: as a request's.
const maxHeader = maxRequest

var (
	errAddressType = errors.New("unknown address type")
	errFragment    = errors.New("a fragment")
	errShort       = errors.New("cut short")
)

// destination is where a client wants to go: a name or an address, and a port.
type destination struct {
	name string     // empty if addr is valid
	addr netip.Addr // without a zone, never IPv4 mapped into IPv6
	port uint16
}

func (d destination) host() string {
	if d.name != "" {
		return d.name
	}
	return d.addr.String()
}

func (d destination) String() string {
	return net.JoinHostPort(d.host(), strconv.Itoa(int(d.port)))
}

// parseGreeting reads a client's first message. none reports whether it
// offers to go on without authentication. n is its length, 0 with a nil error
// while b ends before it does.
//
// Source: RFC 1928 section 3.
func parseGreeting(b []byte) (none bool, n int, err error) {
	if len(b) > 0 && b[0] != version {
		return false, 0, versionError(b[0])
	}
	if len(b) < 2 {
		return false, 0, nil
	}
	n = 2 + int(b[1])
	if len(b) < n {
		return false, 0, nil
	}
	for _, m := range b[2:n] {
		none = none || m == methodNone
	}
	return none, n, nil
}

// versionError says what else the first byte of a client may be.
func versionError(b byte) error {
	switch {
	case b == 4:
		return errors.New("the client speaks SOCKS 4, not 5")
	case b >= 'A' && b <= 'Z':
		return errors.New("the client seems to speak HTTP, not SOCKS 5")
	}
	return fmt.Errorf("the client begins with 0x%02x, which is not SOCKS 5", b)
}

// parseRequest reads a client's request. n is its length, 0 with a nil error
// while b ends before it does. With errAddressType, command is valid.
//
// Source: RFC 1928 section 4.
func parseRequest(b []byte) (command byte, to destination, n int, err error) {
	if len(b) > 0 && b[0] != version {
		return 0, to, 0, versionError(b[0])
	}
	if len(b) < 4 {
		return 0, to, 0, nil
	}
	to, n, err = parseDestination(b[3:])
	if errors.Is(err, errShort) {
		return 0, to, 0, nil
	}
	if err != nil {
		return b[1], to, 0, err
	}
	return b[1], to, 3 + n, nil
}

// parseDatagram cuts a client's datagram into where it goes and what it says;
// payload aliases b.
//
// Source: RFC 1928 section 7. Its fragments are optional, and dropped here.
func parseDatagram(b []byte) (to destination, payload []byte, err error) {
	if len(b) < 4 {
		return to, nil, errShort
	}
	if b[2] != 0 {
		return to, nil, errFragment
	}
	to, n, err := parseDestination(b[3:])
	if err != nil {
		return to, nil, err
	}
	return to, b[3+n:], nil
}

// parseDestination reads address type, address and port. n is their length.
func parseDestination(b []byte) (to destination, n int, err error) {
	if len(b) == 0 {
		return to, 0, errShort
	}
	at, size := 1, 0
	switch b[0] {
	case addrIPv4:
		size = 4
	case addrIPv6:
		size = 16
	case addrName:
		if len(b) < 2 {
			return to, 0, errShort
		}
		at, size = 2, int(b[1])
	default:
		return to, 0, fmt.Errorf("%w %d", errAddressType, b[0])
	}
	n = at + size + 2
	if len(b) < n {
		return to, 0, errShort
	}
	host := b[at : at+size]
	to.port = uint16(b[n-2])<<8 | uint16(b[n-1])
	if b[0] == addrName {
		err = to.setName(string(host))
	} else {
		to.addr, _ = netip.AddrFromSlice(host)
		to.addr = to.addr.Unmap()
	}
	return to, n, err
}

// setName takes a name, or an address written out, which some clients send
// as a name. What no name has is refused, so that it reaches no log, resolver
// or message as it came.
func (d *destination) setName(name string) error {
	if a, err := netip.ParseAddr(name); err == nil && a.Zone() == "" {
		d.addr = a.Unmap()
		return nil
	}
	if name == "" {
		return errors.New("an empty name")
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f || c == ':' || c == '%' {
			return fmt.Errorf("a name with the byte 0x%02x", c)
		}
	}
	d.name = name
	return nil
}

// appendReply appends a reply: a code, and the address that it is about.
//
// Source: RFC 1928 section 6.
func appendReply(b []byte, code Code, bound netip.AddrPort) []byte {
	return appendAddrPort(append(b, version, byte(code), 0), bound)
}

// appendHeader appends the header of a datagram that came from an address.
func appendHeader(b []byte, from netip.AddrPort) []byte {
	return appendAddrPort(append(b, 0, 0, 0), from)
}

// appendAddrPort appends address type, address and port; the invalid address
// is 0.0.0.0.
func appendAddrPort(b []byte, a netip.AddrPort) []byte {
	addr := a.Addr().Unmap()
	switch {
	case addr.Is6():
		b = append(append(b, addrIPv6), addr.AsSlice()...)
	case addr.Is4():
		b = append(append(b, addrIPv4), addr.AsSlice()...)
	default:
		b = append(b, addrIPv4, 0, 0, 0, 0)
	}
	return append(b, byte(a.Port()>>8), byte(a.Port()))
}
