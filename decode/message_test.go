package decode_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

// record builds a record from pairs of key and value: int64, string, []byte,
// [][]byte or []int64.
func record(tb testing.TB, pairs ...any) []byte {
	tb.Helper()
	var w bplist.Writer
	var refs []bplist.Ref
	for _, p := range pairs {
		switch p := p.(type) {
		case int:
			refs = append(refs, w.Int(int64(p)))
		case float64:
			refs = append(refs, w.Real(p))
		case bool:
			refs = append(refs, w.Bool(p))
		case string:
			refs = append(refs, w.String(p))
		case []byte:
			refs = append(refs, w.Data(p))
		case [][]byte:
			refs = append(refs, w.DataArray(p))
		case []int64:
			refs = append(refs, w.IntArray(p))
		default:
			tb.Fatalf("cannot build %T", p)
		}
	}
	b, err := w.Append(frame.Reserve(nil), w.Dict(refs...))
	if err != nil {
		tb.Fatal(err)
	}
	if err := frame.PutLength(b, 0); err != nil {
		tb.Fatal(err)
	}
	return b
}

func packets(tb testing.TB, n, size int) []byte {
	pkts, families := make([][]byte, n), make([]int64, n)
	for i := range pkts {
		pkts[i] = make([]byte, size)
		pkts[i][0] = 0x45
		binary.BigEndian.PutUint32(pkts[i][4:], uint32(i)+1)
		families[i] = decode.FamilyIPv4
	}
	return record(tb, "identifier", 3735928559, "command", 8, "packets", pkts, "protocols", families)
}

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name    string
		raw     []byte
		command decode.Command
		summary string
		codes   string
	}{
		{"packets", packets(t, 2, 100), decode.Packets, "id=3735928559 2 packets 200 B", ""},
		{"open tcp, string port", record(t, "identifier", 7, "command", 6, "tunnel-type", 0, "app-proxy-flow-type", 1, "host", "example.org", "port", "80"), decode.Open, "id=7 tcp example.org:80", ""},
		{"open tcp, integer port", record(t, "identifier", 7, "command", 6, "tunnel-type", 0, "app-proxy-flow-type", 1, "host", "example.org", "port", 80), decode.Open, "id=7 tcp example.org:80", "dialect-apple"},
		{"open udp", record(t, "identifier", 7, "command", 6, "tunnel-type", 0, "app-proxy-flow-type", 3), decode.Open, "id=7 udp", ""},
		{"open ip", record(t, "identifier", 7, "command", 6, "tunnel-type", 1), decode.Open, "id=7 ip", ""},
		{"datagram", record(t, "identifier", 1<<60, "command", 1, "data", []byte("abc"), "host", "8.8.8.8", "port", 53), decode.Data, "id=1152921504606846976 3 bytes 8.8.8.8:53", ""},
		{"close", record(t, "identifier", 7, "command", 4, "close-type", 3), decode.Close, "id=7 write", ""},
		{"suspend", record(t, "identifier", 7, "command", 2), decode.Suspend, "id=7", ""},
		{"fetch", record(t, "identifier", 0, "command", 9), decode.FetchConfiguration, "request", ""},
		{"a command that is a boolean", record(t, "identifier", 7, "command", true, "data", []byte("x")), decode.Data, "id=7 1 byte", "command-type"},
		{"a command that is a real", record(t, "identifier", 7, "command", 2.0), decode.Suspend, "id=7", "command-type"},
		{"an unknown command", record(t, "identifier", 7, "command", 10), 0, "id=7", "command-unknown"},
		{"an unknown key", record(t, "identifier", 7, "command", 2, "extra", 1), decode.Suspend, "id=7", "unknown-keys"},
		{"a key twice", record(t, "identifier", 7, "command", 2, "command", 3), decode.Suspend, "id=7", "duplicate-key"},
	} {
		var m decode.Message
		if err := m.Decode(decode.Event{Raw: tt.raw}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var codes []string
		for _, p := range m.Problems {
			codes = append(codes, string(p.Code))
			if p.Span.Off < 0 || p.Span.Len < 0 || p.Span.Off+p.Span.Len > len(tt.raw) {
				t.Errorf("%s: problem %s has span %v of %d bytes", tt.name, p.Code, p.Span, len(tt.raw))
			}
		}
		if got := string(m.AppendSummary(nil)); m.Command != tt.command || got != tt.summary || strings.Join(codes, " ") != tt.codes {
			t.Errorf("%s: %q %q %q; want %q %q %q", tt.name, m.Command, got, codes, tt.command, tt.summary, tt.codes)
		}
	}
}

func TestPacketSpan(t *testing.T) {
	raw := packets(t, 3, 50)
	var m decode.Message
	if err := m.Decode(decode.Event{Raw: raw}); err != nil {
		t.Fatal(err)
	}
	for i := range m.PacketCount() {
		pkt, family := m.Packet(i)
		s := m.PacketSpan(i)
		if &raw[s.Off] != &pkt[0] || s.Len != len(pkt) || family != decode.FamilyIPv4 {
			t.Errorf("packet %d: span %v, family %d", i, s, family)
		}
	}
}

// A record of 124 KB that stands for 960 MB must cost no more than it has.
func TestSharedPacketsAreBounded(t *testing.T) {
	var w bplist.Writer
	shared := w.Data(make([]byte, 60_000))
	refs, nums := make([]bplist.Ref, 16_000), make([]bplist.Ref, 16_000)
	for i := range refs {
		refs[i], nums[i] = shared, w.Int(2)
	}
	raw, err := w.Append(frame.Reserve(nil), w.Dict(w.String("command"), w.Int(8), w.String("identifier"), w.Int(1),
		w.String("packets"), w.Array(refs...), w.String("protocols"), w.Array(nums...)))
	if err != nil {
		t.Fatal(err)
	}
	if err := frame.PutLength(raw, 0); err != nil {
		t.Fatal(err)
	}
	var m decode.Message
	if err := m.Decode(decode.Event{Raw: raw}); err != nil {
		t.Fatal(err)
	}
	if m.PacketTotal() != 16_000 || m.PacketCount() > 20 {
		t.Errorf("%d of %d packets can be had", m.PacketCount(), m.PacketTotal())
	}
}

// A message that is far too long for a genuine end is decoded whole.
func TestLongMessage(t *testing.T) {
	raw := packets(t, 2000, 1400)
	var m decode.Message
	if err := m.Decode(decode.Event{Kind: decode.Record, Raw: raw}); err != nil {
		t.Fatal(err)
	}
	if m.PacketCount() != 2000 || len(m.Problems) != 1 || m.Problems[0].Code != decode.ProblemOversize {
		t.Errorf("%d packets of 2000; %v", m.PacketCount(), m.Problems)
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	ev := decode.Event{Raw: packets(t, 32, 1400)}
	var m decode.Message
	if n := testing.AllocsPerRun(100, func() {
		if err := m.Decode(ev); err != nil {
			t.Fatal(err)
		}
		for i := range m.PacketCount() {
			m.Packet(i)
		}
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(packets(f, 2, 40), true)
	f.Add(record(f, "identifier", 7, "command", 6, "tunnel-type", 0, "app-proxy-flow-type", 1, "host", "h", "port", "80"), false)
	f.Add(record(f, "identifier", 7, "command", 7, "result-code", 0, "configuration", "x"), true)
	f.Add([]byte("\x05\x00\x00\x00A"), false)
	f.Add([]byte("\x40\x00\x00\x00<plist><dict><key>command</key><integer>2</integer></dict></plist>"), false)
	f.Fuzz(func(t *testing.T, raw []byte, fromServer bool) {
		if len(raw) > frame.MaxLen {
			return
		}
		ev := decode.Event{Raw: raw}
		if fromServer {
			ev.Dir = decode.ServerToClient
		}
		var m decode.Message
		var c decode.Connections
		err := m.Decode(ev)
		c.Check(&m)
		if err != nil && m.Command != 0 || err != nil && len(m.Problems) == 0 {
			t.Fatalf("error %v, command %v, problems %v", err, m.Command, m.Problems)
		}
		for _, p := range m.Problems {
			if p.Span.Off < 0 || p.Span.Len < 0 || p.Span.Off+p.Span.Len > len(raw) || p.Text == "" {
				t.Fatalf("problem %+v of a record of %d bytes", p, len(raw))
			}
		}
		m.AppendSummary(nil)
		size := 0
		for i := range m.PacketCount() {
			pkt, _ := m.Packet(i)
			size += len(pkt)
		}
		if size > 1<<20+len(raw) {
			t.Fatalf("%d bytes of packets out of a record of %d", size, len(raw))
		}
	})
}

func BenchmarkDecodePackets(b *testing.B) {
	ev := decode.Event{Raw: packets(b, 32, 1400)}
	var m decode.Message
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Decode(ev); err != nil {
			b.Fatal(err)
		}
		for i := range m.PacketCount() {
			m.Packet(i)
		}
	}
}

func BenchmarkDecodeSmall(b *testing.B) {
	ev := decode.Event{Raw: record(b, "identifier", 7, "command", 2)}
	var m decode.Message
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Decode(ev); err != nil {
			b.Fatal(err)
		}
	}
}
