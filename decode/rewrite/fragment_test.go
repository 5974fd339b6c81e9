package rewrite_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

func fragments(t testing.TB, pkt []byte, mtu int) [][]byte {
	t.Helper()
	var f rewrite.Fragmenter
	if err := f.Reset(pkt, mtu); err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for f.More() {
		out = append(out, f.Append(nil))
	}
	return out
}

// joined puts fragments together in their order, the way RFC 791 has it. Those
// of a sound packet are sound.
func joined(t testing.TB, frags [][]byte, mtu int, sound bool) []byte {
	t.Helper()
	var data []byte
	base := facts(frags[0]).FragOffset
	for i, b := range frags {
		f := facts(b)
		switch {
		case len(b) > mtu:
			t.Fatalf("fragment %d has %d bytes, the MTU is %d", i, len(b), mtu)
		case sound && f.Problem != packet.NoProblem || f.IPStatus != packet.Good:
			t.Fatalf("fragment %d: %q, checksum %v", i, f.Problem, f.IPStatus)
		case f.FragOffset != base+len(data):
			t.Fatalf("fragment %d begins at %d, not %d", i, f.FragOffset, base+len(data))
		case i < len(frags)-1 && !f.MF:
			t.Fatalf("fragment %d says it is the last of %d", i, len(frags))
		}
		data = append(data, f.Segment...)
	}
	return data
}

func TestFragments(t *testing.T) {
	pkt := udp4(t, strings.Repeat("0123456789", 300))
	options := sound(t)["options"]
	for _, mtu := range []int{68, 69, 576, 1280, 1500, len(pkt) - 1, len(pkt)} {
		for _, p := range [][]byte{pkt, options} {
			frags := fragments(t, p, mtu)
			f := facts(p)
			if got := joined(t, frags, mtu, true); !bytes.Equal(got, f.Segment) {
				t.Errorf("MTU %d: %d bytes come out as %d", mtu, len(f.Segment), len(got))
			}
			if f := facts(frags[len(frags)-1]); f.MF {
				t.Errorf("MTU %d: no last fragment", mtu)
			}
			for _, again := range frags { // a fragment of a fragment
				if got := joined(t, fragments(t, again, 68), 68, true); !bytes.Equal(got, facts(again).Segment) {
					t.Errorf("MTU %d: fragment cut again", mtu)
				}
			}
		}
	}
	// Only the option with the copied flag, router alert, is in all.
	frags := fragments(t, options, 68)
	if len(frags) < 2 || facts(frags[0]).HdrLen != 32 || facts(frags[1]).HdrLen != 24 || frags[1][20] != 148 {
		t.Errorf("options: %x", frags)
	}
}

func TestDontFragment(t *testing.T) {
	df := udp4(t, strings.Repeat("x", 2000))
	df[6] |= 0x40
	for _, p := range [][]byte{df, udp6(t, strings.Repeat("x", 2000))} {
		if err := new(rewrite.Fragmenter).Reset(p, 1400); !errors.Is(err, rewrite.ErrDontFragment) {
			t.Errorf("error %v", err)
		}
		if err := new(rewrite.Fragmenter).Reset(p, 3000); err != nil {
			t.Error(err)
		}
	}
	for _, p := range [][]byte{bytes.Repeat([]byte{0x41}, 2000), bytes.Repeat([]byte{0x20}, 2000)} {
		if err := new(rewrite.Fragmenter).Reset(p, 1400); !errors.Is(err, rewrite.ErrNotIP) {
			t.Errorf("error %v", err)
		}
	}
	if err := new(rewrite.Fragmenter).Reset(df, 67); err == nil {
		t.Error("an MTU of 67 was accepted")
	}
}

func TestTooBig(t *testing.T) {
	router := netip.MustParseAddr("192.0.2.1")
	for _, p := range [][]byte{tcp4(t, strings.Repeat("x", 1400)), tcp6(t, strings.Repeat("x", 1400)), udp4(t, "")} {
		was := facts(p)
		b, ok := rewrite.AppendTooBig(nil, p, 1300, router)
		f := facts(b)
		from := was.Dst
		if from.Is4() {
			from = router
		}
		if !ok || f.Src != from || f.Dst != was.Src || f.MTU != 1300 || f.L4Status != packet.Good || f.Problem != packet.NoProblem || len(b) > 1280 {
			t.Errorf("%v %+v", ok, f)
		}
		if q := f.Quoted(); !bytes.HasPrefix(p, q) || len(q) < 28 {
			t.Errorf("quoted %x of %x", q, p)
		}
		if _, ok := rewrite.AppendTooBig(nil, b, 1300, netip.Addr{}); ok {
			t.Error("an answer to an ICMP error")
		}
	}
	later := fragments(t, udp4(t, strings.Repeat("x", 2000)), 1000)[1]
	multicast := udp4(t, "x")
	copy(multicast[16:], []byte{224, 0, 0, 251})
	for _, p := range [][]byte{later, multicast, nil, {0x45}} {
		if b, ok := rewrite.AppendTooBig(nil, p, 1300, netip.Addr{}); ok {
			t.Errorf("%x about %x", b, p)
		}
	}
}

// TestTsharkFragments: tshark puts together what was cut, and understands the
// answers to what must not be.
func TestTsharkFragments(t *testing.T) {
	payload := strings.Repeat("0123456789", 300)
	whole := udp4(t, payload)
	(&rewrite.Rewriter{Ports: ports(t, "53=40053")}).Rewrite(whole) // not DNS
	pkts := fragments(t, whole, 700)
	n := len(pkts)
	for _, p := range [][]byte{tcp4(t, payload[:1400]), tcp6(t, payload[:1400])} {
		b, ok := rewrite.AppendTooBig(nil, p, 1300, netip.Addr{})
		if !ok {
			t.Fatal("no answer")
		}
		pkts = append(pkts, b)
	}
	rows := tshark(t, pkts, "udp.length", "udp.checksum.status", "_ws.malformed", "icmp.mtu", "icmpv6.mtu", "icmp.checksum.status", "icmpv6.checksum.status", "ip.checksum.status")
	for i, want := range map[int]string{n - 1: "3008,1,,,,,,1", n: ",,,1300,,1,,1,1", n + 1: ",,,,1300,,1,"} {
		if got := strings.Join(rows[i], ","); got != want {
			t.Errorf("packet %d: %s, want %s", i+1, got, want)
		}
	}
}

func FuzzRewrite(f *testing.F) {
	for _, b := range sound(f) {
		f.Add(b, uint16(100))
	}
	rewriter := all(f)
	swap := rewrite.Rewriter{Addrs: addrs(f, "0.0.0.0/1=128.0.0.0/1,128.0.0.0/1=0.0.0.0/1,::/1=8000::/1,8000::/1=::/1"),
		Ports: ports(f, "0-32767=32768-65535,32768-65535=0-32767")}
	f.Fuzz(func(t *testing.T, b []byte, mtu uint16) {
		was := facts(b)
		for _, r := range []*rewrite.Rewriter{rewriter, &swap} {
			is := r.Append(nil, b)
			f := facts(is)
			want := was.L4Status
			if want == packet.Partial {
				want = packet.Good
			}
			if want == packet.Bad && f.L4Status == packet.Partial {
				return // what was wrong is by chance the new pseudo-header's sum
			}
			if len(is) != len(b) || f.L4Status != want || f.IPStatus != was.IPStatus || f.HdrLen != was.HdrLen || f.Transport != was.Transport {
				t.Fatalf("%x\n%x\n%v %v, were %v %v", b, is, f.IPStatus, f.L4Status, was.IPStatus, was.L4Status)
			}
		}
		if back := swap.Append(nil, swap.Append(nil, b)); was.L4Status != packet.Partial && !alike(back, b) {
			t.Fatalf("%x\n%x is not what it was", b, back)
		}
		fixed := bytes.Clone(b)
		rewrite.FixChecksums(fixed)
		if f := facts(fixed); f.L4Status == packet.Bad || f.L4Status == packet.Partial || f.IPStatus == packet.Bad {
			t.Fatalf("%x: %v %v after fixing", fixed, f.IPStatus, f.L4Status)
		}
		var frag rewrite.Fragmenter
		if frag.Reset(b, int(mtu)) == nil && len(b) > int(mtu) && was.IPStatus == packet.Good && was.HdrLen == was.IPHdrLen() && was.FragOffset+len(was.Segment) <= 0xffff {
			if got := joined(t, fragments(t, b, int(mtu)), int(mtu), false); !bytes.Equal(got, was.Segment) {
				t.Fatalf("%x\n%x", got, was.Segment)
			}
		}
		if big, ok := rewrite.AppendTooBig(nil, b, int(mtu), netip.Addr{}); ok {
			if f := facts(big); f.L4Status != packet.Good || f.Problem != packet.NoProblem {
				t.Fatalf("%x: %+v", big, f)
			}
		}
	})
}

// alike compares packets but for the two forms of zero that a checksum has.
func alike(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			w := i &^ 1
			x, y := binary.BigEndian.Uint16(append(a[w:min(w+2, len(a))], 0)), binary.BigEndian.Uint16(append(b[w:min(w+2, len(b))], 0))
			if x^y != 0xffff || x != 0 && y != 0 {
				return false
			}
		}
	}
	return true
}
