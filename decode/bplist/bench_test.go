package bplist_test

import (
	"bytes"
	"testing"

	"tundump/decode/bplist"
)

// packets32 is the message that a busy tunnel is made of.
func packets32(t testing.TB) []byte {
	t.Helper()
	var w bplist.Writer
	b, err := w.Append(nil, packetsMessage(&w, somePackets(32), make([]int64, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func somePackets(n int) [][]byte {
	packets := make([][]byte, n)
	for i := range packets {
		packets[i] = bytes.Repeat([]byte{byte(i)}, 1400)
	}
	return packets
}

func packetsMessage(w *bplist.Writer, packets [][]byte, families []int64) bplist.Ref {
	for i := range families {
		families[i] = 2
	}
	return w.Dict(
		w.String("identifier"), w.Int(0x12345678),
		w.String("command"), w.Int(8),
		w.String("packets"), w.DataArray(packets),
		w.String("protocols"), w.IntArray(families),
	)
}

// walk looks at everything that a packets message says.
func walk(d *bplist.Doc) (bytes int, sum int64) {
	root := d.Root()
	for i := range root.Len() {
		k, v := root.Pair(i)
		switch {
		case k.EqualText("command"), k.EqualText("identifier"):
			n, _ := v.Int()
			sum += n
		case k.EqualText("packets"):
			for j := range v.Len() {
				b, _ := v.At(j).Data()
				bytes += len(b)
			}
		case k.EqualText("protocols"):
			for j := range v.Len() {
				n, _ := v.At(j).Int()
				sum += n
			}
		}
	}
	return bytes, sum
}

func BenchmarkParsePackets32(b *testing.B) {
	payload := packets32(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		d, err := bplist.Parse(payload, bplist.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if n, _ := walk(&d); n != 32*1400 {
			b.Fatal(n)
		}
	}
}

func BenchmarkParseSmall(b *testing.B) {
	payload, err := encode(pairs{{"command", int64(2)}, {"identifier", int64(0x12345678)}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d, err := bplist.Parse(payload, bplist.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		root := d.Root()
		if n, _ := root.Get("command").Int(); n != 2 {
			b.Fatal(n)
		}
	}
}

func BenchmarkWritePackets32(b *testing.B) {
	var w bplist.Writer
	packets, families := somePackets(32), make([]int64, 32)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		var err error
		if dst, err = w.Append(dst[:0], packetsMessage(&w, packets, families)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEditPackets32(b *testing.B) {
	payload := packets32(b)
	d, err := bplist.Parse(payload, bplist.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	root := d.Root()
	change := bplist.Change{Value: root.Get("identifier"), Object: bplist.AppendInt(nil, 7)}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = bplist.Edit(dst[:0], &d, change); err != nil {
			b.Fatal(err)
		}
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	payload := packets32(t)
	if n := testing.AllocsPerRun(100, func() {
		d, err := bplist.Parse(payload, bplist.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		walk(&d)
		root := d.Root()
		if root.Get("nothing").Exists() {
			t.Fatal("found nothing")
		}
		root.DuplicateKey()
		root.NonStringKey()
	}); n != 0 {
		t.Errorf("reading a message allocates %v times", n)
	}
	var w bplist.Writer
	var dst []byte
	packets, families := somePackets(32), make([]int64, 32)
	if n := testing.AllocsPerRun(100, func() {
		w.Reset()
		var err error
		if dst, err = w.Append(dst[:0], packetsMessage(&w, packets, families)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("writing a message allocates %v times", n)
	}
}
