package judge

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Packet is an IP packet and when it passed, in nanoseconds since 1970.
type Packet struct {
	Time int64
	Data []byte
}

// WriteRaw writes a classic capture file of link type RAW with nanoseconds.
func WriteRaw(tb testing.TB, pkts []Packet) string {
	tb.Helper()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b23c4d)
	b = le.AppendUint16(le.AppendUint16(b, 2), 4)
	for _, v := range []uint32{0, 0, 262144, 101} {
		b = le.AppendUint32(b, v)
	}
	for _, p := range pkts {
		for _, v := range []uint32{uint32(p.Time / 1e9), uint32(p.Time % 1e9), uint32(len(p.Data)), uint32(len(p.Data))} {
			b = le.AppendUint32(b, v)
		}
		b = append(b, p.Data...)
	}
	file := filepath.Join(tb.TempDir(), "raw.pcap")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// Merged puts the real captures of IP traffic into one file, because tshark
// takes longer to start than to read any of them.
func Merged(tb testing.TB) string {
	tb.Helper()
	merge := Program(tb, "mergecap")
	dir := Shared(tb, "captures")
	list, err := os.ReadFile(filepath.Join(dir, "captures.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var captures []struct{ File, Kind string }
	if err := json.Unmarshal(list, &captures); err != nil {
		tb.Fatal(err)
	}
	merged := filepath.Join(tb.TempDir(), "all.pcapng")
	args := []string{"-a", "-w", merged}
	for _, c := range captures {
		if c.Kind == "ip" {
			args = append(args, filepath.Join(filepath.Dir(dir), c.File))
		}
	}
	if out, err := exec.Command(merge, args...).CombinedOutput(); err != nil {
		tb.Logf("mergecap: %v: %s", err, out) // what it wrote before is there
	}
	return merged
}

// RealPackets returns the IP packets of the real captures.
func RealPackets(tb testing.TB) []Packet {
	tb.Helper()
	return readIP(tb, Merged(tb))
}

// readIP returns the bytes from the IP header on of a capture file's packets.
func readIP(tb testing.TB, file string) []Packet {
	tb.Helper()
	in, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer in.Close()
	r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		tb.Fatal(err)
	}
	var pkts []Packet
	for {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return pkts
		} else if err != nil {
			tb.Fatal(err)
		}
		link := ci.AncillaryData[0].(layers.LinkType)
		if link == 101 || link == 229 || link == 228 {
			pkts = append(pkts, Packet{ci.Timestamp.UnixNano(), data})
			continue
		}
		for _, l := range gopacket.NewPacket(data, link, gopacket.Default).Layers() {
			if typ := l.LayerType(); typ == layers.LayerTypeIPv4 || typ == layers.LayerTypeIPv6 {
				pkts = append(pkts, Packet{ci.Timestamp.UnixNano(), slices.Concat(l.LayerContents(), l.LayerPayload())})
				break
			}
		}
	}
}
