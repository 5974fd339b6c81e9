package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"tundump/decode/field"
)

// kind is what a token is.
type kind uint8

const (
	end       kind = iota
	word           // a field, a number, an address or a bare string
	quoted         // a string
	character      // a character constant
	symbol         // an operator or a bracket
	brackets       // what stands between [ and ]
	layers         // what stands behind #
)

type token struct {
	kind kind
	text string // of a symbol: its canonical form
	col  int    // 0-based, in bytes
	end  int    // where it ends in the text
}

// symbols are the operators, longest first.
var symbols = [...]string{
	"===", "!==", "==", "!=", "~=", "<=", ">=", "&&", "||", "^^", "..",
	"<", ">", "!", "~", "(", ")", "{", "}", ",", "&", "+", "-", "*", "/", "%",
}

// spellings are the words for operators.
var spellings = map[string]string{
	"eq": "==", "any_eq": "==", "ne": "!=", "all_ne": "!=", "all_eq": "===", "any_ne": "!==",
	"lt": "<", "le": "<=", "gt": ">", "ge": ">=",
	"and": "&&", "or": "||", "xor": "^^", "not": "!", "bitwise_and": "&",
	"contains": "contains", "matches": "matches", "in": "in",
}

// lexer cuts a filter into tokens.
type lexer struct {
	s   string
	out []token
}

func lex(s string) ([]token, error) {
	l := lexer{s: s}
	for i := 0; i < len(s); {
		n, err := l.token(i)
		if err != nil {
			return l.out, err
		}
		i += n
	}
	return append(l.out, token{kind: end, col: len(s), end: len(s)}), nil
}

// token reads what begins at i and returns its length.
func (l *lexer) token(i int) (n int, err error) {
	switch c := l.s[i]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		return 1, nil
	case c == '"':
		return l.text(i, i, false)
	case (c == 'r' || c == 'R') && strings.HasPrefix(l.s[i+1:], `"`):
		return l.text(i, i+1, true)
	case c == '\'':
		return l.character(i)
	case c == '[':
		return l.until(brackets, i, "]")
	case c == '#':
		return l.layer(i)
	case isWord(c) && c != '-' && c != '/' && !strings.HasPrefix(l.s[i:], ".."),
		c == '-' && !l.behindOperand() && i+1 < len(l.s) && (l.s[i+1] >= '0' && l.s[i+1] <= '9' || l.s[i+1] == '.'):
		return l.word(i), nil
	}
	for _, op := range symbols {
		if strings.HasPrefix(l.s[i:], op) {
			text := op
			if op == "~" {
				text = "matches"
			}
			l.add(symbol, text, i, len(op))
			return len(op), nil
		}
	}
	r, size := utf8.DecodeRuneInString(l.s[i:])
	what := "nothing begins with " + strconv.Quote(l.s[i:i+size])
	if r == '=' {
		what = "= is no operator; == is"
	}
	return 0, &Error{Col: i, End: i + size, Text: what}
}

func (l *lexer) add(k kind, text string, i, n int) {
	l.out = append(l.out, token{k, text, i, i + n})
}

// behindOperand reports whether a minus here is an operator.
func (l *lexer) behindOperand() bool {
	if len(l.out) == 0 {
		return false
	}
	switch t := l.out[len(l.out)-1]; t.kind {
	case symbol:
		return t.text == ")" || t.text == "}"
	default:
		return true
	}
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf ||
		c == '_' || c == '.' || c == '-' || c == ':' || c == '/'
}

func (l *lexer) word(i int) (n int) {
	j := i
	for j < len(l.s) && isWord(l.s[j]) && !strings.HasPrefix(l.s[j:], "..") {
		j++
	}
	if op := spellings[l.s[i:j]]; op != "" {
		l.add(symbol, op, i, j-i)
	} else {
		l.add(word, l.s[i:j], i, j-i)
	}
	return j - i
}

func (l *lexer) until(k kind, i int, closing string) (n int, err error) {
	n = strings.Index(l.s[i:], closing)
	if n < 0 {
		return 0, &Error{Col: i, End: len(l.s), Text: "expected " + closing + " behind it", incomplete: true}
	}
	l.add(k, l.s[i+1:i+n], i, n+1)
	return n + 1, nil
}

// layer reads #2 or #[1-3].
func (l *lexer) layer(i int) (n int, err error) {
	if strings.HasPrefix(l.s[i+1:], "[") {
		n, err = l.until(layers, i+1, "]")
		return n + 1, err
	}
	j := i + 1
	for j < len(l.s) && (l.s[j] >= '0' && l.s[j] <= '9' || l.s[j] == '-' && j == i+1) {
		j++
	}
	l.add(layers, l.s[i+1:j], i, j-i)
	return j - i, nil
}

// text reads the string whose quote is at s[open].
func (l *lexer) text(i, open int, raw bool) (n int, err error) {
	regex := len(l.out) > 0 && l.out[len(l.out)-1].text == "matches"
	var b strings.Builder
	for j := open + 1; j < len(l.s); {
		switch c := l.s[j]; {
		case c == '"':
			l.add(quoted, b.String(), i, j+1-i)
			return j + 1 - i, nil
		case c != '\\' || j+1 == len(l.s):
			b.WriteByte(c)
			j++
		case raw:
			b.WriteString(l.s[j : j+2])
			j += 2
		default:
			text, n := escape(l.s[j:])
			switch {
			case n > 0:
				b.WriteString(text)
			case regex: // a class such as \d, which tshark wants in a raw string
				n = 2
				b.WriteString(l.s[j : j+n])
			default:
				return 0, badEscape(l.s, j)
			}
			j += n
		}
	}
	return 0, &Error{Col: i, End: len(l.s), Text: "the string has no end", incomplete: true}
}

func badEscape(s string, at int) error {
	n := 2
	if at+1 < len(s) {
		_, size := utf8.DecodeRuneInString(s[at+1:])
		n = 1 + size
	}
	behind := min(at+n, len(s))
	return &Error{Col: at, End: behind, incomplete: behind == len(s),
		Text: fmt.Sprintf(`%s is no escape sequence; write \\ for a backslash, or r"…" for a string without any`, s[at:behind])}
}

func (l *lexer) character(i int) (n int, err error) {
	rest := l.s[i+1:]
	text, n := "", 0
	if strings.HasPrefix(rest, `\`) {
		if text, n = escape(rest); n == 0 {
			return 0, badEscape(l.s, i+1)
		}
	} else if rest != "" && rest[0] != '\'' {
		text, n = rest[:1], 1
	}
	if n == 0 || len(text) != 1 || !strings.HasPrefix(rest[n:], "'") {
		return 0, &Error{Col: i, End: min(len(l.s), i+n+2), Text: "a character constant is one byte between quotes: 'A', '\\x0a'", incomplete: rest == "" || rest[n:] == ""}
	}
	l.add(character, text, i, n+2)
	return n + 2, nil
}

var simple = map[byte]string{
	'\'': "'", '"': `"`, '\\': `\`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// escape reads the escape sequence that s begins with; n is 0 if it is none.
func escape(s string) (text string, n int) {
	if len(s) < 2 {
		return "", 0
	}
	if text, ok := simple[s[1]]; ok {
		return text, 2
	}
	code := func(from, digits, base int) (string, int) {
		if len(s) < from+digits {
			return "", 0
		}
		c, err := strconv.ParseUint(s[from:from+digits], base, 32)
		if err != nil || digits < 4 && c > 0xff || digits >= 4 && !utf8.ValidRune(rune(c)) {
			return "", 0
		}
		if digits < 4 {
			return string([]byte{byte(c)}), from + digits
		}
		return string(rune(c)), from + digits
	}
	switch s[1] {
	case 'x':
		return code(2, 2, 16)
	case 'u':
		return code(2, 4, 16)
	case 'U':
		return code(2, 8, 16)
	}
	digits := 0
	for digits < 3 && 1+digits < len(s) && s[1+digits] >= '0' && s[1+digits] <= '7' {
		digits++
	}
	if digits == 0 {
		return "", 0
	}
	return code(1, digits, 8)
}

// literal is the form of a token that stands for a value.
func (t token) form() field.Form {
	switch t.kind {
	case quoted:
		return field.Quoted
	case character:
		return field.Char
	}
	return field.Bare
}
