package decode

import (
	"net/netip"
	"strconv"
	"strings"

	"tundump/decode/bplist"
)

// checkCommand reads command. What Swift's "as? Int" does not take counts as
// missing.
func (m *Message) checkCommand() {
	v := m.values[KeyCommand]
	if !v.Exists() {
		m.problem(ProblemCommandMissing, m.Root().Span(), ClosesTunnel, Ignores, "no command")
		return
	}
	n, ok := v.Int()
	if !ok {
		m.problem(ProblemCommandType, v.Span(), ClosesTunnel, Ignores, "command is %s and no integer", describe(v))
		return
	}
	m.CommandNumber, m.HasCommand = n, true
	if n < int64(Data) || n > int64(FetchConfiguration) {
		m.problem(ProblemCommandUnknown, v.Span(), ClosesTunnel, Ignores, "command %d is unknown", n)
		return
	}
	m.Command = Command(n)
	if v.Type() != bplist.Int {
		m.problem(ProblemCommandType, v.Span(), Accepts, Accepts, "command is %s, taken as %d", describe(v), n)
	}
}

// checkIdentifier reads identifier. open needs it; to the others a missing
// one is an unknown one.
func (m *Message) checkIdentifier() {
	v := m.values[KeyIdentifier]
	n, ok := v.Int()
	m.Identifier, m.HasIdentifier = n, ok
	server := Ignores
	if m.Command == Open && v.Exists() {
		server = Crashes // the networkextension fork's as! Int
	} else if m.Command == Open {
		server = NoAnswer
	}
	switch {
	case m.Command == 0 || m.Command == FetchConfiguration && ok:
	case m.Command == FetchConfiguration:
		m.problem(ProblemIdentifier, m.Root().Span(), Accepts, Accepts, "no identifier; fetchConfiguration does not need one")
	case !v.Exists():
		m.problem(ProblemIdentifier, m.Root().Span(), server, Ignores, "no identifier")
	case !ok:
		m.problem(ProblemIdentifier, v.Span(), server, Ignores, "identifier is %s and no integer", describe(v))
	case n < 0:
		m.note(ProblemIdentifier, v.Span(), "identifier %d is negative, as only the hash of an app-proxy flow can be", n)
	case v.Type() != bplist.Int:
		m.problem(ProblemIdentifier, v.Span(), Accepts, Accepts, "identifier is %s, taken as %d", describe(v), n)
	}
}

func (m *Message) checkFields() {
	switch m.Command {
	case Data:
		m.checkData()
	case Close:
		if n, ok := m.Int(KeyCloseType); !ok || CloseTypeName(n) == "" {
			m.problem(ProblemCloseType, m.spanOf(KeyCloseType), Accepts, Accepts, "close-type is %s: taken as all", describe(m.values[KeyCloseType]))
		}
	case DNS:
		m.problem(ProblemDNS, m.spanOf(KeyCommand), Ignores, Ignores, "dns is a command that no genuine end sends or handles")
	case Open:
		m.checkOpen()
	case OpenResult:
		m.checkOpenResult()
	case Packets:
		m.checkPackets()
	case FetchConfiguration:
		if v := m.Configuration(); m.Dir == ServerToClient && !v.Exists() {
			m.problem(ProblemConfigurationMissing, m.Root().Span(), Unstated, Ignores, "an answer without a configuration")
		} else if m.Dir == ServerToClient && v.Type() != bplist.Dict {
			m.problem(ProblemConfiguration, v.Span(), Unstated, Ignores, "configuration is %s and no dictionary", describe(v))
		}
	}
}

func (m *Message) checkData() {
	v := m.values[KeyData]
	if !v.Exists() {
		m.problem(ProblemDataMissing, m.Root().Span(), Ignores, Ignores, "data message without data")
	} else if v.Type() != bplist.Data {
		m.problem(ProblemDataType, v.Span(), Ignores, Ignores, "data is %s", describe(v))
	}
	if n, ok := m.Int(KeyPort); ok && m.HasEndpoint() && (n < 0 || n > 65535) {
		m.problem(ProblemPortRange, m.spanOf(KeyPort), Crashes, Accepts, "port %d is out of range", n)
	}
	if h := m.values[KeyHost]; h.Type() == bplist.String {
		if s, _ := h.Text(); !printable(s) {
			m.problem(ProblemStringEncoding, h.Span(), Accepts, Accepts, "host has control characters")
		}
	}
}

// checkOpen follows ServerTunnel.handleMessage, the networkextension fork's
// where the two differ.
func (m *Message) checkOpen() {
	if m.Dir == ServerToClient {
		m.problem(ProblemDirection, m.spanOf(KeyCommand), Unstated, Ignores, "an open that the server sends")
		return
	}
	bad := func(k Key, o Outcome, what string) {
		m.problem(ProblemOpenParameters, m.spanOf(k), o, Unstated, "%s is %s: %s", k, describe(m.values[k]), what)
	}
	t, ok := m.Int(KeyTunnelType)
	switch {
	case !m.values[KeyTunnelType].Exists():
		bad(KeyTunnelType, NoAnswer, "it must be 0 (app) or 1 (ip)")
		return
	case !ok:
		bad(KeyTunnelType, Crashes, "it must be an integer")
		return
	case t == TunnelIP:
		return
	case t != TunnelApp:
		bad(KeyTunnelType, NoAnswer, "it must be 0 (app) or 1 (ip)")
		return
	}
	f, ok := m.Int(KeyAppProxyFlowType)
	switch {
	case m.values[KeyAppProxyFlowType].Exists() && !ok:
		bad(KeyAppProxyFlowType, Crashes, "it must be an integer")
	case f == FlowTCP:
		m.checkOpenTCP(bad)
	case f != FlowUDP:
		bad(KeyAppProxyFlowType, NoAnswer, "it must be 1 (tcp) or 3 (udp)")
	}
}

func (m *Message) checkOpenTCP(bad func(Key, Outcome, string)) {
	if h, ok := m.Host(); !ok {
		bad(KeyHost, NoAnswer, "it must be a string")
	} else if h == "" {
		bad(KeyHost, Accepts, "it names nobody")
	}
	port := m.values[KeyPort]
	n, ok := m.Port()
	switch {
	case port.IsNumber():
		m.problem(ProblemDialect, port.Span(), Accepts, Unstated,
			"port is an integer, as Apple's original sends it: a server of the networkextension fork gives no answer")
	case port.Type() != bplist.String:
		bad(KeyPort, NoAnswer, "it must be a string, or an integer for Apple's original")
	case !ok:
		bad(KeyPort, Crashes, "it must be a decimal number")
	}
	if ok && (n < 0 || n > 65535) {
		bad(KeyPort, Accepts, "no port has that number")
	}
}

func (m *Message) checkOpenResult() {
	if m.Dir == ClientToServer {
		m.problem(ProblemDirection, m.spanOf(KeyCommand), Ignores, Unstated, "an openResult that the client sends")
		return
	}
	v := m.values[KeyResultCode]
	n, ok := v.Int()
	if !ok || ResultName(n) == "" {
		m.problem(ProblemResultCode, m.spanOf(KeyResultCode), Unstated, Ignores, "result-code is %s: the client keeps waiting", describe(v))
		return
	}
	if c := m.Configuration(); n == ResultSuccess && c.Exists() {
		m.checkConfiguration(c)
	}
}

// checkConfiguration follows createTunnelSettingsFromConfiguration in
// PacketTunnelProvider.swift.
func (m *Message) checkConfiguration(c bplist.Value) {
	bad := func(v bplist.Value, o Outcome, what string) {
		if !v.Exists() {
			v = c
		}
		m.problem(ProblemConfiguration, v.Span(), Unstated, o, "%s", what)
	}
	if c.Type() != bplist.Dict {
		bad(c, FailsStart, "configuration is "+describe(c)+" and no dictionary")
		return
	}
	v4 := c.Get("IPv4")
	if v4.Type() != bplist.Dict {
		bad(v4, FailsStart, "configuration has no IPv4 dictionary")
		return
	}
	for _, k := range [...]string{"Address", "Netmask"} {
		v := v4.Get(k)
		s, ok := v.Text()
		switch {
		case !ok:
			bad(v, FailsStart, "configuration.IPv4."+k+" is "+describe(v)+" and no string")
		case !isIPv4(s):
			bad(v, FailsStart, "configuration.IPv4."+k+" is "+describe(v)+" and no IPv4 address")
		}
	}
	m.checkRoutes(v4.Get("Routes"), bad)
	for i := range c.Len() {
		k, _ := c.Pair(i)
		if !k.EqualText("IPv4") && !k.EqualText("DNS") {
			m.note(ProblemConfiguration, k.Span(), "configuration has %s, which genuine clients do not use", describe(k))
			break
		}
	}
}

func (m *Message) checkRoutes(routes bplist.Value, bad func(bplist.Value, Outcome, string)) {
	if !routes.Exists() {
		return
	}
	if !isArray(routes) {
		bad(routes, Accepts, "configuration.IPv4.Routes is "+describe(routes)+" and no array: everything is routed into the tunnel")
		return
	}
	for i := range routes.Len() {
		r := routes.At(i)
		if r.Type() != bplist.Dict || r.Get("Address").Type() != bplist.String || r.Get("Netmask").Type() != bplist.String {
			bad(r, Accepts, "a route without Address or Netmask is skipped")
			return
		}
	}
}

func isIPv4(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

// checkPackets follows the cases of handleMessageCommand in Tunnel.swift:
// both arrays must fit and be of one length, or the whole message is ignored.
func (m *Message) checkPackets() {
	p, q := m.values[KeyPackets], m.values[KeyProtocols]
	if !isArray(p) {
		m.problem(ProblemPacketsType, m.spanOf(KeyPackets), Ignores, Ignores, "packets is %s and no array", describe(p))
		return
	}
	n := p.Len()
	m.packetsAll = n
	mistyped := m.collect(p, q)
	switch {
	case mistyped: // and so the rest does not matter
	case !isArray(q):
		m.problem(ProblemCounts, m.spanOf(KeyProtocols), Ignores, Ignores, "%d packets, and protocols is %s", n, describe(q))
	case q.Len() != n:
		m.problem(ProblemCounts, q.Span(), Ignores, Ignores, "%d packets, %d protocols", n, q.Len())
	case n == 0:
		m.problem(ProblemPacketsEmpty, p.Span(), Accepts, Accepts, "no packets in it")
	}
	switch shown := len(m.packets); {
	case shown < n:
		m.problem(ProblemTooMany, p.Span(), Accepts, Accepts, "%d packets, more than the message has bytes for: %d of them are shown", n, shown)
	case n > MaxPacketsPerMessage && m.Dir == ServerToClient:
		m.problem(ProblemTooMany, p.Span(), Accepts, Accepts, "%d packets: a genuine server sends %d at most", n, MaxPacketsPerMessage)
	}
}

// tally counts the elements of an array that have one fault, and remembers the
// first.
type tally struct {
	n     int
	first bplist.Value
	index int
}

func (t *tally) add(v bplist.Value, i int) {
	if t.n++; t.n == 1 {
		t.first, t.index = v, i
	}
}

// collect looks at each packet and its protocol once, as far as they may be
// expanded, and reports whether there is one that is no data.
func (m *Message) collect(p, q bplist.Value) (mistyped bool) {
	var noData, empty, large, noNumber, noInteger, unfit tally
	families, size, limit := 0, 0, max(maxExpanded, m.size)
	if isArray(q) {
		families = q.Len()
	}
	for i := range p.Len() {
		e := p.At(i)
		c := carried{family: -1}
		var ok bool
		if c.data, ok = e.Data(); !ok {
			noData.add(e, i)
		}
		if size += len(c.data); size > limit && i > 0 || i == maxPackets {
			break
		}
		if ok && len(c.data) == 0 {
			empty.add(e, i)
		}
		if len(c.data) > MaxPacketSize {
			large.add(e, i)
		}
		if i < families {
			f := q.At(i)
			switch c.family, ok = f.Int(); {
			case !ok:
				c.family = -1
				noNumber.add(f, i)
			case f.Type() != bplist.Int:
				noInteger.add(f, i)
			case unfitting(c):
				unfit.add(f, i)
			}
		}
		m.packets = append(m.packets, c)
	}
	m.tallied(noData, ProblemPacketsType, Ignores, "packets are no data")
	m.tallied(empty, ProblemInnerIP, Accepts, "packets are empty")
	m.tallied(large, ProblemPacketSize, Accepts, "packets are longer than the 8192 bytes that a genuine server reads")
	if noData.n == 0 && families == p.Len() {
		m.tallied(noNumber, ProblemProtocolsType, Ignores, "protocols are no numbers")
		m.tallied(noInteger, ProblemProtocolsType, Accepts, "protocols are no integers")
		if unfit.n > 0 {
			c := m.packets[unfit.index]
			m.tallied(unfit, ProblemFamily, Accepts, "protocols do not fit their packets: "+familyHint(c.family, c.data[0]>>4))
		}
	}
	return noData.n > 0
}

func (m *Message) tallied(t tally, code Code, o Outcome, what string) {
	if t.n == 0 {
		return
	}
	m.problem(code, t.first.Span(), o, o, "%d of %d %s; the first: %s", t.n, len(m.packets), what, describe(t.first))
}

// unfitting reports an address family that does not fit the packet's version.
func unfitting(c carried) bool {
	if len(c.data) == 0 {
		return false
	}
	v := c.data[0] >> 4
	return v == 4 && c.family != FamilyIPv4 || v == 6 && c.family != FamilyIPv6
}

// familyHint explains a wrong address family by where it comes from.
func familyHint(n int64, version byte) string {
	s := "a packet of IPv" + string('0'+rune(version)) + " is marked " + strconv.FormatInt(n, 10)
	switch n {
	case 10:
		return s + ", which is AF_INET6 on Linux; on the wire it is 30, Darwin's"
	case 28:
		return s + ", which is AF_INET6 on FreeBSD; on the wire it is 30, Darwin's"
	case FamilyIPv4 << 24, FamilyIPv6 << 24:
		return s + ", an address family with its bytes swapped"
	case 0x0800, 0x86dd:
		return s + ", an Ethernet type; on the wire it is an address family: 2 or 30"
	}
	return s + "; IPv4 is 2, IPv6 is 30"
}

// spanOf returns where k's value is, or the whole dictionary where it is
// missing.
func (m *Message) spanOf(k Key) bplist.Span {
	if v := m.values[k]; v.Exists() {
		return v.Span()
	}
	return m.Root().Span()
}

// describe names a value for a problem's text, shortened.
func describe(v bplist.Value) string {
	if !v.Exists() {
		return "missing"
	}
	switch v.Type() {
	case bplist.Int, bplist.Real, bplist.Bool:
		return v.Type().String() + " " + string(v.AppendText(nil))
	case bplist.String:
		s, _ := v.Text()
		if len(s) > 40 {
			s = strings.ToValidUTF8(s[:40], "") + "…"
		}
		return "string \"" + s + "\""
	}
	return v.Type().String()
}

// parsePort reads a port as Swift's Int(String) does: digits with an optional
// sign and nothing around them.
func parsePort(s string) (int64, bool) {
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "+"), "-")
	if digits == "" || len(digits) > 18 || len(s)-len(digits) > 1 {
		return 0, false
	}
	var n int64
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if s[0] == '-' {
		n = -n
	}
	return n, true
}

// printable reports whether s has no control characters or overrides of the
// direction of writing.
func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return false
		}
	}
	return true
}
