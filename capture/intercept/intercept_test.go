package intercept

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"tundump/decode"
	"tundump/decode/frame"
)

// say answers always the same, and notes what it was asked about.
type say struct {
	Verdict
	dir   decode.Direction
	asked *[]decode.Event
}

func (s say) Wants(_ uint32, dir decode.Direction) bool { return dir == s.dir }

func (s say) Intercept(ev decode.Event) Verdict {
	if s.asked != nil {
		*s.asked = append(*s.asked, ev)
	}
	return s.Verdict
}

func TestChain(t *testing.T) {
	one, two, three, four := []byte("1"), []byte("2"), []byte("3"), []byte("4")
	pass := say{Verdict: Verdict{Before: [][]byte{one}, After: [][]byte{four}, Delay: time.Second}}
	edit := say{Verdict: Verdict{Action: Replace, Raw: []byte("new"), Before: [][]byte{two}, After: [][]byte{three}}}
	other := say{Verdict: Verdict{Action: Drop}, dir: decode.ServerToClient}
	var asked []decode.Event
	last := say{asked: &asked}
	c := Chain{pass, other, edit, last}
	v := c.Intercept(decode.Event{Raw: []byte("old")})
	if v.Action != Replace || string(v.Raw) != "new" || v.Delay != time.Second {
		t.Errorf("got %+v", v)
	}
	if got := string(bytes.Join(v.Before, nil)) + "*" + string(bytes.Join(v.After, nil)); got != "12*34" {
		t.Errorf("around the record: %s, want 12*34", got)
	}
	if len(asked) != 1 || string(asked[0].Raw) != "new" || asked[0].Flags&decode.Edited == 0 {
		t.Errorf("the last one saw %+v", asked)
	}
	for _, end := range []Verdict{{Action: Drop}, {Action: Hold, ID: 7}} {
		asked = nil
		v := Chain{edit, say{Verdict: end}, last}.Intercept(decode.Event{})
		if v.Action != end.Action || v.ID != end.ID || v.Raw != nil || len(v.Before) != 1 || len(asked) != 0 {
			t.Errorf("%v: got %+v, and %d were asked after it", end.Action, v, len(asked))
		}
	}
	if c.Wants(1, decode.ServerToClient) != true || (Chain{pass}).Wants(1, decode.ServerToClient) || Chain(nil).Wants(1, 0) {
		t.Error("a chain wants what one of its interceptors wants")
	}
}

func TestDropIf(t *testing.T) {
	d := DropIf(func(ev decode.Event) bool { return ev.Offset == 3 })
	if !d.Wants(9, decode.ServerToClient) || d.Intercept(decode.Event{Offset: 3}).Action != Drop || d.Intercept(decode.Event{}).Action != Pass {
		t.Error("drops the wrong ones")
	}
}

func TestRecords(t *testing.T) {
	a, b := []byte{6, 0, 0, 0, 'a', 'b'}, []byte{4, 0, 0, 0}
	recs, err := Records(append(bytes.Clone(a), b...))
	if err != nil || len(recs) != 2 || !bytes.Equal(recs[0], a) || !bytes.Equal(recs[1], b) {
		t.Errorf("got %q, %v", recs, err)
	}
	if recs, err := Records(nil); recs != nil || err != nil {
		t.Errorf("nothing: got %q, %v", recs, err)
	}
	for bad, want := range map[string]string{
		"\x06\x00\x00\x00ab\x09\x00\x00\x00x": "the one at offset 6 is cut off after 5 bytes",
		"\x04\x00\x00\x00\x01\x00":            "the one at offset 4 is cut off after 2 bytes",
		"\x04\x00\x00\x00\x01\x00\x00\x00":    "at offset 4: frame: length 1 is less",
		"GET / HTTP/1.1":                      "at offset 0: frame: length 542393671 is more",
	} {
		if recs, err := Records([]byte(bad)); recs != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v; want %q", bad, recs, err, want)
		}
	}
}

func TestActionString(t *testing.T) {
	if Pass.String()+Hold.String()+Action(9).String() != "passholdunknown" {
		t.Error("wrong names")
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte{6, 0, 0, 0, 'a', 'b', 4, 0, 0, 0})
	f.Add([]byte{3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		recs, err := Records(b)
		if err != nil {
			return
		}
		if !bytes.Equal(bytes.Join(recs, nil), b) {
			t.Error("the records are not the file")
		}
		for _, r := range recs {
			if n, err := frame.Cut(r, frame.MaxDecode); n != len(r) || err != nil {
				t.Errorf("a record of %d bytes is cut after %d: %v", len(r), n, err)
			}
		}
	})
}
