package bplist_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"howett.net/plist"

	"tundump/decode/bplist"
)

// checkError fails if an error is not what the package promises.
func checkError(t *testing.T, b []byte, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var e *bplist.Error
	if !errors.As(err, &e) {
		t.Fatalf("an error of type %T", err)
	}
	if e.Span.Off < 0 || e.Span.Len < 0 || e.Span.Off+e.Span.Len > len(b) || e.What == "" {
		t.Fatalf("%v spans %v of %d bytes", err, e.Span, len(b))
	}
}

// checkValue fails if a value or anything in it breaks a promise.
func checkValue(t *testing.T, b []byte, v bplist.Value, budget *int) {
	t.Helper()
	if *budget--; *budget < 0 {
		return
	}
	whole, body := v.Span(), v.Body()
	if !v.Exists() || whole.Off < 0 || whole.Len < 1 || whole.Off+whole.Len > len(b) ||
		body.Off < whole.Off || body.Off+body.Len > whole.Off+whole.Len {
		t.Fatalf("%v spans %v, its body %v, of %d bytes", v.Type(), whole, body, len(b))
	}
	if s, ok := v.Text(); ok {
		if !v.EqualText(s) || string(v.AppendText(nil)) != s {
			t.Fatalf("%q does not equal itself", s)
		}
	}
	if data, ok := v.Data(); ok && cap(data) != len(data) {
		t.Fatal("appending to data would change the payload")
	}
	if i, ok := v.Int(); ok && !v.IsNumber() {
		t.Fatalf("%d is no number", i)
	}
	if v.Len() <= 100 { // more would make this test quadratic, not the package
		v.DuplicateKey()
		v.NonStringKey()
	}
	for i := range v.Len() {
		if *budget < 0 {
			return
		}
		if v.Type() != bplist.Dict {
			checkValue(t, b, v.At(i), budget)
			continue
		}
		k, val := v.Pair(i)
		checkValue(t, b, k, budget)
		checkValue(t, b, val, budget)
		if name, ok := k.Text(); ok && v.Len() <= 100 && !v.Get(name).Exists() {
			t.Fatalf("the key %q is not found", name)
		}
	}
}

func seed(f *testing.F, add func([]byte)) {
	dir, err := filepath.Abs("../../../shared/vectors")
	if err != nil {
		f.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.bin")) // none where the vectors are absent
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && len(b) > 4 && len(b) < 1000 {
			add(b[4:])
		}
	}
	for _, t := range []tree{int64(-1), "é", pairs{{"a", []tree{true, 1.5, date(1), uid(7), []byte("xyz")}}}} {
		b, err := encode(t)
		if err != nil {
			f.Fatal(err)
		}
		add(b)
	}
}

func FuzzParse(f *testing.F) {
	seed(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		d, err := bplist.Parse(b, bplist.Limits{})
		checkError(t, b, err)
		if err != nil {
			return
		}
		budget := 10000
		checkValue(t, b, d.Root(), &budget)
		if same, err := bplist.Edit(nil, &d); err == nil && !bytes.Equal(same, b) {
			t.Fatalf("an edit without changes made %x", same)
		}
		if !bytes.Equal(before, b) {
			t.Fatal("the payload was changed")
		}
		budget = 10000
		want, ok := treeOf(d.Root(), &budget)
		if !ok || len(b) > 1000 {
			return
		}
		again, err := encode(want)
		if err != nil {
			t.Fatal(err)
		}
		d, err = bplist.Parse(again, bplist.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		budget = math.MaxInt
		got, ok := treeOf(d.Root(), &budget)
		if third, err := encode(got); !ok || err != nil || !bytes.Equal(third, again) { // cmp.Diff is exponential in the depth
			t.Fatalf("written and read and written: %v\n%x\n%x", err, again, third)
		}
		if hasDuplicates(want) || d.MaxDepth() > 100 {
			return
		}
		var howett any
		if _, err := plist.Unmarshal(again, &howett); err != nil {
			t.Fatalf("howett.net/plist: %v", err)
		}
		if diff := differ(want, howett); diff != "" {
			t.Fatal(diff)
		}
	})
}

// hasDuplicates reports whether a dictionary in t has equal keys, of which
// howett.net/plist takes the last.
func hasDuplicates(t tree) bool {
	switch t := t.(type) {
	case []tree:
		for _, e := range t {
			if hasDuplicates(e) {
				return true
			}
		}
	case pairs:
		seen := map[string]bool{}
		for _, p := range t {
			if seen[p.key] || hasDuplicates(p.val) {
				return true
			}
			seen[p.key] = true
		}
	}
	return false
}

func TestVersion(t *testing.T) {
	b, _ := encode(int64(1))
	b[7] = '1'
	d, err := bplist.Open(b, bplist.Limits{})
	if err != nil || d.Version() != "01" || d.Encoding() != bplist.Binary {
		t.Errorf("version %q, %v", d.Version(), err)
	}
}

func TestDuplicateKeys(t *testing.T) {
	for _, n := range []int{2, 10, 16, 17, 100, 10000} {
		var dict pairs
		for i := range n {
			dict = append(dict, pair{string(rune('a' + i)), int64(i)})
		}
		b, err := encode(dict)
		if err != nil {
			t.Fatal(err)
		}
		d, _ := bplist.Parse(b, bplist.Limits{})
		if k, found := d.Root().DuplicateKey(); found {
			t.Errorf("%d keys: %q is no duplicate", n, k.AppendText(nil))
		}
		dict[n-1].key = dict[n/2-1].key
		if b, err = encode(dict); err != nil {
			t.Fatal(err)
		}
		d, _ = bplist.Parse(b, bplist.Limits{})
		root := d.Root()
		k, found := root.DuplicateKey()
		if !found || !k.EqualText(dict[n-1].key) {
			t.Errorf("%d keys: the duplicate was not found", n)
		}
		if got, _ := root.Get(dict[n-1].key).Int(); got != int64(n/2-1) {
			t.Errorf("%d keys: the first of equal keys must win", n)
		}
	}
}

// TestKeyInBothForms has one key in ASCII and in UTF-16.
func TestKeyInBothForms(t *testing.T) {
	b := assemble([][]byte{{0xd2, 1, 2, 3, 3}, {0x51, 'a'}, {0x61, 0, 'a'}, {0x09}}, 1, 1)
	d, err := bplist.Parse(b, bplist.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if k, found := d.Root().DuplicateKey(); !found || k.Span() != (bplist.Span{Off: 15, Len: 3}) {
		t.Errorf("found %v at %v", found, k.Span())
	}
}

func TestScalars(t *testing.T) {
	for _, c := range []struct {
		object string
		typ    bplist.Type
		text   string
		int    int64
		isInt  bool
	}{
		{"00", bplist.Null, "null", 0, false},
		{"08", bplist.Bool, "false", 0, true},
		{"09", bplist.Bool, "true", 1, true},
		{"10ff", bplist.Int, "255", 255, true},
		{"12ffffffff", bplist.Int, "4294967295", 4294967295, true},
		{"13ffffffffffffffff", bplist.Int, "-1", -1, true},
		{"140000000000000000ffffffffffffffff", bplist.Int, "18446744073709551615", -1, false},
		{"14000000000000000000000000000000ff", bplist.Int, "255", 255, true},
		{"2241100000", bplist.Real, "9", 9, true},
		{"234022000000000000", bplist.Real, "9", 9, true},
		{"234021000000000000", bplist.Real, "8.5", 0, false},
		{"237ff8000000000000", bplist.Real, "NaN", 0, false},
		{"23c3e0000000000000", bplist.Real, "-9.223372036854776e+18", math.MinInt64, true},
		{"2343e0000000000000", bplist.Real, "9.223372036854776e+18", 0, false},
		{"330000000000000000", bplist.Date, "2001-01-01T00:00:00Z", 0, false},
		{"337ff0000000000000", bplist.Date, "+Inf seconds after 2001-01-01", 0, false},
		{"420aff", bplist.Data, "0aff", 0, false},
		{"80ff", bplist.UID, "255", 0, false},
		{"54610afff8", bplist.String, "a\nÿø", 0, false},
		{"61d83d", bplist.String, "\ufffd", 0, false},
		{"62d83dde00", bplist.String, "😀", 0, false},
	} {
		d, err := bplist.Parse(assemble([][]byte{unhex(t, c.object)}, 1, 1), bplist.Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.object, err)
			continue
		}
		v := d.Root()
		n, ok := v.Int()
		if text := string(v.AppendText(nil)); v.Type() != c.typ || text != c.text || ok != c.isInt || ok && n != c.int {
			t.Errorf("%s: %v %q, integer %d %v", c.object, v.Type(), text, n, ok)
		}
		if odd := c.object == "54610afff8" || c.object == "61d83d"; v.OddText() != odd {
			t.Errorf("%s: odd text is %v", c.object, v.OddText())
		}
		if s := v.Span(); s.Off != 8 || s.Len != len(c.object)/2 {
			t.Errorf("%s: spans %v", c.object, s)
		}
	}
}

func TestAbsent(t *testing.T) {
	var v bplist.Value
	k, val := v.Pair(0)
	if v.Exists() || v.Get("a").Exists() || v.At(0).Exists() || k.Exists() || val.Exists() || v.EqualText("") || v.OddText() ||
		v.Len() != 0 || v.Span() != (bplist.Span{}) || v.Body() != (bplist.Span{}) || v.AppendText(nil) != nil || v.IsNumber() {
		t.Error("an absent value has something")
	}
	var d bplist.Doc
	if d.Root().Exists() || d.Version() != "" || d.MaxDepth() != 0 || d.Objects() != 0 {
		t.Error("an empty document has something")
	}
	if _, found := v.DuplicateKey(); found {
		t.Error("an absent value has a key twice")
	}
	if _, found := v.NonStringKey(); found {
		t.Error("an absent value has a key")
	}
}
