// Package netstack is a [replay.Device] over gVisor's user-space TCP/IP
// stack: what is written to the device arrives at the stack as if from a
// wire, what the stack sends is read from it. No privileges are needed.
//
// At a tunnel's client end the stack has the addresses that the server gave,
// and one dials inside it:
//
//	st, err := netstack.New(netstack.Config{MTU: 1350, Addresses: assigned})
//	if err != nil {
//		return err
//	}
//	defer st.Close()
//	go client.Carry(ctx, st) // packets between tunnel and stack; peer.Client
//	conn, err := st.DialContext(ctx, "tcp", "93.184.216.34:80")
//
// At the server end Dial is set: the stack then takes TCP and UDP flows to
// any address, ends them, and carries their bytes on what Dial returns. The
// inner handshake completes only after the outer connection stands; an outer
// failure reaches the sender as the reset or the ICMP message that a router
// or host would have sent.
package netstack

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"tundump/replay"
)

// Stack is a TCP/IP stack with one interface, which is the device. Its
// methods are safe for concurrent use.
type Stack struct {
	cfg   Config
	stack *stack.Stack
	link  *channel.Endpoint
	own   map[netip.Addr]bool
	ctx   context.Context // ends with Close
	end   context.CancelFunc

	flows *quota // TCP and UDP flows carried
	echos *quota // echo requests under way
	turns order  // of their answers
	udp   udpTable
	pings pingTable

	dropped  atomic.Int64
	warnEcho sync.Once

	mu     sync.Mutex
	closed bool
	owned  map[io.Closer]struct{} // closed by Close
	wg     sync.WaitGroup         // every goroutine that the stack started

	shut sync.Once
	down chan struct{} // closed when Close has finished
}

var _ replay.Device = (*Stack)(nil)

// New returns a running stack. The caller closes it.
func New(cfg Config) (*Stack, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	silence()
	s := &Stack{
		cfg: cfg,
		stack: stack.New(stack.Options{
			NetworkProtocols:   networkProtocols(),
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		}),
		link:  channel.New(queueLen, uint32(cfg.MTU), ""),
		own:   make(map[netip.Addr]bool, len(cfg.Addresses)),
		flows: newQuota(cfg.Flows, cfg.FlowsPerSource),
		echos: newQuota(maxEchos, maxEchosPerSource),
		turns: order{patience: orderPatience},
		owned: make(map[io.Closer]struct{}),
		down:  make(chan struct{}),
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	if err := s.configure(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// networkProtocols is IPv4, and IPv6 without duplicate address detection,
// router solicitation and MLD: at the other end of a tunnel nobody answers
// them. Loopback addresses are carried like all others: whether they may be
// reached is for Dial to say, at the gateway.
func networkProtocols() []stack.NetworkProtocolFactory {
	return []stack.NetworkProtocolFactory{
		ipv4.NewProtocolWithOptions(ipv4.Options{AllowExternalLoopbackTraffic: true}),
		ipv6.NewProtocolWithOptions(ipv6.Options{AllowExternalLoopbackTraffic: true}),
	}
}

// silence keeps gVisor's own remarks on single packets from standard error.
var silence = sync.OnceFunc(func() { log.SetLevel(log.Warning) })

func (s *Stack) configure() error {
	if err := s.tune(); err != nil {
		return err
	}
	if err := s.stack.CreateNIC(nicID, s.link); err != nil {
		return failed("create interface", err)
	}
	for _, p := range s.cfg.Addresses {
		if err := s.addAddress(p); err != nil {
			return err
		}
	}
	s.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nicID},
		{Destination: header.IPv6EmptySubnet, NIC: nicID},
	})
	if s.cfg.Dial == nil {
		return nil
	}
	return s.becomeGateway()
}

func (s *Stack) tune() error {
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	for _, opt := range []tcpip.SettableTransportProtocolOption{
		&sack,
		&moderate,
		&tcpip.TCPReceiveBufferSizeRangeOption{Min: minBuffer, Default: defaultBuffer, Max: maxBuffer},
		&tcpip.TCPSendBufferSizeRangeOption{Min: minBuffer, Default: defaultBuffer, Max: maxBuffer},
	} {
		if err := s.stack.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return failed("set a TCP option", err)
		}
	}
	return nil
}

func (s *Stack) addAddress(p netip.Prefix) error {
	if !p.IsValid() {
		return fmt.Errorf("netstack: address %v is not valid", p)
	}
	a := p.Addr().Unmap().WithZone("")
	err := s.stack.AddProtocolAddress(nicID, tcpip.ProtocolAddress{
		Protocol:          protocolOf(a),
		AddressWithPrefix: toAddress(a).WithPrefix(),
	}, stack.AddressProperties{})
	if err != nil {
		return failed("add address "+a.String(), err)
	}
	s.own[a] = true
	return nil
}

// Read implements [replay.Device]: it returns what the stack sends.
func (s *Stack) Read(bufs [][]byte, sizes []int) (int, error) {
	limit := min(len(bufs), len(sizes))
	n := 0
	for n == 0 {
		pkt := s.link.ReadContext(s.ctx)
		if pkt == nil {
			return 0, net.ErrClosed
		}
		n = s.place(pkt, bufs, sizes, n)
	}
	for n < limit {
		pkt := s.link.Read()
		if pkt == nil {
			break
		}
		n = s.place(pkt, bufs, sizes, n)
	}
	return n, nil
}

// place copies pkt into slot n, gives it back to the stack's pool and reports
// the next free slot.
func (s *Stack) place(pkt *stack.PacketBuffer, bufs [][]byte, sizes []int, n int) int {
	defer pkt.DecRef()
	if pkt.Size() > len(bufs[n]) {
		s.dropped.Add(1)
		return n
	}
	size := 0
	views, skip := pkt.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		size += copy(bufs[n][size:], b[skip:])
		skip = 0
	}
	if pkt.Hash != ours && s.falseEcho(bufs[n][:size]) {
		s.dropped.Add(1)
		return n
	}
	sizes[n] = size
	return n + 1
}

// Write implements [replay.Device]: the packets arrive at the stack. What is
// no IP packet is dropped.
func (s *Stack) Write(pkts [][]byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, net.ErrClosed
	}
	for _, p := range pkts {
		proto, ok := versionOf(p)
		if !ok || len(p) > maxMTU {
			s.dropped.Add(1)
			continue
		}
		if s.takeICMP(p) {
			continue
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(p)})
		s.link.InjectInbound(proto, pkt)
		pkt.DecRef()
	}
	return len(pkts), nil
}

// ours marks the packets of [Stack.send]. The stack sets the hash of TCP and
// UDP packets only, and only ICMP is looked at for the mark.
const ours = 1

// send queues a packet that the stack itself did not make. It keeps p.
func (s *Stack) send(p []byte) {
	proto, ok := versionOf(p)
	if !ok || len(p) > s.cfg.MTU {
		s.dropped.Add(1)
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(p)})
	defer pkt.DecRef()
	pkt.NetworkProtocolNumber = proto
	pkt.Hash = ours
	var list stack.PacketBufferList
	list.PushBack(pkt)
	if n, _ := s.link.WritePackets(list); n == 0 {
		s.dropped.Add(1)
	}
}

// MTU implements [replay.Device].
func (s *Stack) MTU() int { return s.cfg.MTU }

// Dropped reports how many packets were dropped because they were no IP
// packets, too large, or more than the queue holds.
func (s *Stack) Dropped() int64 { return s.dropped.Load() }

// Close ends every flow, connection and listener of the stack and waits for
// its goroutines.
func (s *Stack) Close() error {
	s.shut.Do(func() {
		defer close(s.down)
		s.mu.Lock()
		s.closed = true
		owned := s.owned
		s.owned = nil
		s.mu.Unlock()
		s.end()
		for c := range owned {
			c.Close()
		}
		s.drain()
		s.link.Close()
		s.stack.Destroy()
	})
	<-s.down
	return nil
}

// drain waits for the stack's goroutines. An inner handshake can register its
// endpoint after Stack.Close has aborted all that were there, and would then
// wait for its own timeout: so abort again until all have ended.
func (s *Stack) drain() {
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, ep := range s.stack.RegisteredEndpoints() {
			ep.Abort()
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// begin reports whether the stack is open, and if so counts one goroutine,
// which calls s.wg.Done when it ends.
func (s *Stack) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// adopt makes Close close c too. If the stack is closed already, c is closed
// at once and adopt reports false.
func (s *Stack) adopt(c io.Closer) bool {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.owned[c] = struct{}{}
	}
	s.mu.Unlock()
	if closed {
		c.Close()
	}
	return !closed
}

// release undoes adopt.
func (s *Stack) release(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.owned, c)
}
