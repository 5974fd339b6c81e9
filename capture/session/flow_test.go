package session

import (
	"encoding/binary"
	"slices"
	"testing"

	"tundump/capture/record"
	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/field"
)

// segment is an IPv4 packet with a TCP segment of n bytes.
func segment(back bool, flags byte, seq, ack uint32, n int) []byte {
	src, dst := []byte{10, 8, 0, 2, 0xc3, 0x50}, []byte{192, 0, 2, 1, 0, 80}
	if back {
		src, dst = dst, src
	}
	b := slices.Concat([]byte{0x45, 0, 0, byte(40 + n), 0, 0, 0, 0, 64, 6, 0, 0}, src[:4], dst[:4], src[4:], dst[4:])
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	return append(append(b, 0x50, flags, 1, 0, 0, 0, 0, 0), make([]byte, n)...)
}

func carrying(tb testing.TB, pkts ...[]byte) []byte {
	families := make([]int64, len(pkts))
	for i := range families {
		families[i] = decode.FamilyIPv4
	}
	return build(tb, func(w *bplist.Writer) bplist.Ref {
		return w.Dict(w.String("command"), w.Int(8), w.String("identifier"), w.Int(1), w.String("packets"), w.DataArray(pkts), w.String("protocols"), w.IntArray(families))
	})
}

const httpGet = "GET / HTTP/1.1\r\n\r\n"

// What a flow says of a packet depends on what came before it in the same
// tunnel, and stays with the row.
func TestFlows(t *testing.T) {
	const syn, ack = 2, 16
	r := recorder(t, record.Options{})
	s := New(r.Store())
	get := func(row *field.Row, name string) string {
		f, ok := field.Lookup(name)
		if !ok {
			t.Fatalf("no field %s", name)
		}
		var b []byte
		for _, v := range f.Values(nil, row) {
			b = v.AppendText(b, f)
		}
		return string(b)
	}
	want := func(row *Row, i int, name, value string) {
		t.Helper()
		if got := get(row.PacketRow(i), name); got != value {
			t.Errorf("packet %d: %s is %q, want %q", i, name, got, value)
		}
	}
	next := func(tunnel uint32, ms int64, dir decode.Direction, pkts ...[]byte) *Row {
		t.Helper()
		offer(r, decode.Event{Kind: decode.Record, Tunnel: tunnel, Time: 1e18 + ms*1e6, Dir: dir, Raw: carrying(t, pkts...)})
		row, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	next(1, 0, decode.ClientToServer, segment(false, syn, 999, 0, 0))
	next(1, 5, decode.ServerToClient, segment(true, syn|ack, 4999, 1000, 0))
	row := next(1, 9, decode.ClientToServer, segment(false, ack, 1000, 5000, 0), segment(false, ack, 1000, 5000, 10), segment(false, ack, 1000, 5000, 10))
	want(row, 0, "tcp.analysis.ack_rtt", "0.004000000")
	want(row, 0, "tcp.analysis.initial_rtt", "0.009000000")
	want(row, 1, "tcp.seq", "1")
	want(row, 1, "tcp.analysis.bytes_in_flight", "10")
	want(row, 1, "tcp.analysis.retransmission", "")
	want(row, 2, "tcp.analysis.retransmission", "1")
	want(row, 2, "tcp.stream", "0")
	want(row, 2, "_ws.col.info", "[TCP Retransmission] 50000 → 80 [ACK] Seq=1 Ack=1 Win=256 Len=10")
	want(row, 1, "tcp.analysis.bytes_in_flight", "10")
	row = next(2, 10, decode.ClientToServer, segment(false, ack, 1000, 5000, 10))
	want(row, 0, "tcp.stream", "1")
	want(row, 0, "tcp.analysis.retransmission", "")
	inside := segment(false, ack, 1010, 5000, len(httpGet))
	copy(inside[40:], httpGet)
	row = next(1, 11, decode.ClientToServer, slices.Concat([]byte{0x45, 0, 0, byte(24 + len(inside)), 0, 0, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 8, 0}, inside))
	want(row, 0, "frame.protocols", "raw:ip:gre:ip:tcp:http")
	want(row, 0, "http.request.method", "GET")
	n := 0
	for f := range s.Flows().Flows() {
		n++
		if f.Tunnel == 1 && f.Count[0].Packets+f.Count[1].Packets != 6 {
			t.Errorf("%+v", f)
		}
	}
	if n != 2 {
		t.Errorf("%d flows", n)
	}
}

// The name that a TLS client says is its flow's, though that has begun before,
// and that of other flows to the server.
func TestFlowNamedLate(t *testing.T) {
	const name = "late.example"
	sni := slices.Concat([]byte{0, 0, 0, byte(len(name) + 5), 0, byte(len(name) + 3), 0, 0, byte(len(name))}, []byte(name))
	hello := slices.Concat([]byte{3, 3}, make([]byte, 32), []byte{0, 0, 2, 0x13, 1, 1, 0, 0, byte(len(sni))}, sni)
	tls := slices.Concat([]byte{22, 3, 1, 0, byte(len(hello) + 4), 1, 0, 0, byte(len(hello))}, hello)
	port := func(p []byte, at int) []byte {
		binary.BigEndian.PutUint16(p[at:], 443)
		return p
	}
	said := port(segment(false, 24, 1000, 5000, len(tls)), 22)
	copy(said[40:], tls)
	r := recorder(t, record.Options{})
	other := port(segment(false, 2, 7, 0, 0), 22)
	other[21]++
	for i, p := range [][]byte{other, port(segment(false, 2, 999, 0, 0), 22), port(segment(true, 18, 4999, 1000, 0), 20), said} {
		offer(r, decode.Event{Kind: decode.Record, Tunnel: 1, Time: 1e18 + int64(i), Dir: decode.Direction(i % 2), Raw: carrying(t, p)})
	}
	v := NewView(r.Store(), nil)
	defer v.Close()
	if _, err := v.waitFor(t.Context(), func(s *Snapshot) bool { return s.Packets.End == 4 }); err != nil {
		t.Fatal(err)
	}
	flows := v.Flows()
	if len(flows) != 2 || flows[0].Name != name || flows[1].Name != name || v.Name(1, flows[0].Addr[1].Addr()) != name {
		t.Errorf("%+v", flows)
	}
}
