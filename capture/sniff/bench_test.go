package sniff

import (
	"bytes"
	"testing"

	"tundump/capture/pcapng"
)

// BenchmarkOpen reads a capture of one tunnel with 50,000 segments of 1,400
// bytes, and all of its rows.
func BenchmarkOpen(b *testing.B) {
	const segments = 50_000
	rec := suspend(b, 1)
	payload := bytes.Repeat(rec, 1400/len(rec))
	file := capfile(1)
	for i := range segments {
		ip := ipv4(8890, 50000, uint32(i*len(payload)), payload)
		file = pcapng.AppendPacket(file, &pcapng.Packet{Time: int64(i) * 1e3, Data: ethernet(ip)})
	}
	path := write(b, "large.pcapng", file)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := Open(path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		<-c.Store().Done()
		if n := c.Store().Len(); n != 1+segments*(len(payload)/len(rec)) {
			b.Fatalf("%d rows", n)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
