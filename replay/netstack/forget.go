package netstack

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Forget ends the flows of inner addresses, those that have ended and still
// linger included. A client that is gone says no goodbye; whoever is given its
// address next must not meet its connections, nor be refused one because its
// ports are those of another that is in TIME-WAIT.
func (s *Stack) Forget(addrs ...netip.Addr) {
	if !s.begin() {
		return
	}
	defer s.wg.Done()
	gone := make(map[tcpip.Address]bool, len(addrs))
	for _, a := range addrs {
		gone[toAddress(a)] = true
		for _, f := range s.udp.of(a) {
			s.leaveUDP(f)
			f.Close()
		}
	}
	for _, endpoints := range [][]stack.TransportEndpoint{s.stack.RegisteredEndpoints(), s.stack.CleanupEndpoints()} {
		for _, ep := range endpoints {
			e, ok := ep.(tcpip.Endpoint)
			if !ok {
				continue
			}
			if remote, err := e.GetRemoteAddress(); err == nil && gone[remote.Addr] {
				ep.Abort()
			}
		}
	}
}
