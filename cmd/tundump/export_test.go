package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tundump/capture/judge"
	"tundump/capture/session"
	"tundump/capture/sniff"
	"tundump/decode"
	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

// carried is an inner packet as a session sees it.
type carried struct {
	time  int64
	dir   decode.Direction
	data  []byte
	facts packet.Facts
}

func (c *carried) String() string { return fmt.Sprintf("%d %s %x", c.time, c.dir, c.data) }

// innerPackets reads a capture's inner packets, their checksums verified.
func innerPackets(t *testing.T, file string) []carried {
	t.Helper()
	c, err := sniff.Open(file, sniff.Options{})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defer c.Close()
	s := session.New(c.Store())
	p := packet.Parser{VerifyChecksums: true}
	var out []carried
	for {
		row, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		for i := range row.Packets {
			one := carried{time: row.Event.Time, dir: row.Event.Dir, data: bytes.Clone(row.Packets[i].Data)}
			p.Facts(one.data, &one.facts)
			out = append(out, one)
		}
	}
}

// tundump runs the program, which must succeed, and returns what it printed.
func tundump(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(args, nil, &out, &errs); code != exitDone {
		t.Fatalf("tundump %q: exit code %d: %s", args, code, errs.String())
	}
	return out.String()
}

// demoBytes is the capture of one demo for all tests that only read one.
var demoBytes struct {
	sync.Once
	b []byte
}

// sharedDemo returns a file with that capture, which is the test's own.
func sharedDemo(t *testing.T) string {
	t.Helper()
	demoBytes.Do(func() {
		b, err := os.ReadFile(demoCapture(t))
		if err != nil {
			t.Fatal(err)
		}
		demoBytes.b = b
	})
	file := filepath.Join(t.TempDir(), "demo.pcapng")
	if err := os.WriteFile(file, demoBytes.b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// wrapped has the independent generator put a shared capture into a tunnel:
// its IP packets (kind ip) or its flows' payloads (kind app).
func wrapped(t *testing.T, kind, capture string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "outer.pcap")
	for _, args := range [][]string{{kind, judge.Shared(t, "captures", capture), filepath.Join(dir, "s")}, {"outer", filepath.Join(dir, "s"), file}} {
		if out, err := judge.Python(t.Context(), t, "stgen.py", args...).CombinedOutput(); err != nil {
			t.Fatalf("stgen %q: %v: %s", args, err, out)
		}
	}
	return file
}

// sessions are the captures that exports are tested on.
func sessions(t *testing.T, test func(t *testing.T, file string)) {
	t.Run("demo", func(t *testing.T) { test(t, sharedDemo(t)) })
	if testing.Short() {
		return // the others need tshark again and again
	}
	for _, capture := range []string{"ntop+nDPI/telegram.pcap", "ntop+nDPI/teams.pcap", "ntop+nDPI/pim.pcap", "zeek+zeek/gre-within-gre.pcap",
		"zeek+zeek/dns-inverse-query.pcap", "mozillazg+ptcpdump/tfo.pcap", "ntop+nDPI/quic_interop_V.pcapng", "the-tcpdump-group+tcpdump/icmpv6-rfc7112.pcap"} {
		t.Run(filepath.Base(capture), func(t *testing.T) { test(t, wrapped(t, "ip", capture)) })
	}
}

// wrong asks tshark what is wrong with the packets of a file.
func wrong(t *testing.T, file string) string {
	return tshark(t, "-r", file, "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
		"-T", "fields", "-e", "frame.number", "-e", "_ws.malformed", "-Y", "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0")
}

// An export, read back, has the same packets, times and directions; the
// formats say the same; and tshark finds nothing wrong that was right.
func TestExport(t *testing.T) {
	sessions(t, func(t *testing.T, file string) {
		dir := t.TempDir()
		want := innerPackets(t, file)
		ng, classic := filepath.Join(dir, "inner.pcapng"), filepath.Join(dir, "inner.pcap")
		tundump(t, "export", file, "-w", ng)
		tundump(t, "export", file, "-w", classic)
		got, gotClassic := innerPackets(t, ng), innerPackets(t, classic)
		if len(want) == 0 || len(got) != len(want) || len(gotClassic) != len(want) {
			t.Fatalf("%d packets, %d and %d exported", len(want), len(got), len(gotClassic))
		}
		bad := 0
		for i := range want {
			if got[i].String() != want[i].String() {
				t.Fatalf("packet %d: %v, want %v", i+1, &got[i], &want[i])
			}
			if c := &gotClassic[i]; c.time != want[i].time || !bytes.Equal(c.data, want[i].data) {
				t.Fatalf("classic, packet %d: %v, want %v", i+1, c, &want[i])
			}
			if f := &want[i].facts; f.Problem != packet.NoProblem || f.L4Status == packet.Partial {
				bad++
			}
		}
		out := wrong(t, ng)
		if out != wrong(t, classic) {
			t.Error("tshark finds other things wrong in the two formats")
		}
		// Below tshark's dissectors of what applications say, it finds wrong
		// what we do; the packets are the same, byte for byte.
		if strings.Contains(file, "demo") && out != "" {
			t.Errorf("tshark finds wrong:\n%s", out)
		}
		t.Logf("%d packets, %d of them wrong from the start; tshark says so of %d", len(want), bad, strings.Count(out, "\n"))
	})
}

// Frame numbers, comments and directions are there for tshark, through a pipe
// too, and a filter leaves what it leaves of the rows.
func TestExportFilter(t *testing.T) {
	file := sharedDemo(t)
	out := filepath.Join(t.TempDir(), "dns.pcapng")
	tundump(t, "export", file, "-w", out, "-Y", "dns")
	wantTimes := tundump(t, "read", file, "-Y", "dns", "--packets", "-T", "fields", "-e", "frame.time_epoch", "-e", "dns.qry.name")
	gotTimes := tshark(t, "-r", out, "-T", "fields", "-e", "frame.time_epoch", "-e", "dns.qry.name")
	if wantTimes == "" || gotTimes != wantTimes {
		t.Errorf("exported\n%sread\n%s", gotTimes, wantTimes)
	}
	for line := range strings.Lines(tshark(t, "-r", out, "-T", "fields", "-e", "frame.comment", "-e", "frame.packet_flags_direction")) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 2 || !strings.HasPrefix(f[0], "tundump:1 T1 #") || f[1] != "0x00000001" && f[1] != "0x00000002" {
			t.Errorf("comment and direction %q", line)
		}
	}
	tundump(t, "export", file, "-w", out, "-c", "3")
	if got := innerPackets(t, out); len(got) != 3 {
		t.Errorf("-c 3 wrote %d packets", len(got))
	}
	piped := tundump(t, "export", file, "-w", "-", "-q")
	c := exec.Command("tshark", "-n", "-r", "-", "-T", "fields", "-e", "frame.number")
	c.Stdin = strings.NewReader(piped)
	text, err := c.Output()
	if err != nil {
		t.Fatalf("tshark -r -: %v", err)
	}
	if got, want := bytes.Count(text, []byte("\n")), len(innerPackets(t, file)); got != want {
		t.Errorf("tshark reads %d packets from the pipe, not %d", got, want)
	}
}

// Files by flow hold what the flow's number selects, and together everything.
func TestExportSplit(t *testing.T) {
	file := wrapped(t, "ip", "ntop+nDPI/teams.pcap")
	all := innerPackets(t, file)
	for _, split := range []string{"tunnel", "flow"} {
		dir := t.TempDir()
		tundump(t, "export", file, "-w", filepath.Join(dir, "f.pcapng"), "--split", split)
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, name := range names {
			pkts := innerPackets(t, name)
			for i := range pkts {
				got = append(got, pkts[i].String())
			}
			stream, ok := strings.CutPrefix(filepath.Base(name), "f-T1-tcp")
			if n := strings.TrimSuffix(stream, ".pcapng"); ok {
				if want := strings.Count(tundump(t, "read", file, "--packets", "-Y", "tcp.stream == "+n+" && !icmp"), "\n"); len(pkts) != want {
					t.Errorf("%s has %d packets, the flow %d", name, len(pkts), want)
				}
			}
		}
		var want []string
		for i := range all {
			want = append(want, all[i].String())
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("by %s: %d packets in %d files, not the %d of the capture", split, len(got), len(names), len(want))
		}
		if split == "flow" && len(names) < 70 {
			t.Errorf("only %d files: the limit of open ones is not reached", len(names))
		}
	}
}

// Rebuilt connections of app proxies and of tunnels hold what was sent, and
// tshark finds nothing wrong with them.
func TestExportRebuilt(t *testing.T) {
	file := sharedDemo(t)
	dir := t.TempDir()
	out := filepath.Join(dir, "all.pcapng")
	tundump(t, "export", file, "-w", out, "--app-proxy")
	if bad := tshark(t, "-r", out, "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
		"-Y", "ip.addr == 192.0.2.0/24 && (_ws.malformed || tcp.analysis.flags || tcp.checksum.status == 0 || ip.checksum.status == 0 || udp.checksum.status == 0)"); bad != "" {
		t.Errorf("tshark finds wrong:\n%s", bad)
	}
	if got := tshark(t, "-r", out, "-Y", "ip.addr == 192.0.2.0/24 && http.response.code == 200", "-T", "fields", "-e", "frame.comment"); !strings.Contains(got, " id=") {
		t.Errorf("no answer over the app proxy's connection: %q", got)
	}
	if got := tshark(t, "-2", "-N", "n", "-r", out, "-Y", "ip.dst_host == \"www.tundump.example\" && tcp.flags == 2", "-T", "fields", "-e", "tcp.completeness"); strings.TrimSpace(got) != "31" {
		t.Errorf("the name of the app proxy's host, and a complete connection: %q", got)
	}
	for _, form := range []string{"pcapng", "pcap"} {
		outer := filepath.Join(dir, "outer."+form)
		tundump(t, "export", file, "-w", outer, "--outer")
		if got, want := messages(t, outer), messages(t, file); got != want {
			t.Errorf("%s: the tunnels' messages differ:\n%s\n%s", form, got, want)
		}
		args := append([]string{"-r", outer, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"}, tunnelPorts(t, file)...)
		if bad := tshark(t, append(args, "-Y", "tcp.analysis.flags || _ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0")...); bad != "" {
			t.Errorf("%s: tshark finds wrong:\n%s", form, bad)
		}
	}
}

func messages(t *testing.T, file string) string {
	return tundump(t, "read", file, "-T", "fields", "--messages", "-e", "tunnel.stream", "-e", "tunnel.msg", "-e", "tunnel.dir", "-e", "tunnel.offset", "-e", "tunnel.len", "-e", "tunnel.command", "-e", "frame.time_epoch")
}

// The app-proxy sessions of the generator: what is rebuilt carries the bytes.
func TestExportAppProxy(t *testing.T) {
	file := wrapped(t, "app", "ntop+nDPI/telegram.pcap")
	out := filepath.Join(t.TempDir(), "app.pcapng")
	tundump(t, "export", file, "-w", out, "--app-proxy")
	var sum int64
	for _, p := range innerPackets(t, out) {
		if p.facts.Problem != packet.NoProblem || p.facts.L4Status != packet.Good {
			t.Fatalf("%q, checksum %v: %x", p.facts.Problem, p.facts.L4Status, p.data)
		}
		sum += int64(p.facts.PayloadLen)
	}
	var want int64
	for line := range strings.Lines(tundump(t, "read", file, "-T", "fields", "--messages", "-Y", "tunnel.command == 1", "-e", "tunnel.data.len")) {
		var n int64
		if _, err := fmt.Sscan(line, &n); err != nil {
			t.Fatal(err)
		}
		want += n
	}
	if sum == 0 || sum != want {
		t.Errorf("%d bytes rebuilt of %d", sum, want)
	}
}

// The files of payloads are what follow says.
func TestExportPayload(t *testing.T) {
	for _, capture := range []string{"", "ntop+nDPI/telegram.pcap"} {
		file := sharedDemo(t)
		if capture != "" {
			file = wrapped(t, "ip", capture)
		}
		dir := filepath.Join(t.TempDir(), "made")
		tundump(t, "export", file, "--payload", dir)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			var tunnel, stream, side int64
			text := strings.NewReplacer("-tcp", " tcp ", "-udp", " udp ", "-id", " connection ").Replace(strings.TrimSuffix(e.Name(), ".bin"))
			var kind string
			if _, err := fmt.Sscanf(text, "T%d %s %d-%d", &tunnel, &kind, &stream, &side); err != nil {
				t.Fatalf("%s: %v", e.Name(), err)
			}
			got, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if want := tundump(t, "follow", file, "--"+kind, fmt.Sprint(stream), "--side", fmt.Sprint(side), "--as", "raw"); string(got) != want || want == "" {
				t.Errorf("%s has %d bytes, follow %d", e.Name(), len(got), len(want))
			}
		}
		if len(entries) < 12 {
			t.Errorf("only %d files", len(entries))
		}
	}
}

// What cannot be done is said before anything is written.
func TestExportRefuses(t *testing.T) {
	file := sharedDemo(t)
	out := filepath.Join(t.TempDir(), "out.pcapng")
	for _, args := range [][]string{
		nil, {"-w", file}, {"-w", out, "-F", "x"}, {"-w", out, "--split", "x"}, {"-w", "-", "--split", "flow"}, {"-w", out, "-Y", "no.such"},
		{"-w", out, "--outer", "--anonymize"}, {"--payload", t.TempDir(), "--anonymize"}, {"-w", out, "--anonymize-key", "x"},
		{"-w", out, "--anonymize", "--anonymize-key", file}, {"-w", filepath.Join(out, "no", "folder")}, {"-w", out, "-c", "-1"},
	} {
		var text, errs bytes.Buffer
		if code := run(append([]string{"export", file}, args...), nil, &text, &errs); code != exitUsage || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%q: exit code %d: %s", args, code, errs.String())
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("%q: a file was written", args)
		}
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Equal(b, demoBytes.b) {
		t.Errorf("the capture was changed: %v", err)
	}
}

// Notes, marks and names are merged in.
func TestExportNotes(t *testing.T) {
	file := sharedDemo(t)
	out := filepath.Join(t.TempDir(), "noted.pcapng")
	writeFile(t, file+".notes", `{"type":"note","frame":3,"text":"a query"}
{"type":"note","msg":1,"text":"an opening"}
{"type":"mark","frame":3,"name":"q"}
{"type":"mark","frame":4}
{"type":"mark","frame":4,"off":true}
{"type":"name","addr":"10.8.0.1","name":"gateway.example"}
{"type":"name","addr":"fd00:8::2","name":"phone.example"}
nonsense
`)
	var errs bytes.Buffer
	if code := run([]string{"export", file, "-w", out}, nil, io.Discard, &errs); code != exitDone || !strings.Contains(errs.String(), "1 line not understood") {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	comments := tshark(t, "-r", out, "-T", "fields", "-e", "frame.number", "-e", "frame.comment", "-Y", `frame.comment contains "note" || frame.comment contains "mark"`)
	if want := "note: a query,mark: q"; strings.Count(comments, "\n") != 2 || !strings.Contains(comments, want) || !strings.Contains(comments, "note on #1: an opening") {
		t.Errorf("comments:\n%s", comments)
	}
	cmd := exec.Command("tshark", "-N", "n", "-r", out, "-T", "fields", "-e", "ip.src_host", "-e", "ipv6.src_host")
	names, err := cmd.Output()
	if err != nil || !bytes.Contains(names, []byte("gateway.example")) || !bytes.Contains(names, []byte("phone.example")) {
		t.Errorf("no names in %s: %v", names, err)
	}
}

// An anonymised export has the shape of the original and none of its
// addresses, names and payloads, and its checksums are right.
func TestAnonymize(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	writeFile(t, key, strings.Repeat("k", rewrite.KeySize))
	sessions(t, func(t *testing.T, file string) {
		out := filepath.Join(t.TempDir(), "shared.pcapng")
		writeFile(t, file+".notes", `{"type":"note","frame":1,"text":"secretnote"}`+"\n"+`{"type":"name","addr":"10.8.0.1","name":"secretname"}`+"\n")
		was := innerPackets(t, file)
		tundump(t, "export", file, "-w", out, "--app-proxy", "--anonymize", "--anonymize-key", key)
		everything, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		holdsNothing(t, everything, was)
		tundump(t, "export", file, "-w", out, "--anonymize", "--anonymize-key", key)
		is := innerPackets(t, out)
		if len(was) != len(is) {
			t.Fatalf("%d packets became %d", len(was), len(is))
		}
		for i := range is {
			o, n := &was[i], &is[i]
			switch f := &n.facts; {
			case n.time != o.time || n.dir != o.dir || len(n.data) != len(o.data):
				t.Fatalf("packet %d: %v became %v", i+1, o, n)
			case f.SrcPort != o.facts.SrcPort || f.Seq != o.facts.Seq || f.Flags != o.facts.Flags || f.TTL != o.facts.TTL || f.MSS != o.facts.MSS:
				t.Fatalf("packet %d: %+v became %+v", i+1, o.facts, f)
			case f.IPStatus == packet.Bad || f.L4Status == packet.Bad || f.L4Status == packet.Partial:
				t.Errorf("packet %d: checksums %v %v: %x from %x", i+1, f.IPStatus, f.L4Status, n.data, o.data)
			}
		}
		if bad := tshark(t, "-r", out, "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y",
			"ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0"); bad != "" {
			t.Errorf("tshark finds wrong:\n%s", bad)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		holdsNothing(t, text, was)
	})
}

// holdsNothing looks in an anonymised file for what was in the packets.
func holdsNothing(t *testing.T, file []byte, was []carried) {
	t.Helper()
	const window = 12
	seen := make(map[string]bool, len(file))
	for i := 0; i+window <= len(file); i++ {
		seen[string(file[i:i+window])] = true
	}
	addrs := map[netip.Addr]bool{}
	windows := 0
	for i := range was {
		f := &was[i].facts
		addrs[f.Src], addrs[f.Dst] = true, true
		for p := f.Payload; len(p) >= window; p = p[1:] {
			if w := p[:window]; varied(w) {
				windows++
				if seen[string(w)] {
					t.Fatalf("packet %d: %q of its payload is in the file", i+1, w)
				}
			}
		}
	}
	for a := range addrs {
		if !a.IsValid() || a.IsMulticast() || a.IsUnspecified() || a.IsLoopback() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			continue
		}
		if bytes.Contains(file, a.AsSlice()) || a.Is6() && bytes.Contains(file, a.AsSlice()[8:]) && a.AsSlice()[8] != 0 {
			t.Errorf("the address %v is in the file", a)
		}
	}
	for _, word := range []string{"tundump.example", "telegram", "microsoft", "secretn"} {
		if bytes.Contains(bytes.ToLower(file), []byte(word)) {
			t.Errorf("%q is in the file", word)
		}
	}
	t.Logf("%d addresses and %d windows of payload looked for", len(addrs), windows)
}

// varied reports whether b has enough different bytes not to be found by
// chance, as zeros are.
func varied(b []byte) bool {
	seen := map[byte]bool{}
	for _, c := range b {
		seen[c] = true
	}
	return len(seen) > 5
}
