package bplist_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tundump/decode/bplist"
)

func read(t *testing.T, b []byte) (*bplist.Doc, tree) {
	t.Helper()
	d, err := bplist.Parse(b, bplist.Limits{})
	if err != nil {
		t.Fatalf("%v\n%x", err, b)
	}
	budget := math.MaxInt
	got, _ := treeOf(d.Root(), &budget)
	return &d, got
}

// TestEditInPlace changes a value that nothing shares: only its bytes and the
// offsets behind it may differ.
func TestEditInPlace(t *testing.T) {
	b, err := encode(pairs{{"a", "first"}, {"data", []byte("12345")}, {"z", []tree{"last", int64(70000)}}})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := read(t, b)
	change := bplist.Change{Value: d.Root().Get("data"), Object: bplist.AppendData(nil, []byte("67890"))}
	got, err := bplist.Edit([]byte("front"), d, change)
	if err != nil {
		t.Fatal(err)
	}
	if want := bytes.Replace(b, []byte("12345"), []byte("67890"), 1); string(got) != "front"+string(want) {
		t.Errorf("got %x\nwant %x", got, want)
	}
	long := bytes.Repeat([]byte("x"), 70000)
	got, err = bplist.Edit(nil, d, bplist.Change{Value: d.Root().Get("data"), Object: bplist.AppendData(nil, long)})
	if err != nil {
		t.Fatal(err)
	}
	_, is := read(t, got)
	if diff := cmp.Diff(pairs{{"a", "first"}, {"data", long}, {"z", []tree{"last", int64(70000)}}}, is, treeOptions); diff != "" {
		t.Errorf("(-want +got):\n%.500s", diff)
	}
}

// TestEditShared changes a number that stands for others too.
func TestEditShared(t *testing.T) {
	b, err := encode(pairs{{"command", int64(2)}, {"protocols", []tree{int64(2), int64(2)}}})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := read(t, b)
	root := d.Root()
	got, err := bplist.Edit(nil, d,
		bplist.Change{Value: root.Get("command"), Object: bplist.AppendInt(nil, 3)},
		bplist.Change{Value: root.Get("protocols").At(1), Object: bplist.AppendInt(nil, 30)})
	if err != nil {
		t.Fatal(err)
	}
	_, is := read(t, got)
	if diff := cmp.Diff(pairs{{"command", int64(3)}, {"protocols", []tree{int64(2), int64(30)}}}, is, treeOptions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEditGrowsReferences adds the 256th object, which one byte cannot count.
func TestEditGrowsReferences(t *testing.T) {
	list := []tree{"a"}
	for i := range 253 {
		list = append(list, fmt.Sprint(i))
	}
	var w bplist.Writer
	refs := []bplist.Ref{}
	for _, e := range list {
		refs = append(refs, describe(&w, e))
	}
	b, err := w.Append(nil, w.Array(append(refs, refs[0])...))
	if err != nil {
		t.Fatal(err)
	}
	d, _ := read(t, b)
	if d.Objects() != 255 {
		t.Fatalf("%d objects", d.Objects())
	}
	got, err := bplist.Edit(nil, d, bplist.Change{Value: d.Root().At(254), Object: bplist.AppendString(nil, "b")})
	if err != nil {
		t.Fatal(err)
	}
	_, is := read(t, got)
	if diff := cmp.Diff(append(list, "b"), is, treeOptions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEditVectors edits every message that was recorded or written to be odd,
// one scalar of the root at a time, and looks at all others.
func TestEditVectors(t *testing.T) {
	dir, all := vectors(t)
	edits := 0
	for _, v := range all {
		if len(v.Messages) == 0 || v.Messages[0].Decode != "ok" || shortened[v.File] || strings.HasPrefix(v.File, "bad-plist-") {
			continue
		}
		stream, err := os.ReadFile(filepath.Join(dir, v.File))
		if err != nil {
			t.Fatal(err)
		}
		b := stream[4:v.Frames[0].Length]
		d, err := bplist.Parse(b, bplist.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		same, err := bplist.Edit(nil, &d)
		if err != nil || !bytes.Equal(same, b) {
			t.Errorf("%s: an edit without changes: %v", v.File, err)
		}
		root := d.Root()
		for i := range root.Len() {
			_, val := root.Pair(i)
			if val.Len() > 0 || val.Type() >= bplist.Array {
				continue
			}
			out, err := bplist.Edit(nil, &d, bplist.Change{Value: val, Object: bplist.AppendInt(nil, 1<<40)})
			if err != nil {
				t.Errorf("%s: %v", v.File, err)
				continue
			}
			edits++
			e, err := bplist.Parse(out, bplist.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			changed := e.Root()
			for j := range root.Len() {
				_, was := root.Pair(j)
				_, is := changed.Pair(j)
				want := summary(was)
				if j == i {
					want = float64(1 << 40)
				}
				if diff := cmp.Diff(want, summary(is)); diff != "" {
					t.Errorf("%s, pair %d edited, pair %d (-want +got):\n%s", v.File, i, j, diff)
				}
			}
		}
	}
	if edits < 400 {
		t.Errorf("only %d edits", edits)
	}
}

func TestEditRefuses(t *testing.T) {
	b, _ := encode(pairs{{"a", []tree{int64(1)}}})
	d, _ := read(t, b)
	other, _ := read(t, b)
	one := bplist.AppendInt(nil, 1)
	overlap, err := bplist.Parse(assemble([][]byte{{0xa2, 1, 2}, {0x52, 0x51, 'a'}}, 1, 1, 8, 11, 12), bplist.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	fromXML, err := bplist.ParseXML([]byte("<array><true/></array>"), bplist.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() ([]byte, error){
		"container": func() ([]byte, error) {
			return bplist.Edit([]byte("x"), d, bplist.Change{Value: d.Root(), Object: one})
		},
		"another document": func() ([]byte, error) {
			return bplist.Edit([]byte("x"), d, bplist.Change{Value: other.Root().Get("a").At(0), Object: one})
		},
		"no object": func() ([]byte, error) {
			return bplist.Edit([]byte("x"), d, bplist.Change{Value: d.Root().Get("a").At(0)})
		},
		"two objects": func() ([]byte, error) {
			return bplist.Edit([]byte("x"), d, bplist.Change{Value: d.Root().Get("a").At(0), Object: append(one, one...)})
		},
		"new container": func() ([]byte, error) {
			return bplist.Edit([]byte("x"), d, bplist.Change{Value: d.Root().Get("a").At(0), Object: []byte{0xa0}})
		},
		"absent value": func() ([]byte, error) { return bplist.Edit([]byte("x"), d, bplist.Change{Object: one}) },
		"overlap":      func() ([]byte, error) { return bplist.Edit([]byte("x"), &overlap) },
		"xml":          func() ([]byte, error) { return bplist.Edit([]byte("x"), &fromXML) },
	} {
		if out, err := try(); err == nil || string(out) != "x" {
			t.Errorf("%s: no error", name)
		}
	}
}
