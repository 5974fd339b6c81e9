package tun

import (
	"net/netip"
	"testing"
)

func TestHalves(t *testing.T) {
	for n, want := range map[string][]string{
		"0.0.0.0/0":       {"0.0.0.0/1", "128.0.0.0/1"},
		"::/0":            {"::/1", "8000::/1"},
		"10.1.2.3/16":     {"10.1.0.0/16"},
		"2001:db8::1/128": {"2001:db8::1/128"},
	} {
		got := Halves(netip.MustParsePrefix(n))
		if len(got) != len(want) {
			t.Errorf("%s: %v", n, got)
			continue
		}
		for i := range got {
			if got[i].String() != want[i] {
				t.Errorf("%s: %v, want %v", n, got, want)
			}
		}
	}
}

// The text is what route(8) of macOS 14 prints, in shape.
func TestParseRoute(t *testing.T) {
	gateway := "   route to: 198.51.100.7\ndestination: default\n       mask: default\n    gateway: 192.168.1.1\n  interface: en0\n      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>\n recvpipe  sendpipe  ssthresh  rtt,msec    rttvar  hopcount      mtu     expire\n       0         0         0         0         0         0      1500         0 \n"
	if p := parseRoute(gateway); p.Device != "en0" || p.Via != netip.MustParseAddr("192.168.1.1") {
		t.Errorf("%+v", p)
	}
	link := "   route to: 192.168.1.9\ndestination: 192.168.1.9\n  interface: en0\n      flags: <UP,HOST,DONE,LLINFO,WASCLONED,IFSCOPE,IFREF>\n"
	if p := parseRoute(link); p.Device != "en0" || p.Via.IsValid() {
		t.Errorf("%+v", p)
	}
	if p := parseRoute("route: writing to routing socket: not in table\n"); p.Device != "" {
		t.Errorf("%+v", p)
	}
}

func TestHostRoute(t *testing.T) {
	if c := HostRoute(netip.MustParseAddr("::ffff:192.0.2.1")); c.Net.String() != "192.0.2.1/32" {
		t.Error(c)
	}
}
