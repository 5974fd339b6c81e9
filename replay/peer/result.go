package peer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"tundump/decode"
)

// errRefused is why something is not even tried.
var errRefused = fmt.Errorf("refused: %w", fs.ErrPermission)

// wsaRefused is what Windows says instead of ECONNREFUSED. No other system has
// that number.
const wsaRefused = syscall.Errno(10061)

// resultOf returns the protocol's code for why a remote host could not be
// reached.
func resultOf(err error) int {
	var dns *net.DNSError
	var ne net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return decode.ResultNoSuchHost
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, wsaRefused):
		return decode.ResultRefused
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return decode.ResultTimeout
	}
	return decode.ResultInternalError
}

// A ResultError is an openResult that is not success.
type ResultError struct{ Code int }

func (e *ResultError) Error() string {
	if name := decode.ResultName(int64(e.Code)); name != "" {
		return "peer: the server answered " + name
	}
	return fmt.Sprintf("peer: the server answered with result code %d", e.Code)
}

// Is makes refused fs.ErrPermission's equal, and timeout
// context.DeadlineExceeded's.
func (e *ResultError) Is(target error) bool {
	switch e.Code {
	case decode.ResultRefused:
		return target == fs.ErrPermission || target == syscall.ECONNREFUSED
	case decode.ResultTimeout:
		return target == context.DeadlineExceeded
	}
	return false
}
