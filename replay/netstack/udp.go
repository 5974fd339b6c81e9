package netstack

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// maxDatagram is the largest UDP payload there is.
const maxDatagram = 65535

var datagramBuffers = sync.Pool{New: func() any { b := make([]byte, maxDatagram); return &b }}

// udpFlow is an inner UDP 4-tuple and the outer connection that carries it.
type udpFlow struct {
	src, dst netip.AddrPort
	quote    []byte // the beginning of its first packet, for ICMP errors
	in       *gonet.UDPConn
	used     atomic.Int64 // when a datagram last passed, in ns since the epoch
	left     bool         // under udpTable.mu

	mu     sync.Mutex
	out    net.Conn
	closed bool
}

// udpTable is the UDP flows that are carried, by inner source address.
type udpTable struct {
	mu       sync.Mutex
	bySource map[netip.Addr]map[*udpFlow]struct{}
}

// acceptUDP takes the first datagram of a flow. It runs on the goroutine that
// wrote the packet to the device, and so must not wait: datagrams that come
// before the outer connection stands wait in the inner one.
func (s *Stack) acceptUDP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	src, dst := flowOf(id)
	if !s.begin() {
		return true
	}
	if !s.takeUDP(src.Addr()) {
		s.dropped.Add(1)
		s.wg.Done()
		return true
	}
	f := &udpFlow{src: src, dst: dst}
	f.quote = append(append(f.quote, pkt.NetworkHeader().Slice()...), pkt.TransportHeader().Slice()...)
	f.touch()
	clone := pkt.Clone()
	defer clone.DecRef()
	var wq waiter.Queue
	ep, err := udp.NewForwarderRequest(s.stack, id, clone).CreateEndpoint(&wq)
	if err != nil {
		s.cfg.Logger.Debug("UDP flow refused", "from", src, "to", dst, "err", err)
		s.flows.give(src.Addr())
		s.wg.Done()
		return true
	}
	f.in = gonet.NewUDPConn(&wq, ep)
	s.udp.add(f)
	go s.carryUDP(f)
	return true
}

// takeUDP makes room for one more flow of src, if need be by ending the one
// of its flows that has been idle for longest.
func (s *Stack) takeUDP(src netip.Addr) bool {
	if s.flows.take(src) {
		return true
	}
	victim := s.udp.idlest(src)
	if victim == nil {
		return false
	}
	s.leaveUDP(victim)
	victim.Close()
	return s.flows.take(src)
}

func (s *Stack) leaveUDP(f *udpFlow) {
	if s.udp.remove(f) {
		s.flows.give(f.src.Addr())
	}
}

// carryUDP runs a flow from its second step on. It ends when the flow has
// been idle for UDPIdle, is evicted, or fails, and with the stack.
func (s *Stack) carryUDP(f *udpFlow) {
	defer s.wg.Done()
	defer s.leaveUDP(f)
	if !s.adopt(f) {
		return
	}
	defer s.release(f)
	defer f.Close()
	out, err := s.dial("udp", f.dst)
	if err != nil {
		s.failUDP(f, err)
		return
	}
	if !f.connected(out) {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { // ends when in is closed, or out fails
		defer f.Close()
		s.failUDP(f, f.outward())
	})
	s.failUDP(f, f.inward(s.cfg.UDPIdle))
	f.Close()
	wg.Wait()
}

// failUDP tells the sender why its flow ended, if it was not the stack or the
// sender that ended it.
func (s *Stack) failUDP(f *udpFlow, err error) {
	if err == nil || f.isClosed() || s.ctx.Err() != nil {
		return
	}
	s.cfg.Logger.Debug("UDP flow ended", "from", f.src, "to", f.dst, "err", err)
	why := portUnreachable
	switch {
	case errors.Is(err, fs.ErrPermission):
		why = prohibited
	case isTimeout(err), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		why = hostUnreachable
	}
	s.refuse(f.quote, why)
}

// outward copies datagrams from the sender to the outside.
func (f *udpFlow) outward() error {
	buf := datagramBuffers.Get().(*[]byte)
	defer datagramBuffers.Put(buf)
	for {
		n, err := f.in.Read(*buf)
		if err != nil {
			return nil
		}
		f.touch()
		if _, err := f.out.Write((*buf)[:n]); err != nil {
			return err
		}
	}
}

// inward copies datagrams from the outside to the sender. Idle is no error.
func (f *udpFlow) inward(idle time.Duration) error {
	buf := datagramBuffers.Get().(*[]byte)
	defer datagramBuffers.Put(buf)
	for {
		rest := time.Until(time.Unix(0, f.used.Load()).Add(idle))
		if rest <= 0 {
			return nil
		}
		if err := f.out.SetReadDeadline(time.Now().Add(rest)); err != nil {
			return err
		}
		n, err := f.out.Read(*buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return err
		}
		f.touch()
		// A datagram that the inner side cannot take is lost, as UDP's are.
		_, _ = f.in.Write((*buf)[:n])
	}
}

func (f *udpFlow) touch() { f.used.Store(time.Now().UnixNano()) }

// connected hands the flow its outer connection; it reports false, and closes
// out, if the flow is closed already.
func (f *udpFlow) connected(out net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		out.Close()
		return false
	}
	f.out = out
	return true
}

func (f *udpFlow) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// Close ends the flow's goroutines.
func (f *udpFlow) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	f.in.Close()
	if f.out != nil {
		f.out.Close()
	}
	return nil
}

func (t *udpTable) add(f *udpFlow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bySource == nil {
		t.bySource = make(map[netip.Addr]map[*udpFlow]struct{})
	}
	flows := t.bySource[f.src.Addr()]
	if flows == nil {
		flows = make(map[*udpFlow]struct{})
		t.bySource[f.src.Addr()] = flows
	}
	flows[f] = struct{}{}
}

// remove reports whether it was the one that removed f.
func (t *udpTable) remove(f *udpFlow) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.left {
		return false
	}
	f.left = true
	flows := t.bySource[f.src.Addr()]
	if delete(flows, f); len(flows) == 0 {
		delete(t.bySource, f.src.Addr())
	}
	return true
}

// of returns the flows of src.
func (t *udpTable) of(src netip.Addr) []*udpFlow {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.bySource[src]))
}

// idlest returns the flow of src that has been idle for longest, or nil.
func (t *udpTable) idlest(src netip.Addr) (idlest *udpFlow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for f := range t.bySource[src] {
		if idlest == nil || f.used.Load() < idlest.used.Load() {
			idlest = f
		}
	}
	return idlest
}
