package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tundump/capture/pcapng"
	"tundump/capture/session"
	"tundump/capture/sniff"
	"tundump/decode"
	"tundump/decode/rewrite"
)

// The demo's session, played again into the stack that it came from, is the
// same, however it is played; and what is wrong is one line.
func TestReplayNetstack(t *testing.T) {
	dir := t.TempDir()
	file, again, report := filepath.Join(dir, "demo.pcapng"), filepath.Join(dir, "again.pcapng"), filepath.Join(dir, "report.json")
	if code := run([]string{"demo", "-w", file, "-q", "--no-tui"}, strings.NewReader(""), io.Discard, io.Discard); code != 0 {
		t.Fatal("demo: exit", code)
	}
	replay := func(args ...string) (j jsonReplay, code int, out, said string) {
		t.Helper()
		var stdout, stderr lockedBuffer
		code = run(append([]string{"replay", file, "--netstack", "--report", "json=" + report}, args...), strings.NewReader(strings.Repeat(" ", 5000)), &stdout, &stderr)
		if b, err := os.ReadFile(report); err == nil {
			if err := json.Unmarshal(b, &j); err != nil {
				t.Fatal(err)
			}
		}
		return j, code, stdout.String(), stderr.String()
	}
	for _, pace := range [][]string{{"-t"}, {"-x", "4"}, {"-p", "5000"}, {"-M", "50"}, {"-o"}, {"--maxsleep", "1"}, {"-t", "-w", again}, {"-t", "--map", "10.8.0.0/24=10.77.0.0/24", "--portmap", "80=80", "--ttl", "+1"}} {
		j, code, out, said := replay(pace...)
		if code != 0 || !j.Same || j.Answered != int64(7*max(1, j.Loops)) {
			t.Errorf("%v: exit %d\n%s%s", pace, code, out, said)
		}
		if !strings.Contains(said, "sending ") || !strings.Contains(said, "7 answers expected") {
			t.Errorf("%v: it does not say what it sends: %s", pace, said)
		}
	}
	if j, code, out, _ := replay("-t", "-l", "3", "--loopdelay-ms", "1", "-Y", "!tcp"); code != 0 || j.Loops != 3 || j.Answered != 12 {
		t.Errorf("three times: exit %d\n%s", code, out)
	}
	if j, code, out, _ := replay("-t", "-Y", "dns", "-L", "1"); code != 0 || j.Sent != 1 || j.Answered != 1 || j.Stopped == "" {
		t.Errorf("limited: exit %d\n%s", code, out)
	}
	if j, code, out, _ := replay("-t", "-Y", "dns", "--wait", "50ms", "--portmap", "53=54"); code != 1 || j.Total != 2 {
		t.Errorf("where nobody listens: exit %d\n%s", code, out)
	}
	for says, args := range map[string][]string{
		"choose": {"-t", "-p", "1"}, "more than 0": {"-x", "0"}, "no list of numbers": {"--include", "5-3"}, "no time": {"--from", "soon"},
		"nothing is left": {"--include", "100000"}, "json=FILE": {"--report", "x"}, "--dir": {"--dir", "up"}, "--map": {"--map", "x"},
	} {
		if _, code, _, said := replay(args...); code != 2 || !strings.Contains(said, says) || strings.Count(said, "\n") != 1 {
			t.Errorf("%v: exit %d: %s", args, code, said)
		}
	}
	var out, said lockedBuffer
	if code := run([]string{"diff", file, again, "--ignore", "tcp.payload"}, strings.NewReader(""), &out, &said); code != 0 {
		t.Errorf("diff: exit %d\n%s%s", code, out.String(), said.String())
	}
	if code := run([]string{"diff", file, again, "-q"}, strings.NewReader(""), &out, &said); code != 1 || !strings.Contains(said.String(), "difference") {
		t.Errorf("diff with payload: exit %d\n%s%s", code, out.String(), said.String())
	}
}

const largePing = 1500 // bytes

// writeLargePings writes a recording of two pings that were answered, the second
// one with DF.
func writeLargePings(t *testing.T, file string) {
	t.Helper()
	b := pcapng.AppendInterface(pcapng.AppendSection(nil, "test"), &pcapng.Interface{LinkType: 101})
	for i, df := range []byte{0, 0x40} {
		for _, typ := range []byte{8, 0} {
			p := icmpEcho(typ, byte(i), strings.Repeat("x", largePing-28))
			p[6] = df
			rewrite.FixChecksums(p)
			flags := uint32(pcapng.Outbound)
			if typ == 0 {
				flags = pcapng.Inbound
			}
			b = pcapng.AppendPacket(b, &pcapng.Packet{Time: 1e18, Data: p, Flags: flags})
		}
	}
	writeFile(t, file, string(b))
}

// What does not fit is cut, or where it must not be, answered with ICMP too
// big; both are in the capture, and whoever expected another answer is told.
// The stack says of a ping in fragments that it takes none.
func TestReplayMTU(t *testing.T) {
	dir := t.TempDir()
	file, again, report := filepath.Join(dir, "pings.pcapng"), filepath.Join(dir, "again.pcapng"), filepath.Join(dir, "report.json")
	writeLargePings(t, file)
	var out, said lockedBuffer
	code := run([]string{"replay", file, "--netstack", "-t", "--mtu", "1300", "-w", again, "--report", "json=" + report}, strings.NewReader(""), &out, &said)
	if code != 1 || !strings.Contains(out.String(), "2 packets larger than the MTU: 1 cut into fragments, 1 answered with ICMP too big") ||
		!strings.Contains(out.String(), "now ICMP Destination unreachable (Fragmentation needed)") {
		t.Fatalf("exit %d\n%s%s", code, out.String(), said.String())
	}
	var sizes []int
	for _, p := range sentIn(t, again) {
		sizes = append(sizes, len(p))
	}
	// The last one did not get further than the device's end.
	if want := []int{1300, largePing - 1280, largePing}; !slices.Equal(sizes, want) {
		t.Errorf("the client sent packets of %d bytes, want %d", sizes, want)
	}
	var j jsonReplay
	if data, err := os.ReadFile(report); err != nil || json.Unmarshal(data, &j) != nil || j.TooBig != 1 || j.Oversize != 2 || j.Sent != 2 || j.Changed != 2 {
		t.Errorf("%v: %+v", err, j)
	}
}

// icmpEcho is a ping to a neighbour, or its answer.
func icmpEcho(typ, seq byte, text string) []byte {
	p := append([]byte{0x45, 0, 0, 0, 0, seq, 0, 0, 64, 1, 0, 0, 10, 8, 0, 2, 10, 8, 0, 1, typ, 0, 0, 0, 0, 7, 0, seq}, text...)
	if typ == 0 {
		copy(p[12:], []byte{10, 8, 0, 1, 10, 8, 0, 2})
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	rewrite.FixChecksums(p)
	return p
}

// sentIn returns the client's packets in a capture.
func sentIn(t *testing.T, file string) (sent [][]byte) {
	t.Helper()
	c, err := sniff.Open(file, sniff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for s := session.New(c.Store()); ; {
		row, err := s.Next(t.Context())
		if err == io.EOF {
			return sent
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range row.Packets {
			if row.Event.Dir == decode.ClientToServer {
				sent = append(sent, append([]byte(nil), row.Packets[i].Data...))
			}
		}
	}
}
