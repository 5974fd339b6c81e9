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
// The language is that of tshark 4.0, with its meanings:
//
//	tcp  tls.handshake.type            the packet has the protocol, the row has the field
//	== != < <= > >=                    eq ne lt le gt ge
//	=== !==                            all_eq any_ne; the older ~= is !==
//	any F == …   all F == …            any or all of a field's values
//	contains matches in                text or bytes in a value; a regular expression (RE2), without
//	                                   regard to case; {1, 5..9}, and not in
//	and or xor not                     && || ^^ !, ( )
//	F[0:3] F[1-2] F[4] F[:2] F[-2:]    bytes of strings, bytes and addresses, several with commas
//	len count lower upper string       functions; min max abs
//	& + - * / %                        arithmetic; { } groups; & alone asks whether a bit is set
//
// A field may have several values in a row. == and the others hold if any
// value does, != and === if all do, and a comparison with a field that the
// row does not have is false. A value is written as the field's type has it:
// 443, 0x1bb, 0673, 0b11, 'A'; 10.0.0.0/8; "text", r"raw\text" or bare text;
// 16:03:01 or 1603; True, False; 0.25 (seconds) or "2026-11-28 10:30:00"; or
// a name that tshark has for a number, as "Client Hello".
//
// Beyond tshark 4.0 it takes xor, a value on the left side, and functions of
// functions and of slices. It does not know tshark's names for hosts, and one
// packet here has one layer of each protocol.
//
// A filter is asked of one row. What a message is to a filter about packets is
// its packets: a message matches when any packet inside matches, the whole
// filter for one packet, and tunnel.* is the message that carries it. A
// message without packets is asked for itself.
package filter

import (
	"fmt"
	"slices"
	"strings"

	"tundump/decode/field"
)

// Error says what is wrong with a filter, and where.
type Error struct {
	Col  int // of the first byte of the mistake, from 0
	End  int // behind its last byte
	Text string

	incomplete bool // more text could make it right
	unknown    bool // it is no field, but one may begin so
}

func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Col+1, e.Text) }

// Filter is a compiled filter. It is safe for concurrent use.
type Filter struct {
	root       test
	asks       []*field.Field
	protocols  []string
	depth      field.Depth
	deprecated *Error
}

// Scratch is memory that matching reuses. It is for one goroutine.
type Scratch struct {
	values, others []field.Value
	text           []byte
	memory         field.Memory
	reader         byteRunes
}

// Match reports whether the row passes the filter. It does not allocate, once
// s has grown.
func (f *Filter) Match(r *field.Row, s *Scratch) bool {
	if r.Memory == nil && f.AsksPackets() {
		s.memory.Reset()
		r.Memory = &s.memory
		pass := f.ask(r, s)
		r.Memory = nil
		return pass
	}
	return f.ask(r, s)
}

func (f *Filter) ask(r *field.Row, s *Scratch) bool {
	s.text = s.text[:0]
	return f.root.match(r, s)
}

// Cost says what a row must have for the filter to decide.
func (f *Filter) Cost() field.Cost { return f.root.cost }

// Depth says how far flows must be followed for the filter to decide as it does
// when all of them is.
func (f *Filter) Depth() field.Depth { return f.depth }

// Fields returns the fields that the filter names, in order, those that stand
// in it twice twice; a group of fields stands for all of its fields. The slice
// must not be changed.
func (f *Filter) Fields() []*field.Field { return f.asks }

// AsksPackets reports whether a message that carries packets is asked packet
// by packet.
func (f *Filter) AsksPackets() bool { return f.root.cost >= field.FromPacket }

// Protocols returns the protocols that the filter names, in order; one whose
// bytes are asked for, rather than whether it is there, stands as its name and a
// dot. The slice must not be changed.
func (f *Filter) Protocols() []string { return f.protocols }

// Findings reports whether the filter asks about findings.
func (f *Filter) Findings() bool {
	return slices.ContainsFunc(f.asks, func(a *field.Field) bool { return strings.HasPrefix(a.Name, "finding.") })
}

// Deprecated returns what of the filter should be written in another way, nil
// if nothing is.
func (f *Filter) Deprecated() *Error { return f.deprecated }

// Bounds of a filter.
const (
	maxDepth = 200
	maxText  = 64 << 10
	maxMade  = 1 << 20 // bytes that functions and slices make of one row
	maxPairs = 4096    // results of one operator in one row
)

// Compile reads a filter. The error is an [*Error].
func Compile(text string) (*Filter, error) {
	if len(text) > maxText {
		return nil, &Error{Col: maxText, End: len(text), Text: "the filter is longer than 64 KiB"}
	}
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := parser{tokens: tokens, depth: field.Alone}
	root, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, p.unexpected(t, "expected and, or or the end")
	}
	return &Filter{root: root, asks: p.asks, protocols: p.protocols, depth: p.depth, deprecated: p.deprecated}, nil
}
