package flow_test

import (
	"encoding/binary"
	"testing"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

// transfer is 10 connections on which a server sends 1,400 bytes at a time and
// every second segment is acknowledged.
func transfer() (setup, steady [][]byte) {
	for port := range uint16(10) {
		c := seg{client: 40000 + port, seq: 999, win: 65535, flags: packet.SYN, ws: 7}
		s := seg{client: 40000 + port, back: true, seq: 1999, ack: 1000, win: 65535, flags: packet.SYN | packet.ACK, ws: 7}
		setup = append(setup, c.packet().Data, s.packet().Data)
	}
	for range 3 {
		for port := range uint16(10) {
			s := seg{client: 40000 + port, back: port%2 == 0, win: 512, flags: packet.ACK, len: 1348}
			if len(steady) >= 20 {
				s.back, s.len = !s.back, 0
			}
			steady = append(steady, s.packet().Data)
		}
	}
	return setup, steady
}

// traffic is the steady packets again and again, with sequence numbers that go
// on.
type traffic struct {
	table  *flow.Table
	parser *packet.Parser
	steady [][]byte
	n      int
	sent   [10]uint32
	facts  packet.Facts
	out    flow.Analysis
}

func newTraffic() *traffic {
	setup, steady := transfer()
	t := &traffic{table: flow.New(flow.Options{}), parser: packet.NewParser(), steady: steady}
	for i, b := range setup {
		t.parser.Facts(b, &t.facts)
		t.table.Packet(flow.Packet{Number: int64(i) + 1, Time: int64(i), Facts: &t.facts}, &t.out)
	}
	return t
}

func (t *traffic) next() {
	i := t.n % 30
	port := i % 10
	b := t.steady[i]
	base := uint32(1000)
	if port%2 == 0 {
		base = 2000
	}
	if i < 20 {
		binary.BigEndian.PutUint32(b[24:], base+t.sent[port])
		binary.BigEndian.PutUint32(b[28:], 3000-base)
		t.sent[port] += 1348
	} else {
		binary.BigEndian.PutUint32(b[24:], 3000-base)
		binary.BigEndian.PutUint32(b[28:], base+t.sent[port])
	}
	t.n++
	t.parser.Facts(b, &t.facts)
	t.table.Packet(flow.Packet{Number: int64(t.n), Time: int64(t.n) * 1000, Facts: &t.facts}, &t.out)
}

// BenchmarkPacket is the facts of a packet and its flow's update.
func BenchmarkPacket(b *testing.B) {
	t := newTraffic()
	b.ReportAllocs()
	for b.Loop() {
		t.next()
	}
	if t.out.Flags != 0 {
		b.Errorf("%s", t.out.AppendNotes(nil))
	}
}

// BenchmarkFacts is the part of it that is no concern of flows.
func BenchmarkFacts(b *testing.B) {
	t := newTraffic()
	b.ReportAllocs()
	for b.Loop() {
		t.parser.Facts(t.steady[t.n%30], &t.facts)
		t.n++
	}
}

// BenchmarkAppendInfo is the info column of a packet with a flow.
func BenchmarkAppendInfo(b *testing.B) {
	t := newTraffic()
	t.next()
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = flow.AppendInfo(line[:0], t.parser, &t.facts, &t.out)
	}
}

// BenchmarkHostile is a sender whose segments overlap, go backwards and are
// never acknowledged: the list of them is as long as it gets, and searched
// from end to end for each packet.
func BenchmarkHostile(b *testing.B) {
	k := take(flow.Options{})
	for i := range uint32(5000) {
		k.packet(1, seg{flags: packet.ACK, seq: 1 << 30 >> (i % 7), len: 1, win: 1}.packet())
	}
	data := seg{flags: packet.ACK, seq: 77, len: 5, win: 1}.packet()
	ack := seg{back: true, flags: packet.ACK, ack: 1, win: 1}.packet()
	b.ReportAllocs()
	for b.Loop() {
		k.packet(1, data)
		k.packet(1, ack)
	}
}

func TestNoAllocation(t *testing.T) {
	tr := newTraffic()
	for range 1000 {
		tr.next()
	}
	if n := testing.AllocsPerRun(1000, tr.next); n > 0 {
		t.Errorf("%v allocations a packet", n)
	}
	if tr.out.Flags != 0 || tr.out.AckOf == 0 {
		t.Errorf("%+v", tr.out)
	}
}
