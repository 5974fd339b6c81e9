package packet_test

import (
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"tundump/decode/packet"
)

// benchPackets are 1,400 bytes long, the DNS answer excepted.
func benchPackets(t testing.TB) map[string][]byte {
	ts := unhex(t, "0101080a0000000a0000000b")
	tcp := func(n int) []byte {
		return seg{src: 53122, dst: 443, flags: 0x18, seq: 1, ack: 1, win: 512, options: ts, payload: strings.Repeat("x", n)}.bytes()
	}
	answer := dnsMsg(1, 0x8180, [][]byte{question("example.org", 1, 1)}, [][]byte{record("example.org", 1, 1, dst4.AsSlice())})
	return map[string][]byte{
		"IPv4TCP": ip4(6, tcp(1400-20-32)),
		"IPv6TCP": ip6(6, tcp(1400-40-32)),
		"UDPDNS":  ip4(17, udp(53, 40000, answer)),
	}
}

func BenchmarkFacts(b *testing.B) {
	for _, verify := range []bool{false, true} {
		for name, pkt := range benchPackets(b) {
			if verify {
				name += "Verify"
			}
			b.Run(name, func(b *testing.B) {
				p := packet.NewParser()
				p.VerifyChecksums = verify
				var f packet.Facts
				b.ReportAllocs()
				b.SetBytes(int64(len(pkt)))
				for b.Loop() {
					p.Facts(pkt, &f)
				}
			})
		}
	}
}

func BenchmarkAppendInfo(b *testing.B) {
	for name, pkt := range benchPackets(b) {
		b.Run(name, func(b *testing.B) {
			p := packet.NewParser()
			var f packet.Facts
			p.Facts(pkt, &f)
			var line []byte
			b.ReportAllocs()
			for b.Loop() {
				line = p.AppendInfo(line[:0], &f, packet.Base{})
			}
		})
	}
}

func BenchmarkTree(b *testing.B) {
	for name, pkt := range benchPackets(b) {
		b.Run(name, func(b *testing.B) {
			p := packet.NewParser()
			b.ReportAllocs()
			for b.Loop() {
				p.Tree(pkt)
			}
		})
	}
}

// BenchmarkGopacket is what the facts would cost with gopacket's parser.
func BenchmarkGopacket(b *testing.B) {
	var (
		ip4 layers.IPv4
		ip6 layers.IPv6
		tcp layers.TCP
		udp layers.UDP
	)
	for name, pkt := range benchPackets(b) {
		b.Run(name, func(b *testing.B) {
			first := layers.LayerTypeIPv4
			if pkt[0]>>4 == 6 {
				first = layers.LayerTypeIPv6
			}
			p := gopacket.NewDecodingLayerParser(first, &ip4, &ip6, &tcp, &udp)
			p.IgnoreUnsupported = true
			var decoded []gopacket.LayerType
			b.ReportAllocs()
			for b.Loop() {
				if err := p.DecodeLayers(pkt, &decoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
