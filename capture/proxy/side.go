package proxy

import (
	"net"
	"syscall"
)

// side is one of the two connections of a tunnel. One goroutine reads it,
// another writes it; whoever ends the tunnel closes it.
type side struct {
	conn net.Conn
	raw  syscall.RawConn // nil where reads and writes go through conn
}

// newSide sets the options that make a connection carry what its peers do and
// nothing more.
func newSide(c net.Conn) *side {
	s := &side{conn: c}
	if tcp, ok := c.(*net.TCPConn); ok {
		// Both fail only if the peer has gone already: the pipes will see it.
		_ = tcp.SetKeepAlive(false)
		_ = tcp.SetNoDelay(true)
		s.raw = rawConn(tcp)
	}
	return s
}

// reset closes the connection so that its peer gets a reset.
func (s *side) reset() {
	if l, ok := s.conn.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0) // fails only if the connection is closed
	}
	s.conn.Close()
}

// closeWrite sends FIN. half is false if that closed the other direction too.
func (s *side) closeWrite() (half bool, err error) {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		return true, c.CloseWrite()
	}
	return false, s.conn.Close()
}
