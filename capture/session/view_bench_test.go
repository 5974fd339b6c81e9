package session

import (
	"errors"
	"path/filepath"
	"testing"

	"tundump/capture/record"
	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/filter"
)

const benchPackets = 100_000

// benchView is a view of that many UDP packets, four in a message.
func benchView(b *testing.B) *View {
	b.Helper()
	path := filepath.Join(b.TempDir(), "f.pcapng")
	r, err := record.New(record.Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	raw := ipPackets(b, 4, 200)
	for i := range benchPackets / 4 {
		offer(r, decode.Event{Kind: decode.Record, Tunnel: 1, Time: int64(i), Raw: raw})
	}
	if err := errors.Join(r.Close(), r.Store().Close()); err != nil {
		b.Fatal(err)
	}
	st, err := store.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	v := NewView(st, nil)
	b.Cleanup(func() {
		v.Close()
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	if _, err := v.waitFor(b.Context(), func(s *Snapshot) bool { return s.Complete }); err != nil {
		b.Fatal(err)
	}
	return v
}

// BenchmarkPass is the whole pass behind a screen, for each packet.
func BenchmarkPass(b *testing.B) {
	v := benchView(b)
	b.ResetTimer()
	for range b.N/benchPackets + 1 {
		again := NewView(v.store, nil)
		<-again.Done()
		again.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64((b.N/benchPackets+1)*benchPackets), "ns/packet")
}

// BenchmarkPage draws the rows of a screen.
func BenchmarkPage(b *testing.B) {
	v := benchView(b)
	page := make([]int, 50)
	n := 0
	for b.Loop() {
		for i := range page {
			page[i] = (n*7919)%(benchPackets-len(page)) + i
		}
		n++
		if err := v.Read(b.Context(), Packets, page, func(*Item) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSelect is filters over all packets: answered by flows, by rows, by
// the file's packets and by its messages.
func BenchmarkSelect(b *testing.B) {
	v := benchView(b)
	for _, text := range []string{"udp.port == 53", "tcp.analysis.retransmission", "ip.ttl < 5", "tunnel.identifier == 7", "http.host"} {
		f, err := filter.Compile(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				s := v.Select(Packets, f)
				if _, err := v.waitFor(b.Context(), func(*Snapshot) bool { return v.idleNow() }); err != nil || s.Err() != nil {
					b.Fatal(err, s.Err())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchPackets), "ns/packet")
		})
	}
}
