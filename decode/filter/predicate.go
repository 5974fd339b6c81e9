package filter

import (
	"slices"
	"strings"

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
		p.protocols, p.depth = append(p.protocols, e.tok.text), p.depth.And(proto.Depth())
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
	p.asksFor(under...)
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
