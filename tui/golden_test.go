package tui

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// The screens of every view, at both sizes, as somebody sees them.
func TestGolden(t *testing.T) {
	for _, c := range []struct{ name, keys string }{
		{"messages", ""},
		{"messages-unfolded", "down down enter down"},
		{"packets", "2 down down down"},
		{"packets-tree", "2 G tab down down right down"},
		{"packets-stacked", "2 |"},
		{"packets-columns", "2 | |"},
		{"flows", "3"},
		{"tunnels", "4"},
		{"findings", "5"},
		{"stats", "6"},
		{"follow", "3 f"},
		{"help", "?"},
		{"palette", ":"},
		{"copy", "2 y"},
		{"columns", "2 c"},
		{"filter-by", "2 ="},
	} {
		for _, size := range [][2]int{{80, 24}, {140, 45}} {
			name := c.name + "-" + strconv.Itoa(size[0]) + "x" + strconv.Itoa(size[1])
			t.Run(name, func(t *testing.T) {
				d := drive(t, size[0], size[1], Options{}, small(t, false))
				d.keys(c.keys)
				d.check()
				golden(t, name, d.screen())
			})
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSuffix(string(want), "\n") != got {
		t.Errorf("%s differs; -update writes it anew if this is right:\n%s", file, got)
	}
}

// KEYS.md is made of the table of actions.
func TestKeysDocument(t *testing.T) {
	text := "# Keys of the terminal UI\n\nThe name of an action is what the configuration file rebinds it by. `?` shows the\nkeys of the place where you are, `:` every action by name.\n" + Markdown()
	if *update {
		if err := os.WriteFile("KEYS.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("KEYS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != text {
		t.Error("KEYS.md is not what the table says: go test ./tui -run Keys -update writes it anew")
	}
}
