package stats_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tundump/decode"
	"tundump/decode/stats"
)

var configuration = dict{
	"IPv4": dict{"Address": "10.8.0.2", "Netmask": "255.255.255.255"},
	"DNS":  dict{"Servers": []any{"10.8.0.1"}, "SearchDomains": []any{}},
}

// collect gives a collector a short life of a tunnel.
func collect(t *testing.T) (*stats.Collector, *feed) {
	c := stats.New(stats.Options{})
	f := newFeed(t)
	f.event, f.packet = c.Event, c.Packet
	client, server := netip.MustParseAddrPort("192.168.1.7:53122"), netip.MustParseAddrPort("10.0.0.5:8890")
	f.give(decode.Event{Kind: decode.Opened, Tunnel: 1, Time: start, Detail: &decode.Detail{Client: client, Listener: server, Upstream: "vpn.example:8890"}})
	f.give(decode.Event{Kind: decode.Connected, Tunnel: 1, Time: start + 18e6, Detail: &decode.Detail{Local: client, Remote: server}})
	f.message(19, up, dict{"identifier": 7, "command": int(decode.Open), "tunnel-type": 1})
	f.message(41, down, dict{"identifier": 7, "command": int(decode.OpenResult), "result-code": 0, "configuration": configuration})
	a, b := netip.MustParseAddrPort("10.8.0.2:4000"), netip.MustParseAddrPort("10.8.0.1:5000")
	f.message(44, up, packets(udp(a, b, 100), udp(a, b, 200), udp(a, b, 300)))
	f.message(63, down, packets(udp(b, a, 50)))
	f.message(100, down, dict{"identifier": 7, "command": int(decode.Suspend)})
	f.message(123, down, dict{"identifier": 7, "command": int(decode.Resume)})
	f.message(200, down, dict{"identifier": 7, "command": int(decode.Suspend)})
	f.give(decode.Event{Kind: decode.TCPInfo, Tunnel: 1, Dir: up, Time: start + 210e6, Detail: &decode.Detail{RTT: 4e6, Retrans: 2}})
	return c, f
}

func TestCollector(t *testing.T) {
	c, f := collect(t)
	s := c.Snapshot(10)
	early := *s.Tunnels[0]
	if !s.Tunnels[0].Waiting || s.Tunnels[0].Suspended != 33e6 || s.Tunnels[0].Suspends != 2 {
		t.Errorf("suspended %d ns in %d spans, waiting %v", s.Tunnels[0].Suspended, s.Tunnels[0].Suspends, s.Tunnels[0].Waiting)
	}
	f.give(decode.Event{Kind: decode.Closed, Tunnel: 1, Time: start + 300e6, Detail: &decode.Detail{By: decode.Client, Reason: "FIN"}})
	if d := cmp.Diff(early, *s.Tunnels[0], cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("a snapshot changed: %s", d)
	}
	s = c.Snapshot(10)
	tun := s.Tunnels[0]
	if tun.Waiting || tun.Suspended != 123e6 || tun.Duration() != 300e6 || tun.Answers.Mean() != 22e6 || tun.RTT[0].Max != 4e6 || tun.Retrans[0] != 2 {
		t.Errorf("suspended %d ns, waiting %v, lived %d ns, answered in %d ns, rtt %d", tun.Suspended, tun.Waiting, tun.Duration(), tun.Answers.Mean(), tun.RTT[0].Max)
	}
	var steps []string
	for _, st := range tun.Steps() {
		steps = append(steps, st.Text)
	}
	want := []string{"connect", "connect", "open ip 7", "openResult success", "first packets up", "first packets down", "closed (FIN)"}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %q", steps)
	}
	if got := tun.Packets; got != [2]stats.Count{{N: 3, Bytes: 600 + 3*28}, {N: 1, Bytes: 78}} || got != s.Packets {
		t.Errorf("packets %v, of all %v", got, s.Packets)
	}
	if bytes, percent := tun.Overhead(down); bytes != s.Messages[down].Bytes-78 || percent < 100 {
		t.Errorf("overhead %d bytes, %.1f %%", bytes, percent)
	}
	if s.PerMessage[up].Total() != 1 || s.PerMessage[up][3] != 1 || s.PerMessage[up].Class(3) != "3-4" || s.PerMessage[down][1] != 1 {
		t.Errorf("packets per message %v", s.PerMessage)
	}
	wantProtocols := []stats.Protocol{{"raw", 0, stats.Count{N: 4, Bytes: 762}}, {"ip", 1, stats.Count{N: 4, Bytes: 762}}, {"udp", 2, stats.Count{N: 4, Bytes: 762}}, {"data", 3, stats.Count{N: 4, Bytes: 762}}}
	if d := cmp.Diff(wantProtocols, s.Hierarchy); d != "" {
		t.Error(d)
	}
	if len(s.Talkers) != 1 || s.Talkers[0].Count[1].Bytes != 78 || s.Talkers[0].Addr[0].Port() != 4000 || len(s.Addresses) != 2 || s.Addresses[0].Sent.N+s.Addresses[1].Sent.N != 4 {
		t.Errorf("talkers %v, addresses %v", s.Talkers, s.Addresses)
	}
	var sum stats.Count
	for _, b := range s.Whole.Buckets {
		sum = sum.Plus(b.Inner[0]).Plus(b.Inner[1])
	}
	if sum.Bytes != 762 || len(s.Recent.Buckets) != 1 || s.Recent.Buckets[0].Inner[0].N != 3 {
		t.Errorf("rates: %v in all, recent %v", sum, s.Recent)
	}
	if s.Losses != (stats.Losses{}) {
		t.Errorf("losses %v", s.Losses)
	}
}

func TestConfiguration(t *testing.T) {
	routes := func(r ...any) dict {
		return dict{"IPv4": dict{"Address": "10.8.0.2", "Netmask": "255.255.255.255", "Routes": append([]any{}, r...)},
			"DNS": dict{"Servers": []any{"10.8.0.1", "9.9.9.9"}, "SearchDomains": []any{"corp.example"}}}
	}
	for _, tt := range []struct {
		name string
		conf any
		want []string
	}{
		{"full tunnel", configuration, []string{"everything goes through the tunnel (no Routes)", "asks 10.8.0.1 for all names", "MTU 1350 on a 1500 link", "IPv6 stays outside the tunnel"}},
		{"split tunnel", routes(dict{"Address": "10.0.0.0", "Netmask": "255.0.0.0"}, dict{"Address": "1.1.1.1"}), []string{"only 10.0.0.0/8 goes through the tunnel",
			"asks 10.8.0.1, 9.9.9.9 for names in corp.example only", "reaches 9.9.9.9 outside the tunnel (no route)", "MTU 1350 on a 1500 link", "IPv6 stays outside the tunnel"}},
		{"no route at all", routes(), []string{"nothing goes through the tunnel (Routes is empty)",
			"asks 10.8.0.1, 9.9.9.9 for names in corp.example only", "reaches 10.8.0.1, 9.9.9.9 outside the tunnel (no route)", "MTU 1350 on a 1500 link", "IPv6 stays outside the tunnel"}},
		{"routes of which one is none", routes("10.0.0.0/8"), []string{"everything goes through the tunnel (no Routes)", "asks 10.8.0.1, 9.9.9.9 for all names",
			"completes short names with corp.example", "MTU 1350 on a 1500 link", "IPv6 stays outside the tunnel"}},
		{"odd masks", routes(dict{"Address": "10.0.0.0", "Netmask": "255.0.255.0"}), []string{"only 10.0.0.0/255.0.255.0 goes through the tunnel",
			"asks 10.8.0.1, 9.9.9.9 for names in corp.example only", "reaches 10.8.0.1, 9.9.9.9 outside the tunnel (no route)", "MTU 1350 on a 1500 link", "IPv6 stays outside the tunnel"}},
		{"no names", dict{"IPv4": configuration["IPv4"]}, []string{"everything goes through the tunnel (no Routes)", "asks for names outside the tunnel (no DNS Servers)", "MTU 1350 on a 1500 link", "IPv6 stays outside the tunnel"}},
		{"no address", dict{"DNS": configuration["DNS"]}, []string{"the tunnel does not start: IPv4 has no Address or no Netmask"}},
		{"no dictionary", "all", []string{"the tunnel does not start: IPv4 has no Address or no Netmask"}},
	} {
		var m decode.Message
		raw := record(t, dict{"identifier": 7, "command": int(decode.OpenResult), "result-code": 0, "configuration": tt.conf})
		if err := m.Decode(decode.Event{Kind: decode.Record, Dir: down, Raw: raw}); err != nil {
			t.Fatal(err)
		}
		c, ok := stats.ConfigurationOf(&m)
		if !ok {
			t.Fatalf("%s: none", tt.name)
		}
		if got := c.Words(1500); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%q, want\n%q", tt.name, got, tt.want)
		}
	}
}
