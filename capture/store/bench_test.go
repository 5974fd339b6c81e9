package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"tundump/capture"
	"tundump/capture/record"
	"tundump/capture/store"
	"tundump/decode"
)

const benchRows = 10_000

// benchFile is a capture of that many 1,400-byte records.
func benchFile(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "f.pcapng")
	rec, err := record.New(record.Options{Path: path, NoInner: true})
	if err != nil {
		b.Fatal(err)
	}
	for range benchRows {
		batch := capture.NewBatch()
		batch.Events = append(batch.Events, decode.Event{Kind: decode.Record, Tunnel: 1, Flags: decode.OnClientSide, Time: 1, Raw: make([]byte, 1400)})
		rec.Offer(batch)
		batch.Release()
	}
	if err := rec.Close(); err != nil {
		b.Fatal(err)
	}
	rec.Store().Close()
	return path
}

func BenchmarkAt(b *testing.B) {
	st, err := store.Open(benchFile(b))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	<-st.Done()
	buf := make([]byte, 4096)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := st.At(i%st.Len(), buf); err != nil {
			b.Fatal(err)
		}
		i += 7919
	}
}

// BenchmarkReader reads the rows of BenchmarkAt in their order.
func BenchmarkReader(b *testing.B) {
	st, err := store.Open(benchFile(b))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	<-st.Done()
	r := st.Reader()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := r.At(i % st.Len()); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkOpen(b *testing.B) {
	path := benchFile(b)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		st, err := store.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		<-st.Done()
		if st.Len() != benchRows {
			b.Fatal(st.Len())
		}
		st.Close()
	}
}

func BenchmarkAppend(b *testing.B) {
	st, w := store.New()
	defer st.Close()
	ev := decode.Event{Kind: decode.Record, Tunnel: 1}
	rows := make([]store.Entry, 100)
	for i := range rows {
		rows[i] = store.NewEntry(&ev, int64(i), 1500, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.Append(rows)
	}
}
