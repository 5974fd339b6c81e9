package packet

import (
	"bytes"
	"fmt"
	"strings"
)

// httpHeaders are the header fields that have a name of their own in display
// filters.
var httpHeaders = [...]string{
	"host", "user-agent", "referer", "accept", "accept-language", "accept-encoding", "cookie", "set-cookie", "authorization",
	"connection", "upgrade", "content-type", "content-encoding", "content-length", "transfer-encoding", "server", "location",
	"date", "cache-control", "last-modified", "x-forwarded-for",
}

func httpHeaderName(m *HTTPMessage, name []byte) string {
	for _, h := range httpHeaders {
		if SameHTTPName(name, h) {
			if h == "content-length" {
				return "http.content_length_header"
			}
			return "http." + strings.ReplaceAll(h, "-", "_")
		}
	}
	if m.Response {
		return "http.response.line"
	}
	return "http.request.line"
}

func (c carried) http(units []PDU) []Node {
	name, label := "http", "Hypertext Transfer Protocol"
	if c.t.f.App == AppSSDP {
		name, label = "ssdp", "Simple Service Discovery Protocol"
	}
	var nodes []Node
	for _, u := range units {
		if c.full() {
			break
		}
		nodes = append(nodes, c.node(name, label, "", u.Data, c.httpMessage(u.Data)...))
	}
	return nodes
}

func (c carried) httpMessage(b []byte) []Node {
	m, whole := HTTPHead(b)
	if m.Line == nil {
		return []Node{c.httpBody(b)}
	}
	end := m.Len - len(m.Fields)
	if whole {
		end = cap(b) - cap(m.Fields)
	}
	nodes := []Node{c.node("", safe(m.Line), "", b[:end], c.httpLine(&m)...)}
	for fields := m.Fields; len(fields) > 0 && !c.full(); {
		n := bytes.IndexByte(fields, '\n') + 1
		if n == 0 {
			n = len(fields)
		}
		name, value, ok := bytes.Cut(fields[:n], []byte{':'})
		if ok {
			nodes = append(nodes, c.node(httpHeaderName(&m, name), safe(name), safe(bytes.TrimSpace(value)), fields[:n]))
		} else {
			nodes = append(nodes, c.node("", safe(bytes.TrimRight(fields[:n], "\r\n")), "", fields[:n]))
		}
		fields = fields[n:]
	}
	if body := b[min(m.Len, len(b)):]; whole && len(body) > 0 {
		nodes = append(nodes, c.httpBody(body))
	}
	return nodes
}

func (c carried) httpBody(b []byte) Node {
	return c.node("", fmt.Sprintf("File Data: %d byte%s", len(b), plural(len(b))), "", b)
}

// httpLine makes the nodes of the parts that a first line has.
func (c carried) httpLine(m *HTTPMessage) (nodes []Node) {
	part := func(name, label string, b []byte) {
		if len(b) > 0 {
			nodes = append(nodes, c.node(name, label, safe(b), b))
		}
	}
	if !m.Response {
		part("http.request.method", "Request Method", m.Method)
		part("http.request.uri", "Request URI", m.URI)
		part("http.request.version", "Request Version", m.Version)
		return nodes
	}
	part("http.response.version", "Response Version", m.Version)
	code := m.Line[min(len(m.Version)+1, len(m.Line)):]
	code, _, _ = bytes.Cut(code, []byte{' '})
	nodes = append(nodes, c.node("http.response.code", "Status Code", fmt.Sprint(m.Code), code))
	part("http.response.phrase", "Response Phrase", m.Phrase)
	return nodes
}
