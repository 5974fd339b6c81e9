// Package bplist reads property lists in place and writes binary ones.
//
// A binary property list is a header, objects, a table of their offsets and a
// trailer. All numbers are big-endian:
//
//	0          8              table              len-32          len
//	+----------+--------------+------------------+---------------+
//	| bplist00 | objects      | offset of each   | trailer       |
//	+----------+--------------+------------------+---------------+
//
// An object begins with a marker byte; arrays and dictionaries refer to other
// objects by number. The trailer says how many bytes an offset and a
// reference have, how many objects there are, and which one is the root.
//
// [Parse] checks everything that can be reached from the root, by the rules
// of Apple's reader: what it accepts, CoreFoundation accepts. Afterwards a
// [Value] is looked at without copying and without allocating, and knows the
// bytes that it came from. The loop everybody writes:
//
//	doc, err := bplist.Parse(payload, bplist.Limits{})
//	if err != nil {
//		return err // a *bplist.Error: which rule, which bytes
//	}
//	root := doc.Root()
//	for i := range root.Len() {
//		key, val := root.Pair(i)
//		if key.EqualText("packets") {
//			for j := range val.Len() {
//				packet, ok := val.At(j).Data() // aliases payload
//				...
//			}
//		}
//	}
//
// [Open] reads what Apple's reader reads when it is not told the encoding:
// binary, then XML, then OpenStep text, of which only the kind of the root is
// told. [Writer] builds messages as Apple's encoder does, and [Edit] changes
// single values of a message and leaves the rest as it was.
//
// Values are looked at one by one, and may be shared: a payload of 124 KB can
// stand for gigabytes when it is expanded. Whoever walks a whole tree needs a
// budget of his own.
//
// Source: CFBinaryPList.c, CFPropertyList.c and CFOldStylePList.c of Apple's
// CoreFoundation.
package bplist

import (
	"errors"
	"fmt"
)

// Limits bound what one property list may cost. The zero value is right for
// messages from the network.
type Limits struct {
	// Depth is the deepest level that is read, the root being level 0. Zero
	// means 512, as on macOS; on iOS it is 128, see [Doc.MaxDepth]. In XML and
	// OpenStep text the same number limits the containers inside each other.
	Depth int
	// Visits is how many references are followed. Zero means as many as the
	// payload has room for, which only objects that overlap can exceed. For
	// XML it is the number of tokens.
	Visits int
}

// appleDepth is _CFPropertyListMaxRecursionDepth on macOS.
const appleDepth = 512

func (l Limits) depth() int {
	if l.Depth <= 0 {
		return appleDepth
	}
	return l.Depth
}

func (l Limits) visits(room int) int {
	if l.Visits <= 0 {
		return room
	}
	return l.Visits
}

// Span is a range of bytes in the payload.
type Span struct{ Off, Len int }

// Encoding is how a property list is written down.
type Encoding uint8

const (
	Unknown Encoding = iota
	Binary
	XML
	OpenStep
)

var encodingNames = [...]string{"unknown", "binary", "xml", "openstep"}

// String returns "binary", "xml", "openstep" or "unknown".
func (e Encoding) String() string { return encodingNames[e&3] }

// An Error says which rule a payload breaks, and where. All errors of the
// readers are of this type.
type Error struct {
	Span     Span     // the bytes that break the rule, in the payload
	What     string   // the rule, in words; never quotes the payload
	Encoding Encoding // what the payload was read as
	// Ours: the refusal is this package's own, because of a budget or because
	// it does not know a character set. Apple's reader may accept the bytes.
	Ours bool
}

func (e *Error) Error() string {
	return fmt.Sprintf("bplist: %s property list: %s (at byte %d)", e.Encoding, e.What, e.Span.Off)
}

// Doc is a property list that has been checked. It aliases the payload, which
// must stay as it is while the Doc is used. Values point to the Doc that they
// came from: keep it where it is. Any number of goroutines may read it.
type Doc struct {
	b        []byte // a binary property list
	offsets  []byte // its offset table
	text     *text  // where b's objects came from, if they came from XML
	shape    Shape
	enc      Encoding
	offSize  uint8
	refSize  uint8
	table    uint32 // where the offset table begins, and the objects end
	objects  uint32
	root     uint32 // the root's offset
	maxDepth int32
}

// Root returns the root object. It is absent in a zero Doc and in OpenStep
// text.
func (d *Doc) Root() Value {
	if d.b == nil {
		return Value{}
	}
	return d.object(d.root, 0)
}

// Encoding returns how the payload was written down.
func (d *Doc) Encoding() Encoding { return d.enc }

// Shape returns what kind of root OpenStep text has; it is 0 for the other
// encodings.
func (d *Doc) Shape() Shape { return d.shape }

// MaxDepth returns the deepest level that was reached, the root being level 0.
// Apple's reader on iOS refuses a binary property list if it is over 128.
// Objects that are shared count where the reader meets them first.
func (d *Doc) MaxDepth() int { return int(d.maxDepth) }

// Version returns the two characters behind "bplist": "00" from every genuine
// encoder. Apple's reader accepts any second one. It is "" for the other
// encodings.
func (d *Doc) Version() string {
	if d.enc != Binary {
		return ""
	}
	return string(d.b[6:8])
}

// Objects returns how many objects a binary property list says it has, those
// that nothing refers to included.
func (d *Doc) Objects() int {
	if d.enc != Binary {
		return 0
	}
	return int(d.objects)
}

// Open reads b as Apple's reader does when it is not told the encoding: as a
// binary property list, and if that fails as XML, and if that fails as
// OpenStep text. Of OpenStep text only the kind of the root is told, by
// [Doc.Shape].
//
// The error is the one of the encoding that b looks like.
//
// Source: _CFPropertyListCreateWithData in CFPropertyList.c.
func Open(b []byte, lim Limits) (Doc, error) {
	d, binErr := parse(b, lim)
	if binErr == nil {
		return d, nil
	}
	if binErr.Ours {
		return Doc{}, binErr
	}
	var xmlErr error
	if looksLikeXML(b) {
		if d, xmlErr = ParseXML(b, lim); xmlErr == nil {
			return d, nil
		}
		if e := (*Error)(nil); errors.As(xmlErr, &e) && e.Ours {
			return Doc{}, xmlErr
		}
	}
	shape, err := ReadOpenStep(b, lim)
	switch {
	case err == nil:
		return Doc{enc: OpenStep, shape: shape}, nil
	case xmlErr != nil:
		return Doc{}, xmlErr
	case looksBinary(b):
		return Doc{}, binErr
	}
	return Doc{}, err
}

// looksBinary reports whether b begins like a binary property list.
func looksBinary(b []byte) bool { return len(b) >= len(magic) && string(b[:len(magic)]) == magic }
