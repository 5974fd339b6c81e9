package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"tundump/tui"
)

func TestPaths(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Chdir(home)
	for name, size := range map[string]int{"one.pcapng": 11, "only.txt": 2, ".hidden": 3, "folder/in.pcap": 4} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS != "windows" { // there a link needs rights
		for link, to := range map[string]string{"linked": "folder", "broken": "nowhere"} {
			if err := os.Symlink(to, link); err != nil {
				t.Fatal(err)
			}
		}
	}
	sep := string(filepath.Separator)
	linked := "linked" + sep + " "
	if runtime.GOOS == "windows" {
		linked = ""
	}
	for _, x := range []struct {
		typed, want string
		from        int
		folder      bool
	}{
		{"", "folder" + sep + " " + linked + "one.pcapng only.txt", 0, false},
		{"on", "one.pcapng only.txt", 0, false},
		{"one.pcapng", "one.pcapng", 0, false},
		{"folder", "folder" + sep, 0, true},
		{"folder" + sep, "in.pcap", 7, true},
		{"~", "~" + sep, 0, true},
		{"~" + sep + "o", "one.pcapng only.txt", 2, false},
		{".", "." + sep + " .hidden", 0, true},
		{"folder" + sep + "..", ".." + sep, 7, true},
		{filepath.Join(home, "one"), "one.pcapng", len(home) + 1, false},
		{"nothing", "", 0, false},
	} {
		p, err := listPaths(t.Context(), x.typed)
		if err != nil {
			t.Errorf("%q: %v", x.typed, err)
		}
		var names []string
		for _, n := range p.Names {
			names = append(names, n.Name)
			if n.Folder != strings.HasSuffix(n.Name, sep) || n.Name == "one.pcapng" && n.Size != 11 {
				t.Errorf("%q: %+v", x.typed, n)
			}
		}
		if got := strings.Join(names, " "); got != x.want || p.From != x.from || p.Folder != x.folder || p.More {
			t.Errorf("%q: %q from %d, folder %t, more %t; want %q from %d, folder %t", x.typed, got, p.From, p.Folder, p.More, x.want, x.from, x.folder)
		}
	}
	for _, typed := range []string{"nowhere" + sep, "one.pcapng" + sep} {
		if p, err := listPaths(t.Context(), typed); err == nil || strings.Contains(err.Error(), "open") {
			t.Errorf("%q: %+v, %v", typed, p, err)
		}
	}
}

// Of a large folder some names are listed, and it is said that there are more.
func TestPathsOfLargeFolder(t *testing.T) {
	dir := t.TempDir()
	for i := range 3000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.pcapng", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	typed := dir + string(filepath.Separator)
	p, err := listPaths(t.Context(), typed)
	if err != nil || len(p.Names) != pathsMost || !p.More || p.Names[0] != (tui.Path{Name: "0000.pcapng", Time: p.Names[0].Time}) {
		t.Errorf("%d names, more %t, %v", len(p.Names), p.More, err)
	}
	if p, err := listPaths(t.Context(), typed+"299"); err != nil || len(p.Names) != 10 || p.More {
		t.Errorf("%d names, more %t, %v", len(p.Names), p.More, err)
	}
	// Whoever has gone on gets nothing; whoever waits gets what there was time for.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p, err := listPaths(ctx, typed); err != nil || !p.More || len(p.Names) != 0 {
		t.Errorf("without time: %+v, %v", p, err)
	}
	if _, err := new(terminalControl).Paths(ctx, typed); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}
