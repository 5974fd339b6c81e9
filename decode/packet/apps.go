package packet

// App is a protocol above the transport, recognised by port and content.
//
// A protocol is one file, and one line in each table and switch of this one:
// its constant, its row in apps, the ports that suggest it, the test of its
// first bytes, and, where it has more to say than its name, its info column
// and its part of the tree.
type App uint8

const (
	NoApp App = iota
	AppDNS
	AppMDNS
	AppLLMNR
	AppNBNS
	AppDHCP
	AppDHCPv6
	AppNTP
	AppSSDP
	AppSTUN
	AppWireGuard
	AppOpenVPN
	AppSSH
	AppHTTP
	AppTLS
	AppQUIC
	AppUDPEncap
	AppCAPWAP
	numApps
)

// apps holds each protocol's name, as a display filter, frame.protocols and
// -d have it, and what the protocol column says.
var apps = [numApps]struct{ name, column string }{
	AppDNS:       {"dns", "DNS"},
	AppMDNS:      {"mdns", "MDNS"},
	AppLLMNR:     {"llmnr", "LLMNR"},
	AppNBNS:      {"nbns", "NBNS"},
	AppDHCP:      {"dhcp", "DHCP"},
	AppDHCPv6:    {"dhcpv6", "DHCPv6"},
	AppNTP:       {"ntp", "NTP"},
	AppSSDP:      {"ssdp", "SSDP"},
	AppSTUN:      {"stun", "STUN"},
	AppWireGuard: {"wg", "WireGuard"},
	AppOpenVPN:   {"openvpn", "OpenVPN"},
	AppSSH:       {"ssh", "SSH"},
	AppHTTP:      {"http", "HTTP"},
	AppTLS:       {"tls", "TLS"},
	AppQUIC:      {"quic", "QUIC"},
	AppUDPEncap:  {"udpencap", "ESP"},
	AppCAPWAP:    {"capwap.data", "CAPWAP-Data"},
}

// String returns the protocol's name in display filters, "" for NoApp.
func (a App) String() string {
	if a < numApps {
		return apps[a].name
	}
	return ""
}

// LookupApp returns the protocol of that name: "http".
func LookupApp(name string) (App, bool) {
	for a := NoApp + 1; a < numApps; a++ {
		if apps[a].name == name {
			return a, true
		}
	}
	return NoApp, false
}

// Apps returns the names of all protocols, in the order of their constants.
func Apps() []string {
	names := make([]string, 0, numApps-1)
	for a := NoApp + 1; a < numApps; a++ {
		names = append(names, apps[a].name)
	}
	return names
}

// Port is a transport's port, as in -d tcp.port==8443,http.
type Port struct {
	Transport Transport
	Number    uint16
}

// recognise sets f.App, and f.Carries where that is a tunnel of packets.
func (p *Parser) recognise(f *Facts) {
	p.tellApp(f)
	if f.App == AppCAPWAP && f.carriedAt() > 0 {
		f.Carries = Encapsulated
	}
}

// tellApp sets f.App. What the user says of a port holds whatever the bytes
// are; else a port's usual protocol is taken if the bytes may be that, the
// lower port first, as tshark does; else what the bytes look like.
func (p *Parser) tellApp(f *Facts) {
	if len(p.DecodeAs) > 0 {
		for _, n := range [...]uint16{f.DstPort, f.SrcPort} {
			if app, ok := p.DecodeAs[Port{f.Transport, n}]; ok {
				if decodable(app, f.Transport, f.Payload) {
					f.App = app
				}
				return
			}
		}
	}
	usual := usualUDP
	if f.Transport == TCP {
		usual = usualTCP
	}
	for _, n := range [...]uint16{min(f.SrcPort, f.DstPort), max(f.SrcPort, f.DstPort)} {
		if app := usual(n); app != NoApp && confirms(app, f.Transport, f.Payload) {
			f.App = app
			return
		}
	}
	f.App = looksLike(f.Transport, f.Payload)
}

// usualTCP returns the protocol of a TCP port. The numbers are those of
// tshark 4.0, which takes them from the IANA registry.
func usualTCP(port uint16) App {
	switch port {
	case 53, 5353:
		return AppDNS
	case 22, 29418:
		return AppSSH
	case 3478:
		return AppSTUN
	case 1194:
		return AppOpenVPN
	case 80, 631, 1900, 2710, 2869, 3128, 3132, 3689, 5985, 8080, 8088, 11371:
		return AppHTTP
	case 324, 443, 465, 636, 802, 853, 993, 995, 1300, 2221, 2443, 3249, 3250, 3251, 3252, 3496,
		5061, 5671, 5684, 5868, 8883, 11207, 19999, 27017:
		return AppTLS
	}
	return NoApp
}

// usualUDP is usualTCP for UDP.
func usualUDP(port uint16) App {
	switch port {
	case 53:
		return AppDNS
	case 5353:
		return AppMDNS
	case 5355:
		return AppLLMNR
	case 137:
		return AppNBNS
	case 67, 68, 4011:
		return AppDHCP
	case 546, 547:
		return AppDHCPv6
	case 123:
		return AppNTP
	case 1900:
		return AppSSDP
	case 3478:
		return AppSTUN
	case 1194:
		return AppOpenVPN
	case 51820:
		return AppWireGuard
	case 443, 4433:
		return AppQUIC
	case 4500:
		return AppUDPEncap
	case 5247:
		return AppCAPWAP
	}
	return NoApp
}

// confirms is a cheap test whether b, which goes to or comes from a port of
// app, may be that.
func confirms(app App, t Transport, b []byte) bool {
	switch app {
	case AppDNS:
		return confirmsDNS(t, b)
	case AppMDNS, AppLLMNR:
		return looksLikeDNS(b)
	case AppHTTP, AppTLS: // what does not begin there goes on there
		return true
	case AppQUIC:
		return looksLikeQUIC(b) || looksLikeQUICVersions(b)
	case AppNBNS:
		return confirmsNBNS(b)
	case AppDHCP:
		return confirmsDHCP(b)
	case AppDHCPv6:
		return confirmsDHCPv6(b)
	case AppNTP:
		return confirmsNTP(b)
	case AppSSDP:
		return confirmsSSDP(b)
	case AppSTUN:
		return confirmsSTUN(b)
	case AppWireGuard:
		return looksLikeWireGuard(b)
	case AppOpenVPN:
		return confirmsOpenVPN(t, b)
	case AppSSH:
		return confirmsSSH(b)
	case AppUDPEncap:
		return confirmsUDPEncap(b)
	case AppCAPWAP:
		return confirmsCAPWAP(b)
	}
	return false
}

// decodable reports whether b, which the user says is app, can be read as it.
func decodable(app App, t Transport, b []byte) bool {
	switch app {
	case AppDNS, AppMDNS, AppLLMNR, AppNBNS, AppDHCP, AppDHCPv6, AppNTP, AppUDPEncap, AppCAPWAP: // the decoders want a header
		return confirms(app, t, b)
	}
	return true
}

// looksLike returns the protocol of b by its content alone, where that is
// beyond doubt.
func looksLike(t Transport, b []byte) App {
	switch {
	case t == TCP && looksLikeHTTP(b):
		return AppHTTP
	case t == TCP && looksLikeTLS(b):
		return AppTLS
	case t == UDP && (looksLikeQUIC(b) || looksLikeQUICVersions(b)):
		return AppQUIC
	case looksLikeSTUN(b):
		return AppSTUN
	case t == UDP && looksLikeWireGuard(b):
		return AppWireGuard
	}
	return NoApp
}

// appendAppInfo appends the info column of f.App; ok is false if it has none
// of its own.
func (p *Parser) appendAppInfo(dst []byte, f *Facts) (_ []byte, ok bool) {
	switch f.App {
	case AppDNS, AppMDNS, AppLLMNR:
		if p.DNS(f, &p.dns) {
			return p.dns.appendInfo(dst), true
		}
	case AppHTTP, AppTLS, AppQUIC:
		return p.AppendPDUs(dst, len(dst), p.PDUs(f)), true
	case AppNBNS:
		return f.appendNBNS(dst), true
	case AppDHCP:
		return f.appendDHCP(dst), true
	case AppDHCPv6:
		return f.appendDHCPv6(dst), true
	case AppNTP:
		return f.appendNTP(dst), true
	case AppSSDP:
		return appendFirstLine(dst, f.Payload), true
	case AppSTUN:
		return f.appendSTUN(dst), true
	case AppWireGuard:
		return f.appendWireGuard(dst), true
	case AppOpenVPN:
		return f.appendOpenVPN(dst), true
	case AppSSH:
		return f.appendSSH(dst), true
	case AppUDPEncap:
		return appendESP(dst, f.Payload), true
	case AppCAPWAP:
		return appendCAPWAP(dst, f.Payload), true
	}
	return dst, false
}

// appColumn returns what the protocol column says of f.App.
func (f *Facts) appColumn() string {
	switch f.App {
	case AppTLS:
		return tlsAlone(f.Payload)
	case AppSSH:
		return f.sshColumn()
	case AppDHCP:
		if dhcpType(f.Payload) == 0 {
			return "BOOTP"
		}
	}
	return apps[f.App].column
}

// appendAppLayers appends the part of frame.protocols above the transport.
func (f *Facts) appendAppLayers(dst []byte) []byte {
	dst = append(append(dst, ':'), apps[f.App].name...)
	switch f.App {
	case AppUDPEncap:
		dst = append(dst, ":esp"...)
	case AppCAPWAP:
		dst = appendCAPWAPLayers(dst, f.Payload)
	}
	return dst
}

// app makes the nodes of f.App; nil if it has none of its own.
func (t *treeBuilder) app() []Node {
	switch t.f.App {
	case AppDNS, AppMDNS, AppLLMNR:
		return t.dns()
	case AppDHCP:
		return t.itemTree("Dynamic Host Configuration Protocol")
	case AppDHCPv6:
		return t.itemTree("DHCPv6")
	case AppNTP:
		return t.itemTree("Network Time Protocol")
	case AppSTUN:
		return t.itemTree("Session Traversal Utilities for NAT")
	case AppWireGuard:
		return t.itemTree("WireGuard Protocol")
	case AppNBNS:
		return t.itemTree("NetBIOS Name Service")
	case AppOpenVPN:
		return t.itemTree("OpenVPN Protocol")
	case AppSSH:
		return t.itemTree("SSH Protocol")
	case AppUDPEncap:
		return t.itemTree("Encapsulating Security Payload, in UDP")
	case AppCAPWAP:
		nodes := t.itemTree("Control And Provisioning of Wireless Access Points - Data")
		if t.f.Carries == Encapsulated && t.depth < maxInside {
			nodes = append(nodes, t.inner()...)
		}
		return nodes
	case AppTLS, AppHTTP, AppSSDP, AppQUIC:
		return t.units()
	}
	return nil
}
