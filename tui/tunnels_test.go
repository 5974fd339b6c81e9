package tui

import (
	"net/netip"
	"strings"
	"testing"
)

// Between a client and a server that were seen on a network stands no proxy.
func TestTunnelWithoutProxy(t *testing.T) {
	peer := netip.MustParseAddrPort("192.0.2.1:8890")
	n := Tunnel{Number: 1, Client: netip.MustParseAddrPort("192.0.2.7:5000"), Listener: peer, Upstream: peer.String(),
		Steps:         []Step{{Kind: Signal, From: AtClient, To: AtProxy, Text: "connect"}, {Kind: Trouble, From: AtProxy, To: AtProxy, Text: "bytes missing"}},
		Configuration: []string{"everything goes through the tunnel", "IPv6 stays outside the tunnel"}}
	drawn := func() string {
		var b strings.Builder
		for _, line := range n.ladder(0, 80) {
			for _, p := range line {
				b.WriteString(p.Text)
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	for _, want := range []string{"   • everything goes through the tunnel\n   • IPv6 stays", "│── connect ───────────────────────────────────────▶│", "│                         ● bytes missing           │"} {
		if !strings.Contains(drawn(), want) {
			t.Errorf("no %q in\n%s", want, drawn())
		}
	}
	if strings.Contains(drawn(), "proxy") || strings.Count(drawn(), peer.String()) != 1 {
		t.Errorf("a proxy that is not there:\n%s", drawn())
	}
	n.Upstream = "vpn.example:8890"
	if !strings.Contains(drawn(), "proxy") {
		t.Errorf("the proxy is not drawn:\n%s", drawn())
	}
}
