package field

import (
	"tundump/decode"
	"tundump/decode/bplist"
)

// tunnelFields are what every row has, and what a tunnel's own events have.
func tunnelFields() []Field {
	detail := func(k func(decode.Kind) bool, get func(*decode.Detail) Value) func([]Value, *Row) []Value {
		return func(dst []Value, r *Row) []Value {
			if r.Event.Detail == nil || !k(r.Event.Kind) {
				return dst
			}
			if v := get(r.Event.Detail); v.Type != 0 {
				return append(dst, v)
			}
			return dst
		}
	}
	is := func(kinds ...decode.Kind) func(decode.Kind) bool {
		return func(k decode.Kind) bool {
			for _, x := range kinds {
				if x == k {
					return true
				}
			}
			return false
		}
	}
	text := func(s string) Value {
		if s == "" {
			return Value{}
		}
		return stringValue(s)
	}
	return []Field{
		{Name: "frame.time_epoch", Type: Time, Doc: "when the last byte came, in seconds since 1970",
			get: func(dst []Value, r *Row) []Value { return append(dst, timeValue(r.Event.Time)) }},
		{Name: "tunnel.stream", Type: Uint, Doc: "number of the tunnel, from 1",
			get: func(dst []Value, r *Row) []Value {
				if r.Event.Tunnel == 0 { // a packet without a tunnel
					return dst
				}
				return append(dst, uintValue(uint64(r.Event.Tunnel)))
			}},
		{Name: "tunnel.msg", Type: Uint, Doc: "number of the message in the capture, from 1",
			get: func(dst []Value, r *Row) []Value {
				if r.Event.Number == 0 {
					return dst
				}
				return append(dst, uintValue(uint64(r.Event.Number)))
			}},
		{Name: "tunnel.dir", Type: String, Doc: "direction: c2s or s2c",
			get: func(dst []Value, r *Row) []Value {
				if !r.Event.Kind.Counts() && !is(decode.HalfClosed, decode.TCPInfo, decode.Blocked)(r.Event.Kind) {
					return dst
				}
				return append(dst, stringValue(r.Event.Dir.String()))
			}},
		{Name: "tunnel.event", Type: String, Doc: "what the tunnel did: opened, upstream-connected, upstream-refused, unframed, gap, half-closed, closed, reset, tcp-info, blocked",
			get: func(dst []Value, r *Row) []Value {
				if r.Event.Kind == decode.Record || r.Event.Kind == decode.Packet {
					return dst
				}
				return append(dst, stringValue(r.Event.Kind.String()))
			}},
		{Name: "tunnel.by", Type: String, Doc: "who did it: client, server or proxy",
			get: detail(is(decode.HalfClosed, decode.Reset, decode.Closed), func(d *decode.Detail) Value { return text(d.By.String()) })},
		{Name: "tunnel.client", Type: String, Doc: "address and port of the client",
			get: detail(is(decode.Opened), func(d *decode.Detail) Value { return stringValue(d.Client.String()) })},
		{Name: "tunnel.listener", Type: String, Doc: "address and port that the client reached",
			get: detail(is(decode.Opened), func(d *decode.Detail) Value { return stringValue(d.Listener.String()) })},
		{Name: "tunnel.upstream", Type: String, Doc: "the server: as it was named, and its address once it is connected",
			get: detail(is(decode.Opened, decode.Connected), func(d *decode.Detail) Value {
				if d.Remote.IsValid() {
					return stringValue(d.Remote.String())
				}
				return text(d.Upstream)
			})},
		{Name: "tunnel.offset", Type: Uint, Doc: "of the first byte, in its direction's stream",
			get: func(dst []Value, r *Row) []Value {
				if !r.Event.Kind.Counts() {
					return dst
				}
				return append(dst, uintValue(uint64(r.Event.Offset)))
			}},
		{Name: "tunnel.len", Type: Uint, Doc: "bytes on the stream, with the 4 of the length field",
			get: func(dst []Value, r *Row) []Value {
				switch {
				case r.Event.Kind == decode.Gap && r.Event.Detail != nil:
					return append(dst, uintValue(uint64(r.Event.Detail.Len)))
				case r.Event.Kind.Counts():
					return append(dst, uintValue(uint64(len(r.Event.Raw))))
				}
				return dst
			}},
		{Name: "tunnel.raw", Type: Bytes, Doc: "the bytes on the stream", OnRequest: true,
			get: func(dst []Value, r *Row) []Value {
				if !r.Event.Kind.Counts() {
					return dst
				}
				return append(dst, bytesValue(r.Event.Raw))
			}},
		{Name: "tunnel.reason", Type: String, Doc: "why, in one line",
			get: detail(is(decode.Refused, decode.Reset, decode.Closed, decode.Unframed), func(d *decode.Detail) Value { return text(d.Reason) })},
		{Name: "tunnel.rtt", Type: Uint, Doc: "round-trip time of the outer connection, in microseconds",
			get: detail(is(decode.TCPInfo), func(d *decode.Detail) Value { return uintValue(uint64(d.RTT.Microseconds())) })},
		{Name: "tunnel.retransmissions", Type: Uint, Doc: "segments that the outer connection sent again so far",
			get: detail(is(decode.TCPInfo), func(d *decode.Detail) Value { return uintValue(uint64(d.Retrans)) })},
		{Name: "tunnel.unacked", Type: Uint, Doc: "segments of the outer connection that are sent and not acknowledged",
			get: detail(is(decode.TCPInfo), func(d *decode.Detail) Value { return uintValue(uint64(d.Unacked)) })},
		{Name: "tunnel.blocked", Type: Uint, Doc: "how long a write to the outer connection had to wait, in microseconds",
			get: detail(is(decode.Blocked), func(d *decode.Detail) Value { return uintValue(uint64(d.Wait.Microseconds())) })},
		flagField("tunnel.edited", decode.Edited, "an interceptor changed it"),
		flagField("tunnel.dropped", decode.Dropped, "it was sent and not passed on"),
		flagField("tunnel.injected", decode.Injected, "it was received and never sent"),
		flagField("tunnel.partial", decode.Partial, "the stream ended before it did"),
	}
}

func flagField(name string, f decode.Flags, doc string) Field {
	return Field{Name: name, Type: Bool, Doc: doc, get: func(dst []Value, r *Row) []Value {
		if r.Event.Flags&f == 0 {
			return dst
		}
		return append(dst, boolValue(true))
	}}
}

// messageFields are what the protocol's own messages say.
func messageFields() []Field {
	number := func(name string, k decode.Key, doc string) Field {
		return Field{Name: name, Type: Int, Doc: doc, Cost: FromMessage, get: func(dst []Value, r *Row) []Value {
			if n, ok := r.Message.Int(k); ok {
				return append(dst, intValue(n))
			}
			return dst
		}}
	}
	named := func(name string, k decode.Key, names func(int64) string, doc string) Field {
		return Field{Name: name, Type: String, Doc: doc, Cost: FromMessage, get: func(dst []Value, r *Row) []Value {
			if n, ok := r.Message.Int(k); ok && names(n) != "" {
				return append(dst, stringValue(names(n)))
			}
			return dst
		}}
	}
	return []Field{
		{Name: "tunnel.command", Type: Int, Doc: "number of the command, known or not", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if !r.Message.HasCommand {
					return dst
				}
				return append(dst, intValue(r.Message.CommandNumber))
			}},
		{Name: "tunnel.command.name", Type: String, Doc: "Data, Suspend, Resume, Close, DNS, Open, OpenResult, Packets or FetchConfiguration", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if r.Message.Command == 0 {
					return dst
				}
				return append(dst, stringValue(r.Message.Command.String()))
			}},
		{Name: "tunnel.identifier", Type: Int, Doc: "the connection inside the tunnel", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if !r.Message.HasIdentifier {
					return dst
				}
				return append(dst, intValue(r.Message.Identifier))
			}},
		number("tunnel.result_code", decode.KeyResultCode, "openResult: 0 is success"),
		named("tunnel.result", decode.KeyResultCode, decode.ResultName, "openResult in a word: success, invalidParam, noSuchHost, refused, timeout, internalError"),
		named("tunnel.tunnel_type", decode.KeyTunnelType, decode.TunnelTypeName, "open: app or ip"),
		named("tunnel.flow_type", decode.KeyAppProxyFlowType, decode.FlowTypeName, "open of an app-proxy flow: tcp or udp"),
		{Name: "tunnel.host", Type: String, Doc: "remote host of an app-proxy flow or datagram", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if s, ok := r.Message.Host(); ok {
					return append(dst, stringValue(s))
				}
				return dst
			}},
		{Name: "tunnel.port", Type: Int, Doc: "remote port of an app-proxy flow or datagram, however it is written", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if n, ok := r.Message.Port(); ok {
					return append(dst, intValue(n))
				}
				return dst
			}},
		named("tunnel.close_type", decode.KeyCloseType, decode.CloseTypeName, "close: none, read, write or all"),
		{Name: "tunnel.data.len", Type: Uint, Doc: "bytes that a data message carries", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if b, ok := r.Message.Data(); ok {
					return append(dst, uintValue(uint64(len(b))))
				}
				return dst
			}},
		{Name: "tunnel.packets.count", Type: Uint, Doc: "packets that a packets message carries", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if r.Message.Command != decode.Packets {
					return dst
				}
				return append(dst, uintValue(uint64(r.Message.PacketTotal())))
			}},
		{Name: "tunnel.protocols", Type: Int, Doc: "address family of each packet, as sent", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				for i := range r.Message.PacketCount() {
					_, family := r.Message.Packet(i)
					dst = append(dst, intValue(family))
				}
				return dst
			}},
		{Name: "tunnel.configuration", Type: Object, Doc: "configuration that the server hands out", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if c := r.Message.Configuration(); c.Exists() {
					return append(dst, objectValue(AppendPlistJSON(nil, c)))
				}
				return dst
			}},
		{Name: "tunnel.encoding", Type: String, Doc: "how the payload is written: binary, xml or openstep", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if s := r.Message.Encoding.String(); s != "" {
					return append(dst, stringValue(s))
				}
				return dst
			}},
		{Name: "tunnel.error", Type: String, Doc: "why the message could not be decoded", Cost: FromMessage,
			get: func(dst []Value, r *Row) []Value {
				if r.Message.Command != 0 || len(r.Message.Problems) == 0 {
					return dst
				}
				return append(dst, stringValue(r.Message.Problems[0].Text))
			}},
	}
}

func findingFields() []Field {
	field := func(name, doc string, get func(*Finding) string) Field {
		return Field{Name: name, Type: String, Doc: doc, get: func(dst []Value, r *Row) []Value {
			if r.Problem == nil {
				return dst
			}
			return append(dst, stringValue(get(r.Problem)))
		}}
	}
	return []Field{
		field("finding.severity", "note, warning or error", func(f *Finding) string { return f.Severity }),
		field("finding.code", "what kind of finding it is", func(f *Finding) string { return f.Code }),
		field("finding.text", "what was seen and what follows from it", func(f *Finding) string { return f.Text }),
	}
}

// maxPlistJSON bounds what one value becomes: shared references can make a
// small property list a very large tree.
const maxPlistJSON = 64 << 10

// AppendPlistJSON appends a property list value as JSON: data as hex, what
// JSON does not know as its text. A tree that would be longer than 64 KiB is
// cut, with "…" in the place of what is left out.
func AppendPlistJSON(dst []byte, v bplist.Value) []byte {
	limit := len(dst) + maxPlistJSON
	return appendPlist(dst, v, limit, 0)
}

func appendPlist(dst []byte, v bplist.Value, limit, depth int) []byte {
	if len(dst) > limit || depth > 32 {
		return append(dst, `"…"`...)
	}
	switch v.Type() {
	case bplist.Dict:
		dst = append(dst, '{')
		for i := 0; i < v.Len() && len(dst) <= limit; i++ {
			if i > 0 {
				dst = append(dst, ',')
			}
			k, e := v.Pair(i)
			name, ok := k.Text()
			if !ok {
				name = string(k.AppendText(nil))
			}
			dst = AppendJSONString(dst, name)
			dst = append(dst, ':')
			dst = appendPlist(dst, e, limit, depth+1)
		}
		return append(dst, '}')
	case bplist.Array, bplist.Set:
		dst = append(dst, '[')
		for i := 0; i < v.Len() && len(dst) <= limit; i++ {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendPlist(dst, v.At(i), limit, depth+1)
		}
		return append(dst, ']')
	case bplist.String:
		s, _ := v.Text()
		if len(s) > maxPlistJSON {
			s = s[:maxPlistJSON] + "…"
		}
		return AppendJSONString(dst, s)
	case bplist.Data:
		b, _ := v.Data()
		return bytesValue(b[:min(len(b), maxPlistJSON)]).AppendJSON(dst)
	case bplist.Bool:
		n, _ := v.Int()
		return boolValue(n != 0).AppendJSON(dst)
	case bplist.Int:
		return v.AppendText(dst)
	case bplist.Null:
		return append(dst, "null"...)
	}
	return AppendJSONString(dst, string(v.AppendText(nil)))
}
