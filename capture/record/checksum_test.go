package record

import (
	"math/rand/v2"
	"testing"
)

// slowSum is the sum as RFC 1071 defines it.
func slowSum(b []byte) uint32 {
	var s uint32
	for i, c := range b {
		if i%2 == 0 {
			s += uint32(c) << 8
		} else {
			s += uint32(c)
		}
		s = s>>16 + s&0xffff
	}
	return s
}

func TestSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := noise(r, 2049)
	ones := make([]byte, 2049)
	for i := range ones {
		ones[i] = 0xff
	}
	for n := range b {
		for _, b := range [...][]byte{b[:n], b[len(b)-n:], ones[:n], make([]byte, n)} {
			got, want := sum(b), slowSum(b)
			if got%0xffff != want%0xffff || got > 0xffff {
				t.Fatalf("sum of %d bytes: got %#x, want %#x", n, got, want)
			}
		}
	}
}
