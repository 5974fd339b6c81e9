package flow_test

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"tundump/capture/judge"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// taker takes packets in and numbers them.
type taker struct {
	table  *flow.Table
	parser *packet.Parser
	facts  packet.Facts
	n      int64
}

func take(o flow.Options) *taker { return &taker{table: flow.New(o), parser: packet.NewParser()} }

func (k *taker) packet(tunnel uint32, p judge.Packet) flow.Analysis {
	var a flow.Analysis
	k.n++
	k.parser.Facts(p.Data, &k.facts)
	k.table.Packet(flow.Packet{Tunnel: tunnel, Number: k.n, Time: p.Time, Facts: &k.facts}, &a)
	return a
}

// infos returns the info columns of a script without the ports.
func infos(t *testing.T, text string) []string {
	t.Helper()
	k := take(flow.Options{})
	var out []string
	for _, p := range script(t, text) {
		a := k.packet(1, p)
		out = append(out, string(flow.AppendInfo(nil, k.parser, &k.facts, &a)))
	}
	return out
}

func TestInfo(t *testing.T) {
	got := infos(t, `
		0     > S  1000 0    1000 0 ws=2
		1000  < SA 5000 1001 2000 0 ws=7
		1000  > A  1001 5001 500  0
		1000  > A  1001 5001 500  100
		10    > A  1201 5001 500  100
		10    < A  5001 1101 2000 0
		10    < A  5001 1101 2000 0 sack=1201-1301
		10    < A  5001 1101 2000 0 sack=1201-1301
		100   > A  1101 5001 500  100
		10    < A  5001 1301 0    0
		10    > A  1301 5001 500  1
		99000 < A  5001 1301 100  0
		10    > R  1302 0    0    0
		10    > S  9000 0    500  0`)
	want := []string{
		"50000 → 4000 [SYN] Seq=0 Win=1000 Len=0 WS=4",
		"4000 → 50000 [SYN, ACK] Seq=0 Ack=1 Win=2000 Len=0 WS=128",
		"50000 → 4000 [ACK] Seq=1 Ack=1 Win=2000 Len=0",
		"50000 → 4000 [ACK] Seq=1 Ack=1 Win=2000 Len=100",
		"[TCP Previous segment not captured] 50000 → 4000 [ACK] Seq=201 Ack=1 Win=2000 Len=100",
		"4000 → 50000 [ACK] Seq=1 Ack=101 Win=256000 Len=0",
		"[TCP Dup ACK 6#1] 4000 → 50000 [ACK] Seq=1 Ack=101 Win=256000 Len=0 SLE=201 SRE=301",
		"[TCP Dup ACK 6#2] 4000 → 50000 [ACK] Seq=1 Ack=101 Win=256000 Len=0 SLE=201 SRE=301",
		"[TCP Fast Retransmission] 50000 → 4000 [ACK] Seq=101 Ack=1 Win=2000 Len=100",
		"[TCP ZeroWindow] 4000 → 50000 [ACK] Seq=1 Ack=301 Win=0 Len=0",
		"[TCP ZeroWindowProbe] 50000 → 4000 [ACK] Seq=301 Ack=1 Win=2000 Len=1",
		"[TCP Window Update] 4000 → 50000 [ACK] Seq=1 Ack=301 Win=12800 Len=0",
		"50000 → 4000 [RST] Seq=302 Win=0 Len=0",
		"[TCP Port numbers reused] 50000 → 4000 [SYN] Seq=0 Win=500 Len=0",
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("packet %d: %s\nwant %s", i+1, got[i], want[i])
		}
	}
}

func TestConversation(t *testing.T) {
	k := take(flow.Options{})
	var last flow.Analysis
	for _, p := range script(t, `
		0    > S  1000 0    1000 0
		2000 < SA 5000 1001 2000 0
		1000 > A  1001 5001 1000 0
		1000 > A  1001 5001 1000 10
		9000 < A  5001 1011 2000 0
		1000 < FA 5001 1011 2000 0`) {
		last = k.packet(7, p)
	}
	if last.Side != 1 || last.InitialRTT != 0 || last.Completeness != flow.SawSYN|flow.SawSYNACK|flow.SawACK|flow.SawData {
		t.Errorf("%+v", last)
	}
	for f := range k.table.Flows() {
		want := [2]flow.Count{
			{Packets: 3, Bytes: 130, First: start, Last: start + 4_000_000},
			{Packets: 3, Bytes: 120, First: start + 2_000_000, Last: start + 14_000_000},
		}
		if f.Tunnel != 7 || f.Count != want || f.InitialRTT() != 3_000_000 || f.Completeness() != last.Completeness|flow.SawFIN ||
			f.Addr[0].String() != "10.8.0.2:50000" || f.Addr[1].String() != "93.184.216.34:4000" {
			t.Errorf("%+v", f)
		}
		if up, down := f.Rate(0), f.Rate(1); up != 130/0.014 || down != 120/0.014 {
			t.Errorf("%v bytes a second up, %v down", up, down)
		}
	}
}

// The same 5-tuple in another tunnel is another flow.
func TestTunnels(t *testing.T) {
	k := take(flow.Options{})
	p := seg{flags: packet.ACK, seq: 1, win: 1, len: 10}.packet()
	if a, b, c := k.packet(1, p), k.packet(2, p), k.packet(1, p); a.Stream != 0 || b.Stream != 1 || b.Flags != 0 || c.Stream != 0 || c.Flags != flow.Retransmission {
		t.Errorf("%+v\n%+v\n%+v", a, b, c)
	}
}

func TestEviction(t *testing.T) {
	k := take(flow.Options{Flows: 3, Idle: 1e9, Segments: 5})
	at := func(port uint16, ms int64) flow.Analysis {
		return k.packet(1, seg{at: ms * 1000, client: port, flags: packet.ACK, seq: uint32(ms), len: 1}.packet())
	}
	for i := range uint16(3) {
		at(1+i, int64(i))
	}
	if a := at(1, 3); a.Stream != 0 {
		t.Errorf("%+v", a)
	}
	if a := at(4, 4); a.Stream != 3 || k.table.Losses().Flows != 1 { // the second is gone
		t.Errorf("%+v, %+v", a, k.table.Losses())
	}
	if a := at(1, 5); a.Stream != 0 {
		t.Errorf("%+v", a)
	}
	if a := at(2, 6); a.Stream != 4 {
		t.Errorf("%+v", a)
	}
	at(9, 5000) // all others are idle by now; two go with each new flow
	at(10, 5001)
	if got := k.table.Losses().Flows; got != 5 {
		t.Errorf("%d flows lost", got)
	}
	for i := range int64(10) {
		at(9, 5002+i)
	}
	if got := k.table.Losses().Segments; got != 7 {
		t.Errorf("%d segments lost", got)
	}
}

func dns(id byte, answer bool, name string, addrs ...netip.Addr) []byte {
	m := []byte{0, id, 1, 0, 0, 1, 0, byte(len(addrs)), 0, 0, 0, 0}
	if answer {
		m[2] = 0x81
	}
	for l := range strings.SplitSeq(name, ".") {
		m = append(append(m, byte(len(l))), l...)
	}
	m = append(m, 0, 0, 1, 0, 1)
	for _, a := range addrs {
		m = append(m, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4)
		m = append(m, a.AsSlice()...)
	}
	return m
}

func TestDNS(t *testing.T) {
	k := take(flow.Options{Queries: 2, Names: 2})
	at := func(us int64, answer bool, id byte, name string, addrs ...netip.Addr) flow.Analysis {
		b := ip4(17, client4, server4, udp(50000, 53, dns(id, answer, name, addrs...)))
		if answer {
			b = ip4(17, server4, client4, udp(53, 50000, dns(id, answer, name, addrs...)))
		}
		return k.packet(1, judge.Packet{Time: start + us*1000, Data: b})
	}
	addr := netip.MustParseAddr
	at(0, false, 1, "a.example")
	at(1000, false, 1, "a.example") // again: the first counts
	if a := at(5000, true, 1, "a.example", addr("10.0.0.1"), addr("10.0.0.2")); a.AnswerTo != 1 || a.Latency != 5_000_000 || a.Proto != packet.UDP {
		t.Errorf("%+v", a)
	}
	if a := at(6000, true, 1, "a.example"); a.AnswerTo != 0 {
		t.Errorf("a second answer: %+v", a)
	}
	at(7000, false, 2, "b.example")
	at(6_007_001, false, 2, "b.example")
	if a := at(6_007_002, true, 2, "b.example", addr("10.0.0.3")); a.AnswerTo != 6 || a.Latency != 1000 {
		t.Errorf("after five seconds: %+v", a)
	}
	if a, b, c := k.table.Name(1, addr("10.0.0.1")), k.table.Name(1, addr("10.0.0.3")), k.table.Name(2, addr("10.0.0.3")); a != "" || b != "b.example" || c != "" {
		t.Errorf("names %q, %q, %q", a, b, c)
	}
	for id := range byte(4) {
		at(7_000_000, false, 10+id, "c.example")
	}
	if l := k.table.Losses(); l.Queries != 2 || l.Names != 1 {
		t.Errorf("%+v", l)
	}
}

func TestEcho(t *testing.T) {
	k := take(flow.Options{})
	echo := func(us int64, from, to netip.Addr, typ, seq byte) flow.Analysis {
		return k.packet(1, judge.Packet{Time: start + us*1000, Data: ip4(1, from, to, []byte{typ, 0, 0, 0, 0, 9, 0, seq})})
	}
	echo(0, client4, server4, 8, 1)
	echo(10, client4, server4, 8, 2)
	a := echo(20, server4, client4, 0, 1)
	if a.AnswerTo != 1 || a.Latency != 20_000 || a.Proto != packet.NoTransport {
		t.Errorf("%+v", a)
	}
	if info := string(flow.AppendInfo(nil, k.parser, &k.facts, &a)); !strings.HasSuffix(info, "ttl=64 (request in 1)") {
		t.Error(info)
	}
	if a := echo(30, client4, server4, 0, 2); a.AnswerTo != 0 {
		t.Errorf("the wrong way: %+v", a)
	}
}

func TestErrorsAreAboutFlows(t *testing.T) {
	k := take(flow.Options{})
	about := func(quoted []byte) flow.Analysis {
		return k.packet(1, judge.Packet{Time: start, Data: ip4(1, server4, client4, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, quoted...))})
	}
	k.packet(1, seg{flags: packet.SYN, client: 1}.packet())
	tcp := seg{flags: packet.SYN, client: 2}.packet()
	if a := about(tcp.Data[:28]); a.Proto != packet.NoTransport {
		t.Errorf("about an unknown flow: %+v", a)
	}
	k.packet(1, tcp)
	if a := about(tcp.Data[:28]); a.Proto != packet.TCP || !a.Quoted || a.Stream != 1 || a.Side != 0 {
		t.Errorf("%+v", a)
	}
	if a := about(ip4(17, client4, server4, udp(5, 6, nil))); a.Proto != packet.UDP || !a.Quoted || a.Stream != 0 {
		t.Errorf("%+v", a)
	}
	for f := range k.table.Flows() {
		errors := int64(1)
		if f.Proto == packet.TCP && f.Stream == 0 {
			errors = 0
		}
		if f.Proto == packet.UDP && f.Count != [2]flow.Count{} || f.Errors != errors {
			t.Errorf("%+v", f)
		}
	}
}

// What is in flight and what is acknowledged is what a slow count of bytes
// says, whatever the order.
func TestInFlight(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		k := take(flow.Options{})
		base := r.Uint32()
		k.packet(1, seg{flags: packet.SYN, seq: base - 1, win: 1}.packet())
		k.packet(1, seg{back: true, flags: packet.SYN | packet.ACK, ack: base, win: 1}.packet())
		sent := [64]int{} // how often each block of 10 bytes awaits an acknowledgment
		acked, end := 0, 0
		for range 60 {
			if r.IntN(3) > 0 {
				from := max(acked, min(end, end-3+r.IntN(5)))
				to := min(from+1+r.IntN(3), len(sent))
				if from >= to {
					continue
				}
				for i := from; i < to; i++ {
					sent[i]++
				}
				end = max(end, to)
				a := k.packet(1, seg{flags: packet.ACK, seq: base + uint32(from)*10, len: (to - from) * 10, win: 1}.packet())
				first := acked
				for sent[first] == 0 {
					first++
				}
				if want := uint32(end-first) * 10; a.InFlight != want {
					t.Fatalf("%d in flight, want %d: %v", a.InFlight, want, sent)
				}
			} else if end > acked {
				acked += r.IntN(end - acked + 1)
				clear(sent[:acked])
				k.packet(1, seg{back: true, flags: packet.ACK, seq: 1, ack: base + uint32(acked)*10, win: 1}.packet())
			}
		}
	}
}
