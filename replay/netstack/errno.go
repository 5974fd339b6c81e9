package netstack

import (
	"errors"
	"net"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// systemError gives an error of gonet's the value that a socket's would have.
// gonet keeps no more of a tcpip.Error than its text.
func systemError(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	text := op.Err.Error()
	for _, e := range [...]struct {
		stack  tcpip.Error
		system syscall.Errno
	}{
		{&tcpip.ErrConnectionRefused{}, syscall.ECONNREFUSED},
		{&tcpip.ErrConnectionReset{}, syscall.ECONNRESET},
		{&tcpip.ErrHostUnreachable{}, syscall.EHOSTUNREACH},
		{&tcpip.ErrHostDown{}, syscall.EHOSTUNREACH},
		{&tcpip.ErrNetworkUnreachable{}, syscall.ENETUNREACH},
		{&tcpip.ErrTimeout{}, syscall.ETIMEDOUT},
	} {
		if text == e.stack.String() {
			return e.system
		}
	}
	return err
}
