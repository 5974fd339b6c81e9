package filter

import (
	"strconv"

	"tundump/decode/field"
)

// parser reads tokens by recursive descent; each level of precedence is a
// method:
//
//	or   = xor { "||" xor }
//	xor  = and { "^^" and }
//	and  = not { "&&" not }
//	not  = "!" not | "(" or ")" | test
//	test = [ "any" | "all" ] expr [ comparison ]
//	expr = sum { "&" sum },  sum = product { ("+" | "-") product }, and so on
type parser struct {
	tokens     []token
	at         int
	asks       []*field.Field
	protocols  []string
	depth      field.Depth
	deprecated *Error
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

// unexpected says that something else was expected in t's place.
func (p *parser) unexpected(t token, expected string) error {
	if t.kind == end {
		return &Error{Col: t.col, End: t.end, Text: expected + " behind it", incomplete: true}
	}
	return &Error{Col: t.col, End: t.end, Text: expected + ", not " + quote(t.text)}
}

func at(t token, text string) error { return &Error{Col: t.col, End: t.end, Text: text} }

func quote(s string) string { return strconv.Quote(s) }

func (p *parser) or(depth int) (test, error) {
	return p.chain(depth, "||", p.xor, anyOf)
}

func (p *parser) xor(depth int) (test, error) {
	return p.chain(depth, "^^", p.and, oddOf)
}

func (p *parser) and(depth int) (test, error) {
	return p.chain(depth, "&&", p.not, allOf)
}

// chain reads one level of operators and joins its operands, if it has several.
func (p *parser) chain(depth int, op string, operand func(int) (test, error), join func([]test) test) (test, error) {
	var list []test
	for {
		t, err := operand(depth)
		if err != nil {
			return test{}, err
		}
		list = append(list, t)
		if !p.accept(op) {
			break
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return join(list), nil
}

func (p *parser) not(depth int) (test, error) {
	if depth > maxDepth {
		return test{}, at(p.peek(), "nested too deep")
	}
	switch {
	case p.accept("!"):
		inner, err := p.not(depth + 1)
		return inverse(inner), err
	case p.accept("("):
		inner, err := p.or(depth + 1)
		if err == nil && !p.accept(")") {
			err = p.unexpected(p.peek(), "expected )")
		}
		return inner, err
	}
	return p.test(depth)
}

// test reads what is asked of one expression.
func (p *parser) test(depth int) (test, error) {
	quantifier := p.quantifier()
	left, err := p.expr(depth)
	if err != nil {
		return test{}, err
	}
	op := p.comparison()
	if op.kind == end {
		if quantifier != "" {
			return test{}, p.unexpected(p.peek(), quantifier+" takes a comparison: expected an operator")
		}
		return p.presence(left)
	}
	var list []test
	for ; op.kind != end; op = p.comparison() {
		if len(list) > maxDepth {
			return test{}, at(op, "too many comparisons in a row")
		}
		t, right, err := p.relation(depth, quantifier, left, op)
		if err != nil {
			return test{}, err
		}
		if list = append(list, t); right == nil {
			break
		}
		left = right // a < b < c
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return allOf(list), nil
}

func (p *parser) quantifier() string {
	t := p.peek()
	if t.kind != word || t.text != "any" && t.text != "all" {
		return ""
	}
	p.at++
	return t.text
}

// comparison takes the next operator that compares; the zero token if there is
// none.
func (p *parser) comparison() token {
	t := p.peek()
	if t.kind != symbol {
		return token{}
	}
	switch t.text {
	case "==", "!=", "===", "!==", "<", "<=", ">", ">=", "contains", "matches", "in":
		return p.next()
	case "~=":
		p.next()
		if p.deprecated == nil {
			p.deprecated = &Error{Col: t.col, End: t.end, Text: "~= is deprecated; write !=="}
		}
		t.text = "!=="
		return t
	case "!":
		if then := p.tokens[p.at+1]; then.kind == symbol && then.text == "in" {
			p.at += 2
			return token{symbol, "not in", t.col, then.end}
		}
	}
	return token{}
}

// relation reads the right side of op. right is the expression there, if a
// comparison may follow.
func (p *parser) relation(depth int, quantifier string, left *expr, op token) (t test, right *expr, err error) {
	q := defaultQuantifier(op.text)
	if quantifier != "" {
		q = quantifier
	}
	switch op.text {
	case "in", "not in":
		t, err = p.membership(depth, q, left)
		if op.text == "not in" {
			t = inverse(t)
		}
		return t, nil, err
	case "matches":
		t, err = p.matches(q, left, p.next())
		return t, nil, err
	}
	if right, err = p.expr(depth); err != nil {
		return t, nil, err
	}
	if op.text == "contains" {
		t, err = p.contains(q, left, op, right)
		return t, nil, err
	}
	t, err = p.compare(q, left, op, right)
	return t, right, err
}

// defaultQuantifier says which of a field's values an operator asks.
func defaultQuantifier(op string) string {
	if op == "!=" || op == "===" {
		return "all"
	}
	return "any"
}
