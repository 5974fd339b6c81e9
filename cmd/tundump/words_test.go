package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestWords has the words that a shell completes accepted by the flag itself: what
// is wrong with the command line is then that there is no such file.
func TestWords(t *testing.T) {
	complete := func(args ...string) []string {
		var out bytes.Buffer
		if code := run(append([]string{"__complete"}, args...), strings.NewReader(""), &out, io.Discard); code != exitDone {
			t.Fatalf("completion of %q exits %d", args, code)
		}
		list := strings.Split(strings.TrimSpace(out.String()), "\n")
		return list[:len(list)-1] // the last is the directive
	}
	for _, c := range [][]string{
		{"read", "no-file", "-T"}, {"read", "no-file", "-t"}, {"stats", "no-file", "-T"}, {"follow", "no-file", "--tcp", "0", "--as"},
		{"follow", "no-file", "--tcp", "0", "--side"}, {"export", "no-file", "-w", "x", "-F"}, {"export", "no-file", "-w", "x", "--split"},
		{"replay", "no-file", "--netstack", "--dir"},
	} {
		words := complete(append(c, "")...)
		if len(words) < 2 {
			t.Errorf("%q: completes %q", c, words)
		}
		for _, w := range append(words, "nonsense") {
			args := append(c[:len(c):len(c)], w)
			if w == "fields" {
				args = append(args, "-e", "ip.src")
			}
			var errs bytes.Buffer
			code := run(args, strings.NewReader(""), io.Discard, &errs)
			if refused := !strings.Contains(errs.String(), "cannot open no-file"); code != exitUsage || refused != (w == "nonsense") {
				t.Errorf("%q exits %d: %s", args, code, errs.String())
			}
		}
	}
	if list := complete("sniff", "-i", ""); list[0] != "any" || len(list) < 2 {
		t.Errorf("interfaces: %q", list)
	}
	if list := complete("help", "re"); len(list) != 2 || !strings.HasPrefix(list[0], "read") || !strings.HasPrefix(list[1], "replay") {
		t.Errorf("commands: %q", list)
	}
}
