package paint

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// Whatever is put into a line, it has the width that was asked for.
func FuzzLine(f *testing.F) {
	f.Add("Info", "日本語 wide", 7)
	f.Add("é\u0301combining", "👩‍👩‍👧 family", 10)
	f.Add("", "", 0)
	th := NewTheme(Dark, termenv.TrueColor)
	f.Fuzz(func(t *testing.T, a, b string, w int) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) || strings.ContainsFunc(a+b, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			return // no safe text
		}
		w = min(max(w, 0), 300)
		var l Line
		l.Reset(th, w)
		l.Put(Accent, a)
		l.Cell(Bad, b, 9, true)
		l.Over(Cursor)
		l.Put(Plain, b)
		l.Fill(Dim, a)
		if s := l.String(); ansi.StringWidth(s) != w {
			t.Errorf("%q is %d wide, not %d", s, ansi.StringWidth(s), w)
		}
	})
}

func TestThemes(t *testing.T) {
	for _, name := range []string{Dark, Light, Contrast} {
		for _, p := range []termenv.Profile{termenv.TrueColor, termenv.ANSI256, termenv.ANSI, termenv.Ascii} {
			th := NewTheme(name, p)
			if th.Name() != name {
				t.Errorf("%s is called %s", name, th.Name())
			}
			plain := th.sgr[Plain]
			for _, s := range []Style{Accent, Cursor, Bad, Bytes, Found} {
				if th.sgr[s] == plain {
					t.Errorf("%s in profile %d: style %d cannot be told from plain text", name, p, s)
				}
			}
			if p == termenv.Ascii && strings.Contains(strings.Join(th.sgr[:], ""), "[3") {
				t.Errorf("%s has colours where there are none: %q", name, th.sgr)
			}
		}
	}
	seen := map[string]bool{}
	for name, i := Dark, 0; i < 3; i++ {
		seen[name] = true
		name = NewTheme(name, termenv.ANSI).Next()
	}
	if len(seen) != 3 {
		t.Errorf("going through the themes finds %v", seen)
	}
}

func TestOverlay(t *testing.T) {
	under := []string{"0123456789", "日本語日本", "0123456789"}
	out := Overlay(under, []string{"AB", "CD"}, 3, 1)
	for i, l := range out {
		if ansi.StringWidth(l) != 10 {
			t.Errorf("line %d is %d wide: %q", i, ansi.StringWidth(l), l)
		}
	}
	if s := ansi.Strip(out[2]); s != "012CD56789" {
		t.Errorf("%q", s)
	}
	if out[0] != under[0] {
		t.Errorf("%q", out[0])
	}
}

func TestSparkBar(t *testing.T) {
	if s := Spark([]int64{0, 1, 100}, 5); Width(s) != 5 || !strings.HasSuffix(s, "█") && !strings.HasSuffix(s, "▇") {
		t.Errorf("%q", s)
	}
	if s := HBar(1, 1_000_000, 20); s != "▏" {
		t.Errorf("a little is %q", s)
	}
	if s := HBar(5, 5, 20); s != strings.Repeat("█", 20) {
		t.Errorf("all is %q", s)
	}
	if HBar(0, 5, 20) != "" || HBar(1, 0, 20) != "" {
		t.Error("nothing is something")
	}
}
