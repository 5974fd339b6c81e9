package detail

import (
	"encoding/hex"
	"strconv"
	"strings"

	"tundump/decode/field"
)

// valueFilter returns the display filter that rows with this row's value of a
// field pass, and the value's text. Of several values it takes the one that
// shown stands for. A name that is no field, but above some, is a filter by
// itself.
func valueFilter(r *field.Row, name, shown string) (filter, text string) {
	f, ok := field.Lookup(name)
	if !ok {
		if field.IsPrefix(name) {
			return name, shown
		}
		return "", shown
	}
	values := f.Values(nil, r)
	if len(values) == 0 {
		return "", shown
	}
	pick := values[0]
	for _, v := range values {
		if string(v.AppendText(nil, f)) == shown {
			pick = v
			break
		}
	}
	return ValueFilter(f, pick), string(pick.AppendText(nil, f))
}

// ValueFilter returns the display filter that rows with value v of f pass, ""
// if no filter can say that.
func ValueFilter(f *field.Field, v field.Value) string {
	switch v.Type {
	case field.Object:
		return ""
	case field.String:
		b, _ := v.Bytes()
		return f.Name + " == " + quote(string(b))
	case field.Bytes:
		b, _ := v.Bytes()
		if len(b) == 0 || len(b) > 64 {
			return ""
		}
		return f.Name + " == " + colons(b)
	case field.Bool:
		if n, _ := v.Number(); n == 0 {
			return f.Name + " == false"
		}
		return f.Name + " == true"
	}
	return f.Name + " == " + string(v.AppendText(nil, f))
}

// quote writes a string as a filter has it. Filters know the escape sequences of
// Go, without which a value's control characters would be lost when the filter
// is edited.
func quote(s string) string { return strconv.Quote(s) }

func colons(b []byte) string {
	s := hex.EncodeToString(b)
	var out strings.Builder
	for i := 0; i < len(s); i += 2 {
		if i > 0 {
			out.WriteByte(':')
		}
		out.WriteString(s[i : i+2])
	}
	return out.String()
}
