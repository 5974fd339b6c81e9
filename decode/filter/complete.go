package filter

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"tundump/decode/field"
)

// State is what a filter that is being typed is so far.
type State uint8

const (
	Empty      State = iota
	Valid            // green in Wireshark
	Deprecated       // valid, and should be written in another way; yellow
	Incomplete       // what is there can be gone on with
	Invalid          // red
)

// Check says what text is as a filter, and where it should be changed: the
// error is nil if it is empty or valid.
func Check(text string) (State, *Error) {
	if strings.TrimSpace(text) == "" {
		return Empty, nil
	}
	f, err := Compile(text)
	if err == nil {
		if d := f.Deprecated(); d != nil {
			return Deprecated, d
		}
		return Valid, nil
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Text: err.Error()}
	}
	if e.incomplete || e.unknown && e.End == len(text) && beginsName(text[e.Col:e.End]) {
		return Incomplete, e
	}
	return Invalid, e
}

// beginsName reports whether a field, a protocol or a function begins so.
func beginsName(s string) bool {
	begins := func(name string) bool { return strings.HasPrefix(name, s) }
	return s != "" && (slices.ContainsFunc(field.All(), func(f field.Field) bool { return begins(f.Name) }) ||
		slices.ContainsFunc(field.Protocols(), begins) ||
		slices.ContainsFunc(slices.Collect(maps.Keys(functions)), begins))
}

// Candidate is one way to go on with a filter.
type Candidate struct {
	Text string
	Type string // of a field its type; else what it is: "protocol", "operator", "function", "value"
	Doc  string // one line
}

// Complete returns what may stand at the cursor, an offset in text, in place
// of text[from:to]: fields, protocols and functions, or what can follow on a
// field, or the values that have names. What begins as text[from:cursor] does
// comes first, in the field table's order; where nothing begins so, what has
// it inside. Inside strings there are none.
func Complete(text string, cursor int) (from, to int, list []Candidate) {
	cursor = min(max(cursor, 0), len(text))
	for from = cursor; from > 0 && inName(text[from-1]); from-- {
	}
	for to = cursor; to < len(text) && inName(text[to]); to++ {
	}
	before, err := lex(text[:from])
	if err != nil {
		return cursor, cursor, nil
	}
	list = narrowed(following(before[:len(before)-1]), text[from:cursor])
	if len(list) == 0 {
		return cursor, cursor, nil
	}
	return from, to, list
}

func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.'
}

// narrowed returns those of list that begin with typed, or else have it inside.
func narrowed(list []Candidate, typed string) []Candidate {
	only := func(fits func(string) bool) (out []Candidate) {
		for _, c := range list {
			if fits(c.Text) && c.Text != typed {
				out = append(out, c)
			}
		}
		return out
	}
	if out := only(func(s string) bool { return strings.HasPrefix(s, typed) }); len(out) > 0 || typed == "" {
		return out
	}
	lower := strings.ToLower(typed)
	return only(func(s string) bool { return strings.Contains(strings.ToLower(s), lower) })
}

// following returns what can stand behind tokens.
func following(tokens []token) []Candidate {
	if len(tokens) == 0 {
		return starts()
	}
	last := tokens[len(tokens)-1]
	switch {
	case last.kind == word && (last.text == "any" || last.text == "all") && len(tokens) < 2, last.kind == symbol && opens(last.text):
		return starts()
	case last.kind == symbol && (last.text == "{" || last.text == "," || last.text == ".."):
		return words(setOf(tokens))
	case last.kind == symbol && last.text != ")" && last.text != "}":
		if len(tokens) > 1 {
			return words(tokens[len(tokens)-2])
		}
		return nil
	}
	return operations(tokens, last)
}

// opens reports whether an expression begins behind a symbol.
func opens(op string) bool {
	switch op {
	case "&&", "||", "^^", "!", "(", "&", "+", "-", "*", "/", "%":
		return true
	}
	return false
}

// setOf returns the field whose set is open.
func setOf(tokens []token) token {
	for i := len(tokens) - 1; i > 0; i-- {
		if tokens[i].kind == symbol && tokens[i].text == "in" {
			if tokens[i-1].kind == symbol && i > 1 {
				return tokens[i-2] // not in
			}
			return tokens[i-1]
		}
	}
	return token{}
}

// starts are what a test begins with.
func starts() []Candidate {
	var list []Candidate
	for _, name := range field.Protocols() {
		list = append(list, Candidate{name, "protocol", "the packet has " + name})
	}
	all := field.All()
	for i := range all {
		list = append(list, Candidate{all[i].Name, all[i].Type.String(), all[i].Doc})
	}
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		list = append(list, Candidate{name + "(", "function", functions[name].doc})
	}
	return append(list,
		Candidate{"not", "operator", "the opposite"},
		Candidate{"any", "operator", "any value of the field"},
		Candidate{"all", "operator", "every value of the field"})
}

// words are those for the values of the field that t names.
func words(t token) (list []Candidate) {
	f, ok := field.Lookup(t.text)
	if !ok {
		return nil
	}
	d := f.Domain()
	if d.Type == field.Bool {
		list = append(list, Candidate{"True", "value", ""}, Candidate{"False", "value", ""})
	}
	for _, n := range d.Names {
		name := n.Text
		if strings.ContainsFunc(name, func(r rune) bool { return r > 0x7f || !isWord(byte(r)) }) {
			name = quote(name)
		}
		list = append(list, Candidate{name, "value", f.Doc})
	}
	return list
}

// operations are what can follow on an operand.
func operations(tokens []token, last token) []Candidate {
	list := []Candidate{
		{"and", "operator", "both"}, {"or", "operator", "any of both"}, {"xor", "operator", "one of both"},
	}
	if len(tokens) > 1 && tokens[len(tokens)-2].kind == symbol && !opens(tokens[len(tokens)-2].text) {
		return list // a value
	}
	f, ok := field.Lookup(last.text)
	if !ok && last.kind == word {
		return list
	}
	more := []Candidate{
		{"==", "operator", "any value is equal"}, {"!=", "operator", "no value is equal"},
		{"<", "operator", "less"}, {"<=", "operator", "less or equal"}, {">", "operator", "greater"}, {">=", "operator", "greater or equal"},
		{"in", "operator", "one of {…}"}, {"===", "operator", "every value is equal"}, {"!==", "operator", "some value is not equal"},
	}
	if !ok || f.Type.Textual() {
		more = append(more, Candidate{"contains", "operator", "text or bytes inside"}, Candidate{"matches", "operator", "a regular expression, without regard to case"})
	}
	if ok && (f.Type == field.Uint || f.Type == field.Int) {
		more = append(more, Candidate{"&", "operator", "bits that are set in both"})
	}
	return append(more, list...)
}
