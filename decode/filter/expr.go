package filter

import (
	"slices"

	"tundump/decode/field"
)

// op is what an expression is.
type op uint8

const (
	literal  op = iota // a value of the type that it is compared with
	named              // a field
	protocol           // the bytes of a protocol
	group              // the fields below a name, which can only be there or not
	slice              // bytes of the argument
	layer              // the argument in some layers
	call               // a function
	arith              // two arguments, or one with a minus before it
)

// expr is an expression as it was read.
type expr struct {
	op     op
	tok    token        // what stands there first; of arith: the operator
	dom    field.Domain // what its values are; Type 0: only what it is compared with says it
	field  *field.Field
	proto  field.Protocol
	ranges []span
	call   *function
	args   []*expr
}

// isLiteral reports whether the expression's type has to come from elsewhere.
func (e *expr) isLiteral() bool { return e.dom.Type == 0 && e.op != group }

// start returns the token that the expression begins with.
func (e *expr) start() token {
	if e.op == arith && len(e.args) == 2 {
		return e.args[0].start()
	}
	return e.tok
}

// name is what messages call the expression.
func (e *expr) name() string {
	switch e.op {
	case call:
		return e.tok.text + "()"
	case slice:
		return e.args[0].name() + "[]"
	case arith:
		return "the result of " + e.tok.text
	}
	return e.tok.text
}

// levels are the binary operators, loosest first.
var levels = [...][]string{{"&"}, {"+", "-"}, {"*", "/", "%"}}

func (p *parser) expr(depth int) (*expr, error) { return p.binary(depth, 0) }

func (p *parser) binary(depth, level int) (*expr, error) {
	if level == len(levels) {
		return p.unary(depth)
	}
	left, err := p.binary(depth, level+1)
	for n := 0; err == nil; n++ {
		t := p.peek()
		if t.kind != symbol || !slices.Contains(levels[level], t.text) {
			return left, nil
		}
		if n > maxDepth {
			return nil, at(t, "too many operators in a row")
		}
		p.next()
		var right *expr
		if right, err = p.binary(depth, level+1); err != nil {
			return nil, err
		}
		left, err = arithmetic(t, left, right)
	}
	return left, err
}

func (p *parser) unary(depth int) (*expr, error) {
	t := p.peek()
	if depth > maxDepth {
		return nil, at(t, "nested too deep")
	}
	switch {
	case p.accept("+"):
		return p.unary(depth + 1)
	case p.accept("-"):
		inner, err := p.unary(depth + 1)
		if err != nil {
			return nil, err
		}
		return arithmetic(t, inner)
	case p.accept("{"):
		inner, err := p.expr(depth + 1)
		if err == nil && !p.accept("}") {
			err = p.unexpected(p.peek(), "expected }")
		}
		return inner, err
	}
	return p.primary(depth)
}

// arithmetic joins operands of one operator and checks their types.
func arithmetic(t token, args ...*expr) (*expr, error) {
	e := &expr{op: arith, tok: t, args: args}
	for _, a := range args {
		switch {
		case a.isLiteral():
			continue
		case a.op == group:
			return nil, at(a.tok, quote(a.tok.text)+" is the name of several fields")
		case t.text == "&" && (a.dom.Type == field.Addr || a.dom.Type == field.Bytes),
			a.dom.Type == field.Uint, a.dom.Type == field.Int:
		default:
			return nil, at(t, t.text+" takes numbers, and "+is(a))
		}
		if e.dom.Type != 0 && !comparable(e.dom, a.dom) {
			return nil, at(t, is(args[0])+", and "+is(a))
		}
		e.dom = field.Domain{Type: a.dom.Type, Family: a.dom.Family}
	}
	if t.text != "&" && e.dom.Type != 0 {
		e.dom.Type = field.Int
	}
	return e, nil
}

// comparable reports whether values of both domains can be compared.
func comparable(a, b field.Domain) bool {
	switch {
	case a.Type == field.Time || b.Type == field.Time, a.Type == field.Bytes || b.Type == field.Bytes:
		return a.Type == b.Type
	case a.Type == field.Addr && b.Type == field.Addr:
		return a.Family == b.Family || a.Family == 0 || b.Family == 0
	}
	return a.Type.Numeric() && b.Type.Numeric() || a.Type.Textual() && b.Type.Textual()
}

// is says of what type an expression is.
func is(e *expr) string {
	article := "a "
	switch e.dom.Type {
	case field.Int, field.Uint, field.Addr, field.Object:
		article = "an "
	case field.Bytes:
		article = ""
	}
	return e.name() + " is " + article + e.dom.Type.String()
}

// primary reads a value, a field or a function, and what stands behind it in
// brackets.
func (p *parser) primary(depth int) (*expr, error) {
	t := p.next()
	var e *expr
	switch t.kind {
	case word:
		if then := p.peek(); then.kind == symbol && then.text == "(" && then.col == t.end {
			var err error
			if e, err = p.function(depth, t); err != nil {
				return nil, err
			}
		} else {
			e = identify(t)
		}
	case quoted, character:
		e = &expr{tok: t}
	default:
		return nil, p.unexpected(t, "expected a field or a value")
	}
	for n := 0; ; n++ {
		t := p.peek()
		switch {
		case t.kind != brackets && t.kind != layers:
			return e, nil
		case n > maxDepth:
			return nil, at(t, "too many slices in a row")
		case e.op == literal && e.tok.kind == word:
			return nil, unknown(e.tok)
		}
		p.next()
		var err error
		if e, err = sliced(e, t); err != nil {
			return nil, err
		}
	}
}

// identify finds out what a word is.
func identify(t token) *expr {
	if f, ok := field.Lookup(t.text); ok {
		return &expr{op: named, tok: t, field: f, dom: f.Domain()}
	}
	if p, ok := field.LookupProtocol(t.text); ok {
		return &expr{op: protocol, tok: t, proto: p, dom: field.Domain{Type: field.Bytes}}
	}
	if field.IsPrefix(t.text) {
		return &expr{op: group, tok: t}
	}
	return &expr{tok: t}
}

// unknown is the error of a word that should be a field.
func unknown(t token) error {
	what := "there is no field " + quote(t.text)
	if n := field.Nearest(t.text); n != "" {
		what += "; there is " + n
	}
	return &Error{Col: t.col, End: t.end, Text: what, unknown: true}
}

// sliced takes bytes, or layers, of e.
func sliced(e *expr, t token) (*expr, error) {
	ranges, err := parseRanges(t)
	if err != nil {
		return nil, err
	}
	if t.kind == layers {
		if e.op != named {
			return nil, at(t, "# takes a field")
		}
		return &expr{op: layer, tok: e.tok, dom: e.dom, ranges: ranges, args: []*expr{e}}, nil
	}
	if !e.dom.Type.Textual() && e.dom.Type != field.Addr {
		if e.dom.Type == 0 {
			return nil, at(e.tok, "[] takes a field")
		}
		return nil, at(t, "[] takes strings, bytes and addresses, and "+is(e))
	}
	return &expr{op: slice, tok: e.tok, dom: field.Domain{Type: field.Bytes}, ranges: ranges, args: []*expr{e}}, nil
}

// function reads the arguments of the function that t names.
func (p *parser) function(depth int, t token) (*expr, error) {
	fn, ok := functions[t.text]
	if !ok {
		return nil, at(t, "there is no function "+t.text+"; there are "+functionNames)
	}
	e := &expr{op: call, tok: t, call: fn}
	p.next() // (
	for {
		if depth > maxDepth {
			return nil, at(p.peek(), "nested too deep")
		}
		a, err := p.expr(depth + 1)
		if err != nil {
			return nil, err
		}
		if e.args = append(e.args, a); p.accept(")") {
			break
		}
		if !p.accept(",") {
			return nil, p.unexpected(p.peek(), "expected , or )")
		}
	}
	return e, fn.check(e)
}
