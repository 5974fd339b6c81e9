package socks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// Code is the answer to a request, as RFC 1928 section 6 numbers them.
type Code byte

const (
	Succeeded           Code = 0
	GeneralFailure      Code = 1
	NotAllowed          Code = 2
	NetworkUnreachable  Code = 3
	HostUnreachable     Code = 4
	ConnectionRefused   Code = 5
	TTLExpired          Code = 6 // which stands for a timeout, too
	CommandNotSupported Code = 7
	AddressNotSupported Code = 8
)

func (c Code) String() string {
	names := [...]string{"succeeded", "general failure", "not allowed", "network unreachable", "host unreachable",
		"connection refused", "TTL expired", "command not supported", "address type not supported"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("code %d", byte(c))
}

// An Error chooses the code with which a request is answered. Dial and
// ListenPacket return it where [CodeOf] would not find what they mean.
type Error struct {
	Code Code
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// What Windows says instead of the errors of other systems. No other system
// has those numbers.
const (
	wsaNetUnreachable  = syscall.Errno(10051)
	wsaRefused         = syscall.Errno(10061)
	wsaHostUnreachable = syscall.Errno(10065)
)

// CodeOf returns the code that says why something could not be reached. An
// [*Error] has its own; a name that does not exist is an unreachable host; a
// timeout is TTLExpired, as Tor answers it.
func CodeOf(err error) Code {
	var own *Error
	var dns *net.DNSError
	var ne net.Error
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return Succeeded
	case errors.As(err, &own):
		return own.Code
	case is(syscall.ECONNREFUSED, wsaRefused):
		return ConnectionRefused
	case is(fs.ErrPermission):
		return NotAllowed
	case is(syscall.ENETUNREACH, wsaNetUnreachable):
		return NetworkUnreachable
	case is(syscall.EHOSTUNREACH, wsaHostUnreachable), errors.As(err, &dns) && dns.IsNotFound:
		return HostUnreachable
	case is(context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return TTLExpired
	}
	return GeneralFailure
}
