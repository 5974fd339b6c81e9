// Package filter turns display filters, as Wireshark's users write them, into
// predicates over rows:
//
//	f, err := filter.Compile(`tunnel.command.name == "Open" && tunnel.port in {80, 443}`)
//	if err != nil {
//		return err // names the column and the nearest known field
//	}
//	var s filter.Scratch
//	for row := range rows {
//		if f.Match(row, &s) {
//			...
//		}
//	}
//
// A field may have several values in a row. As in tshark 4, == < <= > >=
// contains matches and in hold if any value does, != holds if none is equal,
// and a comparison with a field that the row does not have is false. A name
// alone holds if the row has the field, or any field below that name.
package filter

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tundump/decode/field"
)

// Error says what is wrong with a filter, and where.
type Error struct {
	Col  int // of the first byte of the mistake, from 0
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Col+1, e.Text) }

// Filter is a compiled filter. It is safe for concurrent use.
type Filter struct {
	match predicate
	cost  field.Cost
	asks  []*field.Field
}

// Scratch is memory that matching reuses. It is for one goroutine.
type Scratch struct{ values []field.Value }

type predicate func(*field.Row, *Scratch) bool

// Match reports whether the row passes the filter.
func (f *Filter) Match(r *field.Row, s *Scratch) bool { return f.match(r, s) }

// Cost says what a row must have for the filter to decide.
func (f *Filter) Cost() field.Cost { return f.cost }

// Fields returns the fields that the filter names, in order, those that stand
// in it twice twice; a protocol stands for all fields below it. The slice must not be changed.
func (f *Filter) Fields() []*field.Field { return f.asks }

// Findings reports whether the filter asks about findings.
func (f *Filter) Findings() bool {
	return slices.ContainsFunc(f.asks, func(a *field.Field) bool { return strings.HasPrefix(a.Name, "finding.") })
}

// maxDepth bounds how deep a filter can be nested.
const maxDepth = 200

// Compile reads a filter. The error is an [*Error].
func Compile(text string) (*Filter, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := parser{tokens: tokens}
	match, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, &Error{t.col, "expected and, or or the end, not " + quote(t.text)}
	}
	return &Filter{match: match, cost: p.cost, asks: p.asks}, nil
}

type parser struct {
	tokens []token
	at     int
	cost   field.Cost
	asks   []*field.Field
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

func (p *parser) accept(op string) bool {
	if t := p.peek(); t.kind != symbol || t.text != op {
		return false
	}
	p.at++
	return true
}

func (p *parser) or(depth int) (predicate, error) {
	left, err := p.and(depth)
	for err == nil && p.accept("||") {
		var right predicate
		if right, err = p.and(depth); err == nil {
			l := left
			left = func(r *field.Row, s *Scratch) bool { return l(r, s) || right(r, s) }
		}
	}
	return left, err
}

func (p *parser) and(depth int) (predicate, error) {
	left, err := p.not(depth)
	for err == nil && p.accept("&&") {
		var right predicate
		if right, err = p.not(depth); err == nil {
			l := left
			left = func(r *field.Row, s *Scratch) bool { return l(r, s) && right(r, s) }
		}
	}
	return left, err
}

func (p *parser) not(depth int) (predicate, error) {
	if depth > maxDepth {
		return nil, &Error{p.peek().col, "nested too deep"}
	}
	switch {
	case p.accept("!"):
		inner, err := p.not(depth + 1)
		return func(r *field.Row, s *Scratch) bool { return !inner(r, s) }, err
	case p.accept("("):
		inner, err := p.or(depth + 1)
		if err == nil && !p.accept(")") {
			err = &Error{p.peek().col, "expected )"}
		}
		return inner, err
	}
	return p.test()
}

// test reads one field and what is asked of it.
func (p *parser) test() (predicate, error) {
	t := p.next()
	if t.kind != word {
		return nil, &Error{t.col, "expected a field" + notThat(t)}
	}
	f, ok := field.Lookup(t.text)
	if !ok {
		if field.IsPrefix(t.text) && !isComparison(p.peek()) {
			return p.below(t.text), nil
		}
		what := "there is no field " + quote(t.text)
		if n := field.Nearest(t.text); n != "" {
			what += "; there is " + n
		}
		return nil, &Error{t.col, what}
	}
	p.cost = max(p.cost, f.Cost)
	p.asks = append(p.asks, f)
	if !isComparison(p.peek()) {
		return func(r *field.Row, s *Scratch) bool {
			s.values = f.Values(s.values[:0], r)
			return len(s.values) > 0
		}, nil
	}
	op := p.next()
	holds, err := p.operand(f, op)
	if err != nil {
		return nil, err
	}
	if op.text == "!=" {
		return func(r *field.Row, s *Scratch) bool {
			s.values = f.Values(s.values[:0], r)
			return len(s.values) > 0 && !anyOf(s.values, holds)
		}, nil
	}
	return func(r *field.Row, s *Scratch) bool {
		s.values = f.Values(s.values[:0], r)
		return anyOf(s.values, holds)
	}, nil
}

func anyOf(values []field.Value, holds func(field.Value) bool) bool {
	for _, v := range values {
		if holds(v) {
			return true
		}
	}
	return false
}

// below holds if the row has any field below name.
func (p *parser) below(name string) predicate {
	var under []*field.Field
	all := field.All()
	for i := range all {
		if strings.HasPrefix(all[i].Name, name+".") {
			under = append(under, &all[i])
			p.cost = max(p.cost, all[i].Cost)
			p.asks = append(p.asks, &all[i])
		}
	}
	return func(r *field.Row, s *Scratch) bool {
		for _, f := range under {
			if s.values = f.Values(s.values[:0], r); len(s.values) > 0 {
				return true
			}
		}
		return false
	}
}

func isComparison(t token) bool {
	switch t.text {
	case "==", "!=", "<", "<=", ">", ">=", "contains", "matches", "in":
		return t.kind == symbol
	}
	return false
}

// operand reads what op compares with. For != it returns equality.
func (p *parser) operand(f *field.Field, op token) (func(field.Value) bool, error) {
	switch op.text {
	case "in":
		return p.set(f)
	case "matches":
		t := p.next()
		if f.Type != field.String || t.kind != quoted {
			return nil, &Error{t.col, "matches takes a string field and a quoted regular expression"}
		}
		re, err := regexp.Compile("(?i)" + t.text)
		if err != nil {
			return nil, &Error{t.col, err.Error()}
		}
		return func(v field.Value) bool { b, ok := v.Bytes(); return ok && re.Match(b) }, nil
	case "contains":
		t := p.next()
		if f.Type != field.String && f.Type != field.Bytes || t.kind != quoted {
			return nil, &Error{t.col, "contains takes a field of strings or bytes, and a quoted string"}
		}
		return func(v field.Value) bool {
			b, ok := v.Bytes()
			return ok && strings.Contains(string(b), t.text)
		}, nil
	}
	want, err := p.value(f)
	if err != nil {
		return nil, err
	}
	accept := orderFor(op.text)
	return func(v field.Value) bool {
		c, ok := field.Compare(v, want)
		return ok && accept(c)
	}, nil
}

func orderFor(op string) func(int) bool {
	switch op {
	case "<":
		return func(c int) bool { return c < 0 }
	case "<=":
		return func(c int) bool { return c <= 0 }
	case ">":
		return func(c int) bool { return c > 0 }
	case ">=":
		return func(c int) bool { return c >= 0 }
	}
	return func(c int) bool { return c == 0 }
}

// set reads {a, b, c..d}.
func (p *parser) set(f *field.Field) (func(field.Value) bool, error) {
	type span struct{ low, high field.Value }
	var spans []span
	if !p.accept("{") {
		return nil, &Error{p.peek().col, "in takes a set: {1, 2, 5..9}"}
	}
	for {
		low, err := p.value(f)
		if err != nil {
			return nil, err
		}
		high := low
		if p.accept("..") {
			if high, err = p.value(f); err != nil {
				return nil, err
			}
		}
		spans = append(spans, span{low, high})
		if p.accept("}") {
			break
		}
		if !p.accept(",") {
			return nil, &Error{p.peek().col, "expected , or }" + notThat(p.peek())}
		}
	}
	return func(v field.Value) bool {
		for _, s := range spans {
			low, ok := field.Compare(v, s.low)
			high, ok2 := field.Compare(v, s.high)
			if ok && ok2 && low >= 0 && high <= 0 {
				return true
			}
		}
		return false
	}, nil
}

// value reads one value of f's type.
func (p *parser) value(f *field.Field) (field.Value, error) {
	t := p.next()
	if t.kind == word || t.kind == quoted {
		if v, ok := field.ParseValue(f.Type, t.text); ok {
			return v, nil
		}
		return field.Value{}, &Error{t.col, fmt.Sprintf("%s is no %s, which %s is", quote(t.text), f.Type, f.Name)}
	}
	return field.Value{}, &Error{t.col, "expected a value" + notThat(t)}
}

func notThat(t token) string {
	if t.kind == end {
		return " behind it"
	}
	return ", not " + quote(t.text)
}

func quote(s string) string { return strconv.Quote(s) }
