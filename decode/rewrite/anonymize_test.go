package rewrite_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

func anonymizer(t testing.TB) *rewrite.Anonymizer {
	t.Helper()
	a, err := rewrite.NewAnonymizer(bytes.Repeat([]byte{5}, rewrite.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// checkAnonymized tests what is true of every packet that comes out.
func checkAnonymized(t testing.TB, a *rewrite.Anonymizer, was, is []byte) {
	t.Helper()
	o, n := facts(was), facts(is)
	switch {
	case len(was) != len(is):
		t.Errorf("%d bytes became %d", len(was), len(is))
	case o.Header == nil:
		for i, c := range is {
			if i > 0 && c != 0 {
				t.Errorf("%x of a packet that cannot be read: %x", is, was)
				break
			}
		}
		return
	case n.Src != a.Addr(o.Src) || n.Dst != a.Addr(o.Dst):
		t.Errorf("%v > %v became %v > %v", o.Src, o.Dst, n.Src, n.Dst)
	case n.IPStatus == packet.Bad || n.L4Status == packet.Bad || n.L4Status == packet.Partial:
		t.Errorf("checksums %v %v: %x from %x", n.IPStatus, n.L4Status, is, was)
	case n.HdrLen != o.HdrLen || n.Transport != o.Transport && o.Transport != packet.NoTransport || n.TCPHdrLen != o.TCPHdrLen || n.SrcPort != o.SrcPort || n.Seq != o.Seq:
		t.Errorf("%+v became %+v", o, n)
	case n.Transport == packet.TCP || n.Transport == packet.UDP:
		for i, c := range n.Payload {
			if c != 0 && !(n.MF && i < 2) {
				t.Errorf("payload %x", n.Payload)
				break
			}
		}
	}
}

func TestAnonymize(t *testing.T) {
	a := anonymizer(t)
	for name, was := range sound(t) {
		is := a.Append(nil, was)
		checkAnonymized(t, a, was, is)
		if q, o := facts(is), facts(was); o.Quoted() != nil {
			inner, before := facts(q.Quoted()), facts(o.Quoted())
			if inner.Src != a.Addr(before.Src) || inner.SrcPort != before.SrcPort || inner.IPStatus != before.IPStatus {
				t.Errorf("%s: quoted %+v became %+v", name, before, inner)
			}
		}
		if n := testing.AllocsPerRun(10, func() { is = a.Append(is[:0], was) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		for _, addr := range []netip.Addr{client4, server4, client6, server6} {
			if bytes.Contains(is, addr.AsSlice()) {
				t.Errorf("%s: %v is still in %x", name, addr, is)
			}
		}
	}
}

// TestAnonymizeStructures: what is known keeps its shape, what is not becomes
// zero.
func TestAnonymizeStructures(t *testing.T) {
	a := anonymizer(t)
	six := server6.AsSlice()
	lladdr := []byte{1, 1, 2, 3, 4, 5, 6, 7}
	for name, c := range map[string]struct {
		pkt  []byte
		at   int // what comes out at this offset
		want []byte
	}{
		"neighbour's link address": {icmp6(t, 135, 0, append(append(make([]byte, 4), six...), lladdr...)), 64, []byte{1, 1, 0, 0, 0, 0, 0, 0}},
		"router's MTU":             {icmp6(t, 134, 0, append(make([]byte, 12), 5, 1, 0, 0, 0, 0, 5, 0xdc)), 56, []byte{5, 1, 0, 0, 0, 0, 5, 0xdc}},
		"MLD report":               {icmp6(t, 143, 0, append([]byte{0, 0, 0, 1, 4, 0, 0, 0}, netip.MustParseAddr("ff02::fb").AsSlice()...)), 52, netip.MustParseAddr("ff02::fb").AsSlice()},
		"IGMP group":               {serialize(t, ipv4(2), gopacket.Payload([]byte{0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 224, 0, 0, 251})), 32, []byte{224, 0, 0, 251}},
		"echo":                     {icmp4(t, 8, 0, []byte("secret")), 20, []byte{8, 0}},
		"an unknown protocol":      {serialize(t, ipv4(253), gopacket.Payload("secret")), 20, make([]byte, 6)},
		"IP in IP":                 {serialize(t, ipv4(4), gopacket.Payload(tcp4(t, "secret"))), 40, []byte{0xc3, 0x50, 1, 0xbb}},
	} {
		is := a.Append(nil, c.pkt)
		checkAnonymized(t, a, c.pkt, is)
		if got := is[c.at : c.at+len(c.want)]; !bytes.Equal(got, c.want) {
			t.Errorf("%s: %x at %d of %x, want %x", name, got, c.at, is, c.want)
		}
		if bytes.Contains(is, []byte("secret")) {
			t.Errorf("%s: the payload is in %x", name, is)
		}
	}
}

// TestAnonymizeFragments: the datagram that fragments make has a right
// checksum.
func TestAnonymizeFragments(t *testing.T) {
	a := anonymizer(t)
	whole := udp4(t, string(bytes.Repeat([]byte("payload "), 300)))
	var data []byte
	for i, frag := range fragments(t, whole, 700) {
		is := a.Append(nil, frag)
		f := facts(is)
		if f.IPStatus != packet.Good {
			t.Errorf("fragment %d: header checksum %v", i, f.IPStatus)
		}
		data = append(data, f.Segment...)
	}
	ip := ipv4(layers.IPProtocolUDP)
	ip.SrcIP, ip.DstIP = a.Addr(client4).AsSlice(), a.Addr(server4).AsSlice()
	if f := facts(serialize(t, ip, gopacket.Payload(data))); f.L4Status != packet.Good {
		t.Errorf("checksum %v", f.L4Status)
	}
}

func FuzzAnonymize(f *testing.F) {
	for _, b := range sound(f) {
		f.Add(b, byte(1))
	}
	f.Add(serialize(f, ipv4(4), gopacket.Payload(tcp4(f, "inner"))), byte(2))
	a := anonymizer(f)
	f.Fuzz(func(t *testing.T, b []byte, x byte) {
		is := a.Append(nil, b)
		checkAnonymized(t, a, b, is)
		if o := facts(b); (o.Transport == packet.TCP || o.Transport == packet.UDP) && !o.IsFragment() && o.PayloadLen > 0 {
			other := bytes.Clone(b)
			for i := len(b) - 1; i >= o.HdrLen+len(o.Segment)-o.PayloadLen; i-- {
				other[i] ^= x
			}
			if again := a.Append(nil, other); !bytes.Equal(again, is) {
				t.Errorf("another payload shows:\n%x\n%x", is, again)
			}
		}
	})
}
