package bplist_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tundump/capture/judge"
	"tundump/decode/bplist"
)

type vector struct {
	File   string
	Frames []struct {
		Off    int
		Length int
	}
	Messages []struct {
		Decode string
		Format string
		Fields map[string]any
	}
}

func vectors(t testing.TB) (string, []vector) {
	t.Helper()
	dir := judge.Shared(t, "vectors")
	raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &expected); err != nil {
		t.Fatal(err)
	}
	if len(expected.Vectors) < 271 {
		t.Fatalf("only %d vectors", len(expected.Vectors))
	}
	return dir, expected.Vectors
}

// verdict says what Apple's reader and the cast behind it make of a payload,
// in the words of expected.json.
func verdict(b []byte) (decode, format string, doc *bplist.Doc) {
	if len(b) == 0 {
		return "empty", "", nil
	}
	d, err := bplist.Open(b, bplist.Limits{})
	if err != nil {
		return "error", "", nil
	}
	root := d.Root()
	_, odd := root.NonStringKey()
	if d.Encoding() == bplist.OpenStep && !d.Shape().Dictionary() ||
		d.Encoding() != bplist.OpenStep && root.Type() != bplist.Dict || odd {
		return "nondict", "", &d
	}
	return "ok", d.Encoding().String(), &d
}

// summary returns a value in the form of expected.json.
func summary(v bplist.Value) any {
	switch v.Type() {
	case bplist.Data:
		b, _ := v.Data()
		sum := sha256.Sum256(b)
		return map[string]any{"len": float64(len(b)), "sha256": hex.EncodeToString(sum[:8])}
	case bplist.String:
		s, _ := v.Text()
		return s
	case bplist.Int:
		text := string(v.AppendText(nil))
		if n, ok := v.Int(); ok && n == int64(float64(n)) && n>>53 == n>>63 {
			return float64(n)
		}
		return map[string]any{"int": text}
	case bplist.Real:
		f, _ := v.Real()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return map[string]any{"real": strings.ToLower(strings.TrimPrefix(string(v.AppendText(nil)), "+"))}
		}
		return f
	case bplist.Bool:
		b, _ := v.Bool()
		return b
	case bplist.Date:
		d, _ := v.Date()
		return map[string]any{"date": d.Format("2006-01-02T15:04:05")}
	case bplist.UID:
		u, _ := v.UID()
		return map[string]any{"uid": float64(u)}
	case bplist.Array, bplist.Set:
		list := []any{}
		for i := range v.Len() {
			list = append(list, summary(v.At(i)))
		}
		return list
	case bplist.Dict:
		dict := map[string]any{}
		for i := range v.Len() {
			k, _ := v.Pair(i)
			name, _ := k.Text()
			dict[name] = summary(v.Get(name))
		}
		return dict
	}
	return nil
}

// shortened vectors are those whose fields expected.json does not give in full.
var shortened = map[string]bool{
	"edge-amplification.bin": true, "bad-laughs.bin": true, "edge-deep-100.bin": true, "edge-deep-200.bin": true,
}

func TestVectors(t *testing.T) {
	dir, all := vectors(t)
	for _, v := range all {
		t.Run(v.File, func(t *testing.T) {
			stream, err := os.ReadFile(filepath.Join(dir, v.File))
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range v.Messages {
				f := v.Frames[i]
				payload := stream[f.Off+4 : f.Off+f.Length]
				decode, format, doc := verdict(payload)
				if decode != m.Decode || decode == "ok" && format != m.Format {
					_, err := bplist.Open(payload, bplist.Limits{})
					t.Errorf("message %d: %s %s, want %s %s (%v)", i, decode, format, m.Decode, m.Format, err)
					continue
				}
				if decode != "ok" || doc.Encoding() == bplist.OpenStep || shortened[v.File] {
					continue
				}
				if diff := cmp.Diff(m.Fields, summary(doc.Root())); diff != "" {
					t.Errorf("message %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}
