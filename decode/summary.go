package decode

import (
	"strconv"

	"tundump/decode/bplist"
)

// AppendSummary appends what the message says in a few words, for the end of
// its line: "id=7 4 packets 3.1 KiB", "id=7 tcp example.org:80", "id=7
// success 10.8.0.2". Text from the wire is as it came: escape it.
func (m *Message) AppendSummary(dst []byte) []byte {
	if m.HasIdentifier && (m.Command != FetchConfiguration || m.Identifier != 0) {
		dst = append(dst, "id="...)
		dst = strconv.AppendInt(dst, m.Identifier, 10)
		dst = append(dst, ' ')
	}
	start := len(dst)
	switch m.Command {
	case Data:
		b, _ := m.Data()
		dst = appendCount(dst, int64(len(b)), "byte")
		if m.values[KeyHost].Exists() {
			dst = append(dst, ' ')
			dst = m.appendEndpoint(dst)
		}
	case Close:
		n, _ := m.Int(KeyCloseType)
		dst = append(dst, CloseTypeName(n)...)
	case Open:
		dst = m.appendOpen(dst)
	case OpenResult:
		dst = m.appendResult(dst)
	case Packets:
		size := 0
		for _, p := range m.packets {
			size += len(p.data)
		}
		dst = appendCount(dst, int64(m.packetsAll), "packet")
		dst = append(dst, ' ')
		dst = AppendSize(dst, int64(size))
	case FetchConfiguration:
		if c := m.Configuration(); c.Exists() {
			dst = appendConfiguration(dst, c)
		} else if m.Dir == ClientToServer {
			dst = append(dst, "request"...)
		}
	}
	if len(dst) == start && start > 0 && dst[start-1] == ' ' {
		dst = dst[:start-1]
	}
	return dst
}

func (m *Message) appendOpen(dst []byte) []byte {
	t, _ := m.Int(KeyTunnelType)
	if t != TunnelApp || !m.values[KeyTunnelType].Exists() {
		return append(dst, TunnelTypeName(t)...)
	}
	f, _ := m.Int(KeyAppProxyFlowType)
	dst = append(dst, FlowTypeName(f)...)
	if m.values[KeyHost].Exists() {
		dst = append(dst, ' ')
		dst = m.appendEndpoint(dst)
	}
	return dst
}

func (m *Message) appendEndpoint(dst []byte) []byte {
	h, ok := m.Host()
	if !ok {
		h = describe(m.values[KeyHost])
	}
	dst = append(dst, h...)
	if p := m.values[KeyPort]; p.Exists() {
		dst = append(dst, ':')
		dst = p.AppendText(dst)
	}
	return dst
}

func (m *Message) appendResult(dst []byte) []byte {
	n, ok := m.Int(KeyResultCode)
	if name := ResultName(n); ok && name != "" {
		dst = append(dst, name...)
	} else if ok {
		dst = strconv.AppendInt(dst, n, 10)
	}
	if c := m.Configuration(); c.Exists() {
		dst = append(dst, ' ')
		dst = appendConfiguration(dst, c)
	}
	return dst
}

// maxListed bounds the servers and routes that a summary names.
const maxListed = 4

// appendConfiguration says what a client makes of a configuration.
func appendConfiguration(dst []byte, c bplist.Value) []byte {
	sep := len(dst)
	part := func(name string) {
		if len(dst) > sep {
			dst = append(dst, ' ')
		}
		dst = append(dst, name...)
	}
	for _, family := range [...]string{"IPv4", "IPv6"} {
		if a, ok := c.Get(family).Get("Address").Text(); ok {
			part(a)
		}
	}
	if r := c.Get("IPv4").Get("Routes"); isArray(r) {
		part("routes ")
		dst = appendList(dst, r, func(v bplist.Value) bplist.Value { return v.Get("Address") })
	}
	dns := c.Get("DNS")
	if s := dns.Get("Servers"); isArray(s) && s.Len() > 0 {
		part("dns ")
		dst = appendList(dst, s, func(v bplist.Value) bplist.Value { return v })
	}
	if s := dns.Get("SearchDomains"); isArray(s) && s.Len() > 0 {
		part("search ")
		dst = appendList(dst, s, func(v bplist.Value) bplist.Value { return v })
	}
	return dst
}

func appendList(dst []byte, list bplist.Value, get func(bplist.Value) bplist.Value) []byte {
	for i := range list.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if i == maxListed {
			return append(dst, "…"...)
		}
		s, ok := get(list.At(i)).Text()
		if !ok {
			s = "?"
		}
		dst = append(dst, s...)
	}
	return dst
}

func appendCount(dst []byte, n int64, what string) []byte {
	dst = strconv.AppendInt(dst, n, 10)
	dst = append(dst, ' ')
	dst = append(dst, what...)
	if n != 1 {
		dst = append(dst, 's')
	}
	return dst
}

// AppendSize appends a number of bytes for people: "512 B", "3.1 KiB".
func AppendSize(dst []byte, n int64) []byte {
	if n < 1024 {
		return append(strconv.AppendInt(dst, n, 10), " B"...)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < 3 {
		f, unit = f/1024, unit+1
	}
	dst = strconv.AppendFloat(dst, f, 'f', 1, 64)
	dst = append(dst, ' ', "KMGT"[unit], 'i', 'B')
	return dst
}
