package packet_test

import (
	"strings"
	"testing"

	"tundump/decode/packet"
)

// appPackets is one packet of every protocol that is decoded on request.
func appPackets(t testing.TB) [][]byte {
	fixed := make([]byte, 236)
	copy(fixed, []byte{1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78})
	copy(fixed[28:], []byte{0, 11, 130, 1, 252, 66})
	dhcp := cat(fixed, unhex(t, "63825363 350101 3d0701000b8201fc42 32040a000001 370401030642 0c0161 39020240 ff 0000"))
	ntp := make([]byte, 48)
	copy(ntp, []byte{0x24, 1, 6, 0xec})
	copy(ntp[40:], []byte{0xe0, 1, 2, 3, 0x80, 0, 0, 0})
	stun := cat(unhex(t, "0101 000c 2112a442 000102030405060708090a0b 0020 0008 0001 1234 2b12a643"))
	wg := cat([]byte{4, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde, 7, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 32))
	nbns := cat(be16(0xa3e5, 0x0110, 1, 0, 0, 0), []byte{32}, []byte("FHFAEBEECACACACACACACACACACACAAA"), []byte{0}, be16(0x20, 1))
	dhcpv6 := unhex(t, "01 8e866d 0008 0002 02bc 0001 000e 000100011d110a8c0050568208d1 0003 000c 0e005056 00000000 00000000 0006 0004 00180017")
	svcb := record("example.org", 65, 1, cat(be16(1), name("a.b"), be16(1, 3), []byte("\x02h2"), be16(3, 2, 443), be16(4, 4), dst4.AsSlice()))
	nsec := record("example.org", 47, 0x8001, cat(name("example.org"), []byte{0, 5, 0x40, 0, 0x80, 0, 8}))
	srv := record("_ipp._tcp.local", 33, 1, cat(be16(1, 2, 631), name("h.local")))
	opt := record("", 41, 4096, cat(be16(10, 8), make([]byte, 8)))
	inner := ip4(17, udp(53, 40000, dnsMsg(7, 0x8180, nil, [][]byte{svcb, nsec, srv, record("a.b", 257, 1, []byte("\x00\x05issueca")), record("a.b", 16, 1, []byte("\x02hi\x01x"))}, nil, [][]byte{opt})))
	eth := cat(make([]byte, 12), be16(0x800), inner)
	return append(headerPackets(t), [][]byte{
		ip4(17, udp(68, 67, dhcp)), ip4(17, udp(123, 123, ntp)), ip4(17, udp(3478, 5000, stun)), ip4(17, udp(5000, 51820, wg)),
		ip4(17, udp(137, 137, nbns)), ip6(17, udp(546, 547, dhcpv6)), inner, ip4(17, udp(1900, 1900, []byte("M-SEARCH * HTTP/1.1\r\n"))),
		ip4(17, udp(5000, 1194, []byte{0x38, 1, 2, 3})), ip4(6, seg{src: 50000, dst: 22, flags: 0x18, payload: "SSH-2.0-x\r\n"}.bytes()),
		ip4(4, inner), ip4(41, ip6(17, udp(1, 2, []byte("abc")))), ip6(4, inner), ip4(47, cat(be16(0x2000, 0x800), be32(9), inner)),
		ip4(47, cat(be16(0x1000, 0x88be), be32(1), make([]byte, 8), eth)), ip4(47, cat(be16(0, 0x88be), eth[:12], be16(0x8100, 7), eth[12:])), ip4(47, cat(be16(0x3081, 0x880b, len(inner)+1, 5), be32(1, 2), []byte{0x21}, inner)),
		ip4(51, cat([]byte{17, 4, 0, 0}, be32(1, 2, 3, 4, 5), udp(1, 2, []byte("x")))), ip4(50, be32(1, 2, 3)), ip4(17, udp(4500, 4500, be32(0x1234, 9, 3))), ip4(17, udp(4500, 4500, be32(0, 9, 3))),
		ip4(2, cat([]byte{0x22, 0, 0, 0}, be16(0, 1), []byte{4, 0, 0, 1}, dst4.AsSlice(), src4.AsSlice())),
		ip4(132, cat(be16(1, 2), be32(3, 4), []byte{0, 3, 0, 17}, be32(5, 6, 7), []byte{1, 0, 0, 0, 3, 0, 0, 16}, be32(1, 2, 3))),
		ip6(58, cat([]byte{134, 0, 0, 0}, make([]byte, 12), unhex(t, "0101010203040506 0304 40c0 00000001 00000002 00000000"), dst6.AsSlice())),
		ip6(58, cat([]byte{143, 0, 0, 0}, be16(0, 1), []byte{4, 0, 0, 0}, dst6.AsSlice())),
		ip6(135, cat([]byte{59, 0, 5, 0}, be32(0))), ip4(103, []byte{0x20, 0, 0, 0}), ip4(89, cat([]byte{2, 1}, make([]byte, 22))), ip4(112, []byte{0x21, 1, 2, 3}),
	}...)
}

// headerPackets is packets with IPv4 options and IPv6 extension headers.
func headerPackets(t testing.TB) (list [][]byte) {
	dns := udp(1, 2, []byte("abc"))
	for _, options := range []string{
		"94040000", "070b08 c0000201 c0000202 01", "830b04 c0000201 c0000202 00", "44140d03 c0000201 00000007 c0000202 00000008", "440c0530 00000001 00000002",
		"880400ff", "0b0405dc", "520c000100020003 c0000209", "00940400", "01010194", "07080401", "1eff0000",
	} {
		o := unhex(t, options)
		b := cat(ip4(17, nil)[:20], o, dns)
		b[0] = byte(0x45 + len(o)/4)
		b[3] = byte(len(b))
		list = append(list, b)
	}
	for _, e := range []struct {
		next    byte
		headers string
	}{
		{0, "11000502 00000100"}, {0, "1100c204 00010000"}, {60, "11000104 01020304"}, {60, "11001e09 01020304"},
		{43, "11040001 00000000 fd000000000000000000000000000001 fd000000000000000000000000000002"},
		{43, "11020201 00000000 fd000000000000000000000000000001"}, {43, "11040401 01000007 fd000000000000000000000000000001 fd000000000000000000000000000002"},
		{43, "11000301 f0000000"}, {43, "11000901 01020304"}, {44, "1107000700000009"},
	} {
		list = append(list, ip6(e.next, cat(unhex(t, e.headers), dns)))
	}
	return list
}

// What is decoded on request says what the packet holds.
func TestItems(t *testing.T) {
	p := packet.NewParser()
	all := ""
	for _, b := range appPackets(t) {
		var f packet.Facts
		p.Facts(b, &f)
		all += "\n" + string(p.AppendProtocols(nil, &f)) + " " + string(p.AppendInfo(p.AppendProtocol(nil, &f), &f, packet.Base{})) + "|"
		for depth, level := 0, &f; level != nil; depth++ {
			p.Items(level, func(it *packet.Item) bool {
				all += it.Name + "=" + string(it.AppendValue(nil)) + " "
				return true
			})
			level = p.Inside(level, depth)
		}
	}
	for _, want := range []string{
		"raw:ip:udp:dhcp DHCPDHCP Discover - Transaction ID 0x12345678|", "dhcp.option.requested_ip_address=10.0.0.1 ", "dhcp.hw.mac_addr=00:0b:82:01:fc:42 ",
		"dhcp.option.dhcp=1 ", "dhcp.option.request_list_item=1 ", "NTPNTP Version 4, server|", "ntp.xmt=Feb  3, 2019 06:00:35.500000000 UTC ",
		"STUNBinding Success Response XOR-MAPPED-ADDRESS: 10.0.2.1:13", "WireGuardTransport Data, receiver=0xDEADBEEF, counter=7, datalen=16|", "NBNSName query NB WPAD",
		"DHCPv6Solicit XID: 0x8e866d CID: 000100011d110a8c0050568208d1 |", "dhcpv6.elapsed_time=7000 ", "SSDPM-SEARCH * HTTP/1.1 |",
		"OpenVPNMessageType: P_CONTROL_HARD_RESET_CLIENT_V2|", "SSHv2Client: Protocol (SSH-2.0-x)|", "raw:ip:ip:udp:dns DNS", "raw:ip:ipv6:udp:data UDP1 → 2 Len=3|",
		"raw:ipv6:ip:udp:dns DNS", "raw:ip:gre:ip:udp:dns DNS", "gre.key=0x00000009 ", "raw:ip:gre:erspan:eth:ethertype:ip:udp:dns DNS", "raw:ip:gre:erspan:eth:ethertype:vlan:ethertype:ip:udp:dns DNS", "raw:ip:gre:ppp:ip:udp:dns DNS",
		"raw:ip:ah:udp:data UDP", "raw:ip:esp ESPESP (SPI=0x00000001)|", "raw:ip:udp:udpencap:esp ESPESP (SPI=0x00001234)|esp.spi=0x00001234 esp.sequence=9 ", "raw:ip:udp:data UDP4500 → 4500 Len=12|", "IGMPv3Membership Report / Join group ", "SCTPDATA (TSN=5) SACK (Ack=1, Arwnd=2) |",
		"ip.opt.ra=0 ", "ip.rec_rt=192.0.2.1 ip.empty_rt=192.0.2.2 ", "ip.src_rt=192.0.2.1 ip.src_rt=192.0.2.2 ", "ip.opt.overflow=0 ip.opt.flag=3 ip.opt.time_stamp_addr=192.0.2.1 ip.opt.time_stamp=7 ",
		"ip.opt.overflow=3 ip.opt.flag=0 ip.opt.time_stamp=1 ip.opt.time_stamp=2 ", "ip.opt.sid=255 ", "ip.opt.mtu=1500 ", "ip.opt.originator=192.0.2.9 ", "ip.opt.type=0 ip.opt.type.copy=0 ip.opt.type.class=0 ip.opt.type.number=0 \n",
		"ipv6.hopopts.nxt=17 ipv6.hopopts.len=0 ipv6.hopopts.len_oct=8 ", "ipv6.opt.router_alert=0 ", "ipv6.opt.jumbo=65536 ", "ipv6.opt.padn=01020304 ", "ipv6.opt.type=0x1e ipv6.opt.type.action=0 ipv6.opt.type.change=0 ipv6.opt.type.rest=0x1e ipv6.opt.length=9 \n",
		"ipv6.routing.type=0 ipv6.routing.segleft=1 ipv6.routing.src.reserved=00000000 ipv6.routing.src.addr=fd00::1 ipv6.routing.src.addr=fd00::2 ", "ipv6.routing.mipv6.home_address=fd00::1 ",
		"ipv6.routing.srh.last_entry=1 ipv6.routing.srh.flags=0x00 ipv6.routing.srh.tag=0007 ipv6.routing.srh.addr=fd00::1 ipv6.routing.srh.addr=fd00::2 ", "ipv6.routing.unknown_data=01020304 ",
		"ipv6.fraghdr.nxt=17 ipv6.fraghdr.reserved_octet=0x07 ipv6.fraghdr.offset=0 ipv6.fraghdr.reserved_bits=3 ipv6.fraghdr.more=1 ipv6.fraghdr.ident=0x00000009 ",
		"icmpv6.opt.linkaddr=01:02:03:04:05:06 ", "icmpv6.opt.prefix.length=64 ", "icmpv6.mldr.mar.record_type=4 ", "raw:ipv6:mipv6 MIPv6", "PIMv2Hello|", "OSPFHello Packet|",
		"VRRPAnnouncement (v2)|", "dns.svcb.svcparam.alpn=h2 ", "dns.svcb.svcparam.port=443 ", "dns.resp.type=36 ", "dns.srv.service=_ipp ", "dns.caa.tag=issue ", "dns.txt=hi ", "dns.opt.code=10 ",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:%s", want, all)
		}
	}
}

// FuzzItems: whatever the bytes are, items lie in the packet and are safe to
// print, and the tree stands.
func FuzzItems(f *testing.F) {
	for _, b := range appPackets(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		exercise(t, b)
		p := packet.NewParser()
		var facts packet.Facts
		p.Facts(b, &facts)
		for depth, level := 0, &facts; level != nil; depth++ {
			p.Items(level, func(it *packet.Item) bool {
				if !inside(it.Span, Span{0, level.Len}) {
					t.Errorf("%s at %v of %d bytes", it.Name, it.Span, level.Len)
				}
				checkPrintable(t, it.AppendValue(nil))
				return true
			})
			level = p.Inside(level, depth)
		}
	})
}
