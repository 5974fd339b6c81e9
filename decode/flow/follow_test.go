package flow_test

import (
	"bytes"
	"strings"
	"testing"

	"tundump/decode/flow"
	"tundump/decode/packet"
	"tundump/decode/reasm"
)

// followed runs segments through a follower and writes down what comes out:
// ">" or "<", then the bytes or the gap.
func followed(t testing.TB, m *reasm.Memory, segments []packet.Facts, sides []uint8) string {
	t.Helper()
	f := flow.Follower{Memory: m}
	var out strings.Builder
	var sent [2]int64
	use := func(c *flow.Chunk) {
		if c.Offset != sent[c.Side] || (c.Gap > 0) == (len(c.Data) > 0) {
			t.Fatalf("%+v when %d bytes had come", c, sent[c.Side])
		}
		sent[c.Side] += c.Gap + int64(len(c.Data))
		out.WriteByte("><"[c.Side])
		if c.Gap > 0 {
			out.Write(flow.AppendGap(nil, c.Gap))
		}
		out.Write(c.Data)
	}
	for i := range segments {
		f.Packet(flow.Packet{Number: int64(i + 1), Facts: &segments[i]}, &flow.Analysis{Side: sides[i]}, use)
	}
	f.End(use)
	return out.String()
}

func tcpFacts(flags uint16, seq, ack uint32, data string) packet.Facts {
	return packet.Facts{Transport: packet.TCP, L4Complete: true, Flags: flags, Seq: seq, Ack: ack, TCPHdrLen: 20, HdrLen: 20,
		TotalLen: 40 + len(data), Payload: []byte(data), PayloadLen: len(data)}
}

func TestFollower(t *testing.T) {
	const s, a = packet.SYN, packet.ACK
	open := []packet.Facts{tcpFacts(s, 99, 0, ""), tcpFacts(s|a, 499, 100, "")}
	for name, c := range map[string]struct {
		segments []packet.Facts
		sides    []uint8
		want     string
	}{
		"in order":           {[]packet.Facts{tcpFacts(a, 100, 500, "ab"), tcpFacts(a, 500, 102, "x"), tcpFacts(a, 102, 501, "c")}, []uint8{0, 1, 0}, ">ab<x>c"},
		"again":              {[]packet.Facts{tcpFacts(a, 100, 500, "ab"), tcpFacts(a, 100, 500, "abc")}, []uint8{0, 0}, ">ab>c"},
		"out of order":       {[]packet.Facts{tcpFacts(a, 102, 500, "c"), tcpFacts(a, 500, 100, "x"), tcpFacts(a, 100, 500, "ab")}, []uint8{0, 1, 0}, "<x>ab>c"},
		"missing":            {[]packet.Facts{tcpFacts(a, 102, 500, "c"), tcpFacts(a, 500, 103, "x"), tcpFacts(a, 103, 500, "d")}, []uint8{0, 1, 0}, ">[2 bytes missing in capture file]>c<x>d"},
		"missing at the end": {[]packet.Facts{tcpFacts(a, 102, 500, "c")}, []uint8{0}, ">[2 bytes missing in capture file]>c"},
		"acknowledged first": {[]packet.Facts{tcpFacts(a, 500, 103, "x"), tcpFacts(a, 102, 500, "c"), tcpFacts(a, 100, 500, "ab")}, []uint8{1, 0, 0}, "<x>ab>c"},
	} {
		if got := followed(t, nil, append(open[:2:2], c.segments...), append([]uint8{0, 1}, c.sides...)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got := followed(t, nil, []packet.Facts{tcpFacts(a, 7000, 1, "mid"), tcpFacts(a, 7003, 1, "dle")}, []uint8{0, 0}); got != ">mid>dle" {
		t.Errorf("from the middle: %s", got)
	}
	udp := packet.Facts{Transport: packet.UDP, Payload: []byte("q")}
	if got := followed(t, nil, []packet.Facts{udp, udp}, []uint8{0, 1}); got != ">q<q" {
		t.Errorf("datagrams: %s", got)
	}
}

func TestFollowFormats(t *testing.T) {
	b := append([]byte("\x00tab\there\r\n"), bytes.Repeat([]byte{'~', 0x7f, 0xc3}, 3)...)
	if got := string(flow.AppendFollowText(nil, b, false)); got != ".tab.here\r\n~..~..~.." {
		t.Errorf("%q", got)
	}
	if got := string(flow.AppendFollowText(nil, b, true)); got != ".tab.here\n~..~..~.." {
		t.Errorf("for a terminal: %q", got)
	}
	want := "\t0000000F  00 74 61 62 09 68 65 72  65 0d 0a 7e 7f c3 7e 7f  .tab.her e..~..~.\n" +
		"\t0000001F  c3 7e 7f c3                                       .~..\n"
	if got := string(flow.AppendFollowHex(nil, "\t", 15, b)); got != want {
		t.Errorf("\n%q\n%q", got, want)
	}
	if got := string(flow.AppendFollowHex(nil, "", 1<<33, []byte{1})); !strings.HasPrefix(got, "200000000  01 ") {
		t.Errorf("%q", got)
	}
}

// FuzzFollower: whatever comes, the chunks of a side follow each other, the
// memory held is bounded and given back.
func FuzzFollower(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x03abc\x12\x80\x01\x02xy\x10\x05\x00\x04last"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var segments []packet.Facts
		var sides []uint8
		for len(b) >= 4 {
			n := min(int(b[3]), len(b)-4)
			seq := uint32(b[1])<<4 | uint32(b[2])
			segments = append(segments, tcpFacts(uint16(b[0]&0x3f), seq, seq^uint32(b[3]), string(b[4:4+n])))
			sides = append(sides, b[0]>>7)
			b = b[4+n:]
		}
		m := &reasm.Memory{Stream: 1000, Total: 1500}
		followed(t, m, segments, sides)
		if m.Used() != 0 {
			t.Errorf("%d bytes are still held", m.Used())
		}
	})
}
