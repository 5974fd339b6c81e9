package netstack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A client that is gone says no goodbye: its flows end when it stops
// answering these probes.
const (
	keepaliveIdle     = time.Minute
	keepaliveInterval = 15 * time.Second
	keepaliveCount    = 4
)

// becomeGateway makes the stack take flows to any address.
func (s *Stack) becomeGateway() error {
	if err := s.stack.SetPromiscuousMode(nicID, true); err != nil {
		return failed("take packets for any address", err)
	}
	if err := s.stack.SetSpoofing(nicID, true); err != nil {
		return failed("answer from any address", err)
	}
	fwd := tcp.NewForwarder(s.stack, defaultBuffer, maxHandshakes, s.acceptTCP)
	s.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, fwd.HandlePacket)
	s.stack.SetTransportProtocolHandler(udp.ProtocolNumber, s.acceptUDP)
	return nil
}

// flowOf names a flow's ends: src the inner sender, dst whom it wants.
func flowOf(id stack.TransportEndpointID) (src, dst netip.AddrPort) {
	return netip.AddrPortFrom(fromAddress(id.RemoteAddress), id.RemotePort),
		netip.AddrPortFrom(fromAddress(id.LocalAddress), id.LocalPort)
}

// acceptTCP carries one TCP flow from its SYN to its end. The stack runs it
// on a goroutine of its own; it ends with the flow or the stack. The outer
// connection comes first: a SYN is not answered for a host that does not.
func (s *Stack) acceptTCP(r *tcp.ForwarderRequest) {
	if !s.begin() {
		r.Complete(false)
		return
	}
	defer s.wg.Done()
	src, dst := flowOf(r.ID())
	if !s.flows.take(src.Addr()) {
		s.cfg.Logger.Debug("TCP flow reset: too many flows", "from", src, "to", dst)
		r.Complete(true)
		return
	}
	defer s.flows.give(src.Addr())
	out, err := s.dial("tcp", dst)
	if err != nil {
		s.cfg.Logger.Debug("TCP flow reset: cannot connect", "from", src, "to", dst, "err", err)
		r.Complete(true)
		return
	}
	f := &tcpFlow{out: out}
	if !s.adopt(out) {
		r.Complete(false)
		return
	}
	defer s.release(out)
	defer out.Close()
	var wq waiter.Queue
	ep, terr := r.CreateEndpoint(&wq)
	r.Complete(false)
	if terr != nil {
		s.cfg.Logger.Debug("TCP flow ended in its handshake", "from", src, "to", dst, "err", terr)
		return
	}
	f.ep, f.in = ep, gonet.NewTCPConn(&wq, ep)
	keepAlive(ep)
	f.carry()
}

// dial reaches the outside, within DialTimeout and the stack's life.
func (s *Stack) dial(network string, dst netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.DialTimeout)
	defer cancel()
	return s.cfg.Dial(ctx, network, dst)
}

func keepAlive(ep tcpip.Endpoint) {
	ep.SocketOptions().SetKeepAlive(true)
	idle, interval := tcpip.KeepaliveIdleOption(keepaliveIdle), tcpip.KeepaliveIntervalOption(keepaliveInterval)
	// These cannot fail on a TCP endpoint; without them the defaults apply.
	_ = ep.SetSockOpt(&idle)
	_ = ep.SetSockOpt(&interval)
	_ = ep.SetSockOptInt(tcpip.KeepaliveCountOption, keepaliveCount)
}

// tcpFlow is an inner connection and the outer one that carries it.
type tcpFlow struct {
	ep  tcpip.Endpoint
	in  *gonet.TCPConn
	out net.Conn
}

// carry copies both ways until both directions have ended. An end of file is
// passed on as a half close; an error on one side resets the other.
func (f *tcpFlow) carry() {
	var wg sync.WaitGroup
	wg.Go(func() { // ends when either side does
		if err := copyStream(f.out, f.in); err != nil {
			f.reset()
		} else if closeWrite(f.out) != nil {
			f.out.Close()
		}
	})
	if err := copyStream(f.in, f.out); err != nil {
		f.reset()
	} else if f.in.CloseWrite() != nil {
		f.ep.Abort()
	}
	wg.Wait()
	f.in.Close()
}

// reset ends both sides at once.
func (f *tcpFlow) reset() {
	f.ep.Abort()
	if t, ok := f.out.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // so that Close sends RST; if it fails, FIN has to do
	}
	f.out.Close()
}

func closeWrite(c net.Conn) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// copyStream copies until the end of src, which is no error.
func copyStream(dst io.Writer, src io.Reader) error {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	// The wrappers hide ReadFrom and WriteTo, which would bring buffers of
	// their own.
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, *buf)
	return err
}
