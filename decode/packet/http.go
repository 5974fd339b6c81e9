package packet

import (
	"bytes"
	"iter"
)

// HTTPMessage is what stands before the body of an HTTP/1 request or response.
// Its slices alias the bytes it was read from.
type HTTPMessage struct {
	Response bool
	Line     []byte // the first line, without its end
	Method   []byte // of a request
	URI      []byte
	Version  []byte
	Code     int // of a response
	Phrase   []byte
	Fields   []byte // the header fields, each with the end of its line
	Len      int    // bytes up to the body
}

// HTTPHead reads the head of the HTTP/1 message that b begins with. ok is
// false if it is none, or if its head does not end in b: then what is there is
// in m.
//
// Source: RFC 9112, sections 2 to 5. A line may end with LF alone.
func HTTPHead(b []byte) (m HTTPMessage, ok bool) {
	line, rest, ok := bytes.Cut(b, []byte{'\n'})
	if !ok || !httpStart(b) {
		return m, false
	}
	m.Line = bytes.TrimSuffix(line, []byte{'\r'})
	m.readLine()
	first := len(line) + 1
	m.Len = first
	for {
		line, after, ok := bytes.Cut(rest, []byte{'\n'})
		if !ok {
			m.Fields = b[first:m.Len]
			return m, false
		}
		m.Len += len(line) + 1
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			m.Fields = b[first : m.Len-len(line)-1]
			return m, true
		}
		rest = after
	}
}

// readLine reads the parts of the first line.
func (m *HTTPMessage) readLine() {
	first, rest, _ := bytes.Cut(m.Line, []byte{' '})
	if bytes.HasPrefix(first, []byte("HTTP/")) {
		m.Response, m.Version = true, first
		code, phrase, _ := bytes.Cut(rest, []byte{' '})
		m.Phrase = phrase
		for _, c := range code[:min(len(code), 4)] {
			if c < '0' || c > '9' {
				m.Code = 0
				return
			}
			m.Code = m.Code*10 + int(c-'0')
		}
		return
	}
	m.Method = first
	m.URI, m.Version, _ = bytes.Cut(rest, []byte{' '})
}

// httpMethods are those that tshark 4.0 knows, which takes them from RFC 9110,
// WebDAV (RFC 4918 and others), UPnP and Microsoft's extensions.
var httpMethods = [...]string{
	"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "REPORT", "UPDATE",
	"CHECKIN", "CHECKOUT", "UNCHECKOUT", "MKWORKSPACE", "LABEL", "MERGE", "BASELINE-CONTROL", "MKACTIVITY", "VERSION-CONTROL",
	"NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "M-SEARCH", "POLL", "BCOPY", "BMOVE", "BDELETE", "BPROPFIND", "BPROPPATCH",
	"RPC_IN_DATA", "RPC_OUT_DATA",
}

// httpStart reports whether b begins as an HTTP/1 request or response does.
func httpStart(b []byte) bool {
	if len(b) < 5 {
		return false
	}
	if string(b[:5]) == "HTTP/" {
		return true
	}
	if c := b[0]; c < 'A' || c > 'Z' {
		return false
	}
	n := bytes.IndexByte(b[:min(len(b), 20)], ' ')
	for _, m := range httpMethods {
		if n == len(m) && string(b[:n]) == m {
			return true
		}
	}
	return false
}

// MayBeHTTP reports whether b may be the beginning of an HTTP/1 message, of
// which not even the first line has to be there.
func MayBeHTTP(b []byte) bool {
	if len(b) >= 20 {
		return httpStart(b)
	}
	const version = "HTTP/"
	if n := min(len(b), len(version)); string(b[:n]) == version[:n] {
		return true
	}
	for _, m := range httpMethods {
		if n := min(len(b), len(m)); string(b[:n]) == m[:n] && (n == len(b) || b[n] == ' ') {
			return true
		}
	}
	return false
}

// looksLikeHTTP is whether b begins with an HTTP/1 message beyond doubt, on
// any port: its first line has the version where it belongs.
func looksLikeHTTP(b []byte) bool {
	if !httpStart(b) {
		return false
	}
	if b[0] == 'H' && string(b[:5]) == "HTTP/" {
		return len(b) >= 12 && b[5] == '1' && b[8] == ' '
	}
	line, _, ok := bytes.Cut(b, []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	return ok && len(line) > 9 && string(line[len(line)-9:len(line)-1]) == " HTTP/1."
}

// AllFields yields each header field's name and value, without the white space
// around the value. Lines without a colon are left out.
func (m *HTTPMessage) AllFields() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for b := m.Fields; len(b) > 0; {
			line, rest, _ := bytes.Cut(b, []byte{'\n'})
			b = rest
			name, value, ok := bytes.Cut(line, []byte{':'})
			if ok && !yield(name, bytes.TrimSpace(value)) {
				return
			}
		}
	}
}

// Field returns the value of the first header field of that name, which is in
// lower case; nil if there is none.
func (m *HTTPMessage) Field(name string) []byte {
	for n, v := range m.AllFields() {
		if SameHTTPName(n, name) {
			return v
		}
	}
	return nil
}

// SameHTTPName compares b with lower, a header field's name or a token in
// lower case: neither tells upper case from lower.
func SameHTTPName(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// HTTPBody says how the end of a body is found.
type HTTPBody uint8

const (
	NoHTTPBody HTTPBody = iota
	SizedBody           // by Content-Length
	ChunkedBody
	UntilClose // it ends with the connection
)

// Body returns how long the body is. head says that m answers a HEAD request.
//
// Source: RFC 9112, section 6.3. A response without a length and without a
// type is taken to have no body, as in tshark, which would wait for ever else.
func (m *HTTPMessage) Body(head bool) (kind HTTPBody, size int64) {
	if m.Response && (head || m.Code/100 == 1 || m.Code == 204 || m.Code == 304) {
		return NoHTTPBody, 0
	}
	size = -1
	typed, kept := false, false
	for name, value := range m.AllFields() {
		switch len(name) {
		case len("transfer-encoding"):
			if SameHTTPName(name, "transfer-encoding") && len(value) >= 7 && SameHTTPName(value[len(value)-7:], "chunked") {
				return ChunkedBody, 0
			}
		case len("content-length"):
			if SameHTTPName(name, "content-length") && size < 0 {
				size = decimal(value)
			}
		case len("content-type"):
			typed = typed || SameHTTPName(name, "content-type")
		case len("connection"):
			kept = kept || SameHTTPName(name, "connection") && SameHTTPName(value, "keep-alive")
		}
	}
	switch {
	case size > 0:
		return SizedBody, size
	case m.Response && size < 0 && typed && !kept:
		return UntilClose, 0
	}
	return NoHTTPBody, 0
}

// ContentLength returns what the header field of that name says; ok is false if
// there is none, or it is no number.
func (m *HTTPMessage) ContentLength() (n int64, ok bool) {
	n = decimal(m.Field("content-length"))
	return n, n >= 0
}

// decimal reads a number, -1 if b is none or it is past 2^62.
func decimal(b []byte) int64 {
	if len(b) == 0 {
		return -1
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<58 {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
