package packet_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"iter"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"howett.net/plist"

	"tundump/capture/judge"
	"tundump/decode/packet"
)

// TestVectors: a packet that is wrong as an IP packet is found to be so.
func TestVectors(t *testing.T) {
	var expected struct {
		Vectors []struct {
			File     string
			Analyzer struct{ Warnings []string }
		}
	}
	b, err := os.ReadFile(judge.Shared(t, "vectors", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &expected); err != nil {
		t.Fatal(err)
	}
	p := packet.NewParser()
	count := 0
	for _, v := range expected.Vectors {
		named := strings.HasPrefix(v.File, "edge-packets-ip-")
		if !named && !strings.HasPrefix(v.File, "ok-09-packets") {
			continue
		}
		count++
		rec, err := os.ReadFile(judge.Shared(t, "vectors", v.File))
		if err != nil {
			t.Fatal(err)
		}
		var msg struct {
			Packets [][]byte `plist:"packets"`
		}
		if _, err := plist.Unmarshal(rec[4:], &msg); err != nil {
			t.Fatalf("%s: %v", v.File, err)
		}
		for _, pkt := range msg.Packets {
			var f packet.Facts
			p.Facts(pkt, &f)
			want := ""
			if named {
				want = "inner-ip"
			}
			if f.Problem.Code() != want {
				t.Errorf("%s: %x: problem %q, code %q, want %q", v.File, pkt, f.Problem, f.Problem.Code(), want)
			}
		}
	}
	if count < 17 {
		t.Errorf("only %d vectors", count)
	}
}

// TestCrashers reads the packets that make gopacket panic or read too far.
func TestCrashers(t *testing.T) {
	for _, file := range []string{"gopacket_crashers_run1.tsv", "gopacket_crashers_run2_capclipped.tsv"} {
		b, err := os.ReadFile(judge.Shared(t, "vectors", file))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(b)) {
			columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
			pkt, err := hex.DecodeString(columns[len(columns)-1])
			if err != nil {
				continue // the heading
			}
			n++
			exercise(t, pkt)
			exercise(t, ip4(17, pkt))
			exercise(t, ip6(58, pkt))
			exercise(t, ip4(17, udp(53, 5353, pkt)))
		}
		if n < 100 {
			t.Errorf("%s: only %d packets", file, n)
		}
	}
}

// TestCaptures compares the facts with tshark's over real traffic.
func TestCaptures(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 65 captures")
	}
	file := judge.Merged(t)
	rows := tshark(t, file, "frame.protocols", "ip.src", "ip.dst", "ip.proto", "ipv6.src", "ipv6.dst", "ipv6.nxt",
		"tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport")
	p := packet.NewParser()
	frame, compared := -1, 0
	for b := range rawPackets(t, file) {
		frame++
		if b == nil || frame >= len(rows) || len(rows[frame]) != 11 || tunnelled(rows[frame][0]) {
			continue
		}
		everything(t, p, b)
		var f packet.Facts
		p.Facts(b, &f)
		if f.IsFragment() || f.Header == nil {
			continue
		}
		compared++
		compareRow(t, frame+1, &f, rows[frame])
	}
	t.Logf("%d packets compared", compared)
	if compared < 10000 {
		t.Errorf("only %d packets compared", compared)
	}
}

func compareRow(t *testing.T, frame int, f *packet.Facts, row []string) {
	check := func(what string, got any, want string) {
		t.Helper()
		if g := toText(got); g != want && want != "" {
			t.Errorf("frame %d: %s %s, tshark has %s (%s)", frame, what, g, want, row[0])
		}
	}
	if f.Version == 4 {
		check("ip.src", f.Src, row[1])
		check("ip.dst", f.Dst, row[2])
		check("ip.proto", int(f.Proto), row[3])
	} else {
		check("ipv6.src", f.Src, row[4])
		check("ipv6.dst", f.Dst, row[5])
		check("ipv6.nxt", int(f.NextHeader), row[6])
	}
	switch f.Transport {
	case packet.TCP:
		check("tcp.srcport", int(f.SrcPort), row[7])
		check("tcp.dstport", int(f.DstPort), row[8])
	case packet.UDP:
		check("udp.srcport", int(f.SrcPort), row[9])
		check("udp.dstport", int(f.DstPort), row[10])
	default:
		check("no ports", "", row[7])
	}
}

func toText(v any) string {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v)
	case netip.Addr:
		return v.String()
	}
	return v.(string)
}

// tunnelled reports whether tshark found more than one IP header, or an
// encapsulation that may hide one.
func tunnelled(protocols string) bool {
	n := 0
	for p := range strings.SplitSeq(protocols, ":") {
		switch p {
		case "ip", "ipv6":
			n++
		case "gre", "ah", "l2tp", "gtp", "vxlan", "capwap":
			return true
		}
	}
	return n != 1
}

// rawPackets yields, for each frame, the bytes from its IP header on, as
// tshark cuts them out of the frame; nil where there is none.
func rawPackets(t *testing.T, file string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		dec := json.NewDecoder(bytes.NewReader(judge.Tshark(t, file, "-T", "jsonraw", "-j", "frame_raw ip_raw ipv6_raw")))
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		for dec.More() {
			var frame struct {
				Source struct {
					Layers map[string]json.RawMessage `json:"layers"`
				} `json:"_source"`
			}
			if err := dec.Decode(&frame); err != nil {
				t.Fatal(err)
			}
			if !yield(rawPacket(frame.Source.Layers)) {
				return
			}
		}
	}
}

func rawPacket(layers map[string]json.RawMessage) []byte {
	whole, _ := rawLayer(layers["frame_raw"])
	raw := layers["ip_raw"]
	if raw == nil {
		raw = layers["ipv6_raw"]
	}
	b, off := rawLayer(raw)
	if len(b) == 0 || off+len(b) > len(whole) || !bytes.Equal(whole[off:off+len(b)], b) {
		return nil
	}
	return whole[off:len(whole):len(whole)]
}

// rawLayer reads what jsonraw says of a layer: its bytes in hexadecimal and
// where in the frame they begin.
func rawLayer(raw json.RawMessage) (b []byte, off int) {
	var parts []any
	if json.Unmarshal(raw, &parts) != nil || len(parts) < 3 {
		return nil, 0
	}
	text, ok := parts[0].(string)
	at, ok2 := parts[1].(float64)
	if !ok || !ok2 {
		return nil, 0
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, 0
	}
	return b, int(at)
}
