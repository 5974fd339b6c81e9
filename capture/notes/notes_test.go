package notes_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tundump/capture/notes"
)

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pcapng")
	var b []byte
	for _, l := range []notes.Line{
		{Type: notes.Note, Frame: 3, Text: "first"}, {Type: notes.Note, Frame: 3, Text: "a \"note\"\nin two lines"},
		{Type: notes.Note, Message: 7, Text: "gone"}, {Type: notes.Note, Message: 7},
		{Type: notes.Mark, Frame: 3, Name: "a"}, {Type: notes.Mark, Message: 9}, {Type: notes.Mark, Message: 9, Off: true},
		{Type: notes.Name, Addr: "10.8.0.1", Name: "gateway"}, {Type: notes.Name, Addr: "::ffff:10.8.0.2", Name: "phone"},
	} {
		var err error
		if b, err = notes.AppendLine(b, l); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path+notes.Suffix, b, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := notes.Of(path)
	if err != nil || n.Skipped != 0 {
		t.Fatalf("%v, %d lines skipped", err, n.Skipped)
	}
	if got, want := n.Comments(nil, notes.Row{Frame: 3}), []string{"note: a \"note\"\nin two lines", "mark: a"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := append(n.Comments(nil, notes.Row{Message: 7}), n.Comments(nil, notes.Row{Message: 9})...); len(got) != 0 {
		t.Errorf("%q was taken back", got)
	}
	if n.Names[netip.MustParseAddr("10.8.0.1")] != "gateway" || n.Names[netip.MustParseAddr("10.8.0.2")] != "phone" {
		t.Errorf("names %v", n.Names)
	}
	if none, err := notes.Of(path + "x"); err != nil || !none.Empty() {
		t.Errorf("a capture without notes: %v %v", none, err)
	}
	for _, wrong := range []notes.Line{{}, {Type: "x"}, {Type: notes.Note, Text: "where"}, {Type: notes.Mark, Frame: 1, Message: 1}, {Type: notes.Name, Addr: "x"},
		{Type: notes.Note, Frame: 1, Text: strings.Repeat("x", notes.MaxLine)}} {
		if _, err := notes.AppendLine(nil, wrong); err == nil {
			t.Errorf("%+v was written", wrong)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"type":"note","frame":3,"text":"x"}` + "\n\n" + `{"type":"name","addr":"::1%eth0","name":"x","more":1}` + "\n{")
	f.Add(strings.Repeat("x", notes.MaxLine+1) + "\n" + `{"type":"mark","msg":3}`)
	f.Fuzz(func(t *testing.T, s string) {
		n, err := notes.Read(strings.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range strings.Lines(s) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		if len(n.Notes)+len(n.Marks)+len(n.Names)+n.Skipped > lines {
			t.Errorf("%d lines became %+v", lines, n)
		}
	})
}
