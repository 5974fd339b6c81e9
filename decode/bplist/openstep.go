package bplist

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

// ReadOpenStep is a placeholder for the recogniser's signature.
func ReadOpenStep(b []byte, lim Limits) (Shape, error) {
	return NotPropertyList, &Error{Encoding: OpenStep, What: "it is no OpenStep text"}
}
