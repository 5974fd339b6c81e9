package rewrite_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

func all(t testing.TB) *rewrite.Rewriter {
	return &rewrite.Rewriter{
		Addrs: addrs(t, "10.8.0.0/24=192.0.2.0/24,93.184.216.34=198.51.100.7,fd00:8::/64=2001:db8:9::/64,2001:db8::1=fd09::1"),
		Ports: ports(t, "443=8443,50000-50001=60000-60001,53:5353"),
		TTL:   rewrite.TTL{Set: 9},
		AddID: 0x10001,
	}
}

// TestSound changes everything that can be changed and has package packet
// look at the result, down to the quoted packets.
func TestSound(t *testing.T) {
	r := all(t)
	mapped := map[netip.Addr]netip.Addr{
		client4: netip.MustParseAddr("192.0.2.2"), server4: netip.MustParseAddr("198.51.100.7"),
		client6: netip.MustParseAddr("2001:db8:9::2"), server6: netip.MustParseAddr("fd09::1"),
	}
	mappedPort := map[uint16]uint16{443: 8443, 50000: 60000, 53: 5353}
	var check func(t *testing.T, was, is []byte, quoted bool)
	check = func(t *testing.T, was, is []byte, quoted bool) {
		o, n := facts(was), facts(is)
		if n.Src != mapped[o.Src] || n.Dst != mapped[o.Dst] {
			t.Errorf("%v > %v from %v > %v", n.Src, n.Dst, o.Src, o.Dst)
		}
		if want := mappedPort[o.SrcPort]; want != 0 && n.SrcPort != want {
			t.Errorf("source port %d from %d", n.SrcPort, o.SrcPort)
		}
		if want := mappedPort[o.DstPort]; want != 0 && n.DstPort != want {
			t.Errorf("destination port %d from %d", n.DstPort, o.DstPort)
		}
		if n.IPStatus != o.IPStatus || n.L4Status != o.L4Status || n.Problem != o.Problem {
			t.Errorf("checksums %v %v, problem %q; before %v %v, %q", n.IPStatus, n.L4Status, n.Problem, o.IPStatus, o.L4Status, o.Problem)
		}
		if o.Version == 4 && uint16(n.ID) != uint16(o.ID)+1 || o.Version == 6 && o.MF && n.ID != o.ID+0x10001 {
			t.Errorf("identification %#x from %#x", n.ID, o.ID)
		}
		if want := uint8(9); !quoted && n.TTL != want || quoted && n.TTL != o.TTL {
			t.Errorf("time to live %d from %d, quoted %v", n.TTL, o.TTL, quoted)
		}
		if q := o.Quoted(); q != nil {
			check(t, q, n.Quoted(), true)
		}
	}
	for name, was := range sound(t) {
		t.Run(name, func(t *testing.T) {
			if o := facts(was); o.L4Status == packet.Bad || o.IPStatus == packet.Bad {
				t.Fatalf("the test's packet is wrong: %x", was)
			}
			check(t, was, r.Append(nil, was), false)
		})
	}
}

// TestAddressesInside: those that ICMP is about follow the map.
func TestAddressesInside(t *testing.T) {
	s, r := sound(t), all(t)
	for name, want := range map[string]struct {
		off  int
		addr string
	}{"neighbour": {40 + 8, "fd09::1"}, "redirect6": {40 + 24, "2001:db8:9::2"}} {
		b := r.Append(nil, s[name])
		if got, _ := netip.AddrFromSlice(b[want.off : want.off+16]); got.String() != want.addr {
			t.Errorf("%s: %v, want %s", name, got, want.addr)
		}
	}
	gateway := bytes.Clone(s["redirect4"])
	copy(gateway[24:], client4.AsSlice())
	rewrite.FixChecksums(gateway)
	r.Rewrite(gateway)
	if got, _ := netip.AddrFromSlice(gateway[24:28]); got.String() != "192.0.2.2" {
		t.Errorf("gateway %v", got)
	}
	if f := facts(gateway); f.L4Status != packet.Good {
		t.Errorf("checksum %v", f.L4Status)
	}
}

// TestWrongStaysWrong: nothing is made right that was not, but for partial
// sums and on request.
func TestWrongStaysWrong(t *testing.T) {
	for name, was := range sound(t) {
		o := facts(was)
		if o.L4Status != packet.Good {
			continue
		}
		bad := bytes.Clone(was)
		bad[len(bad)-1] ^= 0x5a
		if o.Version == 4 {
			bad[10] ^= 0xa5
		}
		r := all(t)
		is := r.Append(nil, bad)
		if f := facts(is); f.L4Status != packet.Bad || f.Version == 4 && f.IPStatus != packet.Bad {
			t.Errorf("%s: %v %v", name, f.IPStatus, f.L4Status)
		}
		is[len(is)-1] ^= 0x5a
		if f := facts(is); f.L4Status != packet.Good {
			t.Errorf("%s: not wrong by as much as before", name)
		}
		r.FixChecksums = true
		if f := facts(r.Append(nil, bad)); f.L4Status != packet.Good || f.IPStatus == packet.Bad {
			t.Errorf("%s, fixed: %v %v", name, f.IPStatus, f.L4Status)
		}
	}
}

func TestPartialIsFinished(t *testing.T) {
	b := tcp4(t, "hello")
	pseudo := packet.Fold(packet.Sum(b[12:20], uint64(6+len(b)-20)))
	binary.BigEndian.PutUint16(b[36:], pseudo)
	if f := facts(b); f.L4Status != packet.Partial {
		t.Fatalf("the test's packet: %v", f.L4Status)
	}
	for _, r := range []*rewrite.Rewriter{all(t), {}} {
		if f := facts(r.Append(nil, b)); f.L4Status != packet.Good {
			t.Errorf("checksum %v", f.L4Status)
		}
	}
}

// TestNoUDPChecksum: none over IPv4 stays none; and a sum that comes to 0 is
// not taken for none.
func TestNoUDPChecksum(t *testing.T) {
	b := udp4(t, "abc")
	b[26], b[27] = 0, 0
	r := all(t)
	r.FixChecksums = true
	if f := facts(r.Append(nil, b)); f.L4Status != packet.NotPresent {
		t.Errorf("checksum %v", f.L4Status)
	}
	for v := range 1 << 16 { // one of them comes to 0
		b := udp4(t, "ab")
		binary.BigEndian.PutUint16(b[28:], uint16(v))
		rewrite.FixChecksums(b)
		(&rewrite.Rewriter{Addrs: addrs(t, "10.8.0.2=10.8.0.3")}).Rewrite(b)
		if f := facts(b); f.L4Status != packet.Good {
			t.Fatalf("%#x: checksum %v", v, f.L4Status)
		}
	}
}

func TestAddrMap(t *testing.T) {
	m := addrs(t, "10.0.0.0/8=172.0.0.0/8, 10.1.2.0/23=192.168.4.0/23,10.1.2.3=8.8.8.8,0.0.0.0/0=1.0.0.0/0,2001:db8::/37=fd00::/37")
	for from, want := range map[string]string{
		"10.200.3.4": "172.200.3.4", "10.1.3.9": "192.168.5.9", "10.1.2.3": "8.8.8.8", "9.9.9.9": "9.9.9.9",
		"2001:db8:7ff:1::2": "fd00:0:7ff:1::2", "2001:db8:800::": "2001:db8:800::",
	} {
		if got := m.Map(netip.MustParseAddr(from)); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %v, want %s", from, got, want)
		}
	}
	for _, wrong := range []string{"", "10.0.0.1", "10.0.0.1=", "10.0.0.1=::1", "10.0.0.0/8=11.0.0.0/9", "10.0.0.1=1.2.3.4,10.0.0.1=1.2.3.5", "x=y", "10.0.0.0/33=1.0.0.0"} {
		if err := new(rewrite.AddrMap).Parse(wrong); err == nil {
			t.Errorf("%q was accepted", wrong)
		}
	}
}

func TestPortMapAndTTL(t *testing.T) {
	m := ports(t, "80=8080,1000-1003:2000-2003,9000-9009=90")
	for from, want := range map[uint16]uint16{80: 8080, 1003: 2003, 9005: 90, 81: 81, 0: 0} {
		if got := m.Map(from); got != want {
			t.Errorf("%d: %d, want %d", from, got, want)
		}
	}
	for _, wrong := range []string{"", "80", "80=", "1-3=1-4", "65536=1", "3-1=5", "80=1,80=2", "-1=3"} {
		if err := new(rewrite.PortMap).Parse(wrong); err == nil {
			t.Errorf("%q was accepted", wrong)
		}
	}
	for s, want := range map[string]uint8{"64": 64, "+3": 8, "-2": 3, "-9": 1, "+255": 255} {
		ttl, err := rewrite.ParseTTL(s)
		if err != nil {
			t.Fatal(err)
		}
		b := tcp6(t, "")
		b[7] = 5
		(&rewrite.Rewriter{TTL: ttl}).Rewrite(b)
		if b[7] != want {
			t.Errorf("%s: %d, want %d", s, b[7], want)
		}
	}
	for _, wrong := range []string{"", "0", "256", "+256", "x"} {
		if _, err := rewrite.ParseTTL(wrong); err == nil {
			t.Errorf("%q was accepted", wrong)
		}
	}
}

// TestTshark changes the packets of real captures and has tshark say whether
// the checksums are as right as they were, quoted packets included.
func TestTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("reads all captures twice")
	}
	pan, err := rewrite.NewPrefixPreserving(bytes.Repeat([]byte{7}, rewrite.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	r := rewrite.Rewriter{Addrs: pan, Ports: ports(t, "1-1000=60001-61000"), TTL: rewrite.TTL{Add: -1}, AddID: 77}
	was := captured(t)
	is := make([][]byte, len(was))
	for i, b := range was {
		is[i] = r.Append(nil, b)
	}
	fields := []string{"ip.checksum.status", "tcp.checksum.status", "udp.checksum.status", "icmp.checksum.status", "icmpv6.checksum.status", "_ws.malformed"}
	before, after := tshark(t, was, fields...), tshark(t, is, fields...)
	compared, partial := 0, 0
	for i := range before {
		if o := facts(was[i]); o.L4Status == packet.Partial {
			if partial++; !strings.HasPrefix(after[i][1]+after[i][2]+after[i][4], "1") {
				t.Errorf("packet %d: the partial sum was not finished: %v\n%x", i+1, after[i], is[i])
			}
			continue
		}
		for j, f := range fields[:5] {
			if f == "ip.checksum.status" && strings.Contains(before[i][j], ",") {
				continue
			}
			b, a := before[i][j], after[i][j]
			if strings.HasPrefix(f, "tcp") || strings.HasPrefix(f, "udp") || strings.HasPrefix(f, "icmp") {
				if a == "2" || b == "2" || a == "" || b == "" {
					continue // other ports, another dissector
				}
			}
			if compared++; a != b {
				t.Errorf("packet %d: %s %s, was %s\n%x\n%x", i+1, f, a, b, was[i], is[i])
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d statuses compared; %d partial sums", compared, partial)
	if compared < 3*len(was)/2 {
		t.Errorf("only %d statuses compared", compared)
	}
}

func TestNoAllocation(t *testing.T) {
	r := all(t)
	buf := make([]byte, 0, 2000)
	for name, b := range sound(t) {
		if n := testing.AllocsPerRun(20, func() { buf = r.Append(buf[:0], b) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if n := testing.AllocsPerRun(20, func() { rewrite.FixChecksums(buf) }); n != 0 {
			t.Errorf("%s: FixChecksums: %v allocations", name, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 2000)
	for name, pkt := range map[string][]byte{"tcp4": tcp4(b, strings.Repeat("x", 1348)), "tcp6": tcp6(b, strings.Repeat("x", 1328))} {
		for _, fix := range []bool{false, true} {
			r := all(b)
			r.FixChecksums = fix
			what := name
			if fix {
				what += "/fix"
			}
			b.Run(what, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(pkt)))
				for b.Loop() {
					buf = r.Append(buf[:0], pkt)
				}
			})
		}
	}
}
