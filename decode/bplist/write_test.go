package bplist_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"howett.net/plist"
	"pgregory.net/rapid"

	"tundump/decode/bplist"
)

// trees draws random property lists; keys of a dictionary differ.
func trees(depth int) *rapid.Generator[tree] {
	return rapid.Custom(func(t *rapid.T) tree {
		kinds := 9
		if depth == 0 {
			kinds = 7
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.Int64().Draw(t, "int")
		case 1:
			return rapid.Float64().Draw(t, "real")
		case 2:
			return rapid.Bool().Draw(t, "bool")
		case 3:
			return date(rapid.Int64Range(-6e10, 2e11).Draw(t, "date"))
		case 4:
			return uid(rapid.Uint32().Draw(t, "uid"))
		case 5:
			return rapid.String().Draw(t, "string")
		case 6:
			return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
		case 7:
			return rapid.SliceOfN(trees(depth-1), 0, 20).Draw(t, "array")
		}
		dict := pairs{}
		for _, k := range rapid.SliceOfNDistinct(rapid.String(), 0, 20, rapid.ID[string]).Draw(t, "keys") {
			dict = append(dict, pair{k, trees(depth-1).Draw(t, "value")})
		}
		return dict
	})
}

var treeOptions = cmp.Options{cmp.AllowUnexported(pair{}), cmpopts.EquateEmpty(), cmpopts.EquateNaNs()}

func checkWriter(t *rapid.T) {
	want := trees(3).Draw(t, "tree")
	b, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	d, err := bplist.Parse(b, bplist.Limits{})
	if err != nil {
		t.Fatalf("%v\n%x", err, b)
	}
	budget := math.MaxInt
	got, ok := treeOf(d.Root(), &budget)
	if diff := cmp.Diff(want, got, treeOptions); !ok || diff != "" {
		t.Fatalf("read back (-want +got):\n%s\n%x", diff, b)
	}
	var howett any
	if _, err := plist.Unmarshal(b, &howett); err != nil {
		t.Fatalf("howett.net/plist: %v\n%x", err, b)
	}
	if diff := differ(want, howett); diff != "" {
		t.Fatalf("%s\n%x", diff, b)
	}
}

func TestWriterRoundTrip(t *testing.T) { rapid.Check(t, checkWriter) }

func FuzzWrite(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkWriter)) }

// pythonCheck reads files and prints each as JSON: what plistlib made of it,
// with the type of every scalar.
const pythonCheck = `
import sys, json, plistlib, struct, datetime
def j(v):
    if isinstance(v, bool): return ["bool", v]
    if isinstance(v, plistlib.UID): return ["uid", v.data]
    if isinstance(v, int): return ["int", str(v)]
    if isinstance(v, float): return ["real", struct.pack(">d", v).hex()]
    if isinstance(v, bytes): return ["data", v.hex()]
    if isinstance(v, str): return ["string", v.encode("utf-8").hex()]
    if isinstance(v, datetime.datetime):
        return ["date", int((v - datetime.datetime(2001, 1, 1)).total_seconds())]
    if isinstance(v, list): return ["array", [j(x) for x in v]]
    return ["dict", [[k.encode("utf-8").hex(), j(x)] for k, x in v.items()]]
print(json.dumps([j(plistlib.loads(open(f, "rb").read())) for f in sys.argv[1:]]))
`

// inPython returns a tree as pythonCheck prints it.
func inPython(t tree) any {
	switch t := t.(type) {
	case int64:
		return []any{"int", fmt.Sprint(t)}
	case float64:
		return []any{"real", hex.EncodeToString(binary.BigEndian.AppendUint64(nil, math.Float64bits(t)))}
	case bool:
		return []any{"bool", t}
	case date:
		return []any{"date", float64(t)}
	case uid:
		return []any{"uid", float64(t)}
	case string:
		return []any{"string", hex.EncodeToString([]byte(t))}
	case []byte:
		return []any{"data", hex.EncodeToString(t)}
	case []tree:
		list := []any{}
		for _, e := range t {
			list = append(list, inPython(e))
		}
		return []any{"array", list}
	}
	dict := []any{}
	for _, p := range t.(pairs) {
		dict = append(dict, []any{hex.EncodeToString([]byte(p.key)), inPython(p.val)})
	}
	return []any{"dict", dict}
}

func TestWriterAgainstPlistlib(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to compare with")
	}
	dir := t.TempDir()
	args := []string{"-c", pythonCheck}
	want := []any{}
	for i := range 200 {
		tree := trees(3).Example(i)
		b, err := encode(tree)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
		want = append(want, inPython(tree))
	}
	out, err := exec.Command(python, args...).Output()
	if err != nil {
		t.Fatalf("plistlib: %v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var got []any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plistlib reads something else (-want +got):\n%s", diff)
	}
}

// TestWriterAsApple writes what Apple's devices wrote, from its contents.
func TestWriterAsApple(t *testing.T) {
	dir, all := vectors(t)
	var w bplist.Writer
	n := 0
	for _, v := range all {
		if !strings.HasPrefix(v.File, "real-") {
			continue
		}
		n++
		stream, err := os.ReadFile(filepath.Join(dir, v.File))
		if err != nil {
			t.Fatal(err)
		}
		want := stream[4:]
		d, err := bplist.Parse(want, bplist.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		budget := math.MaxInt
		tree, _ := treeOf(d.Root(), &budget)
		w.Reset()
		got, err := w.Append(nil, describe(&w, tree))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n got %x\nwant %x", v.File, err, got, want)
		}
	}
	if n != 18 {
		t.Errorf("%d recorded messages, want 18", n)
	}
}

// TestSameCRC32 writes two packets that a writer which compares checksums
// takes for one.
func TestSameCRC32(t *testing.T) {
	a, _ := hex.DecodeString("7061636b65742d412d41414141")
	b, _ := hex.DecodeString("7061636b65742d422d423cecbbfe")
	if crc32.ChecksumIEEE(a) != crc32.ChecksumIEEE(b) {
		t.Fatal("the packets have different checksums")
	}
	var w bplist.Writer
	payload, err := w.Append(nil, w.Dict(w.String("packets"), w.DataArray([][]byte{a, b})))
	if err != nil {
		t.Fatal(err)
	}
	d, err := bplist.Parse(payload, bplist.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	root := d.Root()
	packets := root.Get("packets")
	for i, want := range [][]byte{a, b} {
		if got, ok := packets.At(i).Data(); !ok || !bytes.Equal(got, want) {
			t.Errorf("packet %d is %x, want %x", i, got, want)
		}
	}
}

func TestWriterShares(t *testing.T) {
	var w bplist.Writer
	name := w.String("shared")
	payload, err := w.Append([]byte("in front"), w.Array(
		w.Int(2), name, w.Int(2), name, w.String("shared"), w.Int(-2), w.IntArray([]int64{2, -2, 2}),
	))
	if err != nil {
		t.Fatal(err)
	}
	d, err := bplist.Parse(payload[len("in front"):], bplist.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Objects(); got != 6 { // the arrays, 2, -2, and the string twice
		t.Errorf("%d objects, want 6", got)
	}
	again, err := w.Append(nil, w.Array(name))
	if err != nil {
		t.Fatal(err)
	}
	if d, err = bplist.Parse(again, bplist.Limits{}); err != nil || d.Objects() != 2 {
		t.Errorf("a second root of the same objects: %d objects, %v", d.Objects(), err)
	}
}

func TestWriterRefuses(t *testing.T) {
	for name, build := range map[string]func(w *bplist.Writer) bplist.Ref{
		"odd dictionary":      func(w *bplist.Writer) bplist.Ref { return w.Dict(w.String("a")) },
		"key is no string":    func(w *bplist.Writer) bplist.Ref { return w.Dict(w.Int(1), w.Int(2)) },
		"unknown element":     func(w *bplist.Writer) bplist.Ref { return w.Array(7) },
		"negative element":    func(w *bplist.Writer) bplist.Ref { return w.Dict(-1, -1) },
		"unknown root":        func(w *bplist.Writer) bplist.Ref { return 0 },
		"contains itself":     func(w *bplist.Writer) bplist.Ref { return w.Array(0) },
		"error inside a list": func(w *bplist.Writer) bplist.Ref { return w.Array(w.Dict(w.String("a"))) },
	} {
		var w bplist.Writer
		if b, err := w.Append([]byte("x"), build(&w)); err == nil || string(b) != "x" {
			t.Errorf("%s: no error", name)
		}
		w.Reset()
		if _, err := w.Append(nil, w.Int(1)); err != nil {
			t.Errorf("%s: still fails after Reset: %v", name, err)
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "a", "\x00\x7f", "é", "€", "😀", "a\xffb", strings.Repeat("x", 300), strings.Repeat("日", 20)} {
		b, err := encode(s)
		if err != nil {
			t.Fatal(err)
		}
		d, err := bplist.Parse(b, bplist.Limits{})
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		want := strings.ToValidUTF8(s, "\ufffd")
		root := d.Root()
		if got, _ := root.Text(); got != want || !root.EqualText(want) || root.OddText() {
			t.Errorf("%q reads as %q", s, got)
		}
		if !utf8.ValidString(s) && root.EqualText(s) {
			t.Errorf("%q equals text that is no UTF-8", s)
		}
	}
}
