package bplist

import (
	"bytes"
	"encoding/xml"
	"slices"
	"strings"
)

// maxTokens is the default budget of an XML property list. A packets message
// of 128 KiB, more than which the genuine ends refuse, has 10,000 with packets
// of 40 bytes.
const maxTokens = 1 << 14

// text is where the objects of an XML property list came from.
type text struct {
	offs   []uint32 // the objects' offsets in the binary form, ascending
	places []place
}

// place is where an element lies in the payload, with its tags and without.
type place struct{ whole, body Span }

func (t *text) find(off uint32) place {
	if i, found := slices.BinarySearch(t.offs, off); found {
		return t.places[i]
	}
	return place{}
}

const utf8BOM = "\xef\xbb\xbf"

// looksLikeXML reports whether b begins with a tag, behind blanks and a byte
// order mark.
func looksLikeXML(b []byte) bool {
	if len(b) >= 2 && b[0]^b[1] == 0xfe^0xff {
		b, _ = fromUTF16(b[:min(len(b), 512)])
	}
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte(utf8BOM)), " \t\r\n")
	return len(b) > 0 && b[0] == '<'
}

// ParseXML reads an XML property list in UTF-8, or in UTF-16 with a byte order
// mark. It takes what Apple's reader takes: the plist element may be missing,
// attributes and the document type are ignored, and nothing is looked at
// behind the root. The values of the Doc do not alias b, but their spans are
// in b; those of a payload in UTF-16 all span the whole of it.
//
// No entities are known but the five of XML. The work is bounded by
// [Limits.Visits] tokens, 16,384 if it is zero.
//
// The error is an [*Error], and the Doc is then the zero Doc.
//
// Source: parseXMLPropertyList in CFPropertyList.c.
func ParseXML(b []byte, lim Limits) (Doc, error) {
	src, wide := fromUTF16(b)
	r := xmlReader{src: src, tokens: lim.visits(maxTokens), depth: lim.depth()}
	if !wide && bytes.HasPrefix(b, []byte(utf8BOM)) {
		r.skip = len(utf8BOM)
	}
	err := r.declaration(wide)
	r.dec = xml.NewDecoder(bytes.NewReader(src[r.skip:]))
	var root Ref
	if err == nil {
		root, err = r.read()
	}
	if err != nil {
		if wide {
			err.Span = Span{0, len(b)}
		}
		return Doc{}, err
	}
	if wide {
		whole := Span{0, len(b)}
		for i := range r.places {
			r.places[i] = place{whole, whole}
		}
	}
	return r.doc(root, lim)
}

// declaration skips the XML declaration, which would make the decoder convert
// characters and lose the positions. It fails if another character set is
// declared.
func (r *xmlReader) declaration(wide bool) *Error {
	b := r.src[r.skip:]
	end := bytes.Index(b, []byte("?>"))
	if !bytes.HasPrefix(b, []byte("<?xml")) || end < 0 {
		return nil
	}
	decl := b[:end]
	r.start, r.skip = r.skip, r.skip+end+len("?>")
	_, name, found := bytes.Cut(decl, []byte("encoding="))
	if !found || len(name) == 0 {
		return nil
	}
	if end := bytes.IndexByte(name[1:], name[0]); end >= 0 {
		name = name[1 : 1+end]
	}
	switch label := strings.ToLower(string(name)); {
	case label == "utf-8", label == "us-ascii", wide && strings.HasPrefix(label, "utf-16"):
		return nil
	}
	return &Error{
		Span: Span{r.start, end}, Encoding: XML, Ours: true,
		What: "the character set that it declares is not known here",
	}
}

// element is a container whose end has not come yet.
type element struct {
	tag   string
	start int // of its start tag, in src
	body  int // behind its start tag
	items int // where its children begin in xmlReader.items
}

// levels is how many containers are open; the outermost plist element is none.
func (r *xmlReader) levels() int {
	if len(r.open) > 0 && r.open[0].tag == "plist" {
		return len(r.open) - 1
	}
	return len(r.open)
}

// xmlReader builds a binary property list from XML and remembers where each
// object came from.
type xmlReader struct {
	dec    *xml.Decoder
	src    []byte
	skip   int // how much of src the decoder does not get
	tokens int
	depth  int

	w      Writer
	places []place // of each node of w
	open   []element
	items  []Ref // children of the open elements
	start  int   // of the latest token, in src
	buf    []byte
}

// doc makes a Doc of what was read.
func (r *xmlReader) doc(root Ref, lim Limits) (Doc, error) {
	b, err := r.w.Append(nil, root)
	if err != nil {
		return Doc{}, &Error{What: err.Error(), Encoding: XML, Span: Span{0, len(r.src)}}
	}
	d, perr := parse(b, Limits{Depth: lim.depth(), Visits: len(b)})
	if perr != nil {
		perr.Encoding, perr.Span = XML, Span{0, len(r.src)}
		return Doc{}, perr
	}
	d.enc = XML
	d.text = &text{}
	for _, ref := range r.w.order {
		d.text.offs = append(d.text.offs, uint32(r.w.nodes[ref].off))
		d.text.places = append(d.text.places, r.places[ref])
	}
	return d, nil
}

func (r *xmlReader) pos() int { return r.skip + int(r.dec.InputOffset()) }

// bad is about the latest token.
func (r *xmlReader) bad(what string) *Error { return r.badFrom(r.start, what) }

func (r *xmlReader) badFrom(start int, what string) *Error {
	return &Error{Span: Span{start, r.pos() - start}, What: what, Encoding: XML}
}

// token reads the next token; r.start is where it begins.
func (r *xmlReader) token() (xml.Token, *Error) {
	r.start = r.pos()
	if r.tokens--; r.tokens < 0 {
		err := r.bad("budget: it has too many tokens")
		err.Ours = true
		return nil, err
	}
	t, err := r.dec.RawToken()
	switch {
	case err == nil:
		return t, nil
	case r.pos() == len(r.src):
		return nil, r.bad("it ends before its root does")
	}
	return nil, r.bad("it is not well-formed XML")
}

// read reads up to the end of the root.
func (r *xmlReader) read() (Ref, *Error) {
	for {
		t, err := r.token()
		if err != nil {
			return 0, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := r.startElement(t.Name); err != nil {
				return 0, err
			}
		case xml.EndElement:
			if err := r.endElement(t.Name); err != nil {
				return 0, err
			}
		case xml.CharData:
			if len(bytes.TrimLeft(t, " \t\r\n")) > 0 {
				return 0, r.bad("there is text where only elements can be")
			}
		case xml.Directive:
			if len(r.open) > 0 {
				return 0, r.bad("there is a declaration inside an element")
			}
		}
		if len(r.open) == 0 && len(r.items) == 1 {
			return r.items[0], nil
		}
	}
}

func (r *xmlReader) startElement(name xml.Name) *Error {
	e := element{tag: name.Local, start: r.start, body: r.pos(), items: len(r.items)}
	if name.Space != "" {
		e.tag = ""
	}
	empty := r.src[e.body-2] == '/'
	switch e.tag {
	case "plist", "array", "dict":
		if empty && e.tag == "plist" {
			return r.bad("the plist element is empty")
		}
		if r.levels() >= r.depth && e.tag != "plist" {
			err := r.bad("it is nested too deeply")
			err.Ours = r.depth < appleDepth
			return err
		}
		r.open = append(r.open, e)
		return nil
	case "key", "string", "data", "date", "true", "false", "real", "integer":
		if empty && (e.tag == "data" || e.tag == "date" || e.tag == "real" || e.tag == "integer") {
			return r.bad("an element that needs a value is empty")
		}
		return r.scalar(e)
	}
	return r.bad("an element is none of a property list's")
}

// endElement ends the innermost container.
func (r *xmlReader) endElement(name xml.Name) *Error {
	if len(r.open) == 0 || name.Space != "" || r.open[len(r.open)-1].tag != name.Local {
		return r.bad("an end tag does not match its start tag")
	}
	e := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	children := r.items[e.items:]
	r.items = r.items[:e.items]
	switch e.tag {
	case "plist":
		if len(children) != 1 {
			return r.bad("the plist element is empty")
		}
		r.items = append(r.items, children[0])
		return nil
	case "array":
		return r.add(e, r.w.Array(children...))
	}
	if len(children)%2 != 0 {
		return r.bad("a dictionary's last key has no value")
	}
	if uid, ok := r.uid(children); ok {
		return r.add(e, uid)
	}
	return r.add(e, r.w.Dict(children...))
}

// uid reports whether a dictionary is how XML writes a UID.
func (r *xmlReader) uid(pairs []Ref) (Ref, bool) {
	if len(pairs) != 2 || r.w.nodes[pairs[0]].str != "CF$UID" || r.w.nodes[pairs[1]].typ != Int {
		return 0, false
	}
	return r.w.UID(uint32(r.w.nodes[pairs[1]].bits)), true
}

// scalar reads the contents of e and its end tag.
func (r *xmlReader) scalar(e element) *Error {
	r.buf = r.buf[:0]
	for {
		t, err := r.token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.CharData:
			r.buf = append(r.buf, t...)
			continue
		case xml.EndElement:
			if t.Name.Space != "" || t.Name.Local != e.tag {
				return r.bad("an end tag does not match its start tag")
			}
		default:
			return r.bad("there is an element or a comment inside a scalar")
		}
		node, what := scalarNode(e.tag, r.buf)
		if what != "" {
			return r.badFrom(e.start, what)
		}
		return r.add(e, r.w.add(node))
	}
}

// add makes ref, which came from e, a child of the innermost container.
func (r *xmlReader) add(e element, ref Ref) *Error {
	p := place{Span{e.start, r.pos() - e.start}, Span{e.body, max(0, r.start-e.body)}}
	for len(r.places) <= int(ref) {
		r.places = append(r.places, place{})
	}
	r.places[ref] = p
	if len(r.open) > 0 {
		parent := r.open[len(r.open)-1]
		n := len(r.items) - parent.items
		switch {
		case parent.tag == "plist" && n > 0:
			return r.badFrom(e.start, "the plist element has more than one child")
		case parent.tag == "dict" && n%2 == 0 && e.tag != "key":
			return r.badFrom(e.start, "a dictionary has a value without a key")
		}
	}
	r.items = append(r.items, ref)
	return nil
}
