package rewrite

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func preserving(t testing.TB, key []byte) *PrefixPreserving {
	t.Helper()
	p, err := NewPrefixPreserving(key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestReference holds the permutation, with nothing kept, against the sample
// that the authors of Crypto-PAn publish with their code.
func TestReference(t *testing.T) {
	p := preserving(t, []byte{21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
		216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2})
	for from, want := range map[string]string{
		"128.11.68.132": "135.242.180.132", "129.118.74.4": "134.136.186.123", "130.132.252.244": "133.68.164.234",
		"141.223.7.43": "141.167.8.160", "192.102.249.13": "252.138.62.131", "24.0.250.221": "100.15.198.226",
	} {
		b := netip.MustParseAddr(from).As4()
		p.flip(b[:], 0)
		if got := netip.AddrFrom4(b); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %v, want %s", from, got, want)
		}
	}
}

func randomAddr(r *rand.Rand) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte(b[:]))
	}
	if r.IntN(3) == 0 {
		b[0] = 0xff
	}
	return netip.AddrFrom16(b)
}

// TestPrefixes: pairs with a common prefix keep its length exactly, whatever
// ranges they are in.
func TestPrefixes(t *testing.T) {
	p := preserving(t, bytes.Repeat([]byte{3}, KeySize))
	r := rand.New(rand.NewPCG(1, 2))
	changed := 0
	for range 4000 {
		a := randomAddr(r)
		raw := a.AsSlice()
		bit := r.IntN(8 * len(raw))
		raw[bit/8] ^= 0x80 >> (bit % 8)
		for i := bit + 1; i < 8*len(raw); i++ {
			raw[i/8] ^= byte(r.IntN(2)) << (7 - i%8)
		}
		b, _ := netip.AddrFromSlice(raw)
		ma, mb := p.Map(a), p.Map(b)
		if got := commonBits(ma.AsSlice(), mb.AsSlice()); got != bit {
			t.Fatalf("%v %v share %d bits, %v %v share %d", a, b, bit, ma, mb, got)
		}
		if a.IsPrivate() != ma.IsPrivate() || a.IsMulticast() != ma.IsMulticast() || a.IsLinkLocalUnicast() != ma.IsLinkLocalUnicast() || a.IsLoopback() != ma.IsLoopback() {
			t.Fatalf("%v became %v", a, ma)
		}
		if a != ma {
			changed++
		}
	}
	if changed < 3900 {
		t.Errorf("only %d of 4000 addresses changed", changed)
	}
}

func TestKept(t *testing.T) {
	p := preserving(t, bytes.Repeat([]byte{9}, KeySize))
	for _, s := range []string{"0.0.0.0", "255.255.255.255", "127.0.0.1", "224.0.0.251", "::", "::1", "ff02::1", "ff02::fb", "ff02::1:2", "ff05::1:3"} {
		a := netip.MustParseAddr(s)
		if got := p.Map(a); got != a {
			t.Errorf("%s became %v", s, got)
		}
	}
	for s, prefix := range map[string]string{
		"10.8.0.2": "10.0.0.0/8", "192.168.1.7": "192.168.0.0/16", "172.16.5.4": "172.16.0.0/12", "169.254.3.4": "169.254.0.0/16",
		"100.64.1.1": "100.64.0.0/10", "239.255.255.250": "224.0.0.0/4", "fe80::1:2:3:4": "fe80::/64", "fd00:8::2": "fc00::/7",
		"ff02::1:ff12:3456": "ff02::1:ff00:0/104", "ff0e::1234:5678:9abc": "ff0e::/16",
	} {
		a := netip.MustParseAddr(s)
		if got := p.Map(a); got == a || !netip.MustParsePrefix(prefix).Contains(got) {
			t.Errorf("%s became %v, which must be another address in %s", s, got, prefix)
		}
	}
	if _, err := NewPrefixPreserving(make([]byte, 31)); err == nil {
		t.Error("a key of 31 bytes was accepted")
	}
}

func BenchmarkPrefixPreserving(b *testing.B) {
	p := preserving(b, make([]byte, KeySize))
	r := rand.New(rand.NewPCG(3, 4))
	for _, bench := range []struct {
		name  string
		count int
	}{{"known", 100}, {"new", 1 << 17}} {
		addrs := make([]netip.Addr, bench.count)
		for i := range addrs {
			addrs[i] = randomAddr(r)
		}
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p.Map(addrs[i%len(addrs)])
				i++
			}
		})
	}
}
