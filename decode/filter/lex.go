package filter

import "strings"

// kind is what a token is.
type kind uint8

const (
	end    kind = iota
	word        // a field, a number, an address or a keyword
	quoted      // a string
	symbol      // an operator or a bracket
)

type token struct {
	kind kind
	text string
	col  int // 0-based, in bytes
}

// symbols are the operators, longest first.
var symbols = [...]string{"==", "!=", "<=", ">=", "&&", "||", "..", "<", ">", "!", "(", ")", "{", "}", ","}

// spelled returns the operator that a word stands for, "" if it is none.
func spelled(w string) string {
	switch w {
	case "eq":
		return "=="
	case "ne":
		return "!="
	case "lt":
		return "<"
	case "le":
		return "<="
	case "gt":
		return ">"
	case "ge":
		return ">="
	case "and":
		return "&&"
	case "or":
		return "||"
	case "not":
		return "!"
	case "contains", "matches", "in":
		return w
	}
	return ""
}

func lex(s string) ([]token, error) {
	var out []token
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '"':
			text, n, err := unquote(s, i)
			if err != nil {
				return nil, err
			}
			out = append(out, token{quoted, text, i})
			i += n
		case isWord(c) && !strings.HasPrefix(s[i:], ".."):
			j := i
			for j < len(s) && isWord(s[j]) && !strings.HasPrefix(s[j:], "..") {
				j++
			}
			t := token{word, s[i:j], i}
			if op := spelled(t.text); op != "" {
				t.kind, t.text = symbol, op
			}
			out = append(out, t)
			i = j
		default:
			op := operator(s[i:])
			if op == "" {
				return nil, &Error{Col: i, Text: "nothing begins with " + quote(s[i:i+1])}
			}
			out = append(out, token{symbol, op, i})
			i += len(op)
		}
	}
	return append(out, token{kind: end, col: len(s)}), nil
}

func operator(s string) string {
	for _, op := range symbols {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-' || c == ':' || c == '/' || c == '%'
}

// unquote reads the string that begins at s[i], with \" and \\ in it, and
// returns its length in s.
func unquote(s string, i int) (text string, n int, err error) {
	var b strings.Builder
	for j := i + 1; j < len(s); j++ {
		switch c := s[j]; {
		case c == '"':
			return b.String(), j + 1 - i, nil
		case c == '\\' && j+1 < len(s) && (s[j+1] == '"' || s[j+1] == '\\'):
			j++
			b.WriteByte(s[j])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, &Error{Col: i, Text: "the string has no end"}
}
