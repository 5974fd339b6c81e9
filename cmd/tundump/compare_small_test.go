package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// TestCompareSmall is TestCompare on a capture that it makes: a little of much.
func TestCompareSmall(t *testing.T) {
	c := newComparison(t)
	file := filepath.Join(t.TempDir(), "small.pcap")
	s := newSmallCapture(t, file)
	s.names()
	s.web()
	s.secure()
	s.control()
	s.services()
	s.fragments()
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
	c.file(t, file, "small.pcap")
	c.report(t)
	if c.packets != s.packets || s.packets < 35 {
		t.Errorf("%d packets were compared of %d", c.packets, s.packets)
	}
	for kind := range c.differ[1] {
		if g, _ := group(kind.field); g != kind.field {
			t.Errorf("%s differs: %v", kind.field, c.differ[1][kind])
		}
	}
}

// smallCapture writes the packets of two hosts to a capture of link type RAW, one
// every 10 ms.
type smallCapture struct {
	t       *testing.T
	file    *os.File
	w       *pcapgo.Writer
	now     time.Time
	packets int
	v6      bool
}

func newSmallCapture(t *testing.T, name string) *smallCapture {
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	s := &smallCapture{t: t, file: file, w: pcapgo.NewWriter(file), now: time.Unix(1_700_000_000, 0)}
	if err := s.w.WriteFileHeader(1<<16, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	return s
}

// ip returns the header of a packet from the client or to it.
func (s *smallCapture) ip(back bool, proto layers.IPProtocol) gopacket.NetworkLayer {
	if s.v6 {
		h := &layers.IPv6{Version: 6, NextHeader: proto, HopLimit: 64, FlowLabel: 0x12345, SrcIP: net.ParseIP("2001:db8::2"), DstIP: net.ParseIP("2001:db8::1")}
		if back {
			h.SrcIP, h.DstIP = h.DstIP, h.SrcIP
		}
		return h
	}
	h := &layers.IPv4{Version: 4, Protocol: proto, TTL: 64, TOS: 0x28, Id: uint16(s.packets), Flags: layers.IPv4DontFragment, SrcIP: net.IP{10, 8, 0, 2}, DstIP: net.IP{192, 0, 2, 1}}
	if back {
		h.SrcIP, h.DstIP = h.DstIP, h.SrcIP
	}
	return h
}

func (s *smallCapture) send(list ...gopacket.SerializableLayer) []byte {
	s.t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, list...); err != nil {
		s.t.Fatal(err)
	}
	s.write(buf.Bytes())
	return buf.Bytes()
}

func (s *smallCapture) write(b []byte) {
	s.t.Helper()
	s.now = s.now.Add(10 * time.Millisecond)
	s.packets++
	if err := s.w.WritePacket(gopacket.CaptureInfo{Timestamp: s.now, CaptureLength: len(b), Length: len(b)}, b); err != nil {
		s.t.Fatal(err)
	}
}

func (s *smallCapture) udp(back bool, src, dst int, payload gopacket.SerializableLayer) []byte {
	ip := s.ip(back, layers.IPProtocolUDP)
	u := &layers.UDP{SrcPort: layers.UDPPort(src), DstPort: layers.UDPPort(dst)}
	if back {
		u.SrcPort, u.DstPort = u.DstPort, u.SrcPort
	}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		s.t.Fatal(err)
	}
	return s.send(ip.(gopacket.SerializableLayer), u, payload)
}

// names asks for names and is answered, over both versions of IP.
func (s *smallCapture) names() {
	for i, typ := range []layers.DNSType{layers.DNSTypeA, layers.DNSTypeAAAA, layers.DNSTypeMX} {
		s.v6 = i == 1
		q := layers.DNS{ID: uint16(0x1a2b + i), RD: true, Questions: []layers.DNSQuestion{{Name: []byte("www.example.org"), Type: typ, Class: layers.DNSClassIN}}}
		s.udp(false, 5300+i, 53, &q)
		a := q
		a.QR, a.RA = true, true
		r := layers.DNSResourceRecord{Name: []byte("www.example.org"), Type: typ, Class: layers.DNSClassIN, TTL: 300}
		switch typ {
		case layers.DNSTypeA:
			r.IP = net.IP{192, 0, 2, 80}
		case layers.DNSTypeAAAA:
			r.IP = net.ParseIP("2001:db8::80")
		case layers.DNSTypeMX:
			r.MX = layers.DNSMX{Preference: 10, Name: []byte("mail.example.org")}
		}
		a.Answers = []layers.DNSResourceRecord{r}
		s.udp(true, 5300+i, 53, &a)
	}
	s.v6 = false
}

// stream is a TCP connection.
type stream struct {
	s    *smallCapture
	port [2]int
	seq  [2]uint32
}

func (c *stream) segment(back bool, flags string, seq uint32, data []byte) {
	ip, side := c.s.ip(back, layers.IPProtocolTCP), 0
	if back {
		side = 1
	}
	h := &layers.TCP{SrcPort: layers.TCPPort(c.port[side]), DstPort: layers.TCPPort(c.port[1-side]), Seq: seq, Window: 4096}
	for _, f := range flags {
		switch f {
		case 'S':
			h.SYN = true
			h.Options = []layers.TCPOption{
				{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 0xb4}},
				{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
				{OptionType: layers.TCPOptionKindNop},
			}
		case 'A':
			h.ACK, h.Ack = true, c.seq[1-side]
		case 'P':
			h.PSH = true
		case 'F':
			h.FIN = true
		}
	}
	if err := h.SetNetworkLayerForChecksum(ip); err != nil {
		c.s.t.Fatal(err)
	}
	c.s.send(ip.(gopacket.SerializableLayer), h, gopacket.Payload(data))
	next := seq + uint32(len(data))
	if h.SYN || h.FIN {
		next++
	}
	c.seq[side] = max(c.seq[side], next)
}

// next sends what comes next in a direction, in segments.
func (c *stream) next(back bool, flags string, data []byte) {
	side := 0
	if back {
		side = 1
	}
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), 1000)
		c.segment(back, flags, c.seq[side], data[:n])
		data = data[n:]
	}
}

func (s *smallCapture) open(client, server int) *stream {
	c := &stream{s: s, port: [2]int{client, server}, seq: [2]uint32{1000, 500000}}
	c.next(false, "S", nil)
	c.next(true, "SA", nil)
	c.next(false, "A", nil)
	return c
}

func (c *stream) close() {
	c.next(false, "FA", nil)
	c.next(true, "FA", nil)
	c.next(false, "A", nil)
}

// web fetches a page; a segment of it is lost and sent again.
func (s *smallCapture) web() {
	c := s.open(40000, 80)
	c.next(false, "PA", []byte("GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"))
	page := append([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2500\r\n\r\n"), make([]byte, 2500)...)
	at := c.seq[1]
	c.segment(true, "A", at, page[:1000])
	acked := c.seq
	c.segment(true, "A", at+2000, page[2000:])
	c.seq[1] = acked[1]
	for range 3 {
		c.next(false, "A", nil)
	}
	c.segment(true, "A", at+1000, page[1000:2000])
	c.seq[1] = at + uint32(len(page))
	c.next(false, "A", nil)
	c.close()
}

// secure is a TLS 1.2 handshake and some data: its certificate is seen.
func (s *smallCapture) secure() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: s.now, NotAfter: s.now.Add(time.Hour), DNSNames: []string{"www.example.org"}}
	cert.Subject.CommonName, cert.Subject.Organization = "www.example.org", []string{"Example"}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	near, far := net.Pipe()
	c := &recorded{stream: s.open(40001, 443)}
	server := tls.Server(c.side(far, true), &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
	client := tls.Client(c.side(near, false), &tls.Config{ServerName: "www.example.org", InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream.close()
}

// recorded makes segments of what goes through a pipe.
type recorded struct {
	mu     sync.Mutex
	stream *stream
}

type recordedSide struct {
	net.Conn
	r    *recorded
	back bool
}

func (r *recorded) side(conn net.Conn, back bool) net.Conn { return recordedSide{conn, r, back} }

func (c recordedSide) Write(b []byte) (int, error) {
	c.r.mu.Lock()
	c.r.stream.next(c.back, "PA", b)
	c.r.mu.Unlock()
	return c.Conn.Write(b)
}

// control is what hosts and routers say of the network.
func (s *smallCapture) control() {
	lost := s.udp(false, 5400, 33434, gopacket.Payload("probe"))
	for _, echo := range []uint8{layers.ICMPv4TypeEchoRequest, layers.ICMPv4TypeEchoReply} {
		ip := s.ip(echo == layers.ICMPv4TypeEchoReply, layers.IPProtocolICMPv4)
		s.send(ip.(gopacket.SerializableLayer), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(echo, 0), Id: 7, Seq: 1}, gopacket.Payload("ping"))
	}
	s.send(s.ip(true, layers.IPProtocolICMPv4).(gopacket.SerializableLayer), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(lost))
	s.v6 = true
	ip := s.ip(false, layers.IPProtocolICMPv6)
	echo := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeEchoRequest, 0)}
	if err := echo.SetNetworkLayerForChecksum(ip); err != nil {
		s.t.Fatal(err)
	}
	s.send(ip.(gopacket.SerializableLayer), echo, &layers.ICMPv6Echo{Identifier: 9, SeqNumber: 2}, gopacket.Payload("ping"))
	s.v6 = false
	for _, sum := range []byte{0xfd, 0xfc} { // the second is wrong
		s.send(s.ip(false, layers.IPProtocolIGMP).(gopacket.SerializableLayer), gopacket.Payload{0x16, 0, 8, sum, 224, 1, 1, 1})
	}
	chunk := &layers.SCTPData{SCTPChunk: layers.SCTPChunk{Type: layers.SCTPChunkTypeData}, BeginFragment: true, EndFragment: true, TSN: 7}
	b := s.send(s.ip(false, layers.IPProtocolSCTP).(gopacket.SerializableLayer), &layers.SCTP{SrcPort: 5000, DstPort: 5001, VerificationTag: 1}, chunk, gopacket.Payload("abcd"))
	b[len(b)-1] ^= 1
	s.write(b)
	inside := s.ip(false, layers.IPProtocolUDP)
	u := &layers.UDP{SrcPort: 6000, DstPort: 6001}
	if err := u.SetNetworkLayerForChecksum(inside); err != nil {
		s.t.Fatal(err)
	}
	s.send(s.ip(false, layers.IPProtocolGRE).(gopacket.SerializableLayer), &layers.GRE{Protocol: layers.EthernetTypeIPv4}, inside.(gopacket.SerializableLayer), u, gopacket.Payload("inside"))
}

// services are what a host needs besides.
func (s *smallCapture) services() {
	header := func(flags uint16, counts ...byte) []byte {
		return []byte{0x12, 0x34, byte(flags >> 8), byte(flags), 0, counts[0], 0, counts[1], 0, counts[2], 0, counts[3]}
	}
	name := func(s string, kind byte) []byte {
		b := []byte{32}
		for i := range 16 {
			c := byte(' ')
			if i < len(s) {
				c = s[i]
			} else if i == 15 {
				c = kind
			}
			b = append(b, 'A'+c>>4, 'A'+c&15)
		}
		return append(b, 0)
	}
	record := []byte{0, 0x20, 0, 1, 0, 4, 0x93, 0xe0, 0, 6, 0x60, 0, 10, 8, 0, 2}
	for _, m := range [][]byte{
		slices.Concat(header(0x0110, 1, 0, 0, 0), name("FILESERVER", 0x20), []byte{0, 0x20, 0, 1}),
		slices.Concat(header(0x8500, 0, 1, 0, 0), name("FILESERVER", 0x20), record),
		slices.Concat(header(0x2910, 1, 0, 0, 1), name("WORKGROUP", 0), []byte{0, 0x20, 0, 1, 0xc0, 12}, record),
	} {
		s.udp(m[2]&0x80 != 0, 137, 137, gopacket.Payload(m))
	}
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	s.udp(false, 68, 67, &layers.DHCPv4{Operation: layers.DHCPOpRequest, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: 0x1234, ClientHWAddr: mac, Options: layers.DHCPOptions{
		layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(layers.DHCPMsgTypeDiscover)}),
		layers.NewDHCPOption(layers.DHCPOptHostname, []byte("host")),
	}})
	s.udp(false, 123, 123, &layers.NTP{Version: 4, Mode: 3, Stratum: 2, Poll: 6, Precision: -20, TransmitTimestamp: 0xe8f1a2b300000000})
}

// fragments sends questions in three pieces, the last one of them first.
func (s *smallCapture) fragments() {
	for _, v6 := range []bool{false, true} {
		s.v6 = v6
		q := &layers.DNS{ID: 0x4444, RD: true, Questions: []layers.DNSQuestion{{Name: []byte("fragments.example.org"), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
		whole := s.udp(false, 5500, 53, q)
		head := 20
		if v6 {
			head = 40
		}
		segment := whole[head:]
		for _, part := range [][2]int{{24, len(segment)}, {0, 16}, {16, 24}} {
			last := part[1] == len(segment)
			if !v6 {
				h := s.ip(false, layers.IPProtocolUDP).(*layers.IPv4)
				h.Id, h.Flags, h.FragOffset = 77, layers.IPv4MoreFragments, uint16(part[0]/8)
				if last {
					h.Flags = 0
				}
				s.send(h, gopacket.Payload(segment[part[0]:part[1]]))
				continue
			}
			offset := uint16(part[0])
			if !last {
				offset |= 1
			}
			f := []byte{byte(layers.IPProtocolUDP), 0, byte(offset >> 8), byte(offset), 0, 0, 0, 9}
			s.send(s.ip(false, layers.IPProtocolIPv6Fragment).(*layers.IPv6), gopacket.Payload(append(f, segment[part[0]:part[1]]...)))
		}
	}
	s.v6 = false
}
