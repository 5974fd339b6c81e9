package stats_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"tundump/decode"
	"tundump/decode/stats"
)

// However little room there is, totals stay exact, and a folded flow stays in
// the sums of its addresses.
func TestConversationsFold(t *testing.T) {
	const limit, flows, n = 64, 1000, 20_000
	c := stats.NewConversations(limit)
	f := newFeed(t)
	f.packet = c.Add
	rng := rand.New(rand.NewPCG(1, 2))
	server := netip.MustParseAddrPort("93.184.216.34:443")
	var bytes int64
	for i := range n {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, 0, byte(rng.IntN(20))}), uint16(1024+rng.IntN(flows)))
		p := udp(client, server, rng.IntN(100))
		if rng.IntN(2) == 0 {
			p = udp(server, client, rng.IntN(100))
		}
		bytes += int64(len(p))
		f.carry(&decode.Event{Kind: decode.Record, Tunnel: uint32(1 + i%2), Time: start + int64(i)}, p)
	}
	for _, l := range []stats.Layer{stats.UDP, stats.IPv4} {
		rows, others := c.List(l)
		sum := others.Count
		for i := range rows {
			sum = sum.Plus(rows[i].Total())
			if i > 0 && rows[i].Total().N > rows[i-1].Total().N {
				t.Fatalf("%v: row %d has more packets than the one before", l, i)
			}
		}
		if sum.N != n || sum.Bytes != bytes || len(rows) > limit {
			t.Errorf("%v: %d packets of %d, %d bytes of %d, in %d rows", l, sum.N, n, sum.Bytes, bytes, len(rows))
		}
		ends, lost := c.Endpoints(l)
		sum = lost.Count
		for i := range ends {
			sum = sum.Plus(ends[i].Total())
		}
		if sum.N != 2*n || sum.Bytes != 2*bytes {
			t.Errorf("%v: endpoints have %v", l, sum)
		}
	}
	rows, others := c.List(stats.IPv4)
	if len(rows) != 40 || others.Rows != 0 {
		t.Errorf("%d pairs of addresses in both tunnels, %d folded", len(rows), others.Rows)
	}
	if c.Folded() == 0 {
		t.Error("nothing was folded")
	}
}

// Whatever times come, a series adds up to all that was counted, in no more
// buckets than it may have.
func FuzzRates(f *testing.F) {
	f.Add(int64(0), int64(1), int64(2))
	f.Add(int64(start), int64(start+1e9), int64(start+3600e9))
	f.Add(int64(-1<<63), int64(1<<63-1), int64(0))
	f.Add(int64(1<<63-1), int64(-1<<63), int64(5))
	f.Fuzz(func(t *testing.T, a, b, c int64) {
		var r stats.Rates
		s := stats.NewIntervals(1e9, stats.FramesAndBytes)
		for _, at := range []int64{a, b, c, b} {
			ev := decode.Event{Kind: decode.Record, Time: at, Raw: make([]byte, 10)}
			r.Event(&ev)
			r.Packet(&ev, 5)
			s.Seen(at)
			s.Add(0, at, 10)
		}
		var sum stats.Count
		whole := r.Whole()
		for _, b := range whole.Buckets {
			sum = sum.Plus(b.Wire[0])
		}
		if sum.N != 4 || len(whole.Buckets) > 1024 || len(r.Recent().Buckets) > 128 {
			t.Errorf("%d events in %d buckets, %d recent", sum.N, len(whole.Buckets), len(r.Recent().Buckets))
		}
		rows, left := s.Rows()
		var n int64
		for _, row := range rows {
			if row != nil {
				n += row[0].N
			}
		}
		if n+left != 4 {
			t.Errorf("%d in intervals, %d left", n, left)
		}
	})
}

// An ICMP error counts at the flow it is about, and not among its packets.
func TestConversationErrors(t *testing.T) {
	c := stats.NewConversations(0)
	f := newFeed(t)
	f.packet = c.Add
	client, server := netip.MustParseAddrPort("10.8.0.2:1024"), netip.MustParseAddrPort("93.184.216.34:53")
	query := udp(client, server, 72)
	unreachable := ip4(1, server.Addr().String(), client.Addr().String(), append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, query...))
	for i, p := range [][]byte{query, unreachable, query, udp(server, client, 172)} {
		f.carry(&decode.Event{Kind: decode.Record, Tunnel: 1, Time: start + int64(i)*1e9}, p)
	}
	rows, _ := c.List(stats.UDP)
	if len(rows) != 1 || rows[0].Errors != 1 || rows[0].Total().N != 3 || rows[0].Rate(0) != 200.0/3 || rows[0].Rate(1) != 200.0/3 {
		t.Errorf("%+v", rows)
	}
	if rows, _ := c.List(stats.IPv4); len(rows) != 1 || rows[0].Errors != 1 || rows[0].Total().N != 4 {
		t.Errorf("%+v", rows)
	}
}
