package packet_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/net/dns/dnsmessage"

	"tundump/decode/packet"
)

// everything runs the whole package over b and returns all that it says.
func everything(t testing.TB, p *packet.Parser, b []byte) string {
	t.Helper()
	var f packet.Facts
	p.Facts(b, &f)
	checkFacts(t, b, &f)
	var out []byte
	for _, base := range []packet.Base{{}, {Seq: 1, Ack: 1 << 31, WScale: 255}} {
		out = f.AppendProtocol(out)
		out = p.AppendInfo(append(out, ' '), &f, base)
		out = p.AppendProtocols(append(out, ' '), &f)
	}
	nodes := p.Tree(b)
	if f.IsFragment() { // of what is twice as large
		w := &packet.Whole{Segment: slices.Concat(make([]byte, f.FragOffset), f.Segment, f.Segment), Pieces: []packet.Piece{{Number: 1, Len: f.FragOffset}, {Number: 2, Off: f.FragOffset, Len: 2 * len(f.Segment)}}}
		copy(w.Segment, f.Segment)
		whole := f
		p.Join(&whole, w)
		nodes = append(nodes, p.TreeOf(&whole, b)...)
		f.ReassembledIn = 9
		nodes = append(nodes, p.TreeOf(&f, b)...)
	}
	count := 0
	out = checkNodes(t, out, nodes, Span{0, len(b)}, &count)
	if limit := 3 * 8192; count > limit {
		t.Errorf("%d nodes for %d bytes", count, len(b))
	}
	checkPrintable(t, out)
	f.Header, f.Segment, f.Payload = nil, nil, nil
	return fmt.Sprintf("%s %+v", out, f)
}

type Span = packet.Span

func inside(inner, outer Span) bool {
	return inner.Off >= outer.Off && inner.Len >= 0 && inner.Off+inner.Len <= outer.Off+outer.Len
}

// within returns where in b the slice s lies, which shares b's memory.
func within(t testing.TB, b, s []byte) Span {
	t.Helper()
	if len(s) == 0 {
		return Span{}
	}
	off := int(uintptr(unsafe.Pointer(unsafe.SliceData(s))) - uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	if off < 0 || off+len(s) > len(b) || cap(s) != len(s) {
		t.Errorf("a slice of %d bytes, capacity %d, at %d of %d", len(s), cap(s), off, len(b))
	}
	return Span{off, len(s)}
}

func checkFacts(t testing.TB, b []byte, f *packet.Facts) {
	t.Helper()
	header, segment, payload := within(t, b, f.Header), within(t, b, f.Segment), within(t, b, f.Payload)
	switch {
	case f.Len != len(b), f.PayloadLen != len(f.Payload):
		t.Errorf("lengths: %+v", f)
	case !inside(f.ProblemSpan, Span{0, len(b)}):
		t.Errorf("problem %q at %v of %d bytes", f.Problem, f.ProblemSpan, len(b))
	case f.Problem == packet.NoProblem && f.ProblemSpan != Span{}:
		t.Errorf("a span without a problem: %v", f.ProblemSpan)
	case len(f.Header) > 0 && (header.Off != 0 || header.Len != f.HdrLen):
		t.Errorf("header at %v, length %d", header, f.HdrLen)
	case len(f.Segment) > 0 && segment.Off != f.HdrLen:
		t.Errorf("segment at %v, header length %d", segment, f.HdrLen)
	case len(f.Payload) > 0 && !inside(payload, segment):
		t.Errorf("payload at %v, segment at %v", payload, segment)
	case f.Problem == packet.NoProblem && f.TotalLen != len(b):
		t.Errorf("total length %d of %d without a problem", f.TotalLen, len(b))
	case f.Problem == packet.NoProblem && f.FragOffset == 0 && len(b) > 0 && !f.Src.IsValid():
		t.Error("no source and no problem")
	}
}

func checkNodes(t testing.TB, out []byte, nodes []packet.Node, parent Span, count *int) []byte {
	t.Helper()
	for i := range nodes {
		n := &nodes[i]
		*count++
		if !inside(n.Span, parent) {
			t.Errorf("%q at %v is outside %v", n.Text(), n.Span, parent)
		}
		out = append(append(out, n.Text()...), ' ')
		out = checkNodes(t, out, n.Children, n.Span, count)
	}
	return out
}

// checkPrintable tests for what must not reach a terminal, in its own words
// rather than those of AppendSafe.
func checkPrintable(t testing.TB, s []byte) {
	t.Helper()
	if !utf8.Valid(s) {
		t.Errorf("not UTF-8: %q", s)
	}
	for _, r := range string(s) {
		if r >= ' ' && r < 0x7f {
			continue
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != 0x600 && !arabicSign(r) {
			t.Errorf("%U in %q", r, s)
		}
	}
}

// arabicSign: format characters that are visible and harmless.
func arabicSign(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Syriac, unicode.Kaithi, unicode.Egyptian_Hieroglyphs) && r != 0x61c ||
		r >= 0x600 && r <= 0x605 || r == 0x6dd || r == 0x8e2 || r >= 0x1bca0 && r <= 0x1bca3 || r >= 0x1d173 && r <= 0x1d17a
}

// exercise runs everything twice, with different bytes behind the packet in
// memory and with a parser that has seen the packet before: neither may show.
func exercise(t testing.TB, b []byte) {
	t.Helper()
	p := packet.NewParser()
	p.VerifyChecksums = len(b)%2 == 1
	var said [2]string
	for i, behind := range []byte{0, 0xff} {
		mem := append(slices.Clone(b), bytes.Repeat([]byte{behind}, 64)...)
		said[i] = everything(t, p, mem[:len(b)])
	}
	if said[0] != said[1] {
		t.Errorf("%x: depends on what lies behind it:\n%s\n%s", b, said[0], said[1])
	}
}

// sflow makes gopacket's NewPacket allocate 4 GiB.
const sflow = "4500008800000000401166630a0000010a00000218c718c700746b7900000005000000010a0000010000000000000001000000010000000100000001000000000000000100000000000000010000000100000000000000000000000000000001000003eb000000000000000000000000000000000000000000000001000000023fffffff00000000"

func TestSFlow(t *testing.T) { exercise(t, unhex(t, sflow)) }

// TestCut reads packets of every kind cut at every length.
func TestCut(t *testing.T) {
	p := packet.NewParser()
	for _, b := range soundPackets(t) {
		var f packet.Facts
		if p.Facts(b, &f); f.Code > 0 {
			continue // the type is what makes a difference
		}
		for n := range min(len(b), 200) {
			exercise(t, b[:n])
		}
	}
}

func FuzzFacts(f *testing.F) {
	for _, b := range soundPackets(f) {
		f.Add(b)
	}
	f.Add(unhex(f, sflow))
	f.Fuzz(func(t *testing.T, b []byte) {
		exercise(t, b)
		p := packet.NewParser()
		p.VerifyChecksums = true
		var facts packet.Facts
		if n := testing.AllocsPerRun(1, func() { p.Facts(b, &facts) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func FuzzTree(f *testing.F) {
	for _, b := range soundPackets(f) {
		f.Add(b, len(b)/2)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		exercise(t, b[:min(max(cut, 0), len(b))])
		exercise(t, ip4(1, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, b...)))
	})
}

// FuzzDNS holds DNS messages against golang.org/x/net/dns/dnsmessage: what
// that accepts, this must read alike.
func FuzzDNS(f *testing.F) {
	p := packet.NewParser()
	for _, b := range soundPackets(f) {
		var facts packet.Facts
		p.Facts(b, &facts)
		if facts.App != packet.NoApp {
			f.Add(facts.Payload)
		}
	}
	f.Add(cat(dnsMsg(1, 0x100), []byte{0xc0, 12}))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), 60000)]
		pkt := ip4(17, udp(53, 40000, b))
		exercise(t, pkt)
		exercise(t, ip4(17, udp(5353, 5353, b)))
		var facts packet.Facts
		var m packet.DNSMessage
		p.Facts(pkt, &facts)
		if !p.DNS(&facts, &m) {
			return
		}
		compareDNS(t, b, &m)
	})
}

func compareDNS(t *testing.T, b []byte, m *packet.DNSMessage) {
	var want dnsmessage.Message
	if want.Unpack(b) != nil || m.More {
		return
	}
	records := slices.Concat(want.Answers, want.Authorities, want.Additionals)
	if n := len(m.Records); m.Malformed {
		if n >= len(records) || !lax(records[n]) {
			t.Fatalf("malformed at %d, but it unpacks: %v", m.MalformedAt, want.GoString())
		}
		records = records[:n]
	}
	if m.ID != want.ID || m.Response != want.Response || len(m.Questions) != len(want.Questions) || len(m.Records) != len(records) {
		t.Fatalf("%+v, want %v", m, want.GoString())
	}
	for i, q := range want.Questions {
		if g := m.Questions[i]; string(g.Name) != oracleName(q.Name) || g.Type != uint16(q.Type) || g.Class != uint16(q.Class) {
			t.Errorf("%s %+v, want %v", g.Name, g, q.GoString())
		}
	}
	for i, r := range records {
		g := m.Records[i]
		if string(g.Name) != oracleName(r.Header.Name) || g.Type != uint16(r.Header.Type) || g.TTL != r.Header.TTL {
			t.Errorf("%s %+v, want %v", g.Name, g, r.GoString())
		}
		if r.Header.Length == 0 {
			continue // the oracle reads on into the next record
		}
		data := ""
		switch body := r.Body.(type) {
		case *dnsmessage.CNAMEResource:
			data = oracleName(body.CNAME)
		case *dnsmessage.NSResource:
			data = oracleName(body.NS)
		case *dnsmessage.PTRResource:
			data = oracleName(body.PTR)
		case *dnsmessage.SRVResource:
			data = fmt.Sprintf("%d %d %d %s", body.Priority, body.Weight, body.Port, oracleName(body.Target))
		case *dnsmessage.MXResource:
			data = fmt.Sprintf("%d %s", body.Pref, oracleName(body.MX))
		default:
			continue
		}
		if string(g.Data) != data {
			t.Errorf("%s %d: %q, want %q", g.Name, g.Type, g.Data, data)
		}
	}
}

// lax reports whether r may have data that its length does not fit: the oracle
// does not compare the two, and does not look into every type.
func lax(r dnsmessage.Resource) bool {
	switch r.Header.Type {
	case dnsmessage.TypeA:
		return r.Header.Length != 4
	case dnsmessage.TypeAAAA:
		return r.Header.Length != 16
	case dnsmessage.TypeTXT, dnsmessage.TypeOPT:
		return false
	}
	return true
}

func oracleName(n dnsmessage.Name) string {
	s := string(n.Data[:n.Length])
	if s == "." {
		return "<Root>"
	}
	return string(packet.AppendSafe(nil, strings.TrimSuffix(s, ".")))
}

// TestTreeOfWhole: a datagram is shown where it is whole, and what lies in that
// packet has its place there.
func TestTreeOfWhole(t *testing.T) {
	segment := udp(5000, 53, dnsMsg(7, 0x100, [][]byte{question("example.org", 1, 1)}))
	var x packet.Datagrams
	p := packet.NewParser()
	for i, part := range [][2]int{{24, len(segment)}, {0, 16}, {16, 24}} {
		h := ip4(253, segment[part[0]:part[1]])
		offset := part[0] / 8
		if part[1] < len(segment) {
			offset |= 0x2000
		}
		h[6], h[7], h[9], h[10], h[11] = byte(offset>>8), byte(offset), 17, 0, 0
		copy(h[10:], be16(int(slowSum(h[:20]))))
		var f packet.Facts
		p.Facts(h, &f)
		w := x.Add(0, int64(i)+1, &f)
		if i < 2 {
			if w != nil {
				t.Fatalf("whole after %d fragments", i+1)
			}
			continue
		}
		if w == nil || !bytes.Equal(w.Segment, segment) {
			t.Fatalf("%+v", w)
		}
		p.Join(&f, w)
		got := lines(p.TreeOf(&f, h), "")
		for _, want := range []string{"[3 IPv4 Fragments (37 bytes): #2(16), #3(8), #1(13)]", "example.org", "Transaction ID: 0x0007"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	}
}
