package pcapng_test

import (
	"bytes"
	"io"
	"net/netip"
	"testing"

	"tundump/capture/pcapng"
)

// Classic pcap that was written is read back, what it cannot hold as the
// nearest that it can.
func TestAppendClassic(t *testing.T) {
	b := pcapng.AppendClassicHeader(nil, 101, 65535)
	times := []int64{1795829975_152397290, 0, -5, 1 << 62}
	for _, at := range times {
		b = pcapng.AppendClassicPacket(b, &pcapng.Packet{Time: at, Data: []byte{0x45, 0}, Length: 99})
	}
	r := pcapng.NewReader(bytes.NewReader(b))
	var block pcapng.Block
	var p pcapng.Packet
	var got []int64
	for {
		err := r.Next(&block)
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !block.IsPacket() {
			continue
		}
		if err := block.Packet(&p); err != nil || p.Length != 99 || len(p.Data) != 2 || block.Section().Interfaces[0].LinkType != 101 {
			t.Fatalf("%+v: %v", p, err)
		}
		got = append(got, p.Time)
	}
	if want := []int64{times[0], 0, 0, (1<<32)*1e9 - 1}; len(got) != 4 || got[0] != want[0] || got[1] != 0 || got[2] != 0 || got[3] != want[3] {
		t.Errorf("times %v, want %v", got, want)
	}
}

// A name resolution block can be passed over, whatever the names are; tshark
// reads it in the tests of tundump export.
func TestAppendNames(t *testing.T) {
	b := pcapng.AppendSection(nil, "x")
	b = pcapng.AppendNames(b, []pcapng.Name{
		{Addr: netip.MustParseAddr("10.8.0.1"), Name: "a"}, {Addr: netip.MustParseAddr("fd00::1"), Name: "b\x00c"},
		{Name: "no address"}, {Addr: netip.MustParseAddr("10.8.0.2")}, {Addr: netip.MustParseAddr("10.8.0.3"), Name: string(bytes.Repeat([]byte("x"), 1<<17))},
	})
	if bytes.Contains(b, []byte("no address")) || bytes.Contains(b, []byte("c\x00")) || len(b) > 500 {
		t.Errorf("%q", b)
	}
	r := pcapng.NewReader(bytes.NewReader(b))
	var block pcapng.Block
	types := 0
	for ; ; types++ {
		if err := r.Next(&block); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if types != 2 || block.Type != pcapng.NameResolution {
		t.Errorf("%d blocks, the last of type %d", types, block.Type)
	}
}
