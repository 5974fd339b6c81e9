package filter

import (
	"maps"
	"slices"
	"strings"

	"tundump/decode/field"
)

// function is one function of the language.
type function struct {
	doc     string
	most    int    // arguments that it takes at the most
	takes   string // what they are, in words
	accepts func(field.Domain) bool
	result  field.Type // 0: as the arguments
	// apply replaces the arguments' values, of which there is at least one.
	apply func(values []field.Value, s *Scratch) []field.Value
}

func textual(d field.Domain) bool { return d.Type == field.String }

func numeric(d field.Domain) bool { return d.Type.Numeric() && d.Type != field.Bool }

var functions = map[string]*function{
	"lower": {"the string in lower case", 1, "a string", textual, field.String, each(lower)},
	"upper": {"the string in upper case", 1, "a string", textual, field.String, each(upper)},
	"len": {"length in bytes", 1, "a string, bytes or an address",
		func(d field.Domain) bool { return d.Type.Textual() || d.Type == field.Addr }, field.Uint, each(length)},
	"count": {"how many values the field has in the row", 1, "a field",
		func(field.Domain) bool { return true }, field.Uint,
		func(values []field.Value, _ *Scratch) []field.Value {
			return append(values[:0], field.NewUint(uint64(len(values))))
		}},
	"string": {"the number or address as text", 1, "a number or an address",
		func(d field.Domain) bool { return d.Type == field.Uint || d.Type == field.Int || d.Type == field.Addr }, field.String, each(text)},
	"abs": {"the number without its sign", 1, "a number", func(d field.Domain) bool { return d.Type == field.Uint || d.Type == field.Int }, field.Uint, each(abs)},
	"min": {"the least of the values", 16, "numbers", numeric, 0, extreme(-1)},
	"max": {"the greatest of the values", 16, "numbers", numeric, 0, extreme(1)},
}

// functionNames lists them for messages.
var functionNames = strings.Join(slices.Sorted(maps.Keys(functions)), ", ")

// check checks the arguments, and says what the result is.
func (fn *function) check(e *expr) error {
	if len(e.args) > fn.most {
		return at(e.args[fn.most].start(), e.tok.text+" takes one argument")
	}
	for _, a := range e.args {
		switch {
		case a.isLiteral() && fn.most > 1:
			continue
		case a.isLiteral() && a.op == literal && a.tok.kind == word:
			return unknown(a.tok)
		case a.isLiteral(), a.op == group, a.op == protocol && a.tok.text != "frame", !fn.accepts(a.dom):
			return at(a.start(), e.tok.text+" takes "+fn.takes)
		case e.dom.Type != 0 && !comparable(e.dom, a.dom):
			return at(a.start(), is(e.args[0])+", and "+is(a))
		}
		if e.dom.Type == 0 {
			e.dom = field.Domain{Type: a.dom.Type}
		}
	}
	if e.dom.Type == 0 {
		return at(e.args[0].start(), e.tok.text+" takes "+fn.takes+", and at least one field among them")
	}
	if fn.result != 0 {
		e.dom = field.Domain{Type: fn.result}
	}
	return nil
}

// each makes a function of values out of one of a value.
func each(one func(field.Value, *Scratch) field.Value) func([]field.Value, *Scratch) []field.Value {
	return func(values []field.Value, s *Scratch) []field.Value {
		for i := range values {
			values[i] = one(values[i], s)
		}
		return values
	}
}

// extreme keeps the value that is greatest by sign.
func extreme(sign int) func([]field.Value, *Scratch) []field.Value {
	return func(values []field.Value, _ *Scratch) []field.Value {
		best := values[0]
		for _, v := range values[1:] {
			if order, ok := field.Compare(v, best); ok && order == sign {
				best = v
			}
		}
		return append(values[:0], best)
	}
}

func lower(v field.Value, s *Scratch) field.Value { return mapped(v, s, 'A', 'a') }

func upper(v field.Value, s *Scratch) field.Value { return mapped(v, s, 'a', 'A') }

// mapped shifts the letters of one case to the other, in ASCII as tshark does.
func mapped(v field.Value, s *Scratch, from, to byte) field.Value {
	text, _ := v.Text()
	at := len(s.text)
	s.text = append(s.text, text[:min(len(text), max(0, maxMade-at))]...)
	made := s.text[at:]
	for i, c := range made {
		if c >= from && c <= from+25 {
			made[i] = c - from + to
		}
	}
	return field.NewString(made)
}

func length(v field.Value, _ *Scratch) field.Value {
	if a, ok := v.Addr(); ok {
		return field.NewUint(uint64(a.BitLen() / 8))
	}
	text, _ := v.Text()
	return field.NewUint(uint64(len(text)))
}

var decimal field.Field

func text(v field.Value, s *Scratch) field.Value {
	at := len(s.text)
	s.text = v.AppendText(s.text, &decimal)
	return field.NewString(s.text[at:])
}

func abs(v field.Value, _ *Scratch) field.Value {
	if n, _ := v.Integer(); v.Type == field.Int && n < 0 {
		return field.NewUint(uint64(-n))
	}
	return v
}
