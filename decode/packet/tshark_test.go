package packet_test

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tundump/capture/judge"
	"tundump/decode/packet"
)

// tshark returns tshark's fields of each frame of a file. Flows are left out
// of its analysis: they are no concern of this package.
func tshark(t *testing.T, file string, fields ...string) [][]string {
	t.Helper()
	return judge.Fields(t, file, []string{"-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE", "-E", "occurrence=f"}, fields...)
}

// writeRaw writes a capture file of packets that are a second apart.
func writeRaw(t *testing.T, pkts [][]byte) string {
	t.Helper()
	list := make([]judge.Packet, len(pkts))
	for i, p := range pkts {
		list[i] = judge.Packet{Time: int64(i) * 1e9, Data: p}
	}
	return judge.WriteRaw(t, list)
}

// soundPackets is one packet of every kind that the package reads.
func soundPackets(t testing.TB) [][]byte {
	port := 20000
	tcp := func(s seg) seg { // every segment a flow of its own: no window scale is known
		port++
		s.src, s.dst, s.seq, s.ack = port, 40001, 1000, 2000
		if s.win == 0 {
			s.win = 65535
		}
		return s
	}
	a4, a6 := dst4.AsSlice(), dst6.AsSlice()
	q := [][]byte{question("example.org", 1, 1)}
	one := func(r []byte) [][]byte { return [][]byte{r} }
	var pkts [][]byte
	add := func(p ...[]byte) { pkts = append(pkts, p...) }
	for _, s := range []seg{
		{flags: 0x002, options: synOptions}, {flags: 0x012, options: synOptions}, {flags: 0x010},
		{flags: 0x018, payload: "hello"}, {flags: 0x011}, {flags: 0x004}, {flags: 0}, {flags: 0xfff, urg: 5},
		{flags: 0x1c2}, {flags: 0x030, urg: 7},
		{flags: 0x010, options: unhex(t, "0101080a0000000a0000000b")},
		{flags: 0x010, options: unhex(t, "0101050a0000000100000010")},
		{flags: 0x010, options: unhex(t, "0101051200000001000000100000002000000030")},
		{flags: 0x010, options: unhex(t, "030314")}, {flags: 0x010, options: unhex(t, "0205010101010101")},
		{flags: 0x010, options: unhex(t, "0103")}, {flags: 0x010, options: unhex(t, "000204")},
		{flags: 0x010, win: 1, payload: strings.Repeat("x", 1300)},
	} {
		b := tcp(s).bytes()
		add(ip4(6, b), ip6(6, b))
	}
	for _, p := range []string{"", "a", "abc"} {
		add(ip4(17, udp(30000, 30001, []byte(p))), ip6(17, udp(30000, 30001, []byte(p))))
	}
	for typ := range 20 {
		if typ == 9 {
			continue // tshark takes a mobile IP extension from what follows
		}
		for code := range 18 {
			rest := udp(1000, 2000, make([]byte, 12))
			add(ip4(1, cat([]byte{byte(typ), byte(code), 0, 0}, be16(typ*100+code, 1400), ip4(17, rest))))
		}
	}
	for typ := 1; typ < 5; typ++ {
		for code := range 10 {
			add(ip6(58, cat([]byte{byte(typ), byte(code), 0, 0}, be16(0, 1280), ip6(17, udp(1000, 2000, make([]byte, 12))))))
		}
	}
	add(ip6(58, cat([]byte{128, 0, 0, 0}, be16(7, 12), []byte("abcd"))), ip6(58, cat([]byte{129, 0, 0, 0}, be16(8, 12))))
	linkSrc, linkDst := unhex(t, "0101010203040506"), unhex(t, "0201010203040506")
	for _, nd := range [][]byte{
		cat([]byte{133, 0, 0, 0}, be32(0)), cat([]byte{133, 0, 0, 0}, be32(0), linkSrc),
		cat([]byte{134, 0, 0, 0}, make([]byte, 12)), cat([]byte{134, 0, 0, 0}, make([]byte, 12), linkSrc),
		cat([]byte{135, 0, 0, 0}, be32(0), a6), cat([]byte{135, 0, 0, 0}, be32(0), a6, linkSrc),
		cat([]byte{136, 0, 0, 0}, be32(0xe0000000), a6, linkDst), cat([]byte{136, 0, 0, 0}, be32(0), a6),
		cat([]byte{136, 0, 0, 0}, be32(0x20000000), a6), cat([]byte{137, 0, 0, 0}, be32(0), a6, a6, linkDst),
		cat([]byte{143, 0, 0, 0}, be32(0)), cat([]byte{130, 0, 0, 0}, be32(0), a6), cat([]byte{131, 0, 0, 0}, be32(0), a6),
	} {
		add(ip6(58, nd))
	}
	for _, m := range [][]byte{
		dnsMsg(0x1a2b, 0x100, q), dnsMsg(1, 0x8180, q, one(record("example.org", 1, 1, a4))),
		dnsMsg(2, 0x8180, q, [][]byte{record("example.org", 5, 1, name("a.example.org")), record("a.example.org", 1, 1, a4), record("a.example.org", 1, 1, a4)}),
		dnsMsg(3, 0x8180, [][]byte{question("example.org", 28, 1)}, one(record("example.org", 28, 1, a6))),
		dnsMsg(4, 0x8183, q, nil, one(record("org", 6, 1, cat(name("ns.icann.org"), name("a.b"), be32(1, 2, 3, 4, 5))))),
		dnsMsg(5, 0x8180, q, one(record("example.org", 15, 1, cat(be16(10), name("mx.example.org"))))),
		dnsMsg(6, 0x8180, q, one(record("example.org", 33, 1, cat(be16(1, 2, 80), name("h.example.org"))))),
		dnsMsg(7, 0x8180, q, one(record("example.org", 16, 1, []byte("\x05hello")))),
		dnsMsg(8, 0x100, q, nil, nil, one(record("", 41, 4096, nil))),
		dnsMsg(9, 0x100, [][]byte{question("", 2, 1)}), dnsMsg(10, 0x8180), dnsMsg(11, 0x100, [][]byte{question("a.b", 1, 1), question("c.d", 28, 1)}),
		dnsMsg(12, 0x8180, q, one(cat([]byte{0xc0, 12}, be16(2, 1), be32(9), be16(4), []byte{1, 'n', 0xc0, 12}))),
		dnsMsg(13, 0x100, [][]byte{question("bücher.example", 1, 1)}), dnsMsg(14, 0x2800, q), dnsMsg(15, 0x8185, q), dnsMsg(16, 0x818f, q),
		dnsMsg(17, 0x8180, q, one(record("example.org", 39, 1, name("b.c")))), dnsMsg(18, 0x8180, q, one(record("1.in-addr.arpa", 12, 1, name("b.c")))),
	} {
		add(ip4(17, udp(40000, 53, m)), ip6(17, udp(53, 40000, m)))
	}
	port++
	add(ip4(6, seg{src: port, dst: 53, seq: 1000, ack: 2000, flags: 0x18, win: 100, payload: string(cat(be16(29), dnsMsg(0x1a2b, 0x100, q)))}.bytes()))
	for _, m := range [][]byte{
		dnsMsg(0, 0, [][]byte{question("_ipp._tcp.local", 12, 1), question("b.local", 1, 0x8001)}),
		dnsMsg(0, 0x8400, nil, [][]byte{record("_ipp._tcp.local", 12, 1, name("a._ipp._tcp.local")), record("a.local", 33, 0x8001, cat(be16(0, 0, 631), name("h.local"))), record("h.local", 1, 0x8001, a4)}),
	} {
		add(ip4(17, udp(5353, 5353, m)), ip6(17, udp(5353, 5353, m)))
	}
	inUDP := udp(30000, 30001, []byte("abc"))
	hop := []byte{0, 0, 1, 4, 0, 0, 0, 0}
	ext := func(next byte, h []byte) []byte { h = append([]byte(nil), h...); h[0] = next; return h }
	sum17 := putSum(17, inUDP, src6, dst6)
	add(ip6(0, cat(ext(17, hop), sum17)), ip6(60, cat(ext(6, hop), putSum(6, tcp(seg{flags: 2}).bytes(), src6, dst6))),
		ip6(43, cat(unhex(t, "1102000000000000 0000000000000000 0000000000000000"), sum17)),
		ip6(51, cat(unhex(t, "1104000000000000 0000000000000000 0000000000000000"), sum17)),
		ip6(0, cat(ext(60, hop), ext(17, hop), sum17)),
		ip6(44, cat([]byte{17, 0, 0, 1}, be32(9), inUDP, make([]byte, 5))), ip6(0, cat(ext(44, hop), []byte{17, 0, 0, 8}, be32(10), []byte("abcdefgh"))),
		ip6(44, cat([]byte{17, 0, 0, 0}, be32(11), sum17)), ip6(59, nil), ip6(59, []byte("abc")), ip6(253, []byte("abc")))
	add(v4{proto: 17, frag: 0x2000}.packet(cat(inUDP, make([]byte, 5))), v4{proto: 17, frag: 0x2005}.packet([]byte("abcdefgh")), v4{proto: 1, frag: 3}.packet([]byte("abcdefgh")),
		v4{proto: 17, frag: 0x4000, ttl: 1, dscp: 0xb9}.packet(inUDP), v4{proto: 17, options: unhex(t, "94040000")}.packet(inUDP), v4{proto: 6, options: unhex(t, "0707040102030401")}.packet(tcp(seg{flags: 2}).bytes()))
	return pkts
}

// TestTshark has tshark judge the facts and the columns.
func TestTshark(t *testing.T) {
	pkts := soundPackets(t)
	fields := []string{"_ws.col.Protocol", "_ws.col.Info", "frame.protocols", "ip.version", "ip.hdr_len", "ip.dsfield", "ip.len", "ip.id", "ip.flags.df", "ip.flags.mf",
		"ip.frag_offset", "ip.ttl", "ip.proto", "ip.src", "ip.dst", "ip.checksum", "ipv6.plen", "ipv6.nxt", "ipv6.hlim", "ipv6.src", "ipv6.dst", "ipv6.flow",
		"tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.window_size_value", "tcp.len", "tcp.hdr_len", "tcp.options.mss_val", "tcp.options.wscale.shift",
		"tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr", "udp.srcport", "udp.dstport", "udp.length",
		"icmp.type", "icmp.code", "icmp.ident", "icmp.seq", "icmp.mtu", "icmpv6.type", "icmpv6.code",
		"dns.id", "dns.flags.response", "dns.flags.rcode", "dns.qry.name", "dns.qry.type", "dns.a", "dns.aaaa", "dns.cname"}
	p := packet.NewParser()
	rows := tshark(t, writeRaw(t, pkts), fields...)
	if len(rows) != len(pkts) {
		t.Fatalf("%d rows for %d packets", len(rows), len(pkts))
	}
	for i, row := range rows {
		got := ourFields(p, pkts[i])
		for j, f := range fields {
			want := row[j]
			if f == "_ws.col.Info" {
				want, _, _ = strings.Cut(want, " (request in ")
				want, _, _ = strings.Cut(want, " (no response found")
			}
			if v, ours := got[f]; v != want && (ours || want != "") && !quotedOnly(f, got) {
				t.Errorf("frame %d %x\n%s: %q, tshark has %q", i+1, pkts[i][:min(len(pkts[i]), 96)], f, v, want)
			}
		}
	}
}

// TestTsharkSpans has tshark judge where the tree says that each field is.
func TestTsharkSpans(t *testing.T) {
	compared := compareSpans(t, soundPackets(t), func(string) bool { return true })
	if compared < 10000 {
		t.Errorf("only %d nodes compared", compared)
	}
}

// compareSpans compares the places of the nodes that wanted takes with those
// that tshark gives fields of that name, and returns how many it compared.
func compareSpans(t *testing.T, pkts [][]byte, wanted func(name string) bool) (compared int) {
	t.Helper()
	out := judge.Tshark(t, writeRaw(t, pkts), "-o", "tcp.desegment_tcp_streams:FALSE", "-T", "pdml")
	type element struct {
		Name     string    `xml:"name,attr"`
		Pos      int       `xml:"pos,attr"`
		Size     int       `xml:"size,attr"`
		Protos   []element `xml:"proto"`
		Children []element `xml:"field"`
	}
	var pdml struct {
		Packets []element `xml:"packet"`
	}
	if err := xml.Unmarshal(out, &pdml); err != nil {
		t.Fatal(err)
	}
	p := packet.NewParser()
	for i, frame := range pdml.Packets {
		theirs := map[string][]packet.Span{}
		var collect func(list []element)
		collect = func(list []element) {
			for _, e := range list {
				theirs[e.Name] = append(theirs[e.Name], packet.Span{Off: e.Pos, Len: e.Size})
				collect(e.Protos)
				collect(e.Children)
			}
		}
		collect(frame.Protos)
		var compare func(list []packet.Node)
		compare = func(list []packet.Node) {
			for _, n := range list {
				if spans := theirs[n.Name]; spans != nil && wanted(n.Name) && !placedOtherwise(n.Name) {
					compared++
					if !slices.Contains(spans, n.Span) {
						t.Errorf("frame %d: %s %q at %v, tshark has %v", i+1, n.Name, n.Text(), n.Span, spans)
					}
				}
				compare(n.Children)
			}
		}
		compare(p.Tree(pkts[i]))
	}
	t.Logf("%d nodes compared", compared)
	return compared
}

// placedOtherwise: tshark gives data no place, counts extension headers as the
// IPv6 header's and the length in front of a message over TCP as DNS's, takes
// four bytes for one, and splits the names of SRV records.
func placedOtherwise(field string) bool {
	switch field {
	case "", "data", "ipv6", "dns", "ipv6.tclass", "dns.resp.name":
		return true
	}
	return false
}

// quotedOnly reports whether tshark takes the field from the packet that an
// ICMP error quotes, which is not this packet's fact.
func quotedOnly(field string, got map[string]string) bool {
	if field == "frame.protocols" && got["icmp.type"] == "5" {
		return true // tshark leaves the payload of what a redirect quotes alone
	}
	quotes := strings.Count(got["frame.protocols"], ":ip") > 1 && strings.Contains(got["frame.protocols"], "icmp")
	return quotes && (strings.HasPrefix(field, "udp.") || strings.HasPrefix(field, "tcp.") || strings.HasPrefix(field, "dns."))
}

// ourFields prints the facts as tshark prints its fields.
func ourFields(p *packet.Parser, b []byte) map[string]string {
	var f packet.Facts
	p.Facts(b, &f)
	m := map[string]string{
		"_ws.col.Protocol": string(f.AppendProtocol(nil)),
		"_ws.col.Info":     string(p.AppendInfo(nil, &f, packet.Base{})),
		"frame.protocols":  string(p.AppendProtocols(nil, &f)),
	}
	set := func(name, format string, v any) { m[name] = fmt.Sprintf(format, v) }
	flag := func(b bool) string {
		if b {
			return "1"
		}
		return "0"
	}
	set("ip.version", "%d", f.Version)
	if f.Version == 4 {
		set("ip.hdr_len", "%d", f.HdrLen)
		set("ip.dsfield", "0x%02x", f.DSField)
		set("ip.len", "%d", f.TotalLen)
		set("ip.id", "0x%04x", f.ID)
		set("ip.flags.df", "%s", flag(f.DF))
		set("ip.flags.mf", "%s", flag(f.MF))
		set("ip.frag_offset", "%d", f.FragOffset/8)
		set("ip.ttl", "%d", f.TTL)
		set("ip.proto", "%d", f.Proto)
		set("ip.src", "%s", f.Src)
		set("ip.dst", "%s", f.Dst)
		set("ip.checksum", "0x%04x", f.IPChecksum)
	} else {
		set("ipv6.plen", "%d", f.TotalLen-40)
		set("ipv6.nxt", "%d", f.NextHeader)
		set("ipv6.hlim", "%d", f.TTL)
		set("ipv6.src", "%s", f.Src)
		set("ipv6.dst", "%s", f.Dst)
		set("ipv6.flow", "0x%06x", f.FlowLabel)
	}
	if f.IsFragment() {
		return m // tshark waits for the other fragments
	}
	switch f.Transport {
	case packet.TCP:
		set("tcp.srcport", "%d", f.SrcPort)
		set("tcp.dstport", "%d", f.DstPort)
		set("tcp.seq_raw", "%d", f.Seq)
		set("tcp.ack_raw", "%d", f.Ack)
		set("tcp.flags", "0x%04x", f.Flags)
		set("tcp.window_size_value", "%d", f.Window)
		set("tcp.len", "%d", f.PayloadLen)
		set("tcp.hdr_len", "%d", f.TCPHdrLen)
		if f.MSS != 0 {
			set("tcp.options.mss_val", "%d", f.MSS)
		}
		if f.WScale >= 0 {
			set("tcp.options.wscale.shift", "%d", f.WScale)
		}
		if f.HasTS {
			set("tcp.options.timestamp.tsval", "%d", f.TSVal)
			set("tcp.options.timestamp.tsecr", "%d", f.TSEcr)
		}
	case packet.UDP:
		set("udp.srcport", "%d", f.SrcPort)
		set("udp.dstport", "%d", f.DstPort)
		set("udp.length", "%d", f.UDPLen)
	case packet.ICMP:
		set("icmp.type", "%d", f.Type)
		set("icmp.code", "%d", f.Code)
		if f.HasICMPID() {
			set("icmp.ident", "%d", f.ICMPID)
			set("icmp.seq", "%d", f.ICMPSeq)
		}
		if f.MTU != 0 {
			set("icmp.mtu", "%d", f.MTU)
		}
	case packet.ICMPv6:
		set("icmpv6.type", "%d", f.Type)
		set("icmpv6.code", "%d", f.Code)
	}
	dnsFields(p, &f, set, flag)
	return m
}

func dnsFields(p *packet.Parser, f *packet.Facts, set func(name, format string, v any), flag func(bool) string) {
	var m packet.DNSMessage
	if !p.DNS(f, &m) {
		return
	}
	set("dns.id", "0x%04x", m.ID)
	set("dns.flags.response", "%s", flag(m.Response))
	if m.Response {
		set("dns.flags.rcode", "%d", m.RCode)
	}
	if len(m.Questions) > 0 {
		set("dns.qry.name", "%s", m.Questions[0].Name)
		set("dns.qry.type", "%d", m.Questions[0].Type)
	}
	for i := len(m.Records) - 1; i >= 0; i-- {
		switch r := m.Records[i]; r.Type {
		case 1:
			set("dns.a", "%s", r.Addr)
		case 28:
			set("dns.aaaa", "%s", r.Addr)
		case 5:
			set("dns.cname", "%s", r.Data)
		}
	}
}
