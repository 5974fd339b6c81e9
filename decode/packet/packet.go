// Package packet decodes one IP packet at a time: the facts that a row and a
// filter need, the protocol and info columns in tshark's words, and a detail
// tree whose nodes know their bytes.
//
// A packet is the bytes of one IPv4 or IPv6 datagram with nothing in front of
// it, as a packets message carries it and as link type RAW does. Nothing about
// it is trusted: it may be empty, cut anywhere, or no IP at all. What can be
// read is reported, what is wrong is in [Facts.Problem], and no function fails.
//
//	p := packet.NewParser()
//	var f packet.Facts
//	for _, b := range packets {
//		p.Facts(b, &f)
//		line = f.AppendProtocol(line[:0])
//		line = append(line, ' ')
//		line = p.AppendInfo(line, &f, packet.Base{})
//	}
//
// The facts are read by a header walk of this package: 76 ns for an IPv4/TCP
// packet of 1,400 bytes with a timestamp option and 64 ns for IPv6/TCP, where
// gopacket's DecodingLayerParser took 112 and 102 in the same run
// (BenchmarkFacts, BenchmarkGopacket). That parser also reports nothing of a
// packet that is cut in a header, does not verify the header checksum, takes
// the reserved byte of an IPv6 fragment header for a length, and goes on to
// read a transport header in fragments that have none. The detail tree, which
// is built only for what is looked at, takes options from google/gopacket's
// layers, behind a fixed list of decoders.
package packet

import "net/netip"

// A Parser decodes packets. It holds scratch space only: what it returns
// depends on its arguments and its exported fields. It is not safe for
// concurrent use.
type Parser struct {
	// VerifyChecksums has TCP, UDP, ICMP, ICMPv6, IGMP, UDP-Lite and SCTP
	// checksums verified, which reads the whole packet. The IPv4 header checksum is always verified.
	VerifyChecksums bool

	// DecodeAs says what the protocol above certain ports is, whatever the
	// usual one. It is read only.
	DecodeAs map[Port]App

	inside  *[maxInside]Facts // packets inside packets, by how deep; made when there is one
	dns     DNSMessage        // for the info column
	quic    quicAlone
	pdus    []PDU // of the packet looked at last
	tree    treeDecoder
	emitter emitter // of Items
}

// NewParser returns a Parser that does not verify transport checksums.
func NewParser() *Parser { return new(Parser) }

// Span is a range of bytes of the packet.
type Span struct{ Off, Len int }

// Status is what is known about a checksum.
type Status uint8

const (
	Unverified Status = iota // not looked at, or not all bytes are there
	Good
	Bad
	NotPresent // UDP over IPv4 with checksum 0
	Partial    // the sum of the pseudo-header alone, which checksum offload leaves for the network card
)

var statusNames = [...]string{"Unverified", "Good", "Bad", "Not present", "Partial"}

// String returns Wireshark's word for s; Partial is ours.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "Unknown"
}

// Number returns the value that tshark gives the fields ip.checksum.status,
// tcp.checksum.status and their like: 0 bad, 1 good, 2 unverified, 3 not
// present. Partial is 0, as in tshark.
func (s Status) Number() uint8 {
	switch s {
	case Bad, Partial:
		return 0
	case Good:
		return 1
	case NotPresent:
		return 3
	}
	return 2
}

// Transport is a transport protocol whose header this package reads.
type Transport uint8

const (
	NoTransport Transport = iota
	TCP
	UDP
	ICMP
	ICMPv6
	UDPLite
	IGMP
	SCTP
	GRE
	ESP
	AH // with nothing behind it that is read
	PIM
	OSPF
	VRRP
	RSVP
	DCCP
	EIGRP
	L2TP
	HIP
	Shim6
	MobileIPv6
	IPComp
)

// IP protocol numbers, as in Facts.Proto.
const (
	ProtoHopByHop = 0
	ProtoICMP     = 1
	ProtoIGMP     = 2
	ProtoIPIP     = 4
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoIPv6     = 41
	ProtoRouting  = 43
	ProtoFragment = 44
	ProtoGRE      = 47
	ProtoESP      = 50
	ProtoAH       = 51
	ProtoICMPv6   = 58
	ProtoNoNext   = 59
	ProtoDstOpts  = 60
	ProtoSCTP     = 132
	ProtoMobility = 135
	ProtoUDPLite  = 136
	ProtoHIP      = 139
	ProtoShim6    = 140
)

// Facts is what a row and a filter need to know about one packet. A field
// that the packet does not have, or that it was cut before, is zero.
//
// The slices alias the packet and are valid as long as it is.
type Facts struct {
	Len     int // bytes of the packet as it was carried
	Version uint8
	Problem Problem // the first thing wrong; none: the zero value
	// ProblemSpan is where Problem is, inside the packet. Its Len is 0 where
	// bytes are missing rather than wrong.
	ProblemSpan Span

	// The IP header. Version is 4, 6, or 0 when it is neither; then nothing
	// below is set.
	Src, Dst   netip.Addr // invalid if the packet ends before them
	HdrLen     int        // bytes in front of the transport header: IPv4 with options, IPv6 with extension headers, AH
	TotalLen   int        // by the header: IPv4 total length, IPv6 40 + payload length
	DSField    uint8      // traffic class
	TTL        uint8      // hop limit
	Proto      uint8      // of what follows the IPv4 header or the last IPv6 extension header, or AH
	NextHeader uint8      // the IP header's own field: differs from Proto behind those headers
	ID         uint32     // IPv4 identification, or the fragment header's
	DF, MF     bool
	FragOffset int // bytes; the field ip.frag_offset counts in units of 8
	// Whole is set in the last fragment to come: Segment is that of the whole
	// datagram, see Join.
	Whole *Whole
	// ReassembledIn is the number of the packet in which a fragment's datagram
	// is whole, where somebody knows; 0: not known.
	ReassembledIn int64
	FlowLabel     uint32
	IPChecksum    uint16
	IPStatus      Status // IPv4 only

	// The transport header. Transport is set once there are ports, or type and
	// code; L4Complete once its fixed part is all there. A fragment other than
	// the first has none.
	Transport  Transport
	L4Complete bool
	App        App
	L4Status   Status
	L4Checksum uint16
	SrcPort    uint16
	DstPort    uint16

	Seq, Ack      uint32 // TCP, as on the wire
	Flags         uint16 // TCP, 12 bits: [FIN] and the others
	Window        uint16 // TCP, not scaled
	Urgent        uint16
	TCPHdrLen     int
	MSS           uint16 // 0: no option
	WScale        int8   // the shift count; -1: no option
	SACKPermitted bool
	SACKed        uint32 // bytes acknowledged selectively, the ranges' lengths added up
	HasTS         bool
	TSVal, TSEcr  uint32

	UDPLen int // the length field

	Type, Code uint8  // ICMP and ICMPv6
	ICMPID     uint16 // echo and the older queries
	ICMPSeq    uint16
	MTU        uint32 // of the two "too big" messages

	// Header is the IP header with options or extension headers: HdrLen bytes,
	// or nil if they are not all there.
	Header []byte
	// Segment is the transport header and all that follows, up to the end of
	// the IP payload. In a fragment other than the first, and behind a protocol
	// that this package does not know, it equals Payload.
	Segment []byte
	// Payload is what the transport header carries, the packet inside if Carries
	// says so; in CAPWAP, that ends the payload. PayloadLen is its length.
	Payload    []byte
	PayloadLen int
	Carries    Inside
	Carried    Inside // how this packet itself is carried, if Parser.Inside returned it
}

// TCP flags, as in Facts.Flags and the field tcp.flags.
const (
	FIN uint16 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE
)

// Facts reads packet b into f, which it resets first. f aliases b.
//
// It does not allocate and reads nothing past len(b).
func (p *Parser) Facts(b []byte, f *Facts) {
	*f = Facts{Len: len(b), WScale: -1}
	if len(b) == 0 {
		f.wrong(ProblemEmpty, 0, 0)
		return
	}
	var segment []byte
	var ok bool
	switch b[0] >> 4 {
	case 4:
		segment, ok = f.ipv4(b)
	case 6:
		segment, ok = f.ipv6(b)
	default:
		f.wrong(ProblemVersion, 0, 1)
		return
	}
	if !ok {
		return
	}
	f.Header = b[:f.HdrLen:f.HdrLen]
	segment = segment[:len(segment):len(segment)]
	f.Segment = segment
	f.setPayload(segment)
	if f.FragOffset == 0 {
		p.above(f, segment)
	}
}

// above reads what follows the IP header.
func (p *Parser) above(f *Facts, segment []byte) {
	switch f.Proto {
	case ProtoTCP:
		f.tcp(segment)
	case ProtoUDP:
		f.udp(segment)
	case ProtoICMP:
		if f.Version == 4 {
			f.icmp(segment)
		}
	case ProtoICMPv6:
		if f.Version == 6 {
			f.icmpv6(segment)
		}
	default:
		f.other(segment)
	}
	if f.PayloadLen > 0 && f.Transport <= UDP && !f.IsFragment() {
		p.recognise(f)
	}
	if p.VerifyChecksums {
		if f.verify(); f.L4Status == Bad {
			off, n := f.checksumPlace()
			f.wrong(ProblemTransportSum, f.HdrLen+off, n)
		}
	}
}

// Join makes f, the facts of a datagram's last fragment to come, those of the
// whole datagram. The IP header's facts stay those of the fragment, as in
// tshark. f aliases w. Facts of a packet without a whole IP header stay as they
// are.
func (p *Parser) Join(f *Facts, w *Whole) {
	if f.Header == nil {
		return
	}
	f.Whole = w
	segment := w.Segment
	for f.Version == 6 && isExtension(f.Proto) { // of the datagram as a whole
		n, ok := extensionLen(f.Proto, segment)
		if !ok {
			break
		}
		f.Proto, segment = segment[0], segment[n:]
	}
	segment = segment[:len(segment):len(segment)]
	f.Segment = segment
	f.setPayload(segment)
	p.above(f, segment)
}

// Verify sets L4Status, which Facts does only with VerifyChecksums.
func (f *Facts) Verify() {
	if f.L4Status == Unverified {
		f.verify()
	}
}

// IsFragment reports whether the packet is a part of a datagram, and the rest
// of it is not here.
func (f *Facts) IsFragment() bool { return (f.MF || f.FragOffset > 0) && f.Whole == nil }

func (f *Facts) setPayload(b []byte) {
	f.Payload = b[:len(b):len(b)]
	f.PayloadLen = len(b)
}

// wrong notes a problem unless one was noted before.
func (f *Facts) wrong(p Problem, off, n int) {
	if f.Problem == NoProblem {
		f.Problem, f.ProblemSpan = p, Span{off, n}
	}
}
