package replay_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"tundump/decode"
	"tundump/replay"
)

// asIf is the session as another client would have had it: other ports,
// identifiers, sequence numbers and order.
func asIf(answer string, body string) recording {
	var r recording
	up, down := decode.ClientToServer, decode.ServerToClient
	other := ap(phone.Next(), 6000)
	r.add(0, up, dns(other, ap(server, 53), 1234, "example.org", 0))
	r.add(9, down, dns(ap(server, 53), other, 1234, "example.org", 1, answer, "192.0.2.1"))
	for i := range 3 {
		r.add(10*i, up, echo(8, phone.Next(), server, i+70, "ping"))
		r.add(10*i+2, down, echo(0, server, phone.Next(), i+70, "ping"))
	}
	web := ap(server, 80)
	c := ap(phone.Next(), 6001)
	r.add(50, up, tcp(c, web, 77, 0, 2))
	r.add(51, down, tcp(web, c, 99, 78, 0x12))
	r.add(52, up, tcp(c, web, 78, 100, 0x10))
	r.add(52, up, segment(c, web, 78, 100, "GET /"))
	half := len(body) / 2
	r.add(53, down, segment(web, c, 100+uint32(half), 83, body[half:]))
	r.add(53, down, segment(web, c, 100, 83, body[:half]))
	for i := range 3 {
		r.add(60, up, udp(ap(phone.Next(), 6002), ap(server, 123), i, fmt.Sprint("ask", i)))
		r.add(61, down, udp(ap(server, 123), ap(phone.Next(), 6002), i, fmt.Sprint("say", i)))
	}
	return r
}

func segment(src, dst netip.AddrPort, seq, ack uint32, text string) []byte {
	b := tcp(src, dst, seq, ack, 0x18)
	return ip4(6, src.Addr(), dst.Addr(), 9, append(b[20:], text...))
}

// withBody is the session with a page of its own.
func withBody(body string) recording {
	r := session()
	web, c := ap(server, 80), ap(phone, 5001)
	r.add(70, decode.ClientToServer, segment(c, web, 1001, 9001, "GET /"))
	r.add(71, decode.ServerToClient, segment(web, c, 9001, 1006, body))
	return r
}

func diff(t *testing.T, a, b recording, rules replay.Rules) replay.DiffReport {
	t.Helper()
	r, err := replay.Diff(a, b, rules)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDiffSame(t *testing.T) {
	body := strings.Repeat("page ", 1000)
	r := diff(t, withBody(body), asIf("192.0.2.2", body), replay.Rules{})
	if !r.Same() || r.Asked != 8 || r.Compared != 9 || r.A.Requests != 8 || r.B.Answers != 8 || r.A.Flows != 1 || r.B.Payload != [2]int64{5, 5000} {
		t.Errorf("%+v", r)
	}
	if r := diff(t, withBody(body), withBody(body), replay.Rules{}); !r.Same() {
		t.Errorf("with itself: %+v", r)
	}
}

func TestDiff(t *testing.T) {
	body := strings.Repeat("page ", 1000)
	r := diff(t, withBody(body), asIf("192.0.2.9", body[:4000]+"x"+body[4001:]), replay.Rules{})
	if r.Total != 2 {
		t.Fatalf("%+v", r)
	}
	if d := r.Differences[0]; d.Fields[0].Name != "dns.a" || d.Kind != replay.Changed || d.Request != 7 {
		t.Errorf("%+v", d)
	}
	if d := r.Differences[1]; d.Fields[0].Name != "tcp.payload.s2c at 3072" || d.Request != 9 {
		t.Errorf("%+v", d)
	}
	rules, err := replay.NewRules([]string{"tcp.payload", "dns.a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := diff(t, withBody(body), asIf("192.0.2.9", "else"), rules); !r.Same() {
		t.Errorf("ignored: %+v", r)
	}
}

// What one asks and the other does not, and what only one is answered.
func TestDiffMissing(t *testing.T) {
	a, b := session(), session()
	b = append(b[:2:2], b[4:]...) // without the second ping
	b = append(b[:3:3], b[4:]...) // and without the third one's answer
	b.add(90, decode.ClientToServer, udp(ap(phone, 5009), ap(server, 9), 1, "new"))
	r := diff(t, a, b, replay.Rules{})
	if r.Total != 3 {
		t.Fatalf("%+v", r)
	}
	kinds := map[replay.DifferenceKind]int{}
	for _, d := range r.Differences {
		kinds[d.Kind]++
	}
	if kinds[replay.Missing] != 1 || kinds[replay.Unanswered] != 1 || kinds[replay.Extra] != 1 {
		t.Errorf("%+v", r.Differences)
	}
}
