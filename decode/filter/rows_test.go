package filter_test

import (
	"errors"
	"strings"
	"testing"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// ip4 puts an IPv4 header in front of a payload.
func ip4(proto byte, payload []byte) []byte {
	n := 20 + len(payload)
	return append([]byte{0x45, 0, byte(n >> 8), byte(n), 0, 7, 0x40, 0, 64, proto, 0, 0, 10, 8, 0, 2, 93, 184, 216, 34}, payload...)
}

// samples are a TCP segment to port 443 with TLS in it, a DNS query for
// www.example.org, and an echo request.
func samples() [][]byte {
	tcp := append([]byte{0xcf, 0x82, 1, 0xbb, 0, 0, 0, 9, 0, 0, 0, 5, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0}, 0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3)
	query := "\x1a\x2b\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01"
	udp := append([]byte{0xef, 0x10, 0, 53, 0, byte(8 + len(query)), 0, 0}, query...)
	return [][]byte{ip4(6, tcp), ip4(17, udp), ip4(1, []byte{8, 0, 0xf7, 0xfc, 0, 1, 0, 2})}
}

// sampleRows returns the rows of packets, as a session makes them.
func sampleRows(pkts [][]byte) []*field.Row {
	table := flow.New(flow.Options{})
	p := packet.NewParser()
	var rows []*field.Row
	for i, b := range pkts {
		f, a := new(packet.Facts), new(flow.Analysis)
		p.Facts(b, f)
		table.Packet(flow.Packet{Number: int64(i) + 1, Time: int64(i), Facts: f}, a)
		ev := &decode.Event{Kind: decode.Packet, Time: int64(i) * 1e9, Raw: b}
		rows = append(rows, &field.Row{Event: ev, Packet: f, Flow: a, Data: b, Number: int64(i) + 1, Family: -1, Parser: p})
	}
	return rows
}

// which returns the samples that a filter selects, as "t", "d" and "i".
func which(t *testing.T, text string) string {
	t.Helper()
	f, err := filter.Compile(text)
	if err != nil {
		return err.Error()
	}
	out := ""
	var s filter.Scratch
	for i, r := range sampleRows(samples()) {
		if f.Match(r, &s) {
			out += "tdi"[i : i+1]
		}
	}
	return out
}

// What tshark judges is asked here without it, and what it cannot judge: what
// this language has beyond tshark's.
func TestSelection(t *testing.T) {
	for text, want := range map[string]string{
		`ip`: "tdi", `tcp`: "t", `dns`: "d", `icmp or dns`: "di", `mdns`: "", `frame`: "tdi", `tunnel`: "",
		`tcp.port == 443`: "t", `tcp.port != 443`: "", `!(tcp.port == 443)`: "di", `tcp.port !== 443`: "t", `any tcp.port > 1000`: "t", `all tcp.port > 1000`: "",
		`tcp xor ip`: "di", `tcp ^^ udp ^^ icmp`: "tdi", `tcp xor udp and icmp`: "t",
		`443 == tcp.port`: "t", `10.8.0.2 == ip.src`: "tdi", `1024 <= tcp.srcport <= 65535`: "t",
		`tcp.srcport > tcp.dstport`: "t", `ip.src == ip.dst`: "",
		`ip.addr == 10.0.0.0/8`: "tdi", `ip.addr != 10.0.0.0/8`: "", `ip.src in {10.0.0.1..10.9.0.0}`: "tdi",
		`tcp.flags & 0x10`: "t", `tcp.flags & 2`: "", `tcp.len + 20 == ip.len - 20`: "t",
		`tcp.payload[0:3] == 16:03:01`: "t", `tcp.payload[0:3] != 00`: "t", `tcp.payload[0:300] != 00`: "t", `tcp.payload[0:300]`: "", `tcp[13] & 8`: "t", `ip.src[-1] == 02`: "tdi",
		`frame[9] == 11`: "d", `frame[9] in {06, 11}`: "td",
		`lower(dns.qry.name) == "www.example.org"`: "d", `upper(dns.qry.name) contains "EXAMPLE"`: "d", `len(lower(dns.qry.name)[0:3]) == 3`: "d",
		`dns.qry.name matches "^www\.e"`: "d", `dns.qry.name matches r"EX.*ORG$"`: "d", `tcp.payload matches "^\x16\x03"`: "t", `tcp.payload matches r"\xc8"`: "t",
		`dns.qry.type == A`: "d", `frame.time_epoch >= 1`: "di", `frame.time_epoch < "2001-01-01"`: "tdi", `count(tcp.port) == 2`: "t", `string(ip.ttl) == "64"`: "tdi",
		`max(tcp.srcport, udp.srcport, 5) == 5`: "i", `frame.number in {1, 3..9}`: "ti", `_ws.col.protocol == "DNS"`: "d", `_ws.col.info contains "www.example.org"`: "d",
		`udp.dstport == 0x35 and not icmp`: "d", `tcp.payload contains "\x03\x01"`: "t",
	} {
		if got := which(t, text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// helloPacket is a segment with a whole Client Hello.
func helloPacket() []byte {
	sized := func(n int, body string) string { return "\x00"[:n-1] + string([]byte{byte(len(body))}) + body }
	extensions := "\x00\x00" + sized(2, sized(2, "\x00"+sized(2, "www.example.org"))) + "\x00\x10" + sized(2, sized(2, sized(1, "h2")+sized(1, "http/1.1")))
	hello := "\x03\x03" + strings.Repeat("r", 32) + sized(1, "") + sized(2, "\x13\x01") + sized(1, "\x00") + sized(2, extensions)
	record := "\x16\x03\x01" + sized(2, "\x01\x00"+sized(2, hello))
	return ip4(6, append([]byte{0xcf, 0x83, 1, 0xbb, 0, 0, 0, 9, 0, 0, 0, 5, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0}, record...))
}

// Everything is evaluated without allocation. Of regular expressions that is
// so while the pool in which package regexp keeps its machines is not emptied,
// which a collection does, and the race detector. Names in a certificate cost a
// few.
func TestNothingAllocates(t *testing.T) {
	rows := sampleRows(append(samples(), helloPacket()))
	hellos := []string{`tls.handshake`, `x509ce`, `tls.handshake.extensions_alpn_str == "h2"`, `tls.handshake.extensions_server_name == "www.example.org"`,
		`tls.handshake.extension.type == 16 && tls.handshake.ciphersuite == 0x1301`, `x509ce.dNSName == "a" || tls.handshake.extensions.supported_version == 0x304`}
	for _, text := range append(hellos, judged...) {
		if strings.Contains(text, "matches") || strings.Contains(text, " ~ ") {
			continue
		}
		f, err := filter.Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var s filter.Scratch
		all := func() {
			for _, r := range rows {
				f.Match(r, &s)
			}
		}
		all()
		if text == hellos[3] && !f.Match(rows[3], &s) {
			t.Error("the hello has no server name")
		}
		if n := testing.AllocsPerRun(10, all); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

// What is cheap is asked first, wherever it stands.
func TestOrder(t *testing.T) {
	row := &field.Row{Event: &decode.Event{Kind: decode.Record, Tunnel: 1}}
	for text, want := range map[string]bool{
		`_ws.col.info contains "x" && tunnel.stream == 2`:  false,
		`_ws.col.info contains "x" || tunnel.stream == 1`:  true,
		`(dns or icmp) && tcp.port == 3 && !tunnel.stream`: false,
	} {
		f, err := filter.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		// There is no parser: whoever asks for it, panics.
		row.Packet = new(packet.Facts)
		if got := f.Match(row, new(filter.Scratch)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// BenchmarkFilter is the time for one row of the three samples.
func BenchmarkFilter(b *testing.B) {
	rows := sampleRows(samples())
	for _, text := range []string{
		`tcp.port == 443`, `tcp`, `ip.addr == 10.0.0.0/8 && tcp.flags.syn == 1`, `tcp.port in {80, 443, 8000..8999} || udp.port == 53`,
		`tcp.payload contains "Host:"`, `dns.qry.name contains "example"`, `tunnel.stream == 1 && _ws.col.info matches "ack"`, `_ws.col.info contains "ACK"`,
		`tcp.payload[0:3] == 16:03:01`, `tcp.analysis.retransmission`, `tcp.analysis`,
	} {
		b.Run(text, func(b *testing.B) {
			f, err := filter.Compile(text)
			if err != nil {
				b.Fatal(err)
			}
			var s filter.Scratch
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f.Match(rows[i%len(rows)], &s)
			}
		})
	}
}

// What tshark refuses is refused here, and the error points into it.
func TestRefused(t *testing.T) {
	for _, text := range refused {
		_, err := filter.Compile(text)
		var fe *filter.Error
		if !errors.As(err, &fe) || fe.Text == "" || fe.Col > len(text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
