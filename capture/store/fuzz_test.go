package store_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"tundump/capture/pcapng"
	"tundump/capture/store"
)

// splitRecord appends a record of two blocks to a capture, made from its first
// packet that carries bytes.
func splitRecord(t testing.TB, capture []byte) []byte {
	t.Helper()
	r := pcapng.NewReader(bytes.NewReader(capture))
	var b pcapng.Block
	var p pcapng.Packet
	for {
		if err := r.Next(&b); err != nil {
			t.Fatal(err)
		}
		if !b.IsPacket() || b.Packet(&p) != nil || !bytes.Contains(p.Comments[0], []byte("len=50")) {
			continue
		}
		out := bytes.Clone(capture)
		p.Comments = p.Comments[:1]
		for _, comment := range []string{"tundump:1 T1 #9 c2s off=54 len=100", "tundump:1 T1 #9 c2s off=54 len=100 part=1"} {
			p.Comments[0] = []byte(comment)
			out = pcapng.AppendPacket(out, &p)
		}
		return out
	}
}

func TestSplitRecord(t *testing.T) {
	st := store.OpenBytes(splitRecord(t, sample(t, 50)))
	rows, _ := all(st)
	if n := len(rows); n != sampleRows+1 || len(rows[n-1].Raw) != 100 {
		t.Errorf("%d rows, %v", n, st.Warnings())
	}
}

// FuzzOpen reads whatever it is given as a capture: rows must lie in the
// input, repeat, and be what their entries say.
func FuzzOpen(f *testing.F) {
	head := sample(f, 50)
	f.Add(head)
	f.Add(splitRecord(f, head))
	f.Add(bytes.Replace(head, []byte("len=4"), []byte("len=9"), 1))
	f.Add(bytes.ReplaceAll(head, []byte("off="), []byte("pkt=")))
	f.Add(bytes.Replace(head, []byte("event=closed"), []byte("flags=gap,xx"), 1))
	big := bytes.Clone(head)
	binary.LittleEndian.PutUint32(big[4:], 1<<24)
	f.Add(big)
	f.Fuzz(func(t *testing.T, b []byte) {
		st := store.OpenBytes(b)
		defer st.Close()
		if st.Len() > len(b)/8 {
			t.Errorf("%d rows in %d bytes", st.Len(), len(b))
		}
		ordered := store.OpenBytesInOrder(b)
		defer ordered.Close()
		r := ordered.Reader()
		buf := make([]byte, 4096)
		for i := range st.Len() {
			e := st.Entry(i)
			ev, err := st.At(i, buf)
			if err != nil {
				t.Fatalf("row %d: %v", i, err)
			}
			again, err := st.At(i, nil)
			if err != nil || !bytes.Equal(ev.Raw, again.Raw) || ev.Kind != e.Kind || ev.Tunnel != e.Tunnel || ev.Dir != e.Dir || ev.Flags != e.Flags {
				t.Fatalf("row %d: %+v, then %+v, entry %+v, %v", i, ev, again, e, err)
			}
			if ev2, err := inOrder(ordered, r, i); err != nil || !bytes.Equal(ev.Raw, ev2.Raw) || ev2.Kind != ev.Kind {
				t.Fatalf("row %d in order: %+v, not %+v, %v", i, ev2, ev, err)
			}
			if len(ev.Raw) > len(b) || ev.Raw != nil && len(ev.Raw) != int(e.Len) {
				t.Fatalf("row %d has %d bytes, its entry says %d", i, len(ev.Raw), e.Len)
			}
		}
		if _, err := ordered.Wait(t.Context(), st.Len()); err == nil || ordered.Len() != st.Len() || fmt.Sprint(ordered.Err(), ordered.Warnings(), ordered.Losses()) != fmt.Sprint(st.Err(), st.Warnings(), st.Losses()) {
			t.Errorf("in order: %v, %d rows, %v", err, ordered.Len(), ordered.Warnings())
		}
	})
}
