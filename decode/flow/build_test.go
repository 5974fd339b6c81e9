package flow_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"tundump/capture/judge"
	"tundump/decode/packet"
)

var (
	client4 = netip.MustParseAddr("10.8.0.2")
	server4 = netip.MustParseAddr("93.184.216.34")
)

// ip4 puts an IPv4 header in front of a payload.
func ip4(proto byte, src, dst netip.Addr, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0}
	b = slices.Concat(b, src.AsSlice(), dst.AsSlice(), payload)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum>>16+sum))
	return b
}

// seg is a segment from the client's port to the server's, or back.
type seg struct {
	at       int64 // microseconds
	back     bool
	flags    uint16
	seq, ack uint32
	win      uint16
	len      int
	data     []byte // instead of len
	ws       int    // window scale option; 0: none
	client   uint16
	server   uint16
	sack     []uint32
}

const start = 1_700_000_000_000_000_000

func (s seg) packet() judge.Packet {
	be := binary.BigEndian
	src, dst, from, to := client4, server4, s.client, s.server
	if from == 0 {
		from = 50000
	}
	if to == 0 {
		to = 4000
	}
	if s.back {
		src, dst, from, to = dst, src, to, from
	}
	var opts []byte
	if s.ws > 0 {
		opts = append(opts, 3, 3, byte(s.ws), 1)
	}
	if len(s.sack) > 0 {
		opts = append(opts, 1, 1, 5, byte(2+4*len(s.sack)))
		for _, v := range s.sack {
			opts = be.AppendUint32(opts, v)
		}
	}
	b := be.AppendUint16(be.AppendUint16(nil, from), to)
	b = be.AppendUint32(be.AppendUint32(b, s.seq), s.ack)
	b = be.AppendUint16(b, uint16(5+len(opts)/4)<<12|s.flags)
	b = append(be.AppendUint16(b, s.win), 0, 0, 0, 0)
	b = append(b, opts...)
	b = append(b, strings.Repeat("x", s.len)...)
	b = append(b, s.data...)
	return judge.Packet{Time: start + s.at*1000, Data: ip4(6, src, dst, b)}
}

func udp(src, dst uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// script reads segments, one a line: microseconds since the one before, > or
// <, flags by their letters, seq, ack, window, length.
func script(t testing.TB, text string) []judge.Packet {
	t.Helper()
	var pkts []judge.Packet
	at := int64(0)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		var s seg
		at += int64(number(t, f[0]))
		s.at, s.back = at, f[1] == "<"
		for _, c := range f[2] {
			s.flags |= map[rune]uint16{'S': packet.SYN, 'A': packet.ACK, 'F': packet.FIN, 'R': packet.RST, 'P': packet.PSH}[c]
		}
		s.seq, s.ack, s.win, s.len = uint32(number(t, f[3])), uint32(number(t, f[4])), uint16(number(t, f[5])), number(t, f[6])
		for _, o := range f[7:] {
			name, value, _ := strings.Cut(o, "=")
			switch name {
			case "ws":
				s.ws = number(t, value)
			case "port":
				s.client = uint16(number(t, value))
			case "sack":
				l, r, _ := strings.Cut(value, "-")
				s.sack = append(s.sack, uint32(number(t, l)), uint32(number(t, r)))
			}
		}
		pkts = append(pkts, s.packet())
	}
	return pkts
}

func number(t testing.TB, s string) int {
	t.Helper()
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			t.Fatalf("%q is no number", s)
		}
		n = n*10 + int(c-'0')
	}
	return n
}
