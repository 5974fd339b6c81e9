package packet_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tundump/decode/packet"
)

func facts(b []byte, verify bool) packet.Facts {
	p := packet.NewParser()
	p.VerifyChecksums = verify
	var f packet.Facts
	p.Facts(b, &f)
	return f
}

func info(b []byte, base packet.Base) string {
	p := packet.NewParser()
	var f packet.Facts
	p.Facts(b, &f)
	return string(p.AppendInfo(f.AppendProtocol(nil), &f, base))
}

// put returns a copy of b with v at off.
func put(b []byte, off int, v ...byte) []byte {
	b = slices.Clone(b)
	copy(b[off:], v)
	return b
}

func TestProblems(t *testing.T) {
	u4, u6 := ip4(17, udp(1, 2, []byte("abcd"))), ip6(17, udp(1, 2, []byte("abcd")))
	t4 := ip4(6, seg{src: 1, dst: 2, flags: 0x10}.bytes())
	hop := []byte{17, 9, 1, 4, 0, 0, 0, 0}
	for _, c := range []struct {
		what string
		b    []byte
		want packet.Problem
		span packet.Span
	}{
		{"nothing wrong", u4, packet.NoProblem, packet.Span{}},
		{"empty", nil, packet.ProblemEmpty, packet.Span{}},
		{"version 5", put(u4, 0, 0x55), packet.ProblemVersion, packet.Span{Len: 1}},
		{"19 bytes", u4[:19], packet.ProblemHeaderCut, packet.Span{Off: 19}},
		{"header length 16", put(u4, 0, 0x44), packet.ProblemHeaderLen, packet.Span{Len: 1}},
		{"header length 60", put(u4, 0, 0x4f), packet.ProblemLengthBelow, packet.Span{Off: 2, Len: 2}},
		{"total length 19", put(u4, 2, 0, 19), packet.ProblemLengthBelow, packet.Span{Off: 2, Len: 2}},
		{"total length 0", put(u4, 2, 0, 0), packet.ProblemLengthZero, packet.Span{Off: 2, Len: 2}},
		{"total length long", put(u4, 2, 1, 0), packet.ProblemCut, packet.Span{Off: 32}},
		{"trailing", append(slices.Clone(u4), 0, 0), packet.ProblemTrailing, packet.Span{Off: 32, Len: 2}},
		{"checksum", put(u4, 10, 1, 1), packet.ProblemHeaderSum, packet.Span{Off: 10, Len: 2}},
		{"fragment range", v4{proto: 17, frag: 0x1fff}.packet(make([]byte, 8)), packet.ProblemFragmentRange, packet.Span{Off: 6, Len: 2}},
		{"IPv6 39 bytes", u6[:39], packet.ProblemHeaderCut, packet.Span{Off: 39}},
		{"IPv6 length long", put(u6, 4, 1, 0), packet.ProblemCut, packet.Span{Off: 52}},
		{"IPv6 length 0", put(u6, 4, 0, 0), packet.ProblemLengthZero, packet.Span{Off: 4, Len: 2}},
		{"IPv6 trailing", append(slices.Clone(u6), 0), packet.ProblemTrailing, packet.Span{Off: 52, Len: 1}},
		{"IPv6 extension", ip6(0, hop), packet.ProblemExtensionCut, packet.Span{Off: 48}},
		{"UDP cut", ip4(17, []byte{0, 1, 0, 2, 0}), packet.ProblemTransportCut, packet.Span{Off: 25}},
		{"UDP length 7", put(u4, 24, 0, 7), packet.ProblemUDPLength, packet.Span{Off: 24, Len: 2}},
		{"UDP length 13", put(u4, 24, 0, 13), packet.ProblemUDPLength, packet.Span{Off: 24, Len: 2}},
		{"TCP header length 16", put(t4, 32, 0x40), packet.ProblemTCPHeaderLen, packet.Span{Off: 32, Len: 1}},
		{"TCP header length 24", put(t4, 32, 0x60), packet.ProblemTransportCut, packet.Span{Off: 40}},
		{"TCP option", ip4(6, seg{flags: 2, options: []byte{2, 9, 0, 0}}.bytes()), packet.ProblemTCPOption, packet.Span{Off: 40, Len: 4}},
		{"ICMP cut", ip4(1, []byte{8, 0, 0}), packet.ProblemTransportCut, packet.Span{Off: 23}},
		{"transport checksum", put(u4, 26, 1, 1), packet.ProblemTransportSum, packet.Span{Off: 26, Len: 2}},
	} {
		f := facts(c.b, true)
		if f.Problem != c.want || f.ProblemSpan != c.span {
			t.Errorf("%s: %q at %v, want %q at %v", c.what, f.Problem, f.ProblemSpan, c.want, c.span)
		}
		if (f.Problem.String() == "") != (c.want == packet.NoProblem) {
			t.Errorf("%s: text %q", c.what, f.Problem)
		}
	}
}

// TestCutTCP: a packet cut in its TCP header shows what is left of it.
func TestCutTCP(t *testing.T) {
	b := ip4(6, seg{src: 53122, dst: 443, flags: 2}.bytes())
	f := facts(b[:26], false)
	if f.Src != src4 || f.Dst != dst4 || f.SrcPort != 53122 || f.DstPort != 443 || f.L4Complete || f.Problem != packet.ProblemCut {
		t.Errorf("%+v", f)
	}
	if got, want := info(b[:26], packet.Base{}), "TCP53122 → 443[Malformed Packet]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if f := facts(b[:19], false); f.Src != src4 || f.Dst.IsValid() || f.TTL != 64 {
		t.Errorf("19 bytes: %+v", f)
	}
}

// TestChecksumsOfOthers: of IGMP, SCTP, and UDP-Lite, which may cover a part.
func TestChecksumsOfOthers(t *testing.T) {
	lite := func(cover int, change ...byte) []byte {
		s := cat(be16(4000, 4001, cover, 0), []byte("hello world"))
		covered := s
		if cover > 0 {
			covered = s[:cover]
		}
		src, dst := src4.As4(), dst4.As4()
		sum := slowSum(src[:], dst[:], be16(136, len(s)), covered)
		return append(put(s, 6, be16(int(sum))...)[:len(s)-len(change)], change...)
	}
	sctp := unhex(t, "13881389000000070000000000030014000000010000000000000000"+"61626364")
	for _, c := range []struct {
		name    string
		proto   byte
		segment []byte
		want    packet.Status
	}{
		{"IGMP", 2, unhex(t, "160008fde0010101"), packet.Good},
		{"IGMP, wrong", 2, unhex(t, "160008fce0010101"), packet.Bad},
		{"SCTP", 132, put(sctp, 8, 0x39, 0xa1, 0x25, 0x42), packet.Good},
		{"SCTP, wrong", 132, put(sctp, 8, 0x39, 0xa1, 0x25, 0x43), packet.Bad},
		{"SCTP, left to offload", 132, sctp, packet.Partial},
		{"SCTP, cut", 132, sctp[:10], packet.Unverified},
		{"UDP-Lite", 136, lite(0), packet.Good},
		{"UDP-Lite, changed", 136, lite(0, 'x'), packet.Bad},
		{"UDP-Lite, header covered", 136, lite(8, 'x'), packet.Good},
		{"UDP-Lite, odd coverage", 136, lite(13), packet.Good},
		{"UDP-Lite, coverage too small", 136, put(lite(0), 4, 0, 5), packet.Unverified},
		{"UDP-Lite, coverage too large", 136, put(lite(0), 4, 0, 200), packet.Unverified},
	} {
		f := facts(v4{proto: c.proto}.packet(c.segment), true)
		if f.L4Status != c.want || (f.Problem == packet.ProblemTransportSum) != (c.want == packet.Bad) {
			t.Errorf("%s: %v, %q; want %v", c.name, f.L4Status, f.Problem, c.want)
		}
	}
}

func TestChecksums(t *testing.T) {
	for _, proto := range []byte{6, 17, 1, 58} {
		for n := 20; n < 120; n++ {
			body := make([]byte, n)
			for i := range body {
				body[i] = byte(i*i + n)
			}
			at := map[byte]int{6: 16, 17: 6, 1: 2, 58: 2}[proto]
			body[at], body[at+1], body[12] = 0, 0, 0x50
			binary.BigEndian.PutUint16(body[4:], uint16(n)) // the UDP length
			for _, b := range [][]byte{ip4(proto, body), ip6(proto, body)} {
				f := facts(b, true)
				if f.Transport == packet.NoTransport {
					continue // ICMP of the other version
				}
				if f.L4Status != packet.Good || f.Problem != packet.NoProblem {
					t.Fatalf("protocol %d, %d bytes: %v, %q", proto, n, f.L4Status, f.Problem)
				}
				if f := facts(put(b, len(b)-1, ^b[len(b)-1]), true); f.L4Status != packet.Bad {
					t.Fatalf("protocol %d, %d bytes: changed and %v", proto, n, f.L4Status)
				}
				if f := facts(b, false); f.L4Status != packet.Unverified {
					t.Fatalf("not asked for: %v", f.L4Status)
				}
			}
		}
	}
	u := udp(1, 2, []byte("abc"))
	if f := facts(v4{proto: 17}.packet(u), true); f.L4Status != packet.NotPresent {
		t.Errorf("UDP checksum 0: %v", f.L4Status)
	}
	partial := ^slowSum(src4.AsSlice(), dst4.AsSlice(), be32(uint32(len(u)), 17))
	if f := facts(v4{proto: 17}.packet(put(u, 6, be16(int(partial))...)), true); f.L4Status != packet.Partial || f.Problem != packet.NoProblem {
		t.Errorf("left to offload: %v, %q", f.L4Status, f.Problem)
	}
	if f := facts(v4{proto: 17, frag: 0x2000}.packet(u), true); f.L4Status != packet.Unverified {
		t.Errorf("fragment: %v", f.L4Status)
	}
}

// TestTotalLength: what lies behind the IP payload is no payload.
func TestTotalLength(t *testing.T) {
	for _, b := range [][]byte{ip4(17, udp(1, 2, []byte("abc"))), ip6(17, udp(1, 2, []byte("abc")))} {
		f := facts(append(slices.Clone(b), "padding"...), true)
		if string(f.Payload) != "abc" || f.L4Status != packet.Good {
			t.Errorf("%q %v", f.Payload, f.L4Status)
		}
	}
}

func TestBase(t *testing.T) {
	b := ip4(6, seg{src: 53122, dst: 443, seq: 1001, ack: 5, win: 512, flags: 0x10, options: unhex(t, "0101050a0000000600000010")}.bytes())
	got := info(b, packet.Base{Seq: 1000, Ack: 4, WScale: 7})
	if want := "TCP53122 → 443 [ACK] Seq=1 Ack=1 Win=65536 Len=0 SLE=2 SRE=12"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNoAllocation(t *testing.T) {
	p := packet.NewParser()
	p.VerifyChecksums = true
	var f packet.Facts
	var line []byte
	for _, b := range soundPackets(t) {
		run := func() {
			p.Facts(b, &f)
			line = f.AppendProtocol(line[:0])
			line = p.AppendInfo(line, &f, packet.Base{})
			line = p.AppendProtocols(line, &f)
		}
		if n := testing.AllocsPerRun(10, run); n != 0 {
			t.Errorf("%v allocations for %x: %s", n, b, line)
		}
	}
}

func TestDNSNames(t *testing.T) {
	ask := func(qname []byte) string {
		return info(ip4(17, udp(4000, 53, cat(be16(7, 0x100, 1, 0, 0, 0), qname, be16(1, 1)))), packet.Base{})
	}
	for _, c := range []struct {
		what, want string
		name       []byte
	}{
		{"a dot in a label", `Dr\. Who.local`, cat([]byte("\x07Dr. Who"), name("local"))},
		{"terminal escape", `a\x1b[2J.b`, cat([]byte("\x05a\x1b[2J\x01b\x00"))},
		{"backslash", `a\\b`, []byte("\x03a\\b\x00")},
		{"not UTF-8", `a\xffb`, []byte("\x03a\xffb\x00")},
		{"right-to-left override", `a\u202eb`, []byte("\x05a\u202eb\x00")},
	} {
		if got, want := ask(c.name), "DNSStandard query 0x0007 A "+c.want; got != want {
			t.Errorf("%s: %q, want %q", c.what, got, want)
		}
	}
	for what, n := range map[string][]byte{
		"pointer to itself":  {0xc0, 12},
		"pointer past end":   {0xff, 0xff},
		"label past end":     {63},
		"reserved label":     {0x80, 0},
		"two pointers loop":  {0xc0, 14, 0xc0, 12},
		"256 bytes":          []byte(strings.Repeat("\x3f"+strings.Repeat("x", 63), 4) + "\x00"),
		"loop with a label":  {1, 'a', 0xc0, 12},
		"no room for a type": {0xc0},
	} {
		if got, want := ask(n), "DNSStandard query 0x0007[Malformed Packet]"; got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
}

// TestDNSLimits: a message that names one long name thousands of times.
func TestDNSLimits(t *testing.T) {
	long := append([]byte(strings.Repeat("\x3f"+strings.Repeat("x", 63), 3)), 0)
	msg := cat(be16(1, 0x8180, 1, 5000, 0, 0), long, be16(1, 1))
	for range 5000 {
		msg = append(msg, cat([]byte{0xc0, 12}, be16(99, 1), be32(0), be16(0))...)
	}
	p := packet.NewParser()
	var f packet.Facts
	var m packet.DNSMessage
	p.Facts(ip4(17, udp(53, 4000, msg[:60000])), &f)
	if !p.DNS(&f, &m) || !m.More || m.Malformed || len(m.Questions)+len(m.Records) != 512 {
		t.Errorf("more %v, malformed %v, %d records", m.More, m.Malformed, len(m.Records))
	}
}

// TestWork: the packets that cost most cost no more than their length allows.
func TestWork(t *testing.T) {
	extensions := bytes.Repeat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, 8191)
	loops := be16(1, 0x8180, 0xffff, 0xffff, 0xffff, 0xffff)
	for range 8000 { // each points to the one before: names of ever more hops
		loops = append(loops, cat(be16(0xc000|(len(loops)-6)&0x3fff), be16(12, 1))...)
	}
	for what, b := range map[string][]byte{
		"extension headers": ip6(60, extensions),
		"DNS pointers":      ip4(17, udp(53, 4000, loops)),
		"dots in labels":    ip4(17, udp(53, 4000, cat(be16(1, 0, 512, 0, 0, 0), bytes.Repeat(cat([]byte(strings.Repeat("\x3f"+strings.Repeat(".", 63), 3)), []byte{0}, be16(1, 1)), 300)))),
	} {
		p := packet.NewParser()
		if nodes := p.Tree(b); len(lines(nodes, "")) > 1<<20 {
			t.Errorf("%s: a tree of %d bytes of text", what, len(lines(nodes, "")))
		}
		if n := len(info(b, packet.Base{})); n > 1<<18 {
			t.Errorf("%s: %d bytes of info", what, n)
		}
	}
}

func TestAppendSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain ünïcode → 日本 🎉":     "plain ünïcode → 日本 🎉",
		"\x00\x1b[31m\x7f":         `\x00\x1b[31m\x7f`,
		"tab\tnl\ncr\r":            `tab\tnl\ncr\r`,
		`\x1b`:                     `\\x1b`,
		"\u0085\u009b":             `\u0085\u009b`,
		"\u200e\u202e\u2066\u2028": `\u200e\u202e\u2066\u2028`,
		"\ufeff\U000e0041":         `\ufeff\U000e0041`,
		"a\xc3":                    `a\xc3`,
		"\xed\xa0\x80":             `\xed\xa0\x80`, // half a surrogate pair
		"\ufffd":                   "\ufffd",
		// Format characters that draw over what follows, or turn it round.
		"\u0600\u0605\u061c\u06dd\u070f\u08e2\U000110bd\U0001bca0": `\u0600\u0605\u061c\u06dd\u070f\u08e2\U000110bd\U0001bca0`,
		// Not to be seen, private, unassigned, no characters.
		"\u034f\u115f\u17b4\u180e\u3164\ufe0f\uffa0": `\u034f\u115f\u17b4\u180e\u3164\ufe0f\uffa0`,
		"\ue000\U000f0000\u0378\ufdd0\uffff":         `\ue000\U000f0000\u0378\ufdd0\uffff`,
		// Letters, marks and digits of all scripts, spaces.
		"العربية ١٢ עברית हिन्दी ไทย မြန်မာ ᠮᠣᠩᠭᠣᠯ 한국어 e\u0301 Ωß\u00a0\u3000½€": "العربية ١٢ עברית हिन्दी ไทย မြန်မာ ᠮᠣᠩᠭᠣᠯ 한국어 e\u0301 Ωß\u00a0\u3000½€",
	} {
		if got := string(packet.AppendSafe(nil, in)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		if got := string(packet.AppendSafe([]byte("x"), []byte(in))); got != "x"+want {
			t.Errorf("bytes %q: %s, want x%s", in, got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	for s, want := range map[packet.Status]string{packet.Bad: "0 Bad", packet.Good: "1 Good", packet.Unverified: "2 Unverified", packet.NotPresent: "3 Not present", packet.Partial: "0 Partial"} {
		if got := fmt.Sprint(s.Number(), " ", s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// lines prints a tree, one node a line, with its span.
func lines(nodes []packet.Node, indent string) string {
	var b strings.Builder
	for _, n := range nodes {
		fmt.Fprintf(&b, "%s%s @%d+%d\n%s", indent, n.Text(), n.Span.Off, n.Span.Len, lines(n.Children, indent+" "))
	}
	return b.String()
}

func checkTree(t *testing.T, b []byte, want string) {
	t.Helper()
	if got := lines(packet.NewParser().Tree(b), ""); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("got:\n%s", got)
	}
}

func TestTreeTCP(t *testing.T) {
	b := v4{proto: 6, options: unhex(t, "94040000"), frag: 0x4000}.packet(seg{src: 53122, dst: 443, seq: 1000, win: 65535, flags: 2, options: synOptions, payload: "hi"}.bytes())
	checkTree(t, b, `
Internet Protocol Version 4, Src: 10.8.0.2, Dst: 93.184.216.34 @0+24
 Version: 4 @0+1
 Header Length: 24 bytes (6) @0+1
 Differentiated Services Field: 0x00 (DSCP: 0, ECN: Not-ECT) @1+1
 Total Length: 70 @2+2
 Identification: 0x1234 (4660) @4+2
 Flags: Don't fragment @6+1
 Fragment Offset: 0 @6+2
 Time to Live: 64 @8+1
 Protocol: TCP (6) @9+1
 Header Checksum: 0x5395 [correct] @10+2
 Source Address: 10.8.0.2 @12+4
 Destination Address: 93.184.216.34 @16+4
 Options: (4 bytes) @20+4
  Router Alert @20+4
   Type: 148 @20+1
    Copy on fragmentation: 1 @20+1
    Class: 0 @20+1
    Number: 20 @20+1
   Length: 4 @21+1
   Router Alert: Router shall examine packet (0) @22+2
Transmission Control Protocol, Src Port: 53122, Dst Port: 443, Seq: 1000, Len: 2 @24+44
 Source Port: 53122 @24+2
 Destination Port: 443 @26+2
 Sequence Number (raw): 1000 @28+4
 Acknowledgment number (raw): 0 @32+4
 Header Length: 44 bytes (11) @36+1
 Flags: 0x002 (SYN) @36+2
 Window: 65535 @38+2
 Checksum: 0x0000 [unverified] @40+2
 Urgent Pointer: 0 @42+2
 Options: (24 bytes) @44+24
  TCP Option - Maximum segment size: 1360 bytes @44+4
  TCP Option - No-Operation (NOP) @48+1
  TCP Option - Window scale: 6 (multiply by 64) @49+3
  TCP Option - No-Operation (NOP) @52+1
  TCP Option - No-Operation (NOP) @53+1
  TCP Option - Timestamps: TSval 1, TSecr 2 @54+10
  TCP Option - SACK permitted @64+2
  TCP Option - End of Option List (EOL) @66+1
Transport Layer Security @68+2
 Continuation Data @68+2
`)
}

func TestTreeQuotedDNS(t *testing.T) {
	msg := dnsMsg(0x1a2b, 0x8180, [][]byte{question("example.org", 1, 1)}, [][]byte{record("example.org", 1, 1, dst4.AsSlice())})
	quoted := cat(be32(0x60000000), be16(8+len(msg)), []byte{17, 64}, src6.AsSlice(), dst6.AsSlice(), udp(53, 4000, msg))
	checkTree(t, cat(be32(0x60000000), be16(8+len(quoted)), []byte{58, 64}, src6.AsSlice(), dst6.AsSlice(), []byte{2, 0, 0, 0}, be32(1280), quoted), `
Internet Protocol Version 6, Src: fd00::2, Dst: 2001:db8::1 @0+40
 Version: 6 @0+1
 Traffic Class: 0x00 (DSCP: 0, ECN: Not-ECT) @0+2
 Flow Label: 0x00000 @1+3
 Payload Length: 112 @4+2
 Next Header: ICMPv6 (58) @6+1
 Hop Limit: 64 @7+1
 Source Address: fd00::2 @8+16
 Destination Address: 2001:db8::1 @24+16
Internet Control Message Protocol v6 @40+112
 Type: 2 (Packet Too Big) @40+1
 Code: 0 @41+1
 Checksum: 0x0000 [unverified] @42+2
 MTU: 1280 @44+4
 Internet Protocol Version 6, Src: fd00::2, Dst: 2001:db8::1 @48+40
  Version: 6 @48+1
  Traffic Class: 0x00 (DSCP: 0, ECN: Not-ECT) @48+2
  Flow Label: 0x00000 @49+3
  Payload Length: 64 @52+2
  Next Header: UDP (17) @54+1
  Hop Limit: 64 @55+1
  Source Address: fd00::2 @56+16
  Destination Address: 2001:db8::1 @72+16
 User Datagram Protocol, Src Port: 53, Dst Port: 4000 @88+8
  Source Port: 53 @88+2
  Destination Port: 4000 @90+2
  Length: 64 @92+2
  Checksum: 0x0000 [unverified] @94+2
 Domain Name System (response) @96+56
  Transaction ID: 0x1a2b @96+2
  Flags: 0x8180 Standard query response, No error @98+2
  Questions: 1 @100+2
  Answer RRs: 1 @102+2
  Authority RRs: 0 @104+2
  Additional RRs: 0 @106+2
  Queries @108+17
   example.org: type A, class IN @108+17
    Name: example.org @108+13
    Type: A (1) @121+2
    Class: IN @123+2
  Answers @125+27
   example.org: type A, class IN, 93.184.216.34 @125+27
    Name: example.org @125+13
    Type: A (1) @138+2
    Class: IN @140+2
    Time to live: 60 @142+4
    Data length: 4 @146+2
    Data: 93.184.216.34 @148+4
`)
}

// TestTreeCut: what is left of a packet is shown, and what is wrong with it.
func TestTreeCut(t *testing.T) {
	b := ip6(44, cat([]byte{6, 0, 0, 0}, be32(9), seg{src: 1, dst: 2}.bytes()))
	checkTree(t, b[:53], `
Internet Protocol Version 6, Src: fd00::2, Dst: 2001:db8::1 @0+40
 Version: 6 @0+1
 Traffic Class: 0x00 (DSCP: 0, ECN: Not-ECT) @0+2
 Flow Label: 0x12345 @1+3
 Payload Length: 28 @4+2
 Next Header: Fragment Header for IPv6 (44) @6+1
 Hop Limit: 64 @7+1
 Source Address: fd00::2 @8+16
 Destination Address: 2001:db8::1 @24+16
Fragment Header for IPv6 @40+8
 Next header: TCP (6) @40+1
 Reserved octet: 0x00 @41+1
 Offset, in units of 8 bytes: 0 @42+2
 Reserved bits: 0 @42+2
 More Fragments: 0 @42+2
 Identification: 0x00000009 @44+4
Transmission Control Protocol, Src Port: 1, Dst Port: 2 @48+5
 Source Port: 1 @48+2
 Destination Port: 2 @50+2
[the packet is shorter than its IP header says] @53+0
`)
}

func ExampleParser() {
	p := packet.NewParser()
	var f packet.Facts
	var line []byte
	for _, b := range [][]byte{ip4(17, udp(61200, 53, dnsMsg(0x1a2b, 0x100, [][]byte{question("example.org", 1, 1)})))} {
		p.Facts(b, &f)
		line = f.AppendProtocol(line[:0])
		line = p.AppendInfo(append(line, ' '), &f, packet.Base{})
		fmt.Printf("%s > %s %s\n", f.Src, f.Dst, line)
	}
	// Output: 10.8.0.2 > 93.184.216.34 DNS Standard query 0x1a2b A example.org
}
