package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tundump/capture/pcapng"
)

// tsharkFollow returns what tshark's follow prints of the flows 0 to n-1 of a
// protocol.
func tsharkFollow(t *testing.T, file, proto, as string, n int) map[int]string {
	t.Helper()
	args := []string{"-q", "-r", file}
	for i := range n {
		args = append(args, "-z", fmt.Sprintf("follow,%s,%s,%d", proto, as, i))
	}
	out := map[int]string{}
	for part := range strings.SplitSeq(tshark(t, args...), "\n"+followRule+"Follow: ") {
		filter := regexp.MustCompile(`Filter: \w+\.stream eq (\d+)`).FindStringSubmatch(part)
		if filter == nil {
			continue
		}
		i, err := strconv.Atoi(filter[1])
		if err != nil {
			t.Fatal(err)
		}
		out[i] = "\n" + followRule + "Follow: " + part
	}
	if len(out) != n {
		t.Fatalf("tshark followed %d flows of %d", len(out), n)
	}
	return out
}

// flowsOf counts the flows of a protocol.
func flowsOf(t *testing.T, file, proto string) int {
	n := 0
	for line := range strings.Lines(tundump(t, "read", file, "--packets", "-T", "fields", "-e", proto+".stream")) {
		if i, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			n = max(n, i+1)
		}
	}
	return n
}

// What follow prints of flows in tunnels is what tshark's follow prints of
// them in the inner export, byte for byte.
func TestFollow(t *testing.T) {
	if testing.Short() {
		t.Skip("has tshark follow a hundred streams")
	}
	followed := 0
	for _, capture := range []string{"", "ntop+nDPI/teams.pcap", "ntop+nDPI/telegram.pcap", "ntop+nDPI/rdp3.pcap"} {
		file := sharedDemo(t)
		if capture != "" {
			file = wrapped(t, "ip", capture)
		}
		inner := filepath.Join(t.TempDir(), "inner.pcap")
		tundump(t, "export", file, "-w", inner)
		for _, proto := range []string{"tcp", "udp"} {
			n := min(flowsOf(t, file, proto), 12)
			waited := map[int]bool{} // differ in where a chunk ends that waited for another
			for _, as := range []string{"ascii", "hex", "raw"} {
				theirs := tsharkFollow(t, inner, proto, as, n)
				for i := range n {
					ours := tundump(t, "follow", file, "--"+proto, strconv.Itoa(i), "--as", strings.Replace(as, "ascii", "text", 1))
					want := theirs[i]
					if as == "raw" {
						want = unhexed(want)
					}
					switch {
					case ours == want || as == "hex" && waited[i]:
					case as == "ascii" && flat(t, ours, 0) == flat(t, want, 0) && flat(t, ours, 1) == flat(t, want, 1):
						waited[i] = true
					default:
						t.Errorf("%s: %s %d as %s: %s", capture, proto, i, as, firstDifference(ours, want))
					}
					followed++
				}
			}
			if len(waited) > n/3 {
				t.Errorf("%s: in %d of %d flows a chunk ends elsewhere", capture, len(waited), n)
			}
		}
	}
	if t.Logf("%d streams compared", followed); followed < 20 {
		t.Errorf("only %d streams compared", followed)
	}
}

// unhexed is the bytes that tshark's raw format has in hexadecimal.
func unhexed(s string) string {
	var out []byte
	for line := range strings.Lines(s) {
		if b, err := hex.DecodeString(strings.TrimSpace(line)); err == nil {
			out = append(out, b...)
		}
	}
	return string(out)
}

func firstDifference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("at %d of %d and %d bytes: %q, tshark has %q", i, len(a), len(b), a[max(0, i-40):min(len(a), i+60)], b[max(0, i-40):min(len(b), i+60)])
}

// damaged writes the packets of a capture in another order and with some of
// them missing.
func damaged(t *testing.T, file string, seed uint64, lose bool) string {
	r := rand.New(rand.NewPCG(seed, 1))
	pkts := innerPackets(t, file)
	for i := range pkts[:len(pkts)-3] {
		if j := i + r.IntN(3); r.IntN(12) == 0 {
			pkts[i].data, pkts[j].data = pkts[j].data, pkts[i].data
		}
	}
	b := pcapng.AppendClassicHeader(nil, 101, 262144)
	for i := range pkts {
		if lose && r.IntN(30) == 0 && pkts[i].facts.PayloadLen > 0 {
			continue
		}
		b = pcapng.AppendClassicPacket(b, &pcapng.Packet{Time: pkts[i].time, Data: pkts[i].data})
	}
	out := filepath.Join(t.TempDir(), "damaged.pcap")
	if err := os.WriteFile(out, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	gapMark = regexp.MustCompile(`\[\d+ bytes missing in capture file\]`)
	// chunkHead is in front of a chunk's bytes: how many they are.
	chunkHead = regexp.MustCompile(`^(\t?)(\d+)\n`)
)

// flat is what follow's text says of one side, without what is a matter of
// taste: where a chunk ends, and the zero byte that tshark has behind the mark
// of a gap.
func flat(t *testing.T, s string, side int) string {
	t.Helper()
	at := strings.Index(s, "\nNode 1: ") + 1
	s = s[at+strings.IndexByte(s[at:], '\n')+1:]
	var b strings.Builder
	for head := chunkHead.FindStringSubmatch(s); head != nil; head = chunkHead.FindStringSubmatch(s) {
		n, err := strconv.Atoi(head[2])
		if s = s[len(head[0]):]; err != nil || n > len(s) {
			t.Fatalf("a chunk of %s bytes, and %d follow", head[2], len(s))
		}
		if len(head[1]) == side {
			b.WriteString(strings.TrimSuffix(s[:n], "file]."))
			if strings.HasSuffix(s[:n], "file].") {
				b.WriteString("file]")
			}
		}
		s = strings.TrimPrefix(s[n:], "\n")
	}
	if !strings.HasPrefix(s, strings.TrimSpace(followRule)) {
		t.Fatalf("behind the last chunk: %.80q", s)
	}
	return b.String()
}

// Out of order and with gaps, what each side said is what tshark says, but
// for bytes behind a gap that nobody acknowledged: those it leaves out.
func TestFollowDamaged(t *testing.T) {
	for _, capture := range []string{"demo", "ntop+nDPI/teams.pcap"} {
		file := ""
		if capture == "demo" {
			file = sharedDemo(t)
		} else {
			file = wrapped(t, "ip", capture)
		}
		for seed := range uint64(2) {
			bad := damaged(t, file, seed, seed%2 == 1)
			n := min(flowsOf(t, bad, "tcp"), 15)
			theirs := tsharkFollow(t, bad, "tcp", "ascii", n)
			same, more, gaps := 0, 0, 0
			for i := range n {
				ours := tundump(t, "follow", bad, "--tcp", strconv.Itoa(i))
				gaps += len(gapMark.FindAllString(ours, -1))
				for side := range 2 {
					a, b := flat(t, ours, side), flat(t, theirs[i], side)
					switch {
					case a == b:
						same++
					case strings.HasPrefix(a, b) && strings.HasPrefix(a[len(b):], "["):
						more++ // what waits behind a gap at the end
					default:
						t.Errorf("%s, seed %d, flow %d, side %d: %s", capture, seed, i, side, firstDifference(a, b))
					}
				}
			}
			t.Logf("%s, seed %d: %d sides alike, %d go on behind a last gap; %d gaps", capture, seed, same, more, gaps)
		}
	}
}

// secondSide is the answer, indented behind its length.
var secondSide = regexp.MustCompile(`\n\t\d+\nHTTP/1\.1 200 OK`)

// Streams that are no packets, sides, and what cannot be.
func TestFollowOthers(t *testing.T) {
	file := sharedDemo(t)
	id := ""
	for line := range strings.Lines(tundump(t, "read", file, "--messages", "-T", "fields", "-e", "tunnel.identifier", "-e", "tunnel.flow_type")) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 2 && f[1] == "tcp" {
			id = f[0]
		}
	}
	if id == "" {
		t.Fatal("no TCP connection of an app proxy in the demo")
	}
	text := tundump(t, "follow", file, "--connection", id)
	if !strings.Contains(text, "GET / HTTP/1.1\r\n") || !strings.Contains(text, "Node 1: www.tundump.example:80\n") || !secondSide.MatchString(text) {
		t.Errorf("connection %s:\n%s", id, text)
	}
	if raw := tundump(t, "follow", file, "--connection", id, "--as", "raw", "--side", "1"); !strings.HasPrefix(raw, "HTTP/1.1 200 OK") || strings.Contains(raw, "GET") {
		t.Errorf("side 1: %q", raw)
	}
	sum := 0
	for line := range strings.Lines(tundump(t, "read", file, "--messages", "-Y", "tunnel.stream == 1 && tunnel.dir == \"c2s\"", "-T", "fields", "-e", "tunnel.len")) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if raw := tundump(t, "follow", file, "--tunnel", "1", "--side", "0", "--as", "raw"); len(raw) != sum || sum == 0 {
		t.Errorf("%d bytes of the tunnel, %d in its messages", len(raw), sum)
	}
	for _, c := range []struct {
		code int
		args []string
	}{
		{exitFailed, []string{"--tcp", "999"}}, {exitFailed, []string{"--connection", "-5"}}, {exitFailed, []string{"--tunnel", "9"}},
		{exitUsage, nil}, {exitUsage, []string{"--tcp", "1", "--udp", "1"}}, {exitUsage, []string{"--tcp", "1", "--as", "x"}},
		{exitUsage, []string{"--tcp", "1", "--side", "2"}}, {exitUsage, []string{"--connection", "x"}},
	} {
		var out, errs bytes.Buffer
		if code := run(append([]string{"follow", file}, c.args...), nil, &out, &errs); code != c.code || out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q", c.args, code, out.String(), errs.String())
		}
	}
}
