package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// demoCapture records the demo and returns the file.
func demoCapture(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "demo.pcapng")
	var stderr bytes.Buffer
	if code := run([]string{"demo", "-q", "-w", file}, nil, io.Discard, &stderr); code != exitDone {
		t.Fatalf("the demo's exit code is %d: %s", code, stderr.String())
	}
	return file
}

func tshark(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("no tshark here to judge")
	}
	var out, errs bytes.Buffer
	c := exec.Command("tshark", append([]string{"-n"}, args...)...)
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("tshark %q: %v: %s", args, err, errs.String())
	}
	return out.String()
}

// tunnelPorts returns -d options that have tshark leave the tunnel's own
// payload alone.
func tunnelPorts(t *testing.T, file string) []string {
	var args []string
	for _, name := range []string{"client side", "server side"} {
		ports := strings.Fields(tshark(t, "-r", file, "-Y", `frame.interface_name == "`+name+`" && tcp.flags == 0x002`, "-T", "fields", "-e", "tcp.dstport"))
		slices.Sort(ports)
		for _, p := range slices.Compact(ports) {
			args = append(args, "-d", "tcp.port=="+p+",data")
		}
	}
	return args
}

// tshark finds nothing wrong with what we rebuilt.
func TestTsharkFindsNothingWrong(t *testing.T) {
	file := demoCapture(t)
	args := append([]string{"-r", file, "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"}, tunnelPorts(t, file)...)
	bad := `frame.interface_name != "inner" && (tcp.analysis.flags || _ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0)`
	if out := tshark(t, append(args, "-Y", bad)...); out != "" {
		t.Errorf("on the tunnel's own connections:\n%s", out)
	}
	bad = `frame.interface_name == "inner" && (_ws.malformed || tcp.checksum.status == 0 || udp.checksum.status == 0 || ip.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0)`
	if out := tshark(t, append(args, "-Y", bad)...); out != "" {
		t.Errorf("inside:\n%s", out)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(tshark(t, append(args, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction")...)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 2 || f[1] != "0x00000001" && f[1] != "0x00000002" {
			t.Fatalf("a packet without a direction: %q", line)
		}
		seen[f[0]] = true
	}
	if !seen["client side"] || !seen["server side"] || !seen["inner"] || len(seen) != 3 {
		t.Errorf("interfaces %v", seen)
	}
	for name, filter := range map[string]string{"DNS": "dns", "HTTP": "http", "TCP": "tcp", "ICMP": "icmp", "ICMPv6": "icmpv6", "IPv6": "ipv6"} {
		if tshark(t, append(args, "-Y", `frame.interface_name == "inner" && `+filter)...) == "" {
			t.Errorf("no %s inside", name)
		}
	}
}

// tshark finds the same inner packets that read lists, byte for byte.
func TestTsharkFindsTheSamePackets(t *testing.T) {
	file := demoCapture(t)
	pcap := filepath.Join(t.TempDir(), "inner.pcap")
	tshark(t, "-r", file, "-Y", `frame.interface_name == "inner"`, "-F", "pcap", "-w", pcap)
	theirs := readPcap(t, pcap)
	var out, errs bytes.Buffer
	if code := run([]string{"read", "--packets", "-T", "json", "-x", file}, nil, &out, &errs); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	n := 0
	for s := bufio.NewScanner(&out); s.Scan(); n++ {
		var row struct {
			Number int    `json:"frame.number"`
			Raw    string `json:"frame.raw"`
			Len    int    `json:"frame.len"`
		}
		if err := json.Unmarshal(s.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if n >= len(theirs) || row.Number != n+1 || row.Raw != theirs[n] || row.Len*2 != len(row.Raw) {
			t.Fatalf("packet %d of %d differs", n+1, len(theirs))
		}
	}
	if n != len(theirs) || n == 0 {
		t.Errorf("%d packets, tshark has %d", n, len(theirs))
	}
}

// readPcap returns the packets of a classic capture in hex, without their
// Ethernet headers.
func readPcap(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	const hexDigits = "0123456789abcdef"
	for b = b[24:]; len(b) > 0; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		var s strings.Builder
		for _, c := range b[16+14 : 16+n] {
			s.WriteByte(hexDigits[c>>4])
			s.WriteByte(hexDigits[c&15])
		}
		out = append(out, s.String())
		b = b[16+n:]
	}
	return out
}
