package filter_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tundump/capture/judge"
	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// judgeScript is a script for tshark that writes, for each filter of a file, the
// numbers of the frames that match, or what is wrong with it: one pass over a
// capture judges them all.
const judgeScript = `
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
func verdicts(t *testing.T, pkts []judge.Packet, filters []string) map[string][]int {
	t.Helper()
	exe := judge.Program(t, "tshark")
	dir := t.TempDir()
	script, list, result := filepath.Join(dir, "judge.lua"), filepath.Join(dir, "filters"), filepath.Join(dir, "verdicts")
	for file, text := range map[string]string{script: judgeScript, list: strings.Join(filters, "\n") + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(exe, "-n", "-q", "-r", judge.WriteRaw(t, pkts), "-o", "tcp.desegment_tcp_streams:FALSE",
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
func selected(t *testing.T, pkts []judge.Packet, text string) []int {
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
func eachRow(pkts []judge.Packet, do func(r *field.Row)) {
	table := flow.New(flow.Options{})
	p := packet.NewParser()
	var f packet.Facts
	var a flow.Analysis
	var fragments packet.Datagrams
	for i, pkt := range pkts {
		p.Facts(pkt.Data, &f)
		if f.IsFragment() {
			if whole := fragments.Add(0, int64(i)+1, &f); whole != nil {
				p.Join(&f, whole)
			}
		}
		table.Packet(flow.Packet{Number: int64(i) + 1, Time: pkt.Time, Facts: &f}, &a)
		if a.Flags.Repeats() {
			f.App = packet.NoApp
		}
		ev := decode.Event{Kind: decode.Packet, Time: pkt.Time, Raw: pkt.Data}
		do(&field.Row{Event: &ev, Packet: &f, Flow: &a, Data: pkt.Data, Number: int64(i) + 1, Family: -1, Parser: p})
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
	pkts := judge.RealPackets(t)
	text := judged
	protocols := protocolsOf(t, pkts)
	broken := make([]bool, len(pkts)+1)
	eachRow(pkts, func(r *field.Row) {
		f := r.Packet
		broken[r.Number] = f.Problem.IP() || f.IsFragment()
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

// protocolsOf asks tshark for the protocols of each packet.
func protocolsOf(t *testing.T, pkts []judge.Packet) []string {
	t.Helper()
	rows := judge.Fields(t, judge.WriteRaw(t, pkts), []string{"-o", "tcp.desegment_tcp_streams:FALSE"}, "frame.protocols")
	if len(rows) != len(pkts) {
		t.Fatalf("tshark has %d rows for %d packets", len(rows), len(pkts))
	}
	return slices.Concat(rows...)
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
