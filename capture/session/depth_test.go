package session_test

import (
	"encoding/binary"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tundump/capture/session"
	"tundump/capture/store"
	"tundump/decode/field"
	"tundump/decode/flow"
)

// Every field, and every protocol that a filter can ask for, is the same where
// flows are followed as far as it says, and all the way.
func TestDepth(t *testing.T) {
	if testing.Short() {
		t.Skip("reads all captures four times")
	}
	for _, path := range sharedCaptures(t) {
		pkts := ipPackets(t, path)
		if len(pkts) == 0 || len(pkts) > 5_000 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) { sameAtDepth(t, tunnelled(t, pkts)) })
	}
}

// The same of packets that have what the depth makes a difference to, which is
// checked.
func TestDepthMatters(t *testing.T) {
	differ := sameAtDepth(t, tunnelled(t, dialogs()))
	for _, name := range []string{
		"Alone tcp.stream", "Alone tcp.seq", "Alone udp.stream", "Alone tcp.analysis.retransmission", "Alone dns.time", "Alone dns.id",
		"Streams http.request_in", "Streams http.response.code",
		"Streams tls.handshake.extensions_server_name", "Streams tls.record.length", "Streams quic.dcid",
		"Streams frame.protocols", "Streams _ws.col.protocol", "Streams _ws.col.info", "Streams http",
	} {
		if !differ[name] {
			t.Errorf("%s: the packets here do not show that it depends on more", name)
		}
	}
}

var depths = [...]struct {
	depth flow.Depth
	name  string
}{{flow.Dialogs, "Dialogs"}, {flow.Streams, "Streams"}, {flow.Alone, "Alone"}}

// sameAtDepth reads a capture at each depth, side by side. It returns what was
// different at which depth, as it may be.
func sameAtDepth(t *testing.T, st *store.Store) (differ map[string]bool) {
	differ = make(map[string]bool)
	var passes [len(depths)]*session.Session
	var memory [len(depths)]field.Memory
	for i, d := range depths {
		passes[i] = session.New(st)
		passes[i].Follow(d.depth)
	}
	var rows [len(depths)]*session.Row
	for {
		for i, s := range passes {
			var err error
			if rows[i], err = s.Next(t.Context()); err == io.EOF {
				return differ
			} else if err != nil {
				t.Fatal(err)
			}
		}
		for k := range rows[0].Packets {
			var of [len(depths)]*field.Row
			for i, r := range rows {
				of[i] = r.PacketRow(k)
				memory[i].Reset()
				of[i].Memory = &memory[i]
				if f, ok := r.Finding(k); ok {
					of[i].Problem = &f
				}
			}
			compareDepths(t, of, differ)
		}
		var of [len(depths)]*field.Row
		for i, r := range rows {
			of[i] = r.MessageRow()
		}
		compareDepths(t, of, differ)
		if t.Failed() {
			return differ
		}
	}
}

func compareDepths(t *testing.T, rows [len(depths)]*field.Row, differ map[string]bool) {
	t.Helper()
	check := func(name string, depth flow.Depth, i int, same bool) {
		switch d := depths[i]; {
		case same:
		case d.depth <= depth:
			t.Errorf("packet %d: %s says that %s is enough, and it is not", rows[0].Number, name, d.name)
		default:
			differ[d.name+" "+name] = true
		}
	}
	var values [len(depths)][]field.Value
	all := field.All()
	for k := range all {
		f := &all[k]
		for i, r := range rows {
			values[i] = f.Values(values[i][:0], r)
			check(f.Name, f.Depth, i, slices.Equal(values[i], values[0]))
		}
	}
	for _, name := range field.Protocols() {
		p, _ := field.LookupProtocol(name)
		there, bytes := p.In(rows[0]), field.Value{}
		if there {
			bytes, _ = p.Bytes(rows[0])
		}
		for i, r := range rows[1:] {
			same := p.In(r) == there
			if same && there {
				v, _ := p.Bytes(r)
				same = v == bytes
			}
			check(name, p.Depth(), i+1, same)
		}
	}
}

// dialogs is one conversation of each kind that is followed, with segments
// that come twice and units that span packets.
func dialogs() (pkts []timed) {
	add := func(p []byte) { pkts = append(pkts, timed{1e18 + int64(len(pkts))*1e6, p}) }
	tcp := func(server uint16, exchange ...string) {
		next := [2]uint32{1000, 9000}
		add(tcpPacket(server, false, 2, 999, 0, ""))
		add(tcpPacket(server, true, 18, 8999, 1000, ""))
		for _, data := range exchange {
			data, back := strings.CutPrefix(data, "<")
			side := 0
			if back {
				side = 1
			}
			data, twice := strings.CutPrefix(data, "2")
			p := tcpPacket(server, back, 24, next[side], next[1-side], data)
			if add(p); twice {
				add(p)
			}
			next[side] += uint32(len(data))
		}
		add(tcpPacket(server, false, 17, next[0], next[1], ""))
	}
	hello := clientHello("www.example.org")
	tcp(443, hello[:30], hello[30:], "<2"+tlsRecord(23, strings.Repeat("d", 40)), "2"+tlsRecord(23, "late")[:7], tlsRecord(23, "late")[7:])
	tcp(80, "GET / HTTP/1.1\r\nHost: a\r\n", "\r\n", "<HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabc", "<2defgh")
	query := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"
	answer := "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x09\x00\x04\x01\x02\x03\x04"
	tcp(53, "2\x00\x1b"+query, "<2\x00\x2b"+answer)
	add(udpPacket(53, false, query))
	add(udpPacket(53, true, answer))
	quic := "\xc0\x00\x00\x00\x01\x08abcdefgh\x04ijkl\x00\x41\x00" + strings.Repeat("e", 256)
	add(udpPacket(443, false, quic))
	add(udpPacket(443, true, "\xe0\x00\x00\x00\x01\x04ijkl\x08mnopqrst\x20"+strings.Repeat("f", 32)))
	add(udpPacket(443, false, "\x40mnopqrst"+strings.Repeat("g", 30)))
	add(udpPacket(4500, false, "\x00\x00\x10\x01\x00\x00\x00\x01"+strings.Repeat("h", 24)))
	whole := udpPacket(53, false, query)
	add(fragment(whole, 0, 16))
	add(fragment(whole, 16, len(whole)-20))
	quoted := tcpPacket(443, false, 24, 1000, 9000, "x")
	add(ipPacket(1, true, "\x03\x01\x00\x00\x00\x00\x00\x00"+string(quoted[:28])))
	add(ipPacket(1, false, "\x08\x00\x00\x00\x00\x07\x00\x01ping"))
	add(ipPacket(1, true, "\x00\x00\x00\x00\x00\x07\x00\x01ping"))
	add(ipPacket(4, false, string(tcpPacket(8080, false, 2, 1, 0, ""))))
	return pkts
}

// ipPacket is an IPv4 packet of the client, or back.
func ipPacket(proto byte, back bool, payload string) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0, 10, 8, 0, 2, 192, 0, 2, 1}
	if back {
		copy(b[12:], []byte{192, 0, 2, 1, 10, 8, 0, 2})
	}
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func ports(server uint16, back bool) []byte {
	from, to := uint16(50000)+server%100, server
	if back {
		from, to = to, from
	}
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to)
}

func tcpPacket(server uint16, back bool, flags byte, seq, ack uint32, data string) []byte {
	b := binary.BigEndian.AppendUint32(ports(server, back), seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	return ipPacket(6, back, string(append(b, 0x50, flags, 1, 0, 0, 0, 0, 0))+data)
}

func udpPacket(server uint16, back bool, data string) []byte {
	b := binary.BigEndian.AppendUint16(ports(server, back), uint16(8+len(data)))
	return ipPacket(17, back, string(append(b, 0, 0))+data)
}

// fragment cuts the bytes from off to end out of a packet's payload.
func fragment(p []byte, off, end int) []byte {
	b := slices.Concat(p[:20], p[20+off:20+end])
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], 77)
	more := uint16(0x2000)
	if 20+end == len(p) {
		more = 0
	}
	binary.BigEndian.PutUint16(b[6:], more|uint16(off/8))
	return b
}

func tlsRecord(kind byte, body string) string {
	return string([]byte{kind, 3, 3, byte(len(body) >> 8), byte(len(body))}) + body
}

func sized(n int, body string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	return string(b[4-n:]) + body
}

// clientHello is a TLS record with a Client Hello.
func clientHello(name string) string {
	sni := "\x00\x00" + sized(2, sized(2, "\x00"+sized(2, name)))
	hello := "\x03\x03" + strings.Repeat("r", 32) + sized(1, "") + sized(2, "\x13\x01") + sized(1, "\x00") + sized(2, sni)
	return tlsRecord(22, "\x01"+sized(3, hello))
}
