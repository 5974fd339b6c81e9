//go:build unix

package proxy

import (
	"net"
	"syscall"
	"time"

	"tundump/capture"
)

// rawConn returns the access that lets a pipe take a buffer only when there is
// something to read, and see when a write has to wait.
func rawConn(c *net.TCPConn) syscall.RawConn {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// readable is called by the network poller, first at once and then whenever
// there may be something to read. It returns false to wait.
func (p *pipe) readable(fd uintptr) bool {
	b, buf := p.b, p.buf
	if b == nil {
		b = capture.NewBatch()
		buf = b.Grow(p.end + room)
	}
	n, err := ignoringEINTR(syscall.Read, int(fd), buf[p.end:])
	switch {
	case n > 0 && p.b == nil:
		p.adopt(b)
	case p.b == nil:
		b.Release()
	}
	switch {
	case err == syscall.EAGAIN:
		p.err = p.arm()
		return p.err != nil
	case err != nil:
		p.err = err
	default:
		p.end += n
		p.n = n
	}
	return true
}

// writable is readable's counterpart: it writes p.rest.
func (p *pipe) writable(fd uintptr) bool {
	for len(p.rest) > 0 {
		n, err := ignoringEINTR(syscall.Write, int(fd), p.rest)
		switch {
		case err == syscall.EAGAIN:
			if p.blocked.IsZero() && p.t.measured() {
				p.blocked = time.Now()
			}
			return false
		case err != nil:
			p.err = err
			return true
		}
		p.rest = p.rest[n:]
	}
	return true
}

func ignoringEINTR(call func(int, []byte) (int, error), fd int, b []byte) (int, error) {
	for {
		n, err := call(fd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
