package flow_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tundump/capture/judge"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// compared are the fields that tshark judges. What a flag of the analysis is,
// agrees where neither has it, too: those are counted by the packets on which
// either has it.
var compared = []string{
	"tcp.stream", "udp.stream", "tcp.seq", "tcp.ack", "tcp.window_size",
	"tcp.analysis.retransmission", "tcp.analysis.fast_retransmission", "tcp.analysis.spurious_retransmission",
	"tcp.analysis.out_of_order", "tcp.analysis.reused_ports", "tcp.analysis.lost_segment", "tcp.analysis.ack_lost_segment",
	"tcp.analysis.window_update", "tcp.analysis.window_full", "tcp.analysis.keep_alive", "tcp.analysis.keep_alive_ack",
	"tcp.analysis.duplicate_ack", "tcp.analysis.duplicate_ack_num", "tcp.analysis.duplicate_ack_frame",
	"tcp.analysis.zero_window_probe", "tcp.analysis.zero_window", "tcp.analysis.zero_window_probe_ack",
	"tcp.analysis.acks_frame", "tcp.analysis.ack_rtt", "tcp.analysis.initial_rtt", "tcp.analysis.bytes_in_flight",
	"dns.time", "dns.response_to", "_ws.col.Info",
}

var flagFields = map[string]flow.Flags{
	"tcp.analysis.retransmission":          flow.Retransmission | flow.FastRetransmission | flow.Spurious,
	"tcp.analysis.fast_retransmission":     flow.FastRetransmission,
	"tcp.analysis.spurious_retransmission": flow.Spurious,
	"tcp.analysis.out_of_order":            flow.OutOfOrder,
	"tcp.analysis.reused_ports":            flow.ReusedPorts,
	"tcp.analysis.lost_segment":            flow.LostSegment,
	"tcp.analysis.ack_lost_segment":        flow.AckedUnseen,
	"tcp.analysis.window_update":           flow.WindowUpdate,
	"tcp.analysis.window_full":             flow.WindowFull,
	"tcp.analysis.keep_alive":              flow.KeepAlive,
	"tcp.analysis.keep_alive_ack":          flow.KeepAliveAck,
	"tcp.analysis.duplicate_ack":           flow.DuplicateAck,
	"tcp.analysis.zero_window_probe":       flow.ZeroWindowProbe,
	"tcp.analysis.zero_window":             flow.ZeroWindow,
	"tcp.analysis.zero_window_probe_ack":   flow.ZeroWindowProbeAck,
}

// ours prints what the analysis says as tshark prints its fields.
func ours(p *packet.Parser, f *packet.Facts, a *flow.Analysis) map[string]string {
	m := map[string]string{}
	number := func(name string, n int64, is bool) {
		if is {
			m[name] = strconv.FormatInt(n, 10)
		}
	}
	seconds := func(name string, ns int64, is bool) {
		if is {
			m[name] = fmt.Sprintf("%d.%09d", ns/1e9, ns%1e9)
		}
	}
	dns := f.App != packet.NoApp && a.App == packet.NoApp && a.AnswerTo != 0 // HTTP has answers too
	number("dns.response_to", a.AnswerTo, dns)
	seconds("dns.time", a.Latency, dns)
	number("udp.stream", a.Stream, a.Proto == packet.UDP)
	number("tcp.stream", a.Stream, a.Proto == packet.TCP)
	m["_ws.col.Info"] = string(flow.AppendInfo(nil, p, f, a))
	if a.Proto != packet.TCP || a.Quoted {
		return m
	}
	window := int64(f.Window)
	if f.Flags&packet.SYN == 0 {
		window <<= a.Base.WScale
	}
	number("tcp.seq", int64(f.Seq-a.Base.Seq), true)
	number("tcp.ack", int64(f.Ack-a.Base.Ack), f.Flags&packet.ACK != 0)
	number("tcp.window_size", window, true)
	for name, flag := range flagFields {
		number(name, 1, a.Flags&flag != 0)
	}
	number("tcp.analysis.duplicate_ack_num", int64(a.DupAck), a.DupAck != 0)
	number("tcp.analysis.duplicate_ack_frame", a.DupAckOf, a.DupAck != 0)
	number("tcp.analysis.acks_frame", a.AckOf, a.AckOf != 0)
	seconds("tcp.analysis.ack_rtt", a.AckRTT, a.AckRTT != 0)
	seconds("tcp.analysis.initial_rtt", a.InitialRTT, a.InitialRTT != 0)
	number("tcp.analysis.bytes_in_flight", int64(a.InFlight), a.InFlight != 0)
	return m
}

// tshark returns tshark's fields of each packet.
func tshark(t *testing.T, pkts []judge.Packet, fields ...string) [][]string {
	t.Helper()
	rows := judge.Fields(t, judge.WriteRaw(t, pkts), []string{"-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.track_bytes_in_flight:TRUE", "-E", "occurrence=f"}, fields...)
	if len(rows) != len(pkts) {
		t.Fatalf("tshark has %d rows for %d packets", len(rows), len(pkts))
	}
	return rows
}

// agreement counts, for each field, the packets on which either side has it,
// and those on which both have the same.
type agreement struct {
	either, same map[string]int
	names        map[[2]string]string // a flow's number in tshark, by ours, and the other way round
}

// flow compares the numbers of a flow. Other dissectors open flows before
// their first packet, so that only a flow's packets can be compared, not its
// number.
func (g *agreement) flow(name, have, want string) bool {
	for _, k := range [][3]string{{name, have, want}, {"tshark's " + name, want, have}} {
		if known, ok := g.names[[2]string(k[:2])]; ok && known != k[2] {
			return false
		}
		g.names[[2]string(k[:2])] = k[2]
	}
	return true
}

// compare has tshark judge packets.
func compare(t *testing.T, pkts []judge.Packet) agreement {
	t.Helper()
	rows := tshark(t, pkts, append(slices.Clone(compared), "frame.protocols")...)
	table := flow.New(flow.Options{})
	p := packet.NewParser()
	g := agreement{map[string]int{}, map[string]int{}, map[[2]string]string{}}
	for i, pkt := range pkts {
		var f packet.Facts
		var a flow.Analysis
		p.Facts(pkt.Data, &f)
		table.Packet(flow.Packet{Tunnel: 1, Number: int64(i) + 1, Time: pkt.Time, Facts: &f}, &a)
		got := ours(p, &f, &a)
		protocols := rows[i][len(compared)]
		quotes := strings.Contains(protocols, "icmp")
		for j, name := range compared {
			want, have := rows[i][j], got[name]
			switch {
			case name == "_ws.col.Info" && a.AnswerTo != 0 && a.Proto == packet.NoTransport:
				// the answer to an echo request
			case name == "_ws.col.Info" && (a.Proto != packet.TCP || f.App != packet.NoApp || !strings.HasPrefix(protocols, "raw:ip") || quotes || !strings.Contains(want, " Len=")):
				continue // a column of another protocol
			case quotes && (name != "udp.stream" || a.Proto != packet.UDP):
				continue // what tshark takes from the quoted packet
			case name == "udp.stream" && (strings.Contains(protocols, ":rt") || strings.Contains(protocols, ":t38")):
				continue // SIP announces media, and tshark begins another flow there
			case name == "tcp.ack" && f.Flags&packet.ACK == 0:
				continue // not in use
			case want == "" && have == "" || f.IsFragment():
				continue
			}
			g.either[name]++
			same := want == have
			if strings.HasSuffix(name, ".stream") {
				same = g.flow(name, have, want)
			}
			if same {
				g.same[name]++
			} else if g.either[name]-g.same[name] <= 3 {
				t.Logf("packet %d (%s) %s: %q, tshark has %q; %s", i+1, protocols, name, have, want, got["_ws.col.Info"])
			}
		}
	}
	return g
}

// check reports how far each field agrees, and that it does so for least of
// the packets that have it.
func (g *agreement) check(t *testing.T, least float64) {
	t.Helper()
	for _, name := range compared {
		n := g.either[name]
		if n == 0 {
			continue
		}
		part := float64(g.same[name]) / float64(n)
		t.Logf("%-42s %6d of %6d, %7.3f %%", name, g.same[name], n, 100*part)
		if part < least {
			t.Errorf("%s agrees on %.2f %% only", name, 100*part)
		}
	}
}

// TestCaptures has tshark judge the flows of real traffic.
func TestCaptures(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 60 captures")
	}
	pkts := judge.RealPackets(t)
	var kept []judge.Packet
	for i, row := range tshark(t, pkts, "frame.protocols") {
		if !tunnelled(row[0]) {
			kept = append(kept, pkts[i])
		}
	}
	g := compare(t, kept)
	g.check(t, 0.98)
}

// tunnelled reports whether tshark found more than one IP header, errors of
// ICMP aside: this package does not look into tunnels.
func tunnelled(protocols string) bool {
	n := 0
	for p := range strings.SplitSeq(protocols, ":") {
		switch p {
		case "ip", "ipv6":
			n++
		case "icmp", "icmpv6":
			return n != 1
		case "gre", "ah", "l2tp", "gtp", "vxlan", "capwap":
			return true
		}
	}
	return n != 1
}
