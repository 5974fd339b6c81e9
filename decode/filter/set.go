package filter

import "tundump/decode/field"

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
