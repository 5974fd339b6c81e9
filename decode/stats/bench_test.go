package stats_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
	"tundump/decode/stats"
)

// traffic is records of eight packets each, of 64 TCP flows: what a busy
// tunnel carries.
func traffic(tb testing.TB) [][]byte {
	client, server := netip.MustParseAddr("10.8.0.2"), netip.MustParseAddr("93.184.216.34")
	var records [][]byte
	seq := uint32(1)
	for i := range 64 {
		var pkts [][]byte
		for j := range 8 {
			tcp := make([]byte, 20+1000)
			binary.BigEndian.PutUint16(tcp, uint16(40000+(i*8+j)%64))
			binary.BigEndian.PutUint16(tcp[2:], 4000)
			binary.BigEndian.PutUint32(tcp[4:], seq)
			tcp[12], tcp[13] = 5<<4, 0x10
			seq += 1000
			pkts = append(pkts, ip4(6, client.String(), server.String(), tcp))
		}
		records = append(records, record(tb, packets(pkts...)))
	}
	return records
}

// BenchmarkPass measures what counting adds to the analysis that a session
// does anyway: to decode messages, read packets and follow flows. An operation
// is one packet.
func BenchmarkPass(b *testing.B) {
	records := traffic(b)
	for _, bench := range []struct {
		name string
		new  func() *stats.Collector
	}{
		{"alone", func() *stats.Collector { return nil }},
		{"counted", func() *stats.Collector { return stats.New(stats.Options{}) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := bench.new()
			parser, flows := packet.NewParser(), flow.New(flow.Options{})
			var m decode.Message
			var conns decode.Connections
			conns.Midstream = true
			var facts [8]packet.Facts
			var analysis [8]flow.Analysis
			ev := decode.Event{Kind: decode.Record, Tunnel: 1, Time: start}
			number := int64(0)
			b.ReportAllocs()
			for i := 0; number < int64(b.N); i++ {
				ev.Raw = records[i%len(records)]
				ev.Time += 100_000
				if err := m.Decode(ev); err != nil {
					b.Fatal(err)
				}
				conns.Check(&m)
				if c != nil {
					c.Event(&ev, &m)
				}
				for j := range m.PacketCount() {
					p, _ := m.Packet(j)
					number++
					parser.Facts(p, &facts[j])
					flows.Packet(flow.Packet{Tunnel: 1, Number: number, Time: ev.Time, Facts: &facts[j]}, &analysis[j])
					if c != nil {
						c.Packet(&ev, &facts[j], &analysis[j])
					}
				}
			}
		})
	}
}

// many is a collector that has seen that many conversations.
func many(tb testing.TB, n int) *stats.Collector {
	c := stats.New(stats.Options{})
	f := newFeed(tb)
	f.event, f.packet = c.Event, c.Packet
	server := netip.MustParseAddrPort("93.184.216.34:443")
	for i := range n {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, byte(i >> 16), byte(i >> 8)}), uint16(i))
		f.carry(&decode.Event{Kind: decode.Record, Tunnel: 1, Time: start + int64(i)*1e6}, udp(client, server, i%500))
	}
	return c
}

func BenchmarkSnapshot(b *testing.B) {
	for name, n := range map[string]int{"1k": 1000, "60k": 60_000} {
		c := many(b, n)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				c.Snapshot(20)
			}
		})
	}
}

// Adding what was seen before allocates nothing.
func TestNoAllocation(t *testing.T) {
	records := traffic(t)
	c := stats.New(stats.Options{})
	x, d := stats.NewExpert(), stats.NewDNS()
	f := newFeed(t)
	f.event = func(ev *decode.Event, m *decode.Message) { c.Event(ev, m); x.Event(ev, m) }
	var facts packet.Facts
	var a flow.Analysis
	f.packet = func(ev *decode.Event, p *packet.Facts, an *flow.Analysis) {
		c.Packet(ev, p, an)
		facts, a = *p, *an
	}
	ev := decode.Event{Kind: decode.Record, Tunnel: 1, Time: start}
	for _, r := range records {
		ev.Raw = r
		ev.Time += 1e9
		f.give(ev)
	}
	var m decode.Message
	if err := m.Decode(ev); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		c.Event(&ev, &m)
		c.Packet(&ev, &facts, &a)
		x.Packet(&facts, &a)
		d.Add(&ev, &facts, &a)
	}); n != 0 {
		t.Errorf("%v allocations for a message and a packet", n)
	}
}
