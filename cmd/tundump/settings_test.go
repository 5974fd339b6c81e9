package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tundump/tui"
)

// The screen changes settings; what the user wrote beside them stays.
func TestSettingsKeepComments(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	path := filepath.Join(dir, "tundump", "config.yaml")
	s := openSettings()
	if s.err != nil || !cmp.Equal(s.now, tui.Settings{}) {
		t.Fatalf("without a file: %v %+v", s.err, s.now)
	}
	if err := s.save(tui.Settings{Theme: "light", Layout: tui.Layout{List: 40}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Fatalf("%v, mode %v", err, info.Mode())
	}
	text := "# mine\ntheme: contrast # for the sun\nkeys:\n    follow: [ctrl-y] # habit\nlayout:\n    list: 30\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s = openSettings()
	if s.err != nil || s.now.Theme != "contrast" || s.now.Layout.List != 30 || !cmp.Equal(s.now.Keys["follow"], []string{"ctrl-y"}) {
		t.Fatalf("%v %+v", s.err, s.now)
	}
	s.now.Theme, s.now.Time, s.now.Layout = "dark", "a", tui.Layout{Form: "stacked"}
	if err := s.save(s.now); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"# mine", "theme: dark # for the sun", "[ctrl-y] # habit", "form: stacked", "time: a"} {
		if !strings.Contains(string(b), part) {
			t.Errorf("the file lacks %q:\n%s", part, b)
		}
	}
	if strings.Contains(string(b), "list: 30") {
		t.Errorf("what was taken away is still there:\n%s", b)
	}
	if again := openSettings(); !cmp.Equal(again.now, s.now) {
		t.Errorf("read again: %s", cmp.Diff(s.now, again.now))
	}
}

// A file that is wrong is said so, and not written over.
func TestSettingsWrong(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	path := filepath.Join(dir, "tundump", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"theme: [", "colour: red\n", "keys: 3\n", strings.Repeat("# ", maxSettings/2+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := openSettings()
		if s.err == nil || s.wrong() == "" {
			t.Errorf("%.20q is taken", text)
		}
		if err := s.save(tui.Settings{Theme: "light"}); err == nil {
			t.Errorf("%.20q was written over", text)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%.20q has changed: %v", text, err)
		}
	}
}
