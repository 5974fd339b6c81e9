package filter

import (
	"slices"
	"testing"
)

func TestCheck(t *testing.T) {
	for text, want := range map[string]State{
		``: Empty, `  `: Empty,
		`tcp`: Valid, `tcp.port == 443`: Valid, `ip.src == 10.0.0.1`: Valid,
		`tcp.port ~= 443`: Deprecated,
		`tcp.po`:          Incomplete, `tcp.port ==`: Incomplete, `tcp.port == 443 and`: Incomplete, `(tcp`: Incomplete, `tcp.port in {80,`: Incomplete,
		`dns.qry.name == "exam`: Incomplete, `tcp.payload[0:`: Incomplete, `low`: Incomplete, `lower(`: Incomplete, `any tcp.port`: Incomplete, `not`: Incomplete,
		`tcp.prot == 1`: Invalid, `tcp.port == http`: Invalid, `tcp.port = 1`: Invalid, `tcp)`: Invalid, `tcp.port === ==`: Invalid,
	} {
		got, err := Check(text)
		if got != want {
			t.Errorf("%s: %d (%v), want %d", text, got, err, want)
		}
		if (err == nil) != (want == Empty || want == Valid) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestComplete(t *testing.T) {
	for _, tt := range []struct {
		text     string
		cursor   int
		from, to int
		has, not []string
	}{
		{``, 0, 0, 0, []string{"tcp", "tcp.port", "tunnel.command", "lower(", "any"}, []string{"=="}},
		{`tcp.po`, 6, 0, 6, []string{"tcp.port"}, []string{"tcp.len", "udp.port"}},
		{`tcp.po && udp`, 5, 0, 6, []string{"tcp.port", "tcp.payload"}, []string{"tcp.len"}},
		{`tcp && ip.t`, 11, 7, 11, []string{"ip.ttl"}, []string{"tcp"}},
		{`tcp && (!retrans`, 16, 9, 16, []string{"tcp.analysis.retransmission"}, []string{"tcp.port"}},
		{`tcp.port `, 9, 9, 9, []string{"==", "in", "&", "and"}, []string{"contains", "tcp.port"}},
		{`dns.qry.name co`, 15, 13, 15, []string{"contains"}, []string{"=="}},
		{`tcp.flags.syn == `, 17, 17, 17, []string{"True", `"Not set"`, "Set"}, []string{"tcp"}},
		{`ip.proto == U`, 13, 12, 13, []string{"UDP"}, []string{"TCP"}},
		{`ip.proto not in {TCP, U`, 23, 22, 23, []string{"UDP"}, nil},
		{`tcp.port == 443 `, 16, 16, 16, []string{"and", "or"}, []string{"=="}},
		{`len(dns.q`, 9, 4, 9, []string{"dns.qry.name"}, nil},
		{`all tcp.p`, 9, 4, 9, []string{"tcp.port"}, nil},
	} {
		from, to, list := Complete(tt.text, tt.cursor)
		var names []string
		for _, c := range list {
			names = append(names, c.Text)
		}
		if from != tt.from || to != tt.to {
			t.Errorf("%s: %d to %d, want %d to %d", tt.text, from, to, tt.from, tt.to)
		}
		for _, w := range tt.has {
			if !slices.Contains(names, w) {
				t.Errorf("%s: no %s in %q", tt.text, w, names[:min(20, len(names))])
			}
		}
		for _, w := range tt.not {
			if slices.Contains(names, w) {
				t.Errorf("%s: %s is in it", tt.text, w)
			}
		}
	}
	for _, text := range []string{`dns.qry.name == "tcp.p`, `tcp.port == 44`, `"`, `tcp.payload[tc`} {
		if _, _, list := Complete(text, len(text)); len(list) > 0 {
			t.Errorf("%s: %v", text, list[0])
		}
	}
	if _, _, list := Complete("tcp", 99); len(list) == 0 {
		t.Error("nothing for a cursor behind the end")
	}
}
