package packet_test

import (
	"slices"
	"strings"
	"testing"

	"tundump/capture/judge"
	"tundump/decode/packet"
)

// clientHello is a record with a Client Hello that asks for a server with a
// name that no terminal should see.
func clientHello() []byte {
	sni := []byte("in\x1bside.example")
	extensions := cat(be16(0x1a1a, 0),
		be16(0, 5+len(sni), 3+len(sni)), []byte{0}, be16(len(sni)), sni,
		be16(16, 5, 3), []byte("\x02h2"),
		be16(43, 5), []byte{4}, be16(0x0304, 0x0303))
	body := cat(be16(0x0303), make([]byte, 32), []byte{2, 7, 8}, be16(4, 0x1301, 0xc02f), []byte{1, 0}, be16(len(extensions)), extensions)
	message := cat([]byte{1, 0}, be16(len(body)), body)
	return cat([]byte{22}, be16(0x0301, len(message)), message)
}

// above returns the lines of the tree from the first that begins with from.
func above(t *testing.T, b []byte, from string) string {
	t.Helper()
	all := lines(packet.NewParser().Tree(b), "")
	i := strings.Index(all, from)
	if i < 0 {
		t.Fatalf("no %q in\n%s", from, all)
	}
	return "\n" + all[i:]
}

func tcpPacket(src, dst int, payload []byte) []byte {
	return ip4(6, seg{src: src, dst: dst, seq: 1, ack: 1, flags: 0x18, win: 500, payload: string(payload)}.bytes())
}

func TestTreeTLS(t *testing.T) {
	hello := clientHello()
	b := tcpPacket(40000, 443, cat(hello, []byte{21, 3, 3, 0, 2, 2, 40}, []byte{23, 3, 3, 0, 9, 1}))
	const want = `
Transport Layer Security @40+115
 TLSv1 Record Layer: Handshake Protocol: Client Hello @40+102
  Content Type: Handshake (22) @40+1
  Version: TLS 1.0 (0x0301) @41+2
  Length: 97 @43+2
  Handshake Protocol: Client Hello @45+97
   Handshake Type: Client Hello (1) @45+1
   Length: 93 @46+3
   Version: TLS 1.2 (0x0303) @49+2
   Random: 0000000000000000000000000000000000000000000000000000000000000000 @51+32
   Session ID Length: 2 @83+1
   Session ID: 0708 @84+2
   Cipher Suites Length: 4 @86+2
   Cipher Suites (2 suites) @88+4
    Cipher Suite: TLS_AES_128_GCM_SHA256 (0x1301) @88+2
    Cipher Suite: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 (0xc02f) @90+2
   Compression Methods Length: 1 @92+1
   Compression Method: null (0) @93+1
   Extensions Length: 46 @94+2
   Extension: Reserved (GREASE) (len=0) @96+4
    Type: Reserved (GREASE) (6682) @96+2
    Length: 0 @98+2
   Extension: server_name (len=20) @100+24
    Type: server_name (0) @100+2
    Length: 20 @102+2
    Server Name list length: 18 @104+2
    Server Name Type: 0 @106+1
    Server Name length: 15 @107+2
    Server Name: in\x1bside.example @109+15
   Extension: application_layer_protocol_negotiation (len=5) @124+9
    Type: application_layer_protocol_negotiation (16) @124+2
    Length: 5 @126+2
    ALPN Extension Length: 3 @128+2
    ALPN string length: 2 @130+1
    ALPN Next Protocol: h2 @131+2
   Extension: supported_versions (len=5) @133+9
    Type: supported_versions (43) @133+2
    Length: 5 @135+2
    Supported Versions length: 4 @137+1
    Supported Version: TLS 1.3 (0x0304) @138+2
    Supported Version: TLS 1.2 (0x0303) @140+2
 TLSv1.2 Record Layer: Alert (Level: Fatal, Description: Handshake Failure) @142+7
  Content Type: Alert (21) @142+1
  Version: TLS 1.2 (0x0303) @143+2
  Length: 2 @145+2
  Alert Message @147+2
   Level: Fatal (2) @147+1
   Description: Handshake Failure (40) @148+1
 TLSv1.2 Record Layer: Application Data Protocol [6 of 14 bytes] @149+6
  Content Type: Application Data (23) @149+1
  Version: TLS 1.2 (0x0303) @150+2
  Length: 9 @152+2
  Encrypted Application Data (1 byte) @154+1
`
	if got := above(t, b, "Transport Layer Security"); got != want {
		t.Errorf("got:%s", got)
	}
	for cut := range hello {
		everything(t, packet.NewParser(), tcpPacket(40000, 443, hello[:cut]))
	}
}

func TestTreeHTTP(t *testing.T) {
	b := tcpPacket(40000, 80, []byte("GET /a\x1b HTTP/1.1\r\nHost: h.example\r\nno colon\r\n\r\nHTTP/1.1 204 No Content\nServer:x\n\n"))
	const want = `
Hypertext Transfer Protocol @40+47
 GET /a\x1b HTTP/1.1 @40+18
  Request Method: GET @40+3
  Request URI: /a\x1b @44+3
  Request Version: HTTP/1.1 @48+8
 Host: h.example @58+17
 no colon @75+10
Hypertext Transfer Protocol @87+34
 HTTP/1.1 204 No Content @87+24
  Response Version: HTTP/1.1 @87+8
  Status Code: 204 @96+3
  Response Phrase: No Content @100+10
 Server: x @111+9
`
	if got := above(t, b, "Hypertext Transfer Protocol"); got != want {
		t.Errorf("got:%s", got)
	}
}

// The example of RFC 9001, appendix A.2, is in real captures; what is not
// protected is shown here.
func TestTreeQUIC(t *testing.T) {
	id := []byte{8, 1, 2, 3, 4, 5, 6, 7, 8}
	retry := cat([]byte{0xf0}, be32(1), id, []byte{2, 9, 9}, []byte("token"), make([]byte, 16))
	const want = `
QUIC IETF @28+38
 Packet Length: 38 @28+38
 Header Form: Long Header (1) @28+1
 Fixed Bit: True @28+1
 Packet Type: Retry (3) @28+1
 Version: 1 (0x00000001) @29+4
 Destination Connection ID Length: 8 @33+1
 Destination Connection ID: 0102030405060708 @34+8
 Source Connection ID Length: 2 @42+1
 Source Connection ID: 0909 @43+2
 Retry Token: 746f6b656e @45+5
 Retry Integrity Tag: 00000000000000000000000000000000 @50+16
`
	if got := above(t, ip4(17, udp(443, 40000, retry)), "QUIC IETF"); got != want {
		t.Errorf("got:%s", got)
	}
	versions := cat([]byte{0x80}, be32(0), id, []byte{2, 9, 9}, be32(1, 0xff00001d))
	pkt := ip4(17, udp(443, 40000, versions))
	p := packet.NewParser()
	p.DecodeAs = map[packet.Port]packet.App{{Transport: packet.UDP, Number: 443}: packet.AppQUIC}
	if got := lines(p.Tree(pkt), ""); !strings.Contains(got, "Supported Version: draft-29 (0xff00001d) @") {
		t.Errorf("got:\n%s", got)
	}
}

// A packet full of what makes most nodes has some thousand.
func TestTreeUnitsBounded(t *testing.T) {
	suites := slices.Repeat([]byte{0x13, 0x01}, 8000)
	body := cat(be16(0x0303), make([]byte, 32), []byte{0}, be16(len(suites)), suites, []byte{1, 0})
	message := cat([]byte{1, 0}, be16(len(body)), body)
	record := cat([]byte{22}, be16(0x0301, len(message)), message)
	for what, payload := range map[string][]byte{
		"suites":  cat(record, record, record),
		"records": slices.Repeat([]byte{23, 3, 3, 0, 0}, 10000),
		"headers": cat([]byte("GET / HTTP/1.1\r\n"), slices.Repeat([]byte("a:\n"), 15000)),
		"lines":   slices.Repeat([]byte("GET /\n\n"), 7000),
	} {
		port := 443
		if what == "headers" || what == "lines" {
			port = 80
		}
		text := lines(packet.NewParser().Tree(tcpPacket(40000, port, payload)), "")
		if n := strings.Count(text, "\n"); n < 2000 || n > 2200 {
			t.Errorf("%s: %d nodes", what, n)
		}
	}
}

// TestCaptureSpans has tshark judge the places of fields in real traffic, but
// of those that were decrypted: tshark counts in what it decrypted.
func TestCaptureSpans(t *testing.T) {
	if testing.Short() {
		t.Skip("reads captures with tshark")
	}
	for _, c := range []struct {
		file, prefix string
		least        int
	}{
		{"ntop+nDPI/quic_interop_V.pcapng", "quic.", 1000},
		{"ntop+nDPI/tls_certificate_too_long.pcap", "tls.", 500},
		{"ntop+nDPI/alexa-app.pcapng", "http.", 100},
	} {
		var pkts [][]byte
		p := packet.NewParser()
		for b := range rawPackets(t, judge.Shared(t, "captures", c.file)) {
			var f packet.Facts
			if p.Facts(b, &f); b != nil && f.App.String()+"." == c.prefix {
				pkts = append(pkts, b)
			}
		}
		if n := compareSpans(t, pkts, func(name string) bool { return strings.HasPrefix(name, c.prefix) && !placedElsewhere(name) }); n < c.least {
			t.Errorf("%s: only %d nodes of %s compared", c.file, n, c.prefix)
		}
	}
}

// placedElsewhere: what was decrypted, what tshark works out, and the data of
// extensions, which tshark only has of those it does not know.
func placedElsewhere(name string) bool {
	switch name {
	case "quic.packet_length", "tls.handshake.extension.data":
		return true
	}
	return strings.HasPrefix(name, "quic.frame") || strings.HasPrefix(name, "quic.crypto.") || strings.HasPrefix(name, "quic.cc.")
}
