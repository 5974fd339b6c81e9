package rewrite_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"tundump/capture/judge"
	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

var (
	client4 = netip.MustParseAddr("10.8.0.2")
	server4 = netip.MustParseAddr("93.184.216.34")
	client6 = netip.MustParseAddr("fd00:8::2")
	server6 = netip.MustParseAddr("2001:db8::1")
)

func serialize(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

func ipv4(proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Id: 0x1234, Protocol: proto, SrcIP: client4.AsSlice(), DstIP: server4.AsSlice()}
}

func ipv6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: client6.AsSlice(), DstIP: server6.AsSlice()}
}

func tcp4(t testing.TB, payload string) []byte {
	ip, tcp := ipv4(layers.IPProtocolTCP), &layers.TCP{SrcPort: 50000, DstPort: 443, Seq: 1, Ack: 2, ACK: true, Window: 500}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, ip, tcp, gopacket.Payload(payload))
}

func tcp6(t testing.TB, payload string) []byte {
	ip, tcp := ipv6(layers.IPProtocolTCP), &layers.TCP{SrcPort: 50000, DstPort: 443, Seq: 1, Ack: 2, ACK: true, Window: 500}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, ip, tcp, gopacket.Payload(payload))
}

func udp4(t testing.TB, payload string) []byte {
	ip, udp := ipv4(layers.IPProtocolUDP), &layers.UDP{SrcPort: 50000, DstPort: 53}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, ip, udp, gopacket.Payload(payload))
}

func udp6(t testing.TB, payload string) []byte {
	ip, udp := ipv6(layers.IPProtocolUDP), &layers.UDP{SrcPort: 50000, DstPort: 53}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, ip, udp, gopacket.Payload(payload))
}

// icmp4 is an ICMP message of the given type whose body is payload.
func icmp4(t testing.TB, typ, code uint8, payload []byte) []byte {
	ip := ipv4(layers.IPProtocolICMPv4)
	ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
	return serialize(t, ip, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code), Id: 7, Seq: 1400}, gopacket.Payload(payload))
}

func icmp6(t testing.TB, typ, code uint8, body []byte) []byte {
	ip := ipv6(layers.IPProtocolICMPv6)
	ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, code)}
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, ip, icmp, gopacket.Payload(body))
}

// sound returns packets of every kind that is changed, with right checksums.
func sound(t testing.TB) map[string][]byte {
	options := ipv4(layers.IPProtocolUDP)
	options.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}, {OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}}}
	udp := &layers.UDP{SrcPort: 1, DstPort: 2}
	if err := udp.SetNetworkLayerForChecksum(options); err != nil {
		t.Fatal(err)
	}
	target := append(make([]byte, 4), server6.AsSlice()...)
	return map[string][]byte{
		"tcp4": tcp4(t, "hello"), "tcp6": tcp6(t, "hello!"), "udp4": udp4(t, "abc"), "udp6": udp6(t, "abcd"),
		"options":   serialize(t, options, udp, gopacket.Payload(strings.Repeat("o", 99))),
		"echo4":     icmp4(t, 8, 0, []byte("ping")),
		"echo6":     icmp6(t, 128, 0, append([]byte{0, 1, 0, 2}, "ping"...)),
		"unreach4":  icmp4(t, 3, 1, tcp4(t, "hello")[:28]),
		"too-big4":  icmp4(t, 3, 4, udp4(t, strings.Repeat("x", 601))),
		"redirect4": icmp4(t, 5, 1, udp4(t, "abc")),
		"too-big6":  icmp6(t, 2, 0, append([]byte{0, 0, 5, 0}, tcp6(t, strings.Repeat("x", 801))[:700]...)),
		"neighbour": icmp6(t, 135, 0, target),
		"redirect6": icmp6(t, 137, 0, append(target, client6.AsSlice()...)),
		"fragment6": serialize(t, ipv6(layers.IPProtocolIPv6Fragment), fragmentHeader(17, 0, true, 99), gopacket.Payload(udp6(t, strings.Repeat("f", 800))[40:648])),
		"igmp":      serialize(t, ipv4(2), gopacket.Payload([]byte{0x16, 0, 9, 4, 224, 0, 0, 251})),
	}
}

// fragmentHeader: gopacket has no way to write one.
func fragmentHeader(next uint8, off int, more bool, id uint32) gopacket.Payload {
	h := []byte{next, 0}
	v := uint16(off)
	if more {
		v |= 1
	}
	h = binary.BigEndian.AppendUint16(h, v)
	return binary.BigEndian.AppendUint32(h, id)
}

func facts(b []byte) packet.Facts {
	p := packet.Parser{VerifyChecksums: true}
	var f packet.Facts
	p.Facts(b, &f)
	return f
}

func addrs(t testing.TB, s string) *rewrite.AddrMap {
	t.Helper()
	m := new(rewrite.AddrMap)
	if err := m.Parse(s); err != nil {
		t.Fatal(err)
	}
	return m
}

func ports(t testing.TB, s string) *rewrite.PortMap {
	t.Helper()
	m := new(rewrite.PortMap)
	if err := m.Parse(s); err != nil {
		t.Fatal(err)
	}
	return m
}

// captured returns the IP packets in the Ethernet frames of the shared
// captures, none above 9,000 bytes.
func captured(t testing.TB) [][]byte {
	files, err := filepath.Glob(filepath.Join(judge.Shared(t, "captures"), "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var pkts [][]byte
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewReader(f)
		for err == nil && r.LinkType() == layers.LinkTypeEthernet {
			var b []byte
			if b, _, err = r.ReadPacketData(); err == nil && len(b) > 14 && len(b) < 9000 {
				if e := binary.BigEndian.Uint16(b[12:]); e == 0x800 || e == 0x86dd {
					pkts = append(pkts, b[14:])
				}
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(pkts) < 2000 {
		t.Fatalf("only %d packets in the captures", len(pkts))
	}
	return pkts
}

// tshark returns a row of fields for each packet, checksums verified.
func tshark(t testing.TB, pkts [][]byte, fields ...string) [][]string {
	t.Helper()
	list := make([]judge.Packet, len(pkts))
	for i, p := range pkts {
		list[i].Data = p
	}
	rows := judge.Fields(t, judge.WriteRaw(t, list), []string{"-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"}, fields...)
	if len(rows) != len(pkts) {
		t.Fatalf("tshark has %d packets of %d", len(rows), len(pkts))
	}
	return rows
}
