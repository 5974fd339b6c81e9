package flow_test

import (
	"encoding/binary"
	"testing"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

// FuzzPackets makes packets out of bytes, eight a packet, and takes them in
// with small limits.
func FuzzPackets(f *testing.F) {
	f.Add([]byte("\x00\x02\x00\x00\x00\x00\x00\x00\x01\x12\x00\x00\x01\x00\x00\x00\x00\x10\x01\x00\x01\x10\x00\x00"))
	f.Add([]byte("\x01\x10\x10\x20\x30\x40\x00\x00\x00\x10\x20\x00\x00\xff\x00\x00\x00\x14\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x08\x00\x01\x00\x00\x00\x00\x00\x09\x00\x01\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const flows, segments = 4, 16
		table := flow.New(flow.Options{Flows: flows, Segments: segments, Queries: 3, Names: 2, Idle: 1 << 30})
		p := packet.NewParser()
		var streams [2]int64
		number, now := int64(0), int64(start)
		for ; len(data) >= 8; data = data[8:] {
			number++
			now += int64(int8(data[7])) << (data[6] & 31)
			var facts packet.Facts
			var a flow.Analysis
			p.Facts(fuzzed([8]byte(data)), &facts)
			table.Packet(flow.Packet{Tunnel: uint32(data[0] >> 7), Number: number, Time: now, Facts: &facts}, &a)
			n := &streams[0]
			if a.Proto == packet.UDP {
				n = &streams[1]
			}
			switch {
			case a.Proto == packet.NoTransport:
				if a.Flags != 0 || a.Stream != 0 {
					t.Fatalf("no flow, and %+v", a)
				}
			case a.Stream > *n:
				t.Fatalf("flow %d after %d flows", a.Stream, *n)
			case a.Stream == *n:
				*n++
			}
			if a.DupAckOf >= number || a.AckOf >= number || a.AnswerTo >= number || (a.DupAck > 0) != (a.Flags&flow.DuplicateAck != 0) {
				t.Fatalf("packet %d: %+v", number, a)
			}
			if a.InFlight >= 2_000_000_000 || a.Base.WScale > 14 {
				t.Fatalf("%+v", a)
			}
			flow.AppendInfo(nil, p, &facts, &a)
			count, total := 0, int64(0)
			for fl := range table.Flows() {
				count++
				total += fl.Count[0].Packets + fl.Count[1].Packets
			}
			if count > flows || total > number {
				t.Fatalf("%d flows, %d packets of %d", count, total, number)
			}
		}
	})
}

// fuzzed makes a packet: its kind, flags, ports and small differences in its
// numbers, so that rules are met.
func fuzzed(b [8]byte) []byte {
	s := seg{back: b[0]&1 != 0, flags: uint16(b[1]), seq: 1000 + uint32(b[2])*100, ack: 1000 + uint32(b[3])*100,
		win: uint16(b[4]&3) * 500, len: int(b[5]&7) * 50, client: 50000 + uint16(b[0]>>1&3), ws: int(b[4] >> 4)}
	if b[5]&0x80 != 0 {
		s.seq += 1 << 31
	}
	if b[5]&0x40 != 0 {
		s.seq--
	}
	if s.len == 250 {
		s.len = 1
	}
	tcp := s.packet().Data
	switch b[0] >> 3 & 7 {
	case 1: // DNS
		m := []byte{0, b[1] & 3, b[2] & 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1, 1, 'a', 0, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, b[3]}
		from, to := client4, server4
		d := udp(s.client, 53, m)
		if s.back {
			from, to = to, from
			d = udp(53, s.client, m)
		}
		return ip4(17, from, to, d)
	case 2: // an error about a packet
		return ip4(1, server4, client4, append([]byte{3, b[1] & 15, 0, 0, 0, 0, 0, 0}, tcp[:20+int(b[2])%21]...))
	case 3: // echo
		e := []byte{8, 0, 0, 0, 0, b[1], 0, b[2]}
		if s.back {
			e[0] = 0
			return ip4(1, server4, client4, e)
		}
		return ip4(1, client4, server4, e)
	case 4: // cut
		return tcp[:int(b[2])%len(tcp)]
	case 5: // a wrong header length
		tcp[32] = b[2]
		return tcp
	case 6: // a fragment
		binary.BigEndian.PutUint16(tcp[6:], 0x2000|uint16(b[2]))
		return tcp
	}
	return tcp
}
