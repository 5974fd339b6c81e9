package tui

import (
	"encoding/binary"
	"net/netip"
	"time"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

func record(root func(w *bplist.Writer) bplist.Ref) []byte {
	var w bplist.Writer
	b, err := w.Append(frame.Reserve(nil), root(&w))
	if err == nil {
		err = frame.PutLength(b, 0)
	}
	if err != nil {
		panic(err)
	}
	return b
}

func packetsRecord(id int64, pkts ...[]byte) []byte {
	families := make([]int64, len(pkts))
	for i, p := range pkts {
		families[i] = decode.FamilyIPv4
		if len(p) > 0 && p[0]>>4 == 6 {
			families[i] = decode.FamilyIPv6
		}
	}
	return record(func(w *bplist.Writer) bplist.Ref {
		return w.Dict(w.String("command"), w.Int(int64(decode.Packets)), w.String("identifier"), w.Int(id), w.String("packets"), w.DataArray(pkts), w.String("protocols"), w.IntArray(families))
	})
}

func ip4(proto byte, src, dst string, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	return append(b, payload...)
}

func tcp(src, dst uint16, seq, ack uint32, flags byte, payload string) []byte {
	b := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[8:], ack)
	b[12], b[13] = 5<<4, flags
	binary.BigEndian.PutUint16(b[14:], 65535)
	return append(b, payload...)
}

func udp(src, dst uint16, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	return append(b, payload...)
}

func dnsQuery(id uint16, name string, answer string) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint16(b, id)
	b[2], b[5] = 1, 1
	var q []byte
	for label := range labels(name) {
		q = append(append(q, byte(len(label))), label...)
	}
	q = append(q, 0, 0, 1, 0, 1)
	b = append(b, q...)
	if answer != "" {
		b[2], b[3], b[7] = 0x81, 0x80, 1
		a := netip.MustParseAddr(answer).As4()
		b = append(append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4), a[:]...)
	}
	return b
}

func labels(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		start := 0
		for i := 0; i <= len(name); i++ {
			if i == len(name) || name[i] == '.' {
				if !yield(name[start:i]) {
					return
				}
				start = i + 1
			}
		}
	}
}

const (
	phone  = "10.8.0.2"
	web    = "93.184.216.34"
	dnsSrv = "10.8.0.1"
	start  = int64(1_700_000_000_000_000_000)
	tunID  = int64(3735928559)
)

// traffic fills a fake with a short tunnel: opening, DNS, HTTP with a segment
// sent again, a ping, a suspend, damage.
func traffic(f *fake) {
	now := start
	put := func(dir decode.Direction, kind decode.Kind, raw []byte) {
		now += 1_234_567
		ev := decode.Event{Kind: kind, Dir: dir, Tunnel: 1, Time: now, Raw: raw, Flags: decode.OnClientSide, Offset: f.snap.Bytes[dir]}
		switch kind {
		case decode.Gap:
			ev.Raw, ev.Detail = nil, &decode.Detail{Len: 4711}
		case decode.Unframed:
			ev.Detail = &decode.Detail{Reason: "length 0x41414141\x1b[2J"}
		}
		f.add(ev)
	}
	up, down := decode.ClientToServer, decode.ServerToClient
	f.change(func() {
		f.snap.Tunnels, f.snap.Open = 1, 1
		put(up, decode.Record, record(func(w *bplist.Writer) bplist.Ref {
			return w.Dict(w.String("command"), w.Int(int64(decode.Open)), w.String("identifier"), w.Int(tunID), w.String("tunnel-type"), w.Int(decode.TunnelIP))
		}))
		put(down, decode.Record, record(func(w *bplist.Writer) bplist.Ref {
			conf := w.Dict(w.String("IPv4"), w.Dict(w.String("Address"), w.String("10.8.0.2"), w.String("Netmask"), w.String("255.255.255.255")),
				w.String("DNS"), w.Dict(w.String("Servers"), w.Array(w.String(dnsSrv))))
			return w.Dict(w.String("command"), w.Int(int64(decode.OpenResult)), w.String("identifier"), w.Int(tunID), w.String("result-code"), w.Int(0), w.String("configuration"), conf)
		}))
		put(up, decode.Record, packetsRecord(tunID, ip4(17, phone, dnsSrv, udp(61200, 53, dnsQuery(0x1a2b, "example.org", ""))),
			ip4(6, phone, web, tcp(53122, 80, 1000, 0, 2, "")), ip4(1, phone, "1.1.1.1", []byte{8, 0, 0xf7, 0xec, 0, 7, 0, 12})))
		put(down, decode.Record, packetsRecord(tunID, ip4(17, dnsSrv, phone, udp(53, 61200, dnsQuery(0x1a2b, "example.org", web))),
			ip4(6, web, phone, tcp(80, 53122, 5000, 1001, 0x12, ""))))
		request := "GET /index.html HTTP/1.1\r\nHost: example.org\r\n\r\n"
		put(up, decode.Record, packetsRecord(tunID, ip4(6, phone, web, tcp(53122, 80, 1001, 5001, 0x10, "")), ip4(6, phone, web, tcp(53122, 80, 1001, 5001, 0x18, request))))
		put(down, decode.Record, record(func(w *bplist.Writer) bplist.Ref {
			return w.Dict(w.String("command"), w.Int(int64(decode.Suspend)), w.String("identifier"), w.Int(tunID))
		}))
		body := "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello world\n"
		put(down, decode.Record, packetsRecord(tunID, ip4(6, web, phone, tcp(80, 53122, 5001, uint32(1001+len(request)), 0x18, body))))
		put(down, decode.Record, packetsRecord(tunID, ip4(6, web, phone, tcp(80, 53122, 5001, uint32(1001+len(request)), 0x18, body)), []byte{0x45, 0, 0}))
		put(down, decode.Unframed, []byte("AAAA and some more bytes that are no record at all"))
		put(up, decode.Gap, nil)
		for i := range 40 {
			put(decode.Direction(i%2), decode.Record, packetsRecord(tunID, ip4(1, phone, "1.1.1.1", []byte{8, 0, 0, 0, 0, 7, 0, byte(i)})))
		}
		put(up, decode.Record, record(func(w *bplist.Writer) bplist.Ref {
			return w.Dict(w.String("command"), w.Int(int64(decode.Close)), w.String("identifier"), w.Int(tunID), w.String("close-type"), w.Int(decode.CloseAll))
		}))
		f.tunnels = []Tunnel{{Number: 1, Client: netip.MustParseAddrPort("192.168.1.7:53122"), Listener: netip.MustParseAddrPort("192.168.1.2:8890"), Upstream: "vpn.example:8890",
			Opened: start, Messages: int64(len(f.messages)), Bytes: f.snap.Bytes, Packets: [2]int64{25, 20}, RTT: [2]time.Duration{4_100_000, 18_200_000}, Suspends: 1, Suspended: 1_200_000_000,
			Steps: []Step{
				{Kind: Signal, Time: start, From: AtClient, To: AtProxy, Text: "connect"},
				{Kind: Signal, Time: start + 18e6, From: AtProxy, To: AtServer, Text: "connect"},
				{Kind: Signal, Time: start + 19e6, From: AtClient, To: AtServer, Text: "open ip 3735928559"},
				{Kind: Signal, Time: start + 41e6, From: AtServer, To: AtClient, Text: "openResult success", Note: "address 10.8.0.2/32, DNS 10.8.0.1"},
				{Kind: Traffic, Time: start + 44e6, From: AtClient, To: AtServer, Text: "packets", Note: "first one up"},
				{Kind: Traffic, Time: start + 63e6, From: AtServer, To: AtClient, Text: "packets", Note: "first one down"},
				{Kind: Trouble, Time: start + 90e6, From: AtProxy, Text: "4,711 bytes missing"},
			},
			Configuration: []string{"Everything goes through the tunnel (no Routes).", "All names are asked of 10.8.0.1.", "IPv6 stays outside the tunnel."}}}
		f.findings = []Finding{
			{Severity: decode.Error, Code: "unframed", Tunnel: 1, Text: "50 bytes are no record", Seen: "length 0x41414141", Means: "the stream is damaged", Do: "look at the bytes in front of it", Count: 1, First: start + 9e6, Last: start + 9e6, Filter: `tunnel.event == "unframed"`},
			{Severity: decode.Warning, Code: "inner-ip", Tunnel: 1, Text: "a packet ends inside its header", Count: 7, First: start + 7e6, Last: start + 8e6, List: Packets, Proof: []int{10}},
		}
	})
}
