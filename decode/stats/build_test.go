package stats_test

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/flow"
	"tundump/decode/frame"
	"tundump/decode/packet"
)

type dict = map[string]any

// record builds a record from a dictionary.
func record(tb testing.TB, d dict) []byte {
	tb.Helper()
	var w bplist.Writer
	b, err := w.Append(frame.Reserve(nil), object(tb, &w, d))
	if err == nil {
		err = frame.PutLength(b, 0)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func object(tb testing.TB, w *bplist.Writer, v any) bplist.Ref {
	switch v := v.(type) {
	case int:
		return w.Int(int64(v))
	case string:
		return w.String(v)
	case []byte:
		return w.Data(v)
	case [][]byte:
		return w.DataArray(v)
	case []int64:
		return w.IntArray(v)
	case []any:
		var refs []bplist.Ref
		for _, e := range v {
			refs = append(refs, object(tb, w, e))
		}
		return w.Array(refs...)
	case dict:
		var refs []bplist.Ref
		for _, k := range slices.Sorted(maps.Keys(v)) {
			refs = append(refs, w.String(k), object(tb, w, v[k]))
		}
		return w.Dict(refs...)
	}
	tb.Fatalf("cannot build %T", v)
	return 0
}

// ip4 puts an IPv4 header without a checksum in front of a payload.
func ip4(proto byte, src, dst string, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0}
	b = slices.Concat(b, netip.MustParseAddr(src).AsSlice(), netip.MustParseAddr(dst).AsSlice(), payload)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func udp(src, dst netip.AddrPort, n int) []byte {
	b := make([]byte, 8+n)
	binary.BigEndian.PutUint16(b, src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	return ip4(17, src.Addr().String(), dst.Addr().String(), b)
}

// feed gives events to whatever counts, as a session does.
type feed struct {
	tb     testing.TB
	parser *packet.Parser
	flows  *flow.Table
	number int64
	event  func(*decode.Event, *decode.Message)
	packet func(*decode.Event, *packet.Facts, *flow.Analysis)
}

func newFeed(tb testing.TB) *feed {
	return &feed{tb: tb, parser: packet.NewParser(), flows: flow.New(flow.Options{})}
}

// give takes in one event; a record's message and packets come with it.
func (f *feed) give(ev decode.Event) {
	f.tb.Helper()
	var m *decode.Message
	if ev.Kind == decode.Record {
		m = new(decode.Message)
		if err := m.Decode(ev); err != nil {
			f.tb.Fatal(err)
		}
	}
	if f.event != nil {
		f.event(&ev, m)
	}
	if f.packet == nil {
		return
	}
	if ev.Kind == decode.Packet {
		f.carry(&ev, ev.Raw)
	}
	if m != nil {
		for i := range m.PacketCount() {
			p, _ := m.Packet(i)
			f.carry(&ev, p)
		}
	}
}

func (f *feed) carry(ev *decode.Event, p []byte) {
	var facts packet.Facts
	var a flow.Analysis
	f.number++
	f.parser.Facts(p, &facts)
	f.flows.Packet(flow.Packet{Tunnel: ev.Tunnel, Number: f.number, Time: ev.Time, Facts: &facts}, &a)
	f.packet(ev, &facts, &a)
}

// message gives a record of tunnel 1 at a time in milliseconds.
func (f *feed) message(ms int64, dir decode.Direction, d dict) {
	f.tb.Helper()
	f.give(decode.Event{Kind: decode.Record, Tunnel: 1, Dir: dir, Time: start + ms*1e6, Raw: record(f.tb, d)})
}

func packets(pkts ...[]byte) dict {
	families := make([]int64, len(pkts))
	for i := range families {
		families[i] = decode.FamilyIPv4
	}
	return dict{"identifier": 7, "command": int(decode.Packets), "packets": pkts, "protocols": families}
}

const start = 1_700_000_000_000_000_000
const (
	up   = decode.ClientToServer
	down = decode.ServerToClient
)
