package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// -d has a port's packets decoded as what it says, and refuses what it does
// not know with one line.
func TestDecodeAs(t *testing.T) {
	query := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01")
	pkt := []byte{0x45, 0, 0, byte(28 + len(query)), 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40, 0x13, 0x88, 0, byte(8 + len(query)), 0, 0}
	pkt = append(pkt, query...)
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b23c4d)
	b = le.AppendUint16(le.AppendUint16(b, 2), 4)
	for _, v := range []uint32{0, 0, 262144, 101, 1, 0, uint32(len(pkt)), uint32(len(pkt))} {
		b = le.AppendUint32(b, v)
	}
	file := filepath.Join(t.TempDir(), "bare.pcap")
	if err := os.WriteFile(file, append(b, pkt...), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(append([]string{"read", file, "--packets"}, args...), nil, &out, &errs); got != code {
			t.Fatalf("%q: exit code %d, want %d: %s", args, got, code, errs.String())
		}
		return out.String(), errs.String()
	}
	if out, _ := read(exitDone); strings.Contains(out, "DNS") {
		t.Errorf("without -d: %s", out)
	}
	if out, _ := read(exitDone, "-d", "udp.port==4990-5010,dns"); !strings.Contains(out, "DNS Standard query 0x1234 A example.org") {
		t.Errorf("with -d: %s", out)
	}
	if out, _ := read(exitDone, "-d", "udp.port==5000,dns", "-T", "fields", "-e", "dns.qry.name"); out != "example.org\n" {
		t.Errorf("with -d, -e: %q", out)
	}
	for rule, want := range map[string]string{
		"udp.port==5000":           "write a layer",
		"ip.proto==5000,dns":       "there is tcp.port and udp.port",
		"udp.port==5000,dms":       `no protocol "dms"`,
		"udp.port==70000,dns":      "no port",
		"udp.port==5000-4000,http": "no port",
	} {
		if _, errs := read(exitUsage, "-d", rule); !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("-d %s: %q, want %q", rule, errs, want)
		}
	}
}
