package flow_test

import (
	mathrand "math/rand/v2"
	"slices"
	"testing"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

// FuzzUnits has two ends say anything on the ports of TLS and HTTP, and cuts
// it into segments in two ways: what ends in them is the same, and nothing is
// kept beyond what was allowed.
func FuzzUnits(f *testing.F) {
	for _, s := range httpTalk() {
		f.Add(s.data, []byte("HTTP/1.1 200 OK\r\n\r\n"), uint64(1), false)
	}
	f.Add([]byte{22, 3, 1, 0, 8, 1, 0, 0, 2, 0, 0, 4, 0, 22, 3, 3, 0, 1, 0, 23, 3, 3, 0, 2, 1, 2}, []byte{21, 3, 3, 0, 2, 2, 40}, uint64(2), true)
	f.Add([]byte{22, 3, 3, 0, 0, 20, 3, 3, 0, 1, 1, 99, 99, 99, 99, 99}, []byte("no TLS"), uint64(3), true)
	f.Fuzz(func(t *testing.T, there, back []byte, seed uint64, secure bool) {
		if len(there) > 1<<16 || len(back) > 1<<16 {
			return
		}
		port := uint16(80)
		if secure {
			port = 443
		}
		talk := []spoken{{false, there}, {true, back}, {false, there}}
		var want [2][]string
		for round := range 2 {
			table := flow.New(flow.Options{Bytes: 1 << 20})
			got := says(t, table, segments(talk, port, mathrand.New(mathrand.NewPCG(seed, uint64(round)))))
			if table.Kept() > 1<<21 {
				t.Fatalf("%d bytes are kept", table.Kept())
			}
			if round == 0 {
				want = got
				continue
			}
			for side := range got {
				if secure && proper(there) && proper(back) && !slices.Equal(got[side], want[side]) {
					t.Fatalf("side %d: %q, %q", side, got[side], want[side])
				}
			}
		}
	})
}

// proper reports whether b is TLS records from end to end: what is not is cut
// into continuations where segments end.
func proper(b []byte) bool {
	for len(b) > 0 {
		r, ok := packet.TLSRecordAt(b)
		if !ok || r.Size() > len(b) {
			return false
		}
		b = b[r.Size():]
	}
	return true
}
