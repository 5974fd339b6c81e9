package field

import (
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// httpField makes a field out of the head of each HTTP/1 message.
func httpField(name string, t Type, doc string, get func(*packet.HTTPMessage) Value) Field {
	return unitField(httpMessage, name, t, 0, doc, func(dst []Value, u *packet.PDU) []Value {
		m, _ := packet.HTTPHead(u.Data)
		if m.Line == nil {
			return dst
		}
		if v := get(&m); v.Type != 0 {
			return append(dst, v)
		}
		return dst
	})
}

func httpFields() []Field {
	request := func(name, doc string, get func(*packet.HTTPMessage) []byte) Field {
		return httpField(name, String, doc, func(m *packet.HTTPMessage) Value {
			if m.Response {
				return Value{}
			}
			return wireValue(get(m))
		})
	}
	response := func(name string, t Type, doc string, get func(*packet.HTTPMessage) Value) Field {
		return httpField(name, t, doc, func(m *packet.HTTPMessage) Value {
			if !m.Response {
				return Value{}
			}
			return get(m)
		})
	}
	is := func(name, doc string, is func(*packet.HTTPMessage) bool) Field {
		return httpField(name, Bool, doc, func(m *packet.HTTPMessage) Value {
			if !is(m) {
				return Value{}
			}
			return boolValue(true)
		})
	}
	list := []Field{
		is("http.request", "it is a request", func(m *packet.HTTPMessage) bool { return !m.Response }),
		is("http.response", "it is a response", func(m *packet.HTTPMessage) bool { return m.Response }),
		request("http.request.method", "method of a request", func(m *packet.HTTPMessage) []byte { return m.Method }),
		request("http.request.uri", "what is asked for", func(m *packet.HTTPMessage) []byte { return m.URI }),
		request("http.request.version", "version in a request", func(m *packet.HTTPMessage) []byte { return m.Version }),
		httpField("http.request.full_uri", String, "what is asked for, with the host", func(m *packet.HTTPMessage) Value {
			host := m.Field("host")
			if m.Response || host == nil {
				return Value{}
			}
			uri := string(m.URI)
			if len(uri) > 0 && (uri[0] == '/' || uri[0] == '*') { // as in tshark
				uri = "http://" + string(host) + uri
			}
			return stringValue(uri)
		}),
		response("http.response.version", String, "version in a response", func(m *packet.HTTPMessage) Value { return wireValue(m.Version) }),
		response("http.response.code", Uint, "status code", func(m *packet.HTTPMessage) Value { return uintValue(uint64(m.Code)) }),
		response("http.response.phrase", String, "status in words", func(m *packet.HTTPMessage) Value {
			if len(m.Phrase) == 0 {
				return Value{}
			}
			return wireValue(m.Phrase)
		}),
		httpField("http.content_length", Uint, "bytes of the body, as the header says", func(m *packet.HTTPMessage) Value {
			if n, ok := m.ContentLength(); ok {
				return uintValue(uint64(n))
			}
			return Value{}
		}),
	}
	for _, h := range [...]struct{ name, header, doc string }{
		{"host", "host", "host that is asked"},
		{"user_agent", "user-agent", "program that asks"},
		{"referer", "referer", "page that led here"},
		{"accept", "accept", "media types accepted"},
		{"accept_language", "accept-language", "languages accepted"},
		{"accept_encoding", "accept-encoding", "encodings accepted"},
		{"cookie", "cookie", "cookies sent"},
		{"set_cookie", "set-cookie", "cookies set"},
		{"authorization", "authorization", "credentials"},
		{"connection", "connection", "options for this connection"},
		{"upgrade", "upgrade", "protocol to go on with"},
		{"content_type", "content-type", "media type of the body"},
		{"content_encoding", "content-encoding", "encoding of the body"},
		{"content_length_header", "content-length", "the header Content-Length"},
		{"transfer_encoding", "transfer-encoding", "how the body is framed"},
		{"server", "server", "program that answers"},
		{"location", "location", "where to ask instead"},
		{"date", "date", "when the answer was made"},
		{"cache_control", "cache-control", "rules for caches"},
		{"last_modified", "last-modified", "when the content changed last"},
		{"x_forwarded_for", "x-forwarded-for", "whom a proxy asks for"},
	} {
		list = append(list, unitField(httpMessage, "http."+h.name, String, 0, h.doc, func(dst []Value, u *packet.PDU) []Value {
			m, _ := packet.HTTPHead(u.Data)
			for name, value := range m.AllFields() {
				if packet.SameHTTPName(name, h.header) {
					dst = append(dst, wireValue(value))
				}
			}
			return dst
		}))
	}
	answered := flowHas(func(a *flow.Analysis) bool { return a.App == packet.AppHTTP && a.AnswerTo != 0 })
	return append(list,
		ofDialog(answered, "http.request_in", Uint, "number of the packet with the request", func(a *flow.Analysis, _ *packet.Facts) Value { return uintValue(uint64(a.AnswerTo)) }),
		ofDialog(answered, "http.time", Time, "seconds from the request to the response", func(a *flow.Analysis, _ *packet.Facts) Value { return timeValue(a.Latency) }),
	)
}
