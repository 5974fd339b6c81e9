package bplist_test

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"howett.net/plist"

	"tundump/decode/bplist"
)

// tree is a property list as a test describes it: int64, float64, bool, date,
// uid, string, []byte, []tree or pairs.
type tree any

type (
	date float64
	uid  uint32
	pair struct {
		key string
		val tree
	}
	pairs []pair
)

// describe hands a tree to a Writer.
func describe(w *bplist.Writer, t tree) bplist.Ref {
	switch t := t.(type) {
	case int64:
		return w.Int(t)
	case float64:
		return w.Real(t)
	case bool:
		return w.Bool(t)
	case date:
		return w.Date(float64(t))
	case uid:
		return w.UID(uint32(t))
	case string:
		return w.String(t)
	case []byte:
		return w.Data(t)
	case []tree:
		var refs []bplist.Ref
		for _, e := range t {
			refs = append(refs, describe(w, e))
		}
		return w.Array(refs...)
	case pairs:
		var refs []bplist.Ref
		for _, p := range t {
			refs = append(refs, w.String(p.key), describe(w, p.val))
		}
		return w.Dict(refs...)
	}
	panic(fmt.Sprintf("no property list has a %T", t))
}

// encode writes a tree.
func encode(t tree) ([]byte, error) {
	var w bplist.Writer
	return w.Append(nil, describe(&w, t))
}

// treeOf reads a value back, at most budget objects of it; ok is false if it
// has more, or if the Writer cannot write what is in it.
func treeOf(v bplist.Value, budget *int) (t tree, ok bool) {
	if *budget--; *budget < 0 {
		return nil, false
	}
	switch v.Type() {
	case bplist.Int:
		return v.Int()
	case bplist.Real:
		return v.Real()
	case bplist.Bool:
		return v.Bool()
	case bplist.Date:
		d, ok := v.Date()
		return date(d.Unix() - 978307200), ok // whole seconds are enough
	case bplist.UID:
		u, ok := v.UID()
		return uid(u), ok
	case bplist.String:
		return v.Text()
	case bplist.Data:
		return v.Data()
	case bplist.Array:
		list := []tree{}
		for i := range v.Len() {
			e, ok := treeOf(v.At(i), budget)
			if !ok {
				return nil, false
			}
			list = append(list, e)
		}
		return list, true
	case bplist.Dict:
		dict := pairs{}
		for i := range v.Len() {
			k, val := v.Pair(i)
			name, isText := k.Text()
			e, ok := treeOf(val, budget)
			if !ok || !isText {
				return nil, false
			}
			dict = append(dict, pair{name, e})
		}
		return dict, true
	}
	return nil, false
}

// differ says how a tree and what howett.net/plist read differ; "" if they do
// not.
func differ(t tree, got any) string {
	bad := fmt.Sprintf("%T %.60v, howett.net/plist has %T %.60v", t, t, got, got)
	switch t := t.(type) {
	case int64:
		if u, ok := got.(uint64); ok && int64(u) == t && t >= 0 {
			return ""
		}
		if i, ok := got.(int64); ok && i == t {
			return ""
		}
		return bad
	case float64:
		if f, ok := got.(float64); !ok || f != t && !(math.IsNaN(f) && math.IsNaN(t)) {
			return bad
		}
	case bool:
		if got != t {
			return bad
		}
	case date:
		if d, ok := got.(time.Time); !ok || math.Abs(float64(d.Unix()-978307200)-float64(t)) > 1 {
			return bad
		}
	case uid:
		if got != plist.UID(t) {
			return bad
		}
	case string:
		if got != t {
			return bad
		}
	case []byte:
		if b, ok := got.([]byte); !ok || !bytes.Equal(b, t) {
			return bad
		}
	case []tree:
		list, ok := got.([]any)
		if !ok || len(list) != len(t) {
			return bad
		}
		for i := range t {
			if d := differ(t[i], list[i]); d != "" {
				return fmt.Sprintf("[%d]: %s", i, d)
			}
		}
	case pairs:
		dict, ok := got.(map[string]any)
		if !ok || len(dict) != len(t) {
			return bad
		}
		for _, p := range t {
			if d := differ(p.val, dict[p.key]); d != "" {
				return fmt.Sprintf("%q: %s", p.key, d)
			}
		}
	}
	return ""
}
