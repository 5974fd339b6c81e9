package filter_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// judge is a script for tshark that writes, for each filter of a file, the
// numbers of the frames that match, or what is wrong with it: one pass over a
// capture judges them all.
const judge = `
local out = io.open(os.getenv("TUNDUMP_VERDICTS"), "w")
for line in io.lines(os.getenv("TUNDUMP_FILTERS")) do
  local frames = {}
  local ok, tap = pcall(Listener.new, "frame", line)
  if not ok then
    out:write(line, "\trefused\n")
  else
    function tap.packet(pinfo) frames[#frames + 1] = pinfo.number end
    local text = line
    function tap.draw() out:write(text, "\t", table.concat(frames, " "), "\n") out:flush() end
  end
end
out:flush()
`

// verdicts are the frames that tshark selects by each filter; it has none for
// those that it refuses.
func verdicts(t *testing.T, pkts []timed, filters []string) map[string][]int {
	t.Helper()
	exe, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	dir := t.TempDir()
	script, list, result := filepath.Join(dir, "judge.lua"), filepath.Join(dir, "filters"), filepath.Join(dir, "verdicts")
	for file, text := range map[string]string{script: judge, list: strings.Join(filters, "\n") + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(exe, "-n", "-q", "-r", writeRaw(t, pkts), "-o", "tcp.desegment_tcp_streams:FALSE",
		"-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-X", "lua_script:"+script)
	cmd.Env = append(os.Environ(), "TUNDUMP_FILTERS="+list, "TUNDUMP_VERDICTS="+result)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark: %v: %s", err, errs.String())
	}
	b, err := os.ReadFile(result)
	if err != nil {
		t.Skipf("tshark runs no Lua: %s", errs.String())
	}
	got := map[string][]int{}
	for line := range strings.Lines(string(b)) {
		text, frames, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if frames == "refused" {
			continue
		}
		got[text] = []int{}
		for n := range strings.FieldsSeq(frames) {
			i, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			got[text] = append(got[text], i)
		}
	}
	return got
}

// selected are the packets that our filter selects.
func selected(t *testing.T, pkts []timed, text string) []int {
	t.Helper()
	f, err := filter.Compile(text)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return nil
	}
	frames := []int{}
	var s filter.Scratch
	eachRow(pkts, func(r *field.Row) {
		if f.Match(r, &s) {
			frames = append(frames, int(r.Number))
		}
	})
	return frames
}

// eachRow calls do for the row of each packet, as a session makes it.
func eachRow(pkts []timed, do func(r *field.Row)) {
	table := flow.New(flow.Options{})
	p := packet.NewParser()
	var f packet.Facts
	var a flow.Analysis
	var fragments packet.Datagrams
	for i, pkt := range pkts {
		p.Facts(pkt.data, &f)
		if f.IsFragment() {
			if whole := fragments.Add(0, &f); whole != nil {
				p.Join(&f, whole)
			}
		}
		table.Packet(flow.Packet{Number: int64(i) + 1, Time: pkt.time, Facts: &f}, &a)
		if a.Flags.Repeats() {
			f.App = packet.NoApp
		}
		ev := decode.Event{Kind: decode.Packet, Time: pkt.time, Raw: pkt.data}
		do(&field.Row{Event: &ev, Packet: &f, Flow: &a, Data: pkt.data, Number: int64(i) + 1, Family: -1, Parser: p})
	}
}

// TestTshark has tshark select packets by the same filters. Left out are
// packets on which the two do not have the same layers, whatever is asked:
// those inside protocols that are not read here, fragments, and what is broken
// as an IP packet.
func TestTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 60 captures")
	}
	pkts := realPackets(t)
	text := judged
	protocols := protocolsOf(t, pkts)
	broken := make([]bool, len(pkts)+1)
	eachRow(pkts, func(r *field.Row) {
		f := r.Packet
		broken[r.Number] = f.Problem.IP() || f.IsFragment() && !f.Joined
	})
	theirs := verdicts(t, pkts, slices.Concat(text, refused))
	wrong, compared := 0, 0
	keep := func(n int) bool { return !broken[n] && !tunnelled(protocols[n-1]) }
	for n := range pkts {
		if keep(n + 1) {
			compared++
		}
	}
	for _, f := range text {
		want, ok := theirs[f]
		if !ok {
			t.Errorf("%s: tshark refuses it", f)
			continue
		}
		want = only(want, keep)
		got := only(selected(t, pkts, f), keep)
		missing, extra := difference(want, got), difference(got, want)
		t.Logf("%6d packets  %s", len(want), f)
		if len(missing)+len(extra) > 0 {
			wrong++
			t.Errorf("%s: %d packets are missing, %d too many:%s", f, len(missing), len(extra), examples(protocols, append(missing[:min(3, len(missing))], extra[:min(3, len(extra))]...)))
		}
	}
	for _, f := range refused {
		if _, ok := theirs[f]; ok {
			t.Errorf("%s: tshark takes it", f)
		}
	}
	t.Logf("%d filters, %d of them differ, %d of %d packets", len(text), wrong, compared, len(pkts))
	if compared < 10000 || len(theirs) < 60 {
		t.Errorf("only %d packets and %d filters were compared", compared, len(theirs))
	}
}

func only(list []int, keep func(int) bool) (out []int) {
	for _, n := range list {
		if keep(n) {
			out = append(out, n)
		}
	}
	return out
}

// difference returns what is in a and not in b, both in order.
func difference(a, b []int) (out []int) {
	for _, n := range a {
		if _, found := slices.BinarySearch(b, n); !found {
			out = append(out, n)
		}
	}
	return out
}

func examples(protocols []string, frames []int) string {
	var b strings.Builder
	for _, n := range frames {
		fmt.Fprintf(&b, " %d (%s)", n, protocols[n-1])
	}
	return b.String()
}

// timed is a packet and when it passed, in nanoseconds.
type timed struct {
	time int64
	data []byte
}

// protocolsOf asks tshark for the protocols of each packet.
func protocolsOf(t *testing.T, pkts []timed) []string {
	t.Helper()
	exe, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	out, err := exec.Command(exe, "-n", "-r", writeRaw(t, pkts), "-o", "tcp.desegment_tcp_streams:FALSE", "-T", "fields", "-e", "frame.protocols").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	rows := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(rows) != len(pkts) {
		t.Fatalf("tshark has %d rows for %d packets", len(rows), len(pkts))
	}
	return rows
}

// tunnelled reports whether tshark found more than one IP header: of a packet
// in a packet only the outer one has fields here.
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

// writeRaw writes a classic capture file of link type RAW with nanoseconds.
func writeRaw(t *testing.T, pkts []timed) string {
	t.Helper()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b23c4d)
	b = le.AppendUint16(le.AppendUint16(b, 2), 4)
	for _, v := range []uint32{0, 0, 262144, 101} {
		b = le.AppendUint32(b, v)
	}
	for _, p := range pkts {
		for _, v := range []uint32{uint32(p.time / 1e9), uint32(p.time % 1e9), uint32(len(p.data)), uint32(len(p.data))} {
			b = le.AppendUint32(b, v)
		}
		b = append(b, p.data...)
	}
	file := filepath.Join(t.TempDir(), "raw.pcap")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// realPackets returns the IP packets of the captures in the shared folder,
// which not everybody has.
func realPackets(t *testing.T) []timed {
	t.Helper()
	merge, err := exec.LookPath("mergecap")
	if err != nil {
		t.Skip("mergecap is not installed")
	}
	dir := shared(t, "captures")
	list, err := os.ReadFile(filepath.Join(dir, "captures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var captures []struct{ File, Kind string }
	if err := json.Unmarshal(list, &captures); err != nil {
		t.Fatal(err)
	}
	merged := filepath.Join(t.TempDir(), "all.pcapng")
	args := []string{"-a", "-w", merged}
	for _, c := range captures {
		if c.Kind == "ip" {
			args = append(args, filepath.Join(filepath.Dir(dir), c.File))
		}
	}
	if out, err := exec.Command(merge, args...).CombinedOutput(); err != nil {
		t.Logf("mergecap: %v: %s", err, out) // what it wrote before is there
	}
	return readIP(t, merged)
}

// readIP returns the bytes from the IP header on of a capture file's packets.
func readIP(t *testing.T, file string) []timed {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	var pkts []timed
	for {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return pkts
		} else if err != nil {
			t.Fatal(err)
		}
		link := ci.AncillaryData[0].(layers.LinkType)
		if link == 101 || link == 229 || link == 228 {
			pkts = append(pkts, timed{ci.Timestamp.UnixNano(), data})
			continue
		}
		for _, l := range gopacket.NewPacket(data, link, gopacket.Default).Layers() {
			if typ := l.LayerType(); typ == layers.LayerTypeIPv4 || typ == layers.LayerTypeIPv6 {
				b := slices.Concat(l.LayerContents(), l.LayerPayload())
				pkts = append(pkts, timed{ci.Timestamp.UnixNano(), b})
				break
			}
		}
	}
}

// shared returns a path in the folder beside the repository.
func shared(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Skip("go.mod not found")
		}
		dir = filepath.Dir(dir)
	}
	path = filepath.Join(filepath.Dir(dir), "shared", path)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no shared folder: %v", err)
	}
	return path
}
