package filter

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"tundump/decode/field"
)

// textually checks that op can search in e.
func textually(e *expr, op string) error {
	switch {
	case e.op == literal && e.tok.kind == word:
		return unknown(e.tok)
	case e.isLiteral(), e.op == group:
		return at(e.tok, op+" takes a field of strings or bytes")
	case !e.dom.Type.Textual():
		what := op + " takes strings or bytes, and " + is(e)
		if e.op == named && (e.dom.Type == field.Uint || e.dom.Type == field.Int || e.dom.Type == field.Addr) {
			what += "; string(" + e.name() + ") is a string"
		}
		return at(e.tok, what)
	}
	return nil
}

func (p *parser) contains(quantifier string, left *expr, op token, right *expr) (test, error) {
	if err := textually(left, "contains"); err != nil {
		return test{}, err
	}
	if right.op == protocol || right.op == group {
		right = &expr{tok: right.tok}
	}
	if !right.isLiteral() && !comparable(left.dom, right.dom) {
		return test{}, at(right.start(), is(right)+", and "+is(left))
	}
	l, err := p.operand(left, field.Domain{})
	if err != nil {
		return test{}, err
	}
	o, err := p.operand(right, left.dom)
	if err != nil {
		return test{}, err
	}
	if o.constant != nil {
		want, _ := o.constant.Text()
		return quantified(quantifier, l, 4, func(v field.Value, _ *Scratch) bool { return holds(v, want) }), nil
	}
	t := quantified(quantifier, l, 8, func(v field.Value, s *Scratch) bool {
		return slices.ContainsFunc(s.others, func(w field.Value) bool {
			part, _ := w.Text()
			return holds(v, part)
		})
	})
	inner, get := t.match, o.get
	t.cost = max(t.cost, o.cost)
	t.match = func(r *field.Row, s *Scratch) bool {
		s.others = get(s.others[:0], r, s)
		return inner(r, s)
	}
	return t, nil
}

// holds reports whether part is in v. Nothing is in no bytes and in no string,
// as tshark has it.
func holds(v field.Value, part string) bool {
	text, _ := v.Text()
	return text != "" && (part != "" || v.Type == field.Bytes) && strings.Contains(text, part)
}

// matches compiles a regular expression. It is without regard to case, and a
// byte is a character, as in tshark.
func (p *parser) matches(quantifier string, left *expr, t token) (test, error) {
	if err := textually(left, "matches"); err != nil {
		return test{}, err
	}
	if t.kind != quoted {
		return test{}, p.unexpected(t, "expected a regular expression in double quotes")
	}
	re, err := regexp.Compile("(?i)" + latin1(t.text))
	if err != nil {
		return test{}, at(t, err.Error()+"; the syntax is RE2's")
	}
	l, err := p.operand(left, field.Domain{})
	if err != nil {
		return test{}, err
	}
	return quantified(quantifier, l, 16, func(v field.Value, s *Scratch) bool {
		text, _ := v.Text()
		if isASCII(text) {
			return text != "" && re.MatchString(text)
		}
		s.reader = byteRunes{text, 0}
		return re.MatchReader(&s.reader)
	}), nil
}

// latin1 makes a character of each byte of a pattern.
func latin1(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// byteRunes reads a string as an io.RuneReader in which each byte is a
// character.
type byteRunes struct {
	text string
	at   int
}

// endOfText ends the reading; regexp takes any error for the end.
type endOfText struct{}

func (endOfText) Error() string { return "end of text" }

// ReadRune returns the next byte.
func (b *byteRunes) ReadRune() (r rune, size int, err error) {
	if b.at == len(b.text) {
		return 0, 0, endOfText{}
	}
	b.at++
	return rune(b.text[b.at-1]), 1, nil
}
