package packet_test

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// The packets of the tests are put together by hand, so that they can be
// wrong where a test wants them wrong.

var (
	src4 = netip.MustParseAddr("10.8.0.2")
	dst4 = netip.MustParseAddr("93.184.216.34")
	src6 = netip.MustParseAddr("fd00::2")
	dst6 = netip.MustParseAddr("2001:db8::1")
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func cat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func be16(v ...int) []byte {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, uint16(x))
	}
	return b
}

func be32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

// slowSum is the checksum as RFC 1071 first puts it, 16 bits at a time.
func slowSum(parts ...[]byte) uint16 {
	b := cat(parts...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	s := uint32(0)
	for ; len(b) > 0; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
		for s > 0xffff {
			s = s>>16 + s&0xffff
		}
	}
	return ^uint16(s)
}

type v4 struct {
	proto   byte
	frag    int // flags and offset, as in the header
	ttl     byte
	dscp    byte
	options []byte
}

func (h v4) packet(payload []byte) []byte {
	if h.ttl == 0 {
		h.ttl = 64
	}
	b := cat([]byte{0x45 + byte(len(h.options)/4), h.dscp}, be16(20+len(h.options)+len(payload), 0x1234, h.frag),
		[]byte{h.ttl, h.proto, 0, 0}, src4.AsSlice(), dst4.AsSlice(), h.options)
	binary.BigEndian.PutUint16(b[10:], slowSum(b))
	return append(b, payload...)
}

func ip4(proto byte, payload []byte) []byte {
	return v4{proto: proto}.packet(putSum(proto, payload, src4, dst4))
}

func ip6(next byte, payload []byte) []byte {
	return cat(be32(0x60012345), be16(len(payload)), []byte{next, 64}, src6.AsSlice(), dst6.AsSlice(),
		putSum(next, payload, src6, dst6))
}

// putSum fills in the transport checksum, where there is room for one and it
// is zero.
func putSum(proto byte, payload []byte, src, dst netip.Addr) []byte {
	at := map[byte]int{6: 16, 17: 6, 1: 2, 58: 2}[proto]
	if at == 0 || len(payload) < at+2 || payload[at]|payload[at+1] != 0 {
		return payload
	}
	b := append([]byte(nil), payload...)
	pseudo := cat(src.AsSlice(), dst.AsSlice(), be32(uint32(len(b)), uint32(proto)))
	if proto == 1 {
		pseudo = nil
	}
	s := slowSum(pseudo, b)
	if s == 0 && proto == 17 {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], s)
	return b
}

type seg struct {
	src, dst int
	seq, ack uint32
	flags    int
	win      int
	urg      int
	options  []byte
	payload  string
}

func (s seg) bytes() []byte {
	opts := s.options
	for len(opts)%4 != 0 {
		opts = append(opts[:len(opts):len(opts)], 0)
	}
	return cat(be16(s.src, s.dst), be32(s.seq, s.ack), be16((5+len(opts)/4)<<12|s.flags, s.win, 0, s.urg), opts, []byte(s.payload))
}

func udp(src, dst int, payload []byte) []byte {
	return cat(be16(src, dst, 8+len(payload), 0), payload)
}

func name(s string) []byte {
	var b []byte
	for l := range strings.SplitSeq(s, ".") {
		if l != "" {
			b = append(append(b, byte(len(l))), l...)
		}
	}
	return append(b, 0)
}

func question(n string, typ, class int) []byte { return cat(name(n), be16(typ, class)) }

func record(n string, typ, class int, data []byte) []byte {
	return cat(name(n), be16(typ, class), be32(60), be16(len(data)), data)
}

// dnsMsg counts the records of each section: questions, answers, authority,
// additional.
func dnsMsg(id, flags int, sections ...[][]byte) []byte {
	b := be16(id, flags)
	for i := range 4 {
		n := 0
		if i < len(sections) {
			n = len(sections[i])
		}
		b = append(b, be16(n)...)
	}
	for _, s := range sections {
		b = append(b, cat(s...)...)
	}
	return b
}

var synOptions = []byte{2, 4, 5, 80, 1, 3, 3, 6, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 4, 2}
