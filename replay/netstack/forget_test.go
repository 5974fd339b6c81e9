package netstack

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// kept counts what the stack keeps of connections with addr.
func kept(s *Stack, addr netip.Addr) int {
	n := 0
	for _, ep := range append(s.stack.RegisteredEndpoints(), s.stack.CleanupEndpoints()...) {
		if e, ok := ep.(tcpip.Endpoint); ok {
			if remote, err := e.GetRemoteAddress(); err == nil && remote.Addr == toAddress(addr) {
				n++
			}
		}
	}
	return n
}

// After Forget nothing is left of an address's flows: not of one that is open,
// nor of one that the other side closed first and that lingers in TIME-WAIT,
// where it would keep the next client with that address from using its port.
func TestForget(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // the first connection is closed at once, the second is not
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if i == 0 {
				c.Close()
				continue
			}
			defer c.Close()
		}
	}()
	client, gw := gateway(t, world{tcp: l.Addr().String(), udp: echoUDP(t)}, nil)
	addr := clientAddresses[0].Addr()

	lingering, err := client.DialContext(timeout(t), "tcp", "192.0.2.7:80")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(lingering); err != nil {
		t.Fatal(err)
	}
	lingering.Close()
	open, err := client.DialContext(timeout(t), "tcp", "192.0.2.7:80")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	datagrams, err := client.DialContext(timeout(t), "udp", "192.0.2.7:53")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	if _, err := datagrams.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := datagrams.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if n := kept(gw, addr); n < 2 {
		t.Fatalf("%d connections before", n)
	}
	gw.Forget(addr)
	open.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := open.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("the open flow goes on, or ended well: %v", err)
	}
	for deadline := time.Now().Add(20 * time.Second); kept(gw, addr) > 0 || gw.flows.inUse() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections and %d flows are left", kept(gw, addr), gw.flows.inUse())
		}
	}
}
