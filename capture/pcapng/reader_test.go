package pcapng

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"

	"tundump/capture/judge"
)

// walk reads a file to its end.
func walk(t testing.TB, r *Reader) (packets []Packet, offsets []int64, err error) {
	t.Helper()
	var b Block
	for {
		if err := r.Next(&b); err != nil {
			return packets, offsets, err
		}
		var p Packet
		if b.IsPacket() && b.Packet(&p) == nil {
			p.Data = bytes.Clone(p.Data)
			for i := range p.Comments {
				p.Comments[i] = bytes.Clone(p.Comments[i])
			}
			packets = append(packets, p)
			offsets = append(offsets, b.Offset)
		}
	}
}

// sample is a file of a section with two interfaces, three packets and
// statistics.
func sample() []byte {
	b := AppendSection(nil, "tundump test")
	b = AppendInterface(b, &Interface{LinkType: 1, SnapLen: 262144, Name: "client side"})
	b = AppendInterface(b, &Interface{LinkType: 276, Name: "x", Description: "y"})
	for i := range 3 {
		b = AppendPacket(b, &Packet{Interface: i % 2, Time: 1_700_000_000_123_456_789 + int64(i), Flags: Inbound, Data: []byte("head"),
			Comments: [][]byte{[]byte("first"), {}, []byte("äöü")}}, []byte("er"), bytes.Repeat([]byte("p"), i))
	}
	return AppendStatistics(b, &Statistics{Interface: 1, Time: 5, Start: 4, Received: 3, Dropped: 1, Comment: "waited"})
}

func TestWrittenIsRead(t *testing.T) {
	r := NewReader(iotest.OneByteReader(bytes.NewReader(sample())))
	packets, offsets, err := walk(t, r)
	if err != io.EOF || len(packets) != 3 {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	for i, p := range packets {
		if p.Interface != i%2 || p.Time != 1_700_000_000_123_456_789+int64(i) || p.Flags != Inbound || p.Length != 6+i ||
			string(p.Data) != "header"+"pp"[:i] || len(p.Comments) != 3 || string(p.Comments[0]) != "first" || len(p.Comments[1]) != 0 || string(p.Comments[2]) != "äöü" {
			t.Errorf("packet %d: %+v", i, p)
		}
		var again Packet
		if err := r.section.ReadAt(bytes.NewReader(sample()), offsets[i], nil, &again); err != nil || !bytes.Equal(again.Data, p.Data) {
			t.Errorf("packet %d read again: %+v, %v", i, again, err)
		}
	}
	if s := r.section; s.Application != "tundump test" || s.Interfaces[1].LinkType != 276 || s.Interfaces[1].Name != "x" || s.Interfaces[1].Description != "y" {
		t.Errorf("%+v", s)
	}
}

func TestCut(t *testing.T) {
	whole := sample()
	ends := map[int]bool{}
	r := NewReader(bytes.NewReader(whole))
	var b Block
	for r.Next(&b) == nil {
		ends[int(r.Offset())] = true
	}
	for n := 4; n < len(whole); n++ {
		r := NewReader(bytes.NewReader(whole[:n]))
		_, _, err := walk(t, r)
		var d *DamageError
		switch {
		case ends[n] && err != io.EOF:
			t.Errorf("cut between blocks at %d: %v", n, err)
		case !ends[n] && (!errors.As(err, &d) || !d.Cut || d.Offset != r.Offset()):
			t.Errorf("cut inside a block at %d: %v", n, err)
		}
	}
}

// The files of DEPENDENCIES.md that pcapgo fails on, and their like. Each has
// a section, an interface, and is bad behind that or in it.
func TestHostile(t *testing.T) {
	head := "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000"
	iface := "01000000140000006500000000000000" + "14000000"
	packet := "0600000034000000000000000000000001000000140000001400000045000014000000004000403b0a0000010a00000234000000"
	for name, test := range map[string]struct {
		file    string
		packets int
		damage  int64 // offset, or -1 for a clean end
	}{
		"section alone":            {head, 0, -1},
		"one packet":               {head + iface + packet, 1, -1},
		"4 GiB of packet claimed":  {head + iface + packet[:40] + "f0fffffff0ffffff" + packet[56:], 0, -1},
		"length 0":                 {head + iface + "9900000000000000" + packet, 0, 48},
		"length 13":                {head + iface + "990000000d000000" + packet, 0, 48},
		"length beyond the limit":  {head + iface + "99000000fcffffff" + packet, 0, 48},
		"lengths differ":           {head + iface + packet[:96] + "38000000", 0, 48},
		"option beyond the block":  {head + "01000000180000006500000000000000" + "0200ffff" + "18000000" + packet, 1, -1},
		"resolution 2^-64":         {head + "01000000200000006500000000000000" + "0900010040000000" + "00000000" + "20000000" + packet, 1, -1},
		"packet without interface": {head + packet, 0, -1},
		"interface too short":      {head + "0100000010000000" + "65000000" + "10000000", 0, 28},
		"version 2":                {"0a0d0d0a1c0000004d3c2b1a02000000ffffffffffffffff1c000000", 0, 0},
		"no byte order":            {"0a0d0d0a1c000000004000000100000000000000000000001c000000", 0, 0},
		"unknown block":            {head + iface + "990000000c0000000c000000" + packet, 1, -1},
		"second section":           {head + iface + packet + head + iface + packet, 2, -1},
	} {
		b, err := hex.DecodeString(test.file)
		if err != nil {
			t.Fatal(err)
		}
		packets, _, err := walk(t, NewReader(bytes.NewReader(b)))
		var d *DamageError
		switch {
		case len(packets) != test.packets:
			t.Errorf("%s: %d packets (%v)", name, len(packets), err)
		case test.damage < 0 && err != io.EOF:
			t.Errorf("%s: %v", name, err)
		case test.damage >= 0 && (!errors.As(err, &d) || d.Cut || d.Offset != test.damage):
			t.Errorf("%s: %v, want damage at %d", name, err, test.damage)
		}
	}
}

// A length that the file does not have must not become memory.
func TestClaimedLengthCostsNothing(t *testing.T) {
	b := AppendInterface(AppendSection(nil, ""), &Interface{})
	b = binary.LittleEndian.AppendUint32(b, EnhancedPacket)
	b = binary.LittleEndian.AppendUint32(b, MaxBlock)
	b = append(b, make([]byte, 100)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := walk(t, NewReader(bytes.NewReader(b)))
	r := NewReader(bytes.NewReader(b[:len(b)-108]))
	walk(t, r)
	var p Packet
	rerr := r.section.ReadAt(bytes.NewReader(b), int64(len(b)-108), nil, &p)
	runtime.ReadMemStats(&after)
	var d *DamageError
	if !errors.As(err, &d) || !d.Cut || !errors.As(rerr, &d) || !d.Cut {
		t.Errorf("%v, %v", err, rerr)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func TestTime(t *testing.T) {
	for _, test := range []struct {
		resolution uint8
		offset     int64
		stamp      uint64
		want       int64
	}{
		{6, 0, 1_700_000_000_123_456, 1_700_000_000_123_456_000},
		{9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789},
		{0, 0, 1_700_000_000, 1_700_000_000e9},
		{12, 0, 1_999, 1},
		{127, 0, math.MaxUint64, 0},
		{0x80 | 10, 0, 1024 + 512, 1_500_000_000},
		{0x80, 0, 7, 7e9},
		{64, 0, math.MaxUint64, 0},
		{0xc0, 0, 1 << 63, 500_000_000},
		{0xff, 0, math.MaxUint64, 0},
		{0, 0, math.MaxUint64, math.MaxInt64},
		{9, 0, math.MaxUint64, math.MaxInt64},
		{6, 100, 5, 100_000_005_000},
		{6, -1, 1_000_000, 0},
		{6, math.MaxInt64, 5, math.MaxInt64},
		{6, math.MinInt64, 5, math.MinInt64},
	} {
		i := Interface{Resolution: test.resolution, TimeOffset: test.offset}
		if got := i.Time(test.stamp); got != test.want {
			t.Errorf("resolution %#x, offset %d, stamp %d: %d, want %d", test.resolution, test.offset, test.stamp, got, test.want)
		}
	}
}

// bigEndian is a section of that byte order with the packets of three kinds of
// block.
func bigEndian() []byte {
	var b []byte
	block := func(typ uint32, body ...any) {
		var w bytes.Buffer
		for _, v := range body {
			if err := binary.Write(&w, binary.BigEndian, v); err != nil {
				panic(err)
			}
		}
		n := uint32(12 + w.Len())
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, typ), n)
		b = binary.BigEndian.AppendUint32(append(b, w.Bytes()...), n)
	}
	block(SectionHeader, uint32(byteOrder), uint16(1), uint16(0), int64(-1))
	block(InterfaceDescription, uint16(1), uint16(0), uint32(5), uint16(optIfOffset), uint16(8), int64(10))
	block(EnhancedPacket, uint32(0), uint32(0), uint32(1_000_000), uint32(3), uint32(9), []byte("abc\x00"), uint16(optFlags), uint16(4), uint32(Outbound))
	block(SimplePacket, uint32(9), []byte("abcde\x00\x00\x00"))
	block(OldPacket, uint16(0), uint16(0xffff), uint32(0), uint32(2_000_000), uint32(1), uint32(1), []byte("x\x00\x00\x00"))
	return b
}

func TestBigEndianAndOldBlocks(t *testing.T) {
	packets, _, err := walk(t, NewReader(bytes.NewReader(append(sample(), bigEndian()...))))
	if err != io.EOF || len(packets) != 6 {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	for i, want := range []Packet{
		{Time: 11e9, Length: 9, Flags: Outbound, Data: []byte("abc")},
		{Length: 9, Data: []byte("abcde")},
		{Time: 12e9, Length: 1, Data: []byte("x")},
	} {
		if got := packets[3+i]; got.Time != want.Time || got.Length != want.Length || got.Flags != want.Flags || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("packet %d: %+v, want %+v", i, got, want)
		}
	}
}

func TestClassic(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, magic := range []uint32{magicMicro, magicNano} {
			b := order.AppendUint32(nil, magic)
			b = order.AppendUint16(order.AppendUint16(b, 2), 4)
			for _, v := range []uint32{0, 0, 65535, 113} {
				b = order.AppendUint32(b, v)
			}
			for _, v := range []uint32{1_700_000_000, 123_456, 3, 77} {
				b = order.AppendUint32(b, v)
			}
			b = append(b, "abc"...)
			r := NewReader(bytes.NewReader(b))
			packets, offsets, err := walk(t, r)
			if err != io.EOF || len(packets) != 1 || offsets[0] != 24 {
				t.Fatalf("%v %#x: %d packets at %v, %v", order, magic, len(packets), offsets, err)
			}
			want := int64(1_700_000_000_123_456_000)
			if magic == magicNano {
				want = 1_700_000_000_000_123_456
			}
			if p := packets[0]; p.Time != want || p.Length != 77 || string(p.Data) != "abc" || r.section.Interfaces[0].LinkType != 113 {
				t.Errorf("%v %#x: %+v", order, magic, p)
			}
			_, _, err = walk(t, NewReader(bytes.NewReader(b[:len(b)-1])))
			var d *DamageError
			if !errors.As(err, &d) || !d.Cut || d.Offset != 24 {
				t.Errorf("%v %#x, cut: %v", order, magic, err)
			}
		}
	}
}

func TestRealCaptures(t *testing.T) {
	dir := judge.Shared(t, ".")
	list, err := os.ReadFile(filepath.Join(dir, "captures", "captures.json"))
	if err != nil {
		t.Skip(err)
	}
	var captures []struct {
		File    string `json:"file"`
		Packets int    `json:"packets_tshark"`
		Kind    string `json:"kind"`
		Types   []struct {
			Value int `json:"value"`
		} `json:"linktypes"`
	}
	if err := json.Unmarshal(list, &captures); err != nil {
		t.Fatal(err)
	}
	for _, c := range captures {
		f, err := os.Open(filepath.Join(dir, c.File))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(f)
		packets, _, err := walk(t, r)
		switch {
		case c.Kind == "damaged":
			t.Logf("%s: %d packets, tshark %d; %v", c.File, len(packets), c.Packets, err)
		case err != io.EOF || len(packets) != c.Packets:
			t.Errorf("%s: %d packets, tshark %d; %v", c.File, len(packets), c.Packets, err)
		}
		if len(c.Types) == 1 && len(r.section.Interfaces) > 0 && int(r.section.Interfaces[0].LinkType) != c.Types[0].Value {
			t.Errorf("%s: link type %d", c.File, r.section.Interfaces[0].LinkType)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(sample())
	f.Add(bigEndian())
	f.Add(append(sample(), bigEndian()...))
	f.Add(append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0}, make([]byte, 60)...))
	f.Fuzz(func(t *testing.T, file []byte) {
		r := NewReader(iotest.HalfReader(bytes.NewReader(file)))
		var b Block
		var p, again Packet
		var at int64
		for {
			err := r.Next(&b)
			if err != nil {
				var d *DamageError
				if errors.As(err, &d) && (d.Offset > at || d.Offset < 0) {
					t.Fatalf("damage at %d, the blocks end at %d", d.Offset, at)
				}
				if err == io.EOF && int(at) != len(file) {
					t.Fatalf("a clean end at %d of %d", at, len(file))
				}
				return
			}
			if b.Offset != at || !bytes.Equal(b.Raw, file[at:at+int64(len(b.Raw))]) {
				t.Fatalf("block at %d, the last one ended at %d", b.Offset, at)
			}
			at += int64(len(b.Raw))
			if !b.IsPacket() {
				continue
			}
			err = b.Packet(&p)
			if rerr := b.Section().ReadAt(bytes.NewReader(file), b.Offset, nil, &again); rerr != err {
				t.Fatalf("block at %d: %v, then %v", b.Offset, err, rerr)
			}
			if err != nil {
				continue
			}
			if !bytes.Equal(p.Data, again.Data) || p.Time != again.Time || len(p.Comments) != len(again.Comments) ||
				!bytes.Equal(p.Data, b.Raw[p.Start:p.Start+len(p.Data)]) || p.Interface >= len(b.Section().Interfaces) {
				t.Fatalf("block at %d: %+v, then %+v", b.Offset, p, again)
			}
		}
	})
}

func BenchmarkAppendPacket(b *testing.B) {
	p := &Packet{Time: 1, Flags: Inbound, Data: make([]byte, 54), Comments: [][]byte{[]byte("tundump:1 T1 #7 c2s off=4711 len=1400")}}
	record := make([]byte, 1400)
	dst := make([]byte, 0, 4096)
	b.SetBytes(int64(len(record)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendPacket(dst[:0], p, record)
	}
}

func BenchmarkReader(b *testing.B) {
	file := AppendInterface(AppendSection(nil, ""), &Interface{})
	p := &Packet{Time: 1, Flags: Inbound, Data: make([]byte, 1454), Comments: [][]byte{[]byte("tundump:1 T1 #7 c2s off=4711 len=1400")}}
	const packets = 1000
	for range packets {
		file = AppendPacket(file, p)
	}
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(bytes.NewReader(file))
		var blk Block
		var p Packet
		n := 0
		for r.Next(&blk) == nil {
			if blk.IsPacket() && blk.Packet(&p) == nil {
				n++
			}
		}
		if n != packets {
			b.Fatal(n)
		}
	}
}
