package filter

import (
	"net/netip"

	"tundump/decode/field"
)

// values appends what an expression has in a row to dst.
type values func(dst []field.Value, r *field.Row, s *Scratch) []field.Value

// operand is an expression that is ready to be evaluated.
type operand struct {
	get      values
	constant *field.Value // of a literal
	cost     field.Cost
}

// operand compiles e; literals in it are read as values of want.
func (p *parser) operand(e *expr, want field.Domain) (operand, error) {
	switch e.op {
	case literal:
		return constant(e.tok, e.tok.text, want)
	case named:
		p.asksFor(e.field)
		f := e.field
		return operand{cost: f.Cost, get: func(dst []field.Value, r *field.Row, _ *Scratch) []field.Value { return f.Values(dst, r) }}, nil
	case protocol:
		p.protocols, p.depth = append(p.protocols, e.tok.text+"."), p.depth.And(e.proto.Depth())
		return protocolOperand(e.proto), nil
	case group:
		return operand{}, at(e.tok, quote(e.tok.text)+" is the name of several fields: "+e.tok.text+".…")
	case slice, layer:
		return p.slice(e)
	case call:
		return p.call(e)
	}
	return p.arithmetic(e, want)
}

// asksFor notes which fields the filter names.
func (p *parser) asksFor(list ...*field.Field) {
	p.asks = append(p.asks, list...)
	for _, f := range list {
		p.depth = p.depth.And(f.Depth)
	}
}

// constant reads a literal.
func constant(t token, text string, want field.Domain) (operand, error) {
	v, err := want.Parse(text, t.form())
	if err != nil {
		return operand{}, at(t, err.Error())
	}
	return operand{constant: &v, get: func(dst []field.Value, _ *field.Row, _ *Scratch) []field.Value { return append(dst, v) }}, nil
}

func protocolOperand(proto field.Protocol) operand {
	return operand{cost: field.FromPacket, get: func(dst []field.Value, r *field.Row, _ *Scratch) []field.Value {
		if v, ok := proto.Bytes(r); ok {
			dst = append(dst, v)
		}
		return dst
	}}
}

func (p *parser) slice(e *expr) (operand, error) {
	from, err := p.operand(e.args[0], field.Domain{})
	if err != nil {
		return operand{}, err
	}
	inner, ranges := from.get, e.ranges
	if e.op == layer {
		if !firstLayer(ranges) {
			from.get = func(dst []field.Value, _ *field.Row, _ *Scratch) []field.Value { return dst }
		}
		return from, nil
	}
	from.get = func(dst []field.Value, r *field.Row, s *Scratch) []field.Value {
		n := len(dst)
		dst = inner(dst, r, s)
		for i := range dst[n:] {
			dst[n+i] = cut(dst[n+i], ranges, s)
		}
		return dst
	}
	return from, nil
}

func (p *parser) call(e *expr) (operand, error) {
	var args []values
	var sum operand
	domain := e.args[0].dom
	for _, a := range e.args {
		if !a.isLiteral() {
			domain = a.dom
		}
	}
	for _, a := range e.args {
		o, err := p.operand(a, field.Domain{Type: domain.Type})
		if err != nil {
			return operand{}, err
		}
		sum.cost = max(sum.cost, o.cost)
		args = append(args, o.get)
	}
	apply := e.call.apply
	sum.get = func(dst []field.Value, r *field.Row, s *Scratch) []field.Value {
		n := len(dst)
		for _, get := range args {
			dst = get(dst, r, s)
		}
		if len(dst) == n {
			return dst
		}
		return dst[:n+len(apply(dst[n:], s))]
	}
	return sum, nil
}

// arithmetic compiles an operator. A literal beside a field is read as the
// field's type, one beside another literal as want.
func (p *parser) arithmetic(e *expr, want field.Domain) (operand, error) {
	domain := e.dom
	if e.isLiteral() {
		if want.Type != field.Int && want.Type != field.Uint {
			return negative(e, want)
		}
		domain = field.Domain{Type: field.Int}
	}
	var list [2]operand
	for i, a := range e.args {
		o, err := p.operand(a, domain)
		if err != nil {
			return operand{}, err
		}
		list[i] = o
	}
	sum := operand{cost: max(list[0].cost, list[1].cost)}
	if len(e.args) == 1 {
		sum.get = negated(list[0].get)
	} else {
		sum.get = paired(list[0].get, list[1].get, operators[e.tok.text[0]])
	}
	return sum, nil
}

// negative reads a minus before a time.
func negative(e *expr, want field.Domain) (operand, error) {
	if len(e.args) == 1 && e.args[0].op == literal && want.Type == field.Time {
		return constant(e.args[0].tok, "-"+e.args[0].tok.text, want)
	}
	return operand{}, at(e.tok, e.tok.text+" makes a number, and it is compared with "+want.Type.String())
}

func negated(inner values) values {
	return func(dst []field.Value, r *field.Row, s *Scratch) []field.Value {
		n := len(dst)
		dst = inner(dst, r, s)
		for i, v := range dst[n:] {
			x, _ := v.Integer()
			dst[n+i] = field.NewInt(-x)
		}
		return dst
	}
}

// paired combines each value of one operand with each of the other.
func paired(left, right values, do operator) values {
	return func(dst []field.Value, r *field.Row, s *Scratch) []field.Value {
		n := len(dst)
		dst = left(dst, r, s)
		m := len(dst)
		dst = right(dst, r, s)
		k := len(dst)
		for i := n; i < m; i++ {
			for j := m; j < k && len(dst)-k < maxPairs; j++ {
				if v, ok := do(dst[i], dst[j], s); ok {
					dst = append(dst, v)
				}
			}
		}
		return dst[:n+copy(dst[n:], dst[k:])]
	}
}

// operator is one of arithmetic; ok is false where there is no result.
type operator func(a, b field.Value, s *Scratch) (_ field.Value, ok bool)

func integers(do func(x, y int64) (int64, bool)) operator {
	return func(a, b field.Value, _ *Scratch) (field.Value, bool) {
		x, _ := a.Integer()
		y, _ := b.Integer()
		n, ok := do(x, y)
		return field.NewInt(n), ok
	}
}

var operators = map[byte]operator{
	'+': integers(func(x, y int64) (int64, bool) { return x + y, true }),
	'-': integers(func(x, y int64) (int64, bool) { return x - y, true }),
	'*': integers(func(x, y int64) (int64, bool) { return x * y, true }),
	'/': integers(func(x, y int64) (int64, bool) {
		if y == 0 {
			return 0, false
		}
		return x / y, true
	}),
	'%': integers(func(x, y int64) (int64, bool) {
		if y == 0 {
			return 0, false
		}
		return x % y, true
	}),
	'&': bits,
}

// bits is & of numbers, of addresses, or of the bytes that both have.
func bits(a, b field.Value, s *Scratch) (field.Value, bool) {
	x, ok := a.Integer()
	y, ok2 := b.Integer()
	if ok && ok2 {
		return field.NewUint(uint64(x & y)), true
	}
	if x, ok := a.Addr(); ok {
		y, ok := b.Addr()
		if !ok || x.Is4() != y.Is4() {
			return a, false
		}
		return field.NewAddr(and(x, y)), true
	}
	text, ok := a.Text()
	other, ok2 := b.Text()
	if !ok || !ok2 || len(s.text) > maxMade {
		return a, false
	}
	at := len(s.text)
	for i := range min(len(text), len(other)) {
		s.text = append(s.text, text[i]&other[i])
	}
	return field.NewBytes(s.text[at:]), len(s.text) > at
}

// and returns the bits that are set in both addresses, which are of one
// version.
func and(x, y netip.Addr) netip.Addr {
	if x.Is4() {
		a, b := x.As4(), y.As4()
		for i := range a {
			a[i] &= b[i]
		}
		return netip.AddrFrom4(a)
	}
	a, b := x.As16(), y.As16()
	for i := range a {
		a[i] &= b[i]
	}
	return netip.AddrFrom16(a)
}
