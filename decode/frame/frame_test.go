package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// list returns a minimal binary property list of n bytes that Fits accepts:
// one object of filler, one offset, a trailer.
func list(n int) []byte {
	b := make([]byte, n)
	copy(b, "bplist00")
	t := b[n-trailerLen:]
	t[6], t[7] = 1, 1
	binary.BigEndian.PutUint64(t[8:], 1)
	binary.BigEndian.PutUint64(t[24:], uint64(n-trailerLen-1))
	return b
}

func record(payload []byte) []byte {
	b := append(Reserve(nil), payload...)
	if err := PutLength(b, 0); err != nil {
		panic(err)
	}
	return b
}

func withLength(n uint32, payload []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, n), payload...)
}

func TestCut(t *testing.T) {
	whole := record(list(73))
	for _, tt := range []struct {
		name string
		b    []byte
		max  int
		n    int
		bad  bool
	}{
		{"nothing", nil, MaxLen, 0, false},
		{"half a length", whole[:3], MaxLen, 0, false},
		{"half a payload", whole[:76], MaxLen, 0, false},
		{"whole", whole, MaxLen, 77, false},
		{"more behind", append(bytes.Clone(whole), 1, 2), MaxLen, 77, false},
		{"empty", []byte{4, 0, 0, 0}, MaxLen, 4, false},
		{"below the header", []byte{3, 0, 0, 0}, MaxLen, 0, true},
		{"zero", []byte{0, 0, 0, 0}, MaxLen, 0, true},
		{"at the limit, not there yet", []byte{0, 0, 2, 0}, MaxLen, 0, false},
		{"over the limit", []byte{1, 0, 2, 0}, MaxLen, 0, true},
		{"over the limit, allowed", []byte{1, 0, 2, 0}, MaxDecode, 0, false},
		{"all ones", []byte{255, 255, 255, 255}, MaxDecode, 0, true},
	} {
		n, err := Cut(tt.b, tt.max)
		var le *LengthError
		if n != tt.n || errors.As(err, &le) != tt.bad {
			t.Errorf("%s: Cut = %d, %v; want %d, error %v", tt.name, n, err, tt.n, tt.bad)
		}
	}
}

func TestFits(t *testing.T) {
	good := record(list(73))
	if !Fits(good) {
		t.Fatal("a sound record does not fit")
	}
	for i, change := range []func(b []byte) []byte{
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { return append(b, 0) },
		func(b []byte) []byte { b[4] = 'B'; return b },
		func(b []byte) []byte { b[len(b)-26] = 0; return b },                    // offset size
		func(b []byte) []byte { b[len(b)-25] = 0; return b },                    // reference size
		func(b []byte) []byte { b[len(b)-17] = 0; return b },                    // objects
		func(b []byte) []byte { b[len(b)-24] = 255; return b },                  // objects overflow
		func(b []byte) []byte { b[len(b)-9] = 1; return b },                     // root
		func(b []byte) []byte { b[len(b)-8] = 255; return b },                   // table overflow
		func(b []byte) []byte { b[len(b)-1]--; return b },                       // table
		func(b []byte) []byte { copy(b[len(b)-8:], make([]byte, 8)); return b }, // table in the magic
		func(b []byte) []byte { return b[:MinLen-1] },
	} {
		if Fits(change(bytes.Clone(good))) {
			t.Errorf("change %d still fits", i)
		}
	}
}

type piece struct {
	kind Kind
	n    int
	bad  uint32
	lost bool
}

// scan feeds stream in reads that end at the given offsets, and joins unframed
// spans that go on.
func scan(stream []byte, cuts []int) []piece {
	var (
		s   Scanner
		out []piece
		at  int
	)
	add := func(sp Span) {
		if sp.Len < 1 || sp.Len > len(stream)-at {
			panic(fmt.Sprintf("a span of %d bytes, %d are left", sp.Len, len(stream)-at))
		}
		out = append(out, piece{sp.Kind, sp.Len, sp.Bad, sp.Lost})
		at += sp.Len
	}
	for _, c := range append(cuts, len(stream)) {
		for {
			sp, ok := s.Next(stream[at:max(at, c)], More)
			if !ok {
				break
			}
			add(sp)
		}
	}
	for {
		sp, ok := s.Next(stream[at:], End)
		if !ok {
			return out
		}
		add(sp)
	}
}

func TestScanner(t *testing.T) {
	ok := record(list(73))
	big := record(list(200_000))
	bad := record(bytes.Repeat([]byte{0xff}, 200))
	nested := append(append(bytes.Repeat([]byte{0xff}, 50), ok...), 1, 2, 3)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, tt := range []struct {
		name   string
		stream []byte
		want   []piece
	}{
		{"two records", join(ok, ok), []piece{{Record, 77, 0, false}, {Record, 77, 0, false}}},
		{"empty record", join([]byte{4, 0, 0, 0}, ok), []piece{{Record, 4, 0, false}, {Record, 77, 0, false}}},
		{"malformed payload keeps the boundary", join(bad, ok), []piece{{Record, 204, 0, false}, {Record, 77, 0, false}}},
		{"malformed payload at the end", bad, []piece{{Record, 204, 0, false}}},
		{"length zero", join([]byte{0, 0, 0, 0}, ok), []piece{{Unframed, 4, 0, true}, {Record, 77, 0, false}}},
		{"length too big", join([]byte("GET / HTTP/1.1\r\n\r\n"), ok), []piece{{Unframed, 18, 0x20544547, true}, {Record, 77, 0, false}}},
		{"oversize record", join(big, ok), []piece{{Record, 200_004, 0, false}, {Record, 77, 0, false}}},
		{"oversize length, not believed", join(withLength(200_000, ok), ok), []piece{{Unframed, 4, 200_000, true}, {Record, 77, 0, false}, {Record, 77, 0, false}}},
		{"oversize length with a magic", join(withLength(200_000, ok[4:]), ok, ok), []piece{{Unframed, 77, 200_000, true}, {Record, 77, 0, false}, {Record, 77, 0, false}}},
		{"length one too long", join(withLength(78, ok[4:]), ok), []piece{{Unframed, 77, 0, true}, {Record, 77, 0, false}}},
		{"bytes lost inside a record", join(ok[:40], ok, ok), []piece{{Unframed, 40, 0, true}, {Record, 77, 0, false}, {Record, 77, 0, false}}},
		{"bytes lost at the end", join(ok[:40], ok), []piece{{Unframed, 40, 0, true}, {Record, 77, 0, false}}},
		{"malformed payload holding a record, another behind", join(record(nested), ok), []piece{{Record, len(nested) + 4, 0, false}, {Record, 77, 0, false}}},
		{"malformed payload holding a record, nothing behind", record(nested), []piece{{Unframed, 54, 0, true}, {Record, 77, 0, false}, {Cutoff, 3, 0, false}}},
		{"cut off", ok[:50], []piece{{Cutoff, 50, 0, false}}},
		{"half a length", ok[:2], []piece{{Cutoff, 2, 0, false}}},
		{"garbage", bytes.Repeat([]byte{0xee}, 150_000), []piece{{Unframed, chunk, 0xeeeeeeee, true}, {Unframed, chunk, 0, false}, {Unframed, 150_000 - 2*chunk, 0, false}}},
	} {
		if got := scan(tt.stream, nil); !equal(got, tt.want) {
			t.Errorf("%s:\n got %v\nwant %v", tt.name, got, tt.want)
		}
	}
}

func equal(a, b []piece) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestScannerFlush(t *testing.T) {
	ok := record(list(73))
	for _, tt := range []struct {
		name    string
		pending []byte
		want    int // bytes handed out
	}{
		{"half a record is waited for", ok[:40], 0},
		{"text is not", []byte("GET / HTTP/1.1\r\n\r\n"), 18},
		{"a plausible length before anything else is not", withLength(66326, []byte{2, 0, 1, 0, 1}), 9},
		{"a magic's beginning is waited for", append([]byte("GET / HTTP\r\n"), ok[:9]...), 12},
		{"a malformed record is not waited for", record(bytes.Repeat([]byte{0xff}, 30)), 34},
	} {
		var s Scanner
		sp, _ := s.Next(tt.pending, Flush)
		if sp.Len != tt.want {
			t.Errorf("%s: %d bytes handed out, want %d", tt.name, sp.Len, tt.want)
		}
	}
}

// stream builds a stream of sound and damaged records from a seed.
func stream(r *rand.Rand) []byte {
	var b []byte
	for range 1 + r.IntN(12) {
		rec := record(list(42 + r.IntN(400)))
		switch r.IntN(8) {
		case 0: // bytes lost
			i, j := r.IntN(len(rec)), r.IntN(len(rec))
			rec = append(rec[:min(i, j):min(i, j)], rec[max(i, j):]...)
		case 1: // a byte changed
			rec[r.IntN(len(rec))] ^= byte(1 + r.IntN(255))
		case 2: // junk in front
			junk := make([]byte, r.IntN(40))
			for i := range junk {
				junk[i] = byte(r.UintN(256))
			}
			rec = append(junk, rec...)
		case 3: // a wrong length
			binary.LittleEndian.PutUint32(rec, uint32(r.IntN(600)))
		case 4: // a record inside a record
			rec = record(append(append(list(60), rec...), "tail"...))
		case 5: // a length over the limit
			binary.LittleEndian.PutUint32(rec, MaxLen+uint32(r.IntN(300_000)))
		}
		b = append(b, rec...)
	}
	return b
}

func checkScan(t *testing.T, b []byte, cuts []int) {
	t.Helper()
	whole, split := scan(b, nil), scan(b, cuts)
	if !equal(whole, split) {
		t.Fatalf("split into reads at %v, the spans differ:\nwhole %v\nsplit %v\nstream %x", cuts, whole, split, b)
	}
	total := 0
	for i, p := range whole {
		rec := b[total : total+p.n]
		if p.n < 1 || p.kind == Record && p.n > MaxLen && !Fits(rec) || p.kind == Cutoff && i != len(whole)-1 {
			t.Fatalf("span %d of %v cannot be", i, whole)
		}
		total += p.n
	}
	if total != len(b) {
		t.Fatalf("%d of %d bytes handed out", total, len(b))
	}
}

func TestScannerAnySplit(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := stream(r)
		var cuts []int
		for at := 0; at < len(b); at += 1 + r.IntN(1+r.IntN(200)) {
			cuts = append(cuts, at)
		}
		checkScan(t, b, cuts)
	}
}

func FuzzScanner(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(stream(rand.New(rand.NewPCG(seed, 2))), uint16(seed*37))
	}
	f.Add(withLength(66326, []byte("bplist0bplist0bplist0")), uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, step uint16) {
		var cuts []int
		for at := 0; at < len(b); at += 1 + int(step)%97 {
			cuts = append(cuts, at)
		}
		checkScan(t, b, cuts)
	})
}

// A stream of magics with believable lengths is the search's worst case: each
// has to be looked at once, and only once.
func TestScannerWorkIsBounded(t *testing.T) {
	one := withLength(100_000, []byte(magic))
	b := bytes.Repeat(one, 4<<20/len(one))
	b[3] = 0xff
	var cuts []int
	for at := 0; at < len(b); at += 1448 {
		cuts = append(cuts, at)
	}
	if got := scan(b, cuts); len(got) < 60 {
		t.Errorf("%d spans", len(got))
	}
}

func BenchmarkScanner(b *testing.B) {
	stream := bytes.Repeat(record(list(1400)), 100)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		var s Scanner
		for at := 0; at < len(stream); {
			sp, ok := s.Next(stream[at:], More)
			if !ok {
				b.Fatal("no span")
			}
			at += sp.Len
		}
	}
}

// After Seek nothing is taken for a record that has no trailer at its end.
func TestSeek(t *testing.T) {
	rec := record(list(73))
	for _, tt := range []struct {
		name   string
		before []byte
	}{
		{"at a record", nil},
		{"a length and no record", []byte{4, 0, 0, 0}},
		{"inside a record", rec[20:]},
		{"a length that reaches into the next record", []byte{20, 0, 0, 0, 1, 2}},
	} {
		b := slices.Concat(tt.before, rec, rec)
		var s Scanner
		s.Seek()
		var got []Span
		for len(b) > 0 {
			span, ok := s.Next(b, End)
			if !ok {
				t.Fatalf("%s: stuck with %d bytes", tt.name, len(b))
			}
			got = append(got, span)
			b = b[span.Len:]
		}
		want := []Span{{Kind: Record, Len: len(rec)}, {Kind: Record, Len: len(rec)}}
		if n := len(tt.before); n > 0 {
			want = append([]Span{{Kind: Unframed, Len: n, Lost: true}}, want...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, want)
		}
	}
}
