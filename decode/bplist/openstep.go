package bplist

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// Shape is what the root of OpenStep text is.
type Shape uint8

const (
	NotPropertyList Shape = iota
	Dictionary            // { a = b; }, or nothing but blanks and comments
	StringsFile           // a = b; c; without braces, which is a dictionary
	TextString            // a word or a quoted string
	TextArray             // ( a, b )
	TextData              // < 0bad f00d >
)

var shapeNames = [...]string{
	"no property list", "dictionary", "strings file", "string", "array", "data",
}

// String returns the shape's name, as "dictionary" or "strings file".
func (s Shape) String() string {
	if int(s) < len(shapeNames) {
		return shapeNames[s]
	}
	return "unknown"
}

// Dictionary reports whether Apple's reader makes a dictionary of it. A
// genuine end crashes on a message that is anything else.
func (s Shape) Dictionary() bool { return s == Dictionary || s == StringsFile }

// ReadOpenStep recognises an OpenStep ("old style") property list in UTF-8, or
// in UTF-16 with a byte order mark, and returns the kind of its root. In this
// encoding every scalar is a string or data, so no message in it can have a
// command. The work is linear in the text, and the memory is a byte per level.
//
// The error is an [*Error], and the shape is then NotPropertyList.
//
// Source: __CFCreateOldStylePropertyListOrStringsFile in CFOldStylePList.c.
func ReadOpenStep(b []byte, lim Limits) (Shape, error) {
	s, wide := fromUTF16(b)
	p := textParser{s: s, depth: lim.depth()}
	switch {
	case len(b) == 0:
		return NotPropertyList, p.bad("it is empty")
	case !wide && !utf8.Valid(b):
		return NotPropertyList, &Error{What: "it is neither binary nor text", Span: Span{0, len(b)}}
	}
	if !p.blanks() {
		return Dictionary, nil
	}
	shape, err := p.parse()
	if err == nil && p.blanks() {
		if shape == TextString {
			p.i, p.open = 0, append(p.open[:0], fileLevel)
			shape, err = p.parse()
		} else {
			err = p.bad("something follows the root")
		}
	}
	if err != nil {
		if wide {
			err.Span = Span{0, len(b)}
		}
		return NotPropertyList, err
	}
	return shape, nil
}

// fromUTF16 returns b in UTF-8 if it begins with a byte order mark of UTF-16,
// and else b itself.
func fromUTF16(b []byte) (text []byte, wide bool) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	default:
		return b, false
	}
	text = make([]byte, 0, len(b))
	for i := 2; i+1 < len(b); i += 2 {
		r := rune(order.Uint16(b[i:]))
		if utf16.IsSurrogate(r) && i+3 < len(b) {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(b[i+2:]))); pair != utf8.RuneError {
				r = pair
				i += 2
			}
		}
		text = utf8.AppendRune(text, r)
	}
	return text, true
}

// What a textParser can be inside of.
const (
	dictLevel  = '{'
	arrayLevel = '('
	fileLevel  = 'f' // a strings file, which is a dictionary without braces
)

// textParser goes through OpenStep text without keeping any of it. Its levels
// are a list and not calls, because they are the sender's choice.
type textParser struct {
	s     []byte
	i     int
	depth int
	open  []byte // what the position is inside of
}

func (p *textParser) bad(what string) *Error {
	return &Error{Span: Span{p.i, min(1, len(p.s)-p.i)}, What: what, Encoding: OpenStep}
}

// peek returns the next byte that is no blank and in no comment; 0 at the end.
func (p *textParser) peek() byte {
	if !p.blanks() {
		return 0
	}
	return p.s[p.i]
}

// parse goes through one object, or through a strings file if that is what is
// open.
func (p *textParser) parse() (Shape, *Error) {
	shape := StringsFile
	inFile := len(p.open) > 0
	more, err := true, (*Error)(nil)
	if inFile {
		more, err = p.key()
	}
	for first := true; more && err == nil; first = false {
		if len(p.open) > p.depth {
			e := p.bad("it is nested too deeply")
			e.Ours = p.depth < appleDepth
			return NotPropertyList, e
		}
		var s Shape
		s, more, err = p.object()
		if first && !inFile {
			shape = s
		}
	}
	if err != nil {
		return NotPropertyList, err
	}
	return shape, nil
}

// object goes through a scalar or the beginning of a container, and then to
// where the next object begins. more is false if there is none.
func (p *textParser) object() (s Shape, more bool, err *Error) {
	switch c := p.peek(); {
	case c == '{':
		p.i++
		p.open = append(p.open, dictLevel)
		more, err = p.key()
		if more || err != nil {
			return Dictionary, more, err
		}
		s = Dictionary
	case c == '(':
		p.i++
		p.open = append(p.open, arrayLevel)
		if p.peek() != ')' {
			return TextArray, true, nil
		}
		p.close()
		s = TextArray
	case c == '<':
		s, err = TextData, p.data()
	case c == 0 && p.i >= len(p.s):
		err = p.bad("the text ends where a value should be")
	default:
		var found bool
		if found, err = p.str(); err == nil && !found {
			err = p.bad("a value begins with a character that cannot begin one")
		}
		s = TextString
	}
	if err != nil {
		return s, false, err
	}
	more, err = p.next()
	return s, more, err
}

// close leaves the innermost container, at its last byte.
func (p *textParser) close() {
	p.i++
	p.open = p.open[:len(p.open)-1]
}

// next goes from behind a value to where the next value begins. more is false
// if there is none.
func (p *textParser) next() (more bool, err *Error) {
	for len(p.open) > 0 {
		c := p.peek()
		if p.open[len(p.open)-1] != arrayLevel {
			if c != ';' {
				return false, p.bad("a pair does not end with a semicolon")
			}
			p.i++
			if more, err = p.key(); more || err != nil {
				return more, err
			}
			continue
		}
		if c == ',' {
			p.i++
			if p.peek() != ')' {
				return true, nil
			}
		} else if c != ')' {
			return false, p.bad("neither a comma nor ) follows an array's element")
		}
		p.close()
	}
	return false, nil
}

// key goes from where a key may begin to where its value begins. It leaves
// the container if there is no further value in it.
func (p *textParser) key() (value bool, err *Error) {
	inFile := p.open[len(p.open)-1] == fileLevel
	for {
		c := p.peek()
		found, err := p.str()
		switch {
		case err != nil:
			return false, err
		case !found && inFile:
			p.open = p.open[:0] // Apple's reader ignores what follows
			return false, nil
		case !found && c == '}':
			p.close()
			return false, nil
		case !found:
			return false, p.bad("neither a key nor } where one of them should be")
		}
		switch p.peek() {
		case '=':
			p.i++
			return true, nil
		case ';':
			p.i++
		default:
			return false, p.bad("neither = nor a semicolon follows a key")
		}
	}
}

// blanks skips blanks and comments, and reports whether anything follows.
func (p *textParser) blanks() bool {
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c > ' ' && c != '/' && c != lineSeparator {
			return true
		}
		rest := p.s[p.i:]
		switch {
		case c >= '\t' && c <= '\r' || c == ' ':
			p.i++
		case isLineSeparator(rest):
			p.i += 3
		case bytes.HasPrefix(rest, []byte("//")):
			for p.i < len(p.s) && p.s[p.i] != '\n' && p.s[p.i] != '\r' && !isLineSeparator(p.s[p.i:]) {
				p.i++
			}
		case bytes.HasPrefix(rest, []byte("/*")):
			if n := bytes.Index(rest[2:], []byte("*/")); n >= 0 {
				p.i += n + 4
			} else {
				p.i = len(p.s)
			}
		default:
			return true
		}
	}
	return false
}

// lineSeparator is the first byte of U+2028 and U+2029 in UTF-8.
const lineSeparator = 0xe2

// isLineSeparator reports whether b begins with U+2028 or U+2029.
func isLineSeparator(b []byte) bool {
	return len(b) >= 3 && b[0] == lineSeparator && b[1] == 0x80 && b[2]&^1 == 0xa8
}

// str goes through a quoted string or a word; found is false if there is
// neither.
func (p *textParser) str() (found bool, err *Error) {
	if p.i >= len(p.s) {
		return false, nil
	}
	if quote := p.s[p.i]; quote == '"' || quote == '\'' {
		for i := p.i + 1; i < len(p.s); i++ {
			switch p.s[i] {
			case quote:
				p.i = i + 1
				return true, nil
			case '\\':
				i++
			}
		}
		return false, p.bad("a quoted string does not end")
	}
	start := p.i
	for p.i < len(p.s) && inWord(p.s[p.i]) {
		p.i++
	}
	return p.i > start, nil
}

func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '$' || c == '/' || c == ':' || c == '.' || c == '-'
}

// data goes through hexadecimal digits in angle brackets.
func (p *textParser) data() *Error {
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '>':
			p.i++
			return nil
		case isHex(c):
			p.i++
			if p.i >= len(p.s) || !isHex(p.s[p.i]) {
				return p.bad("data has an odd number of digits")
			}
		case isLineSeparator(p.s[p.i:]):
			p.i += 2
		case c != ' ' && c != '\n' && c != '\t' && c != '\r':
			return p.bad("data has a character that is no hexadecimal digit")
		}
	}
	return p.bad("data does not end")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
