package record

import (
	"path/filepath"
	"testing"

	"tundump/capture"
	"tundump/decode"
)

// benchRecord is a record of about 1,400 bytes that carries one packet.
func benchRecord(b *testing.B) []byte { return packets(b, 3735928559, udp(1, 1214)) }

func benchmarkEncode(b *testing.B, inner bool) {
	e := &encoder{tunnels: map[uint32]*tunnel{}}
	if inner {
		e.inner = new(decode.Message)
	}
	raw := benchRecord(b)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		e.add(decode.Event{Kind: decode.Record, Flags: decode.OnClientSide, Tunnel: 1, Time: start, Raw: raw})
		if len(e.out) > flushBytes {
			e.continueAt(0)
		}
	}
}

func BenchmarkEncode(b *testing.B)      { benchmarkEncode(b, false) }
func BenchmarkEncodeInner(b *testing.B) { benchmarkEncode(b, true) }

// benchmarkRecorder records to a file, perBatch records a read.
func benchmarkRecorder(b *testing.B, noInner bool, perBatch int) {
	rec, err := New(Options{Path: filepath.Join(b.TempDir(), "f.pcapng"), NoInner: noInner})
	if err != nil {
		b.Fatal(err)
	}
	defer rec.Store().Close()
	raw := benchRecord(b)
	b.SetBytes(int64(len(raw) * perBatch))
	b.ReportAllocs()
	for b.Loop() {
		batch := capture.NewBatch()
		buf := batch.Grow(len(raw) * perBatch)
		for i := range perBatch {
			at := i * len(raw)
			copy(buf[at:], raw)
			batch.Events = append(batch.Events, decode.Event{Kind: decode.Record, Flags: decode.OnClientSide, Tunnel: 1, Time: start, Raw: buf[at : at+len(raw)]})
		}
		rec.Offer(batch)
		batch.Release()
	}
	if err := rec.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkRecord1(b *testing.B)        { benchmarkRecorder(b, true, 1) }
func BenchmarkRecord1Inner(b *testing.B)   { benchmarkRecorder(b, false, 1) }
func BenchmarkRecord180(b *testing.B)      { benchmarkRecorder(b, true, 180) }
func BenchmarkRecord180Inner(b *testing.B) { benchmarkRecorder(b, false, 180) }

func BenchmarkSum1400(b *testing.B) {
	p := make([]byte, 1400)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		sum(p)
	}
}
