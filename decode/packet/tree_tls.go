package packet

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

func (c carried) tls(units []PDU) []Node {
	var kids []Node
	for i := range units {
		if c.full() {
			break
		}
		kids = append(kids, c.tlsRecord(&units[i]))
	}
	return []Node{c.node("tls", "Transport Layer Security", "", c.b, kids...)}
}

func (c carried) tlsRecord(u *PDU) Node {
	b := u.Data
	r, ok := TLSRecordAt(b)
	if u.Kind == Continuation || !ok {
		return c.node("", "Continuation Data", "", b)
	}
	nodes := []Node{
		c.node("tls.record.content_type", "Content Type", nameNumber(tlsContentName(r.Type), r.Type), b[:1]),
		c.node("tls.record.version", "Version", tlsVersionValue(r.Version), b[1:3]),
		c.node("tls.record.length", "Length", fmt.Sprint(r.Len), b[3:TLSHeaderLen]),
	}
	label := tlsContentName(r.Type) + " Protocol"
	switch r.Type {
	case TLSHandshake:
		messages, what := c.tlsHandshake(u, r)
		nodes, label = append(nodes, messages...), label+": "+what
	case TLSAlert:
		label = "Encrypted Alert"
		if len(u.Clear) == 2 {
			label = fmt.Sprintf("Alert (Level: %s, Description: %s)",
				nameOr(tlsAlertLevel(u.Clear[0]), "Unknown", u.Clear[0]), nameOr(tlsAlertName(u.Clear[1]), "Unknown", u.Clear[1]))
			nodes = append(nodes, c.node("tls.alert_message", "Alert Message", "", u.Clear,
				c.node("tls.alert_message.level", "Level", nameNumber(tlsAlertLevel(u.Clear[0]), u.Clear[0]), u.Clear[:1]),
				c.node("tls.alert_message.desc", "Description", nameNumber(tlsAlertName(u.Clear[1]), u.Clear[1]), u.Clear[1:])))
		}
	case TLSChangeCipherSpec:
		label += ": Change Cipher Spec"
		if len(r.Body) > 0 {
			nodes = append(nodes, c.node("tls.change_cipher_spec", "Change Cipher Spec Message", "", r.Body))
		}
	case TLSApplicationData:
		if len(r.Body) > 0 {
			nodes = append(nodes, c.node("tls.app_data", fmt.Sprintf("Encrypted Application Data (%d byte%s)", len(r.Body), plural(len(r.Body))), "", r.Body))
		}
	}
	if u.Kind == CutPDU {
		label += fmt.Sprintf(" [%d of %d bytes]", len(b), u.Len)
	}
	return c.node("tls.record", u.tlsColumn()+" Record Layer: "+label, "", b, nodes...)
}

// tlsHandshake makes the nodes of a record's messages and says what they are.
func (c carried) tlsHandshake(u *PDU, r TLSRecord) (nodes []Node, what string) {
	if u.Clear == nil && u.Kind == WholePDU {
		return nil, "Encrypted Handshake Message"
	}
	nodes = c.tlsMessages(u.Clear)
	if rest := r.Body[len(u.Clear):]; len(rest) >= tlsMessageHeaderLen && tlsHandshakeName(rest[0]) != "" && !c.full() {
		nodes = append(nodes, c.tlsMessage(rest, TLSMessage{rest[0], rest[tlsMessageHeaderLen:]}))
	}
	switch len(nodes) {
	case 0:
		return nil, "[fragment]"
	case 1:
		return nodes, tlsHandshakeName(r.Body[0])
	}
	return nodes, "Multiple Handshake Messages"
}

// tlsMessages makes a node for each whole message in b.
func (c carried) tlsMessages(b []byte) []Node {
	var nodes []Node
	for m := range TLSMessages(b) {
		if c.full() {
			break
		}
		size := tlsMessageHeaderLen + len(m.Body)
		nodes = append(nodes, c.tlsMessage(b[:size], m))
		b = b[size:]
	}
	return nodes
}

// tlsMessage makes the node of m, which b is as far as it is there.
func (c carried) tlsMessage(b []byte, m TLSMessage) Node {
	size := uint24(b[1:])
	kids := []Node{
		c.node("tls.handshake.type", "Handshake Type", nameNumber(tlsHandshakeName(m.Type), m.Type), b[:1]),
		c.node("tls.handshake.length", "Length", fmt.Sprint(size), b[1:tlsMessageHeaderLen]),
	}
	label := "Handshake Protocol: " + nameOr(tlsHandshakeName(m.Type), "Unknown", m.Type)
	if size > len(m.Body) {
		label += " (fragment)"
	}
	if h, _ := TLSHelloOf(m); h.Random != nil {
		kids = append(kids, c.tlsHello(m, &h)...)
	} else if m.Type == TLSCertificate {
		kids = append(kids, c.tlsCertificates(m)...)
	}
	return c.node("tls.handshake", label, "", b, kids...)
}

func (c carried) tlsHello(m TLSMessage, h *TLSHello) []Node {
	b := m.Body
	nodes := []Node{
		c.node("tls.handshake.version", "Version", tlsVersionValue(h.Version), b[:2]),
		c.node("tls.handshake.random", "Random", hex.EncodeToString(h.Random), h.Random),
		c.node("tls.handshake.session_id_length", "Session ID Length", fmt.Sprint(b[34]), b[34:35]),
	}
	if len(h.SessionID) > 0 {
		nodes = append(nodes, c.node("tls.handshake.session_id", "Session ID", hex.EncodeToString(h.SessionID), h.SessionID))
	}
	rest := b[min(35+int(b[34]), len(b)):]
	switch {
	case h.CipherSuites == nil:
		return nodes
	case m.Type == TLSServerHello:
		nodes = append(nodes, c.tlsSuite(h.CipherSuites), c.tlsCompression(h.Compression))
		rest = rest[3:]
	default:
		nodes = append(nodes, c.tlsSuites(rest, h)...)
		rest = rest[2+len(h.CipherSuites):]
		if h.Compression == nil {
			return nodes
		}
		nodes = append(nodes, c.node("tls.handshake.comp_methods_length", "Compression Methods Length", fmt.Sprint(len(h.Compression)), rest[:1]))
		for i := range h.Compression {
			if c.full() {
				break
			}
			nodes = append(nodes, c.tlsCompression(h.Compression[i:i+1]))
		}
		rest = rest[1+len(h.Compression):]
	}
	if len(rest) < 2 {
		return nodes
	}
	nodes = append(nodes, c.node("tls.handshake.extensions_length", "Extensions Length", fmt.Sprint(binary.BigEndian.Uint16(rest)), rest[:2]))
	return append(nodes, c.tlsExtensions(rest[2:])...)
}

// tlsSuites makes the nodes of a client's cipher suites, with whose length b
// begins.
func (c carried) tlsSuites(b []byte, h *TLSHello) []Node {
	var list []Node
	for s := h.CipherSuites; len(s) >= 2 && !c.full(); s = s[2:] {
		list = append(list, c.tlsSuite(s[:2]))
	}
	n := len(h.CipherSuites)
	return []Node{
		c.node("tls.handshake.cipher_suites_length", "Cipher Suites Length", fmt.Sprint(n), b[:2]),
		c.node("tls.handshake.ciphersuites", fmt.Sprintf("Cipher Suites (%d suite%s)", n/2, plural(n/2)), "", h.CipherSuites, list...),
	}
}

func (c carried) tlsSuite(s []byte) Node {
	suite := binary.BigEndian.Uint16(s)
	return c.node("tls.handshake.ciphersuite", "Cipher Suite", fmt.Sprintf("%s (0x%04x)", tlsSuiteName(suite), suite), s)
}

func (c carried) tlsCompression(s []byte) Node {
	name := ""
	switch s[0] {
	case 0:
		name = "null"
	case 1:
		name = "DEFLATE"
	}
	return c.node("tls.handshake.comp_method", "Compression Method", nameNumber(name, s[0]), s)
}

// tlsExtensions makes the nodes of the extensions in b, the last of which may
// be cut.
func (c carried) tlsExtensions(b []byte) []Node {
	var nodes []Node
	for len(b) >= 4 && !c.full() {
		typ, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		n := min(4+size, len(b))
		name := nameOr16(tlsExtensionName(typ), typ)
		kids := []Node{
			c.node("tls.handshake.extension.type", "Type", fmt.Sprintf("%s (%d)", name, typ), b[:2]),
			c.node("tls.handshake.extension.len", "Length", fmt.Sprint(size), b[2:4]),
		}
		kids = append(kids, c.tlsExtension(typ, b[4:n])...)
		nodes = append(nodes, c.node("", fmt.Sprintf("Extension: %s (len=%d)", name, size), "", b[:n], kids...))
		b = b[n:]
	}
	return nodes
}

// tlsExtension makes the nodes of an extension's data, as far as it is
// understood.
func (c carried) tlsExtension(typ uint16, b []byte) []Node {
	switch typ {
	case tlsServerName:
		return c.tlsServerName(b)
	case tlsALPN:
		return c.tlsALPN(b)
	case tlsSupportedVersions:
		return c.tlsSupportedVersions(b)
	}
	if len(b) == 0 {
		return nil
	}
	return []Node{c.node("tls.handshake.extension.data", fmt.Sprintf("Data (%d byte%s)", len(b), plural(len(b))), "", b)}
}

func (c carried) tlsServerName(b []byte) []Node {
	if len(b) < 5 {
		return nil
	}
	nodes := []Node{
		c.node("tls.handshake.extensions_server_name_list_len", "Server Name list length", fmt.Sprint(binary.BigEndian.Uint16(b)), b[:2]),
		c.node("tls.handshake.extensions_server_name_type", "Server Name Type", fmt.Sprint(b[2]), b[2:3]),
		c.node("tls.handshake.extensions_server_name_len", "Server Name length", fmt.Sprint(binary.BigEndian.Uint16(b[3:])), b[3:5]),
	}
	if name, _, ok := prefixed(b[3:], 2); ok && b[2] == 0 {
		nodes = append(nodes, c.node("tls.handshake.extensions_server_name", "Server Name", safe(name), name))
	}
	return nodes
}

func (c carried) tlsALPN(b []byte) []Node {
	if len(b) < 2 {
		return nil
	}
	nodes := []Node{c.node("tls.handshake.extensions_alpn_len", "ALPN Extension Length", fmt.Sprint(binary.BigEndian.Uint16(b)), b[:2])}
	for list := b[2:]; len(list) > 0 && !c.full(); {
		name, rest, ok := prefixed(list, 1)
		if !ok {
			break
		}
		nodes = append(nodes,
			c.node("tls.handshake.extensions_alpn_str_len", "ALPN string length", fmt.Sprint(len(name)), list[:1]),
			c.node("tls.handshake.extensions_alpn_str", "ALPN Next Protocol", safe(name), name))
		list = rest
	}
	return nodes
}

func (c carried) tlsSupportedVersions(b []byte) []Node {
	var nodes []Node
	if len(b)&1 == 1 { // a client's
		nodes = append(nodes, c.node("tls.handshake.extensions.supported_versions_len", "Supported Versions length", fmt.Sprint(b[0]), b[:1]))
		b = b[1:]
	}
	for ; len(b) >= 2 && !c.full(); b = b[2:] {
		nodes = append(nodes, c.node("tls.handshake.extensions.supported_version", "Supported Version", tlsVersionValue(binary.BigEndian.Uint16(b)), b[:2]))
	}
	return nodes
}

func (c carried) tlsCertificates(m TLSMessage) []Node {
	if len(m.Body) < 3 {
		return nil
	}
	nodes := []Node{c.node("tls.handshake.certificates_length", "Certificates Length", fmt.Sprint(uint24(m.Body)), m.Body[:3])}
	for list := m.Body[3:]; len(list) >= 3 && !c.full(); {
		size := uint24(list)
		der := list[3:min(3+size, len(list))]
		nodes = append(nodes,
			c.node("tls.handshake.certificate_length", "Certificate Length", fmt.Sprint(size), list[:3]),
			c.node("tls.handshake.certificate", fmt.Sprintf("Certificate (%d bytes)", size), "", der, c.tlsCertNames(der)...))
		list = list[3+len(der):]
	}
	return nodes
}

// tlsCertNames makes the nodes of the names in a certificate.
func (c carried) tlsCertNames(der []byte) []Node {
	var nodes []Node
	for n := range CertNames(der) {
		if c.full() {
			break
		}
		label, name := "Subject", ""
		switch n.Part {
		case CertIssuer:
			label = "Issuer"
		case CertAltName:
			label = "Subject alternative name"
		}
		switch {
		case n.OID == nil && n.Tag == DERDNSName:
			label, name = label+", dNSName", "x509ce.dNSName"
		case n.OID == nil:
			nodes = append(nodes, c.node("", label, hex.EncodeToString(n.Value), n.Value))
			continue
		default:
			label, name = label+", "+certAttribute(n.OID), certFieldName(n)
		}
		nodes = append(nodes, c.node(name, label, safe(n.Value), n.Value))
	}
	return nodes
}

// certFieldName is the field that the value of an attribute has in tshark, ""
// if it has none that is read here.
func certFieldName(n CertName) string {
	switch {
	case string(n.OID) == OIDCountry:
		return "x509sat.CountryName"
	case !n.Directory():
	case n.Tag == DERPrintable:
		return "x509sat.printableString"
	case n.Tag == DERUTF8:
		return "x509sat.uTF8String"
	case n.Tag == DERTeletex:
		return "x509sat.teletexString"
	}
	return ""
}

func tlsVersionValue(v uint16) string {
	name := "Unknown"
	switch {
	case v == 0x0300:
		name = "SSL 3.0"
	case v >= TLS10 && v <= TLS13:
		name = fmt.Sprintf("TLS 1.%d", v-TLS10)
	case isGrease(v):
		name = "Reserved (GREASE)"
	}
	return fmt.Sprintf("%s (0x%04x)", name, v)
}

// nameNumber writes a name and its number: "Handshake (22)".
func nameNumber(name string, n uint8) string {
	if name == "" {
		name = "Unknown"
	}
	return fmt.Sprintf("%s (%d)", name, n)
}

func nameOr16(name string, n uint16) string {
	if name == "" {
		return fmt.Sprintf("Unknown type %d", n)
	}
	return name
}
