package filter

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"tundump/decode/field"
)

// test is a part of a filter that holds or does not.
type test struct {
	match  func(*field.Row, *Scratch) bool
	cost   field.Cost
	weight int // how much work it is beside others of its cost
}

// ordered puts tests in the order in which they are asked: what costs least
// first. A test changes nothing, so the order does not change the meaning.
func ordered(list []test) (sum test, match []func(*field.Row, *Scratch) bool) {
	slices.SortStableFunc(list, func(a, b test) int {
		if a.cost != b.cost {
			return int(a.cost) - int(b.cost)
		}
		return a.weight - b.weight
	})
	for _, t := range list {
		sum.cost = max(sum.cost, t.cost)
		sum.weight += t.weight
		match = append(match, t.match)
	}
	return sum, match
}

func allOf(list []test) test {
	sum, all := ordered(list)
	sum.match = func(r *field.Row, s *Scratch) bool {
		for _, m := range all {
			if !m(r, s) {
				return false
			}
		}
		return true
	}
	return sum
}

func anyOf(list []test) test {
	sum, all := ordered(list)
	sum.match = func(r *field.Row, s *Scratch) bool {
		for _, m := range all {
			if m(r, s) {
				return true
			}
		}
		return false
	}
	return sum
}

// oddOf holds if an odd number of tests do.
func oddOf(list []test) test {
	sum, all := ordered(list)
	sum.match = func(r *field.Row, s *Scratch) bool {
		odd := false
		for _, m := range all {
			odd = odd != m(r, s)
		}
		return odd
	}
	return sum
}

func inverse(t test) test {
	inner := t.match
	t.match = func(r *field.Row, s *Scratch) bool { return !inner(r, s) }
	return t
}

// presence is the test of an expression that stands alone.
func (p *parser) presence(e *expr) (test, error) {
	switch e.op {
	case group:
		return p.below(e.tok.text), nil
	case protocol:
		proto := e.proto
		return test{cost: field.FromPacket, match: func(r *field.Row, _ *Scratch) bool { return proto.In(r) }}, nil
	case literal:
		if e.tok.kind == word {
			return test{}, unknown(e.tok)
		}
		return test{}, at(e.tok, "expected a field, not "+quote(e.tok.text))
	case call:
		return test{}, p.unexpected(p.peek(), e.name()+" is always there: expected a comparison")
	}
	if e.isLiteral() {
		return test{}, at(e.start(), "expected a field, not a number")
	}
	o, err := p.operand(e, field.Domain{})
	if err != nil {
		return test{}, err
	}
	switch e.op {
	case arith:
		return quantified("any", o, 2, func(v field.Value, _ *Scratch) bool { return !v.IsZero() }), nil
	case slice:
		return quantified("any", o, 1, func(v field.Value, _ *Scratch) bool { text, _ := v.Text(); return text != "" }), nil
	}
	return quantified("any", o, 1, func(field.Value, *Scratch) bool { return true }), nil
}

// below holds if the row has any field below name. What every row of its kind
// has stands for all of "tunnel" and "finding".
func (p *parser) below(name string) test {
	under := field.Below(name)
	for _, first := range [...]string{"tunnel.stream", "finding.code"} {
		if f, ok := field.Lookup(first); ok && first[:strings.IndexByte(first, '.')] == name {
			under = []*field.Field{f}
		}
	}
	p.asks = append(p.asks, under...)
	t := test{weight: len(under)}
	for _, f := range under {
		t.cost = max(t.cost, f.Cost)
	}
	family, guarded := field.LookupProtocol(name[:strings.IndexByte(name+".", '.')])
	guarded = guarded && family.Owns()
	t.match = func(r *field.Row, s *Scratch) bool {
		if guarded && !family.In(r) {
			return false
		}
		for _, f := range under {
			if s.values = f.Values(s.values[:0], r); len(s.values) > 0 {
				return true
			}
		}
		return false
	}
	return t
}

// quantified makes a test of what holds for one value: for any of them, or
// for all of them if there are any.
func quantified(quantifier string, o operand, weight int, holds func(field.Value, *Scratch) bool) test {
	all := quantifier == "all"
	get := o.get
	return test{cost: o.cost, weight: weight, match: func(r *field.Row, s *Scratch) bool {
		s.values = get(s.values[:0], r, s)
		for _, v := range s.values {
			if holds(v, s) != all {
				return !all
			}
		}
		return all && len(s.values) > 0
	}}
}

// compare compiles == and its like. A literal takes its type from the other
// side.
func (p *parser) compare(quantifier string, left *expr, op token, right *expr) (test, error) {
	if (right.op == protocol || right.op == group) && !left.isLiteral() {
		right = &expr{tok: right.tok} // text that happens to be such a name
	}
	switch {
	case left.op == group:
		return test{}, unknown(left.tok)
	case left.isLiteral() && right.isLiteral():
		return p.presence(left) // says what is wrong
	case !left.isLiteral() && !right.isLiteral() && !comparable(left.dom, right.dom):
		return test{}, at(right.start(), is(right)+", and "+is(left))
	}
	domain := left.dom
	if left.isLiteral() {
		domain = right.dom
	}
	l, err := p.operand(left, domain)
	if err != nil {
		if left.isLiteral() && left.op == literal && left.tok.kind == word {
			err = unknown(left.tok)
		}
		return test{}, err
	}
	o, err := p.operand(right, domain)
	if err != nil {
		return test{}, err
	}
	accept := orders[op.text]
	if o.constant != nil {
		want := *o.constant
		return quantified(quantifier, l, 1, func(v field.Value, _ *Scratch) bool {
			c, ok := field.Compare(v, want)
			return ok && accept[c+1]
		}), nil
	}
	return test{cost: max(l.cost, o.cost), weight: 2, match: pairs(quantifier == "all", l.get, o.get, accept)}, nil
}

// orders says of each operator what it accepts: less, equal, greater.
var orders = map[string][3]bool{
	"==": {1: true}, "===": {1: true}, "!=": {0: true, 2: true}, "!==": {0: true, 2: true},
	"<": {0: true}, "<=": {0: true, 1: true}, ">": {2: true}, ">=": {1: true, 2: true},
}

// pairs compares each value of one side with each of the other.
func pairs(all bool, left, right values, accept [3]bool) func(*field.Row, *Scratch) bool {
	return func(r *field.Row, s *Scratch) bool {
		s.values = left(s.values[:0], r, s)
		s.others = right(s.others[:0], r, s)
		for _, v := range s.values {
			for _, w := range s.others {
				c, ok := field.Compare(v, w)
				if (ok && accept[c+1]) != all {
					return !all
				}
			}
		}
		return all && len(s.values) > 0 && len(s.others) > 0
	}
}

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

// membership reads {a, b, c..d}.
func (p *parser) membership(depth int, quantifier string, left *expr) (test, error) {
	if left.isLiteral() || left.op == group {
		return p.presence(&expr{tok: left.start()})
	}
	l, err := p.operand(left, field.Domain{})
	if err != nil {
		return test{}, err
	}
	if !p.accept("{") {
		return test{}, p.unexpected(p.peek(), "in takes a set, {1, 2, 5..9}: expected {")
	}
	var set []member
	for {
		m, err := p.member(depth, left)
		if err != nil {
			return test{}, err
		}
		if set = append(set, m); p.accept("}") {
			break
		}
		if !p.accept(",") {
			return test{}, p.unexpected(p.peek(), "expected , or }")
		}
	}
	return quantified(quantifier, l, 1+len(set), func(v field.Value, _ *Scratch) bool {
		for i := range set {
			if set[i].has(v) {
				return true
			}
		}
		return false
	}), nil
}

// member is one value, or one range, of a set.
type member struct{ low, high field.Value }

func (m *member) has(v field.Value) bool {
	low, ok := field.Compare(v, m.low)
	if !ok || low < 0 {
		return false
	}
	high, ok := field.Compare(v, m.high)
	return ok && high <= 0
}

func (p *parser) member(depth int, left *expr) (m member, err error) {
	if m.low, err = p.constant(depth, left); err != nil {
		return m, err
	}
	m.high = m.low
	if p.accept("..") {
		m.high, err = p.constant(depth, left)
	}
	return m, err
}

// constant reads one value of a set.
func (p *parser) constant(depth int, left *expr) (field.Value, error) {
	e, err := p.expr(depth + 1)
	if err != nil {
		return field.Value{}, err
	}
	if e.op == protocol || e.op == group {
		e = &expr{tok: e.tok}
	}
	if !e.isLiteral() {
		return field.Value{}, at(e.start(), "a set has values, not fields")
	}
	o, err := p.operand(e, left.dom)
	if err != nil {
		return field.Value{}, err
	}
	made := o.get(nil, nil, new(Scratch))
	if len(made) == 0 {
		return field.Value{}, at(e.start(), "this has no result")
	}
	return made[0], nil
}
