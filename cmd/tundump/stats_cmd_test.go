package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// statTaps are one of each kind, and one with a filter.
var statTaps = []string{"conv,tcp", "conv,ip", "endpoints,udp", "io,phs", "io,stat,0,tcp,AVG(frame.len)udp,LOAD(dns.time)", "dns,tree", "expert", "tunnel", "tunnel,tunnel.stream == 1"}

// What stats prints as JSON is JSON, and the SVG is XML that only its owner
// reads.
func TestStatsOutput(t *testing.T) {
	file, svg := sharedDemo(t), filepath.Join(t.TempDir(), "rates.svg")
	args := []string{"stats", "-q", "-T", "json", "--graph", svg, file}
	for _, tap := range statTaps {
		args = append(args, "-z", tap)
	}
	var out, errs bytes.Buffer
	if code := run(args, nil, &out, &errs); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	seen := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var row struct{ Type, Tap string }
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Type != "statistics" {
			t.Fatalf("%v in %s", err, line)
		}
		seen[row.Tap]++
	}
	for _, tap := range statTaps[:len(statTaps)-1] {
		if seen[tap] == 0 {
			t.Errorf("nothing of %s; there is %v", tap, seen)
		}
	}
	info, err := os.Stat(svg)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the graph's mode is %v", info.Mode())
	}
	b, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestStatsRefuses(t *testing.T) {
	file := sharedDemo(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-z", "bogus", file}, "there are conv,"},
		{[]string{"-z", "conv,foo", file}, "no layer"},
		{[]string{"-z", "io,stat", file}, "interval"},
		{[]string{"-z", "io,stat,-1", file}, "no interval"},
		{[]string{"-z", "io,stat,1,SUM(ip.src)ip", file}, "can only be counted"},
		{[]string{"-z", "io,stat,1,LOAD(frame.len)ip", file}, "no duration"},
		{[]string{"-z", "conv,tcp,nonsense", file}, "nonsense"},
		{nil, "no capture"},
	} {
		var out, errs bytes.Buffer
		code := run(append([]string{"stats"}, tt.args...), nil, &out, &errs)
		if code != exitUsage || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%q: exit code %d, %q", tt.args, code, errs.String())
		}
	}
}
