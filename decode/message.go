package decode

import (
	"errors"

	"tundump/decode/bplist"
	"tundump/decode/frame"
)

// Command is what a message asks for: TunnelCommand in Tunnel.swift.
type Command uint8

const (
	Data Command = iota + 1
	Suspend
	Resume
	Close
	DNS
	Open
	OpenResult
	Packets
	FetchConfiguration
)

var commandNames = [...]string{"", "Data", "Suspend", "Resume", "Close", "DNS", "Open", "OpenResult", "Packets", "FetchConfiguration"}

// String returns the command's name as Apple's description has it, or "" for
// none.
func (c Command) String() string {
	if int(c) < len(commandNames) {
		return commandNames[c]
	}
	return ""
}

// Key is a key that messages are known to have: TunnelMessageKey in
// Tunnel.swift.
type Key uint8

const (
	KeyIdentifier Key = iota
	KeyCommand
	KeyData
	KeyCloseType
	KeyDNSPacket
	KeyDNSPacketSource
	KeyResultCode
	KeyTunnelType
	KeyHost
	KeyPort
	KeyConfiguration
	KeyPackets
	KeyProtocols
	KeyAppProxyFlowType
	keyCount
)

var keyNames = [keyCount]string{
	"identifier", "command", "data", "close-type", "dns-packet", "dns-packet-source", "result-code", "tunnel-type",
	"host", "port", "configuration", "packets", "protocols", "app-proxy-flow-type",
}

// String returns the key as it is on the wire.
func (k Key) String() string { return keyNames[k] }

// Values of close-type, result-code, tunnel-type and app-proxy-flow-type.
const (
	CloseNone  = 1
	CloseRead  = 2
	CloseWrite = 3
	CloseAll   = 4

	ResultSuccess       = 0
	ResultInvalidParam  = 1
	ResultNoSuchHost    = 2
	ResultRefused       = 3
	ResultTimeout       = 4
	ResultInternalError = 5

	TunnelApp = 0
	TunnelIP  = 1

	FlowTCP = 1
	FlowUDP = 3
)

// CloseTypeName returns the name of a close-type, or "".
func CloseTypeName(n int64) string { return nameOf(n, "", "none", "read", "write", "all") }

// ResultName returns the name of a result-code, or "".
func ResultName(n int64) string {
	return nameOf(n, "success", "invalidParam", "noSuchHost", "refused", "timeout", "internalError")
}

// TunnelTypeName returns the name of a tunnel-type, or "".
func TunnelTypeName(n int64) string { return nameOf(n, "app", "ip") }

// FlowTypeName returns the name of an app-proxy-flow-type, or "".
func FlowTypeName(n int64) string { return nameOf(n, "", "tcp", "", "udp") }

func nameOf(n int64, names ...string) string {
	if n < 0 || n >= int64(len(names)) {
		return ""
	}
	return names[n]
}

// Address families as Darwin numbers them, the values of protocols.
const (
	FamilyIPv4 = 2
	FamilyIPv6 = 30
)

// Limits of the genuine ends.
const (
	MaxPacketsPerMessage = 32   // Tunnel.maximumPacketsPerMessage, the server's alone
	MaxPacketSize        = 8192 // Tunnel.packetSize, the server's read buffer
)

// maxPackets is more than a message has that the genuine ends accept and whose
// packets are not shared.
const maxPackets = 8192

// maxExpanded bounds the bytes of packets that one message is taken to carry,
// unless it is longer itself. Shared references can make a record of 124 KB
// stand for gigabytes.
const maxExpanded = 1 << 20

// ErrNoMessage says that a payload is nothing that has fields. The message's
// problems say more.
var ErrNoMessage = errors.New("decode: payload is no property list with a dictionary at its root")

// Message is a record's payload, decoded. The zero value is ready; Decode
// reuses it. It is for one goroutine, and must not be copied after Decode.
type Message struct {
	Dir      Direction
	Encoding bplist.Encoding // how the payload is written
	Command  Command         // 0 if there is none that is known
	Problems []Problem       // what is wrong or worth knowing, in the order found

	// CommandNumber is the command as sent, known or not; valid if HasCommand.
	CommandNumber int64
	HasCommand    bool
	// Identifier names the connection; valid if HasIdentifier.
	Identifier    int64
	HasIdentifier bool

	payload []byte
	doc     bplist.Doc
	values  [keyCount]bplist.Value
	unknown int

	packets    []carried // as many as may be expanded
	packetsAll int       // how many the array has
	size       int       // of the record
}

// carried is one element of packets and what protocols says of it.
type carried struct {
	data   []byte // nil if it is no data
	family int64  // -1 if there is none
}

// keepPackets is how many elements a message keeps room for from one Decode to
// the next.
const keepPackets = 1024

// Decode reads the record in ev.Raw. What it returns and what m then holds
// alias ev.Raw. The error is [ErrNoMessage] if there are no fields at all;
// anything less is in m.Problems, and what could be decoded is there.
func (m *Message) Decode(ev Event) error {
	m.reset(ev.Dir)
	m.size = len(ev.Raw)
	if len(ev.Raw) > frame.MaxLen {
		m.problem(ProblemOversize, bplist.Span{Len: frame.HeaderLen}, ClosesTunnel, ClosesTunnel,
			"length %d is over the %d bytes that the genuine ends accept", len(ev.Raw), frame.MaxLen)
	}
	if len(ev.Raw) <= frame.HeaderLen {
		m.problem(ProblemEmpty, bplist.Span{Len: len(ev.Raw)}, Ignores, Undefined, "empty message: a length field and nothing behind it")
		return ErrNoMessage
	}
	if err := m.read(ev.Raw[frame.HeaderLen:]); err != nil {
		return err
	}
	m.fields()
	m.checkCommand()
	m.checkIdentifier()
	if m.Command != 0 {
		m.checkFields()
	}
	return nil
}

func (m *Message) reset(dir Direction) {
	m.Dir, m.Encoding, m.Command = dir, 0, 0
	m.Problems = m.Problems[:0]
	m.CommandNumber, m.HasCommand, m.Identifier, m.HasIdentifier = 0, false, 0, false
	m.values = [keyCount]bplist.Value{}
	m.unknown, m.packetsAll = 0, 0
	if m.packets = m.packets[:0]; cap(m.packets) > keepPackets {
		m.packets = nil
	}
}

// Root returns the message's dictionary with all its keys, known and unknown.
func (m *Message) Root() bplist.Value { return m.doc.Root() }

// Value returns the value of a known key: the first, where it stands twice.
func (m *Message) Value(k Key) bplist.Value { return m.values[k] }

// Int returns the value of k as Swift's "as? Int" has it.
func (m *Message) Int(k Key) (int64, bool) { return m.values[k].Int() }

// Data returns the bytes of a data message. They alias the record.
func (m *Message) Data() ([]byte, bool) { return m.values[KeyData].Data() }

// Host returns the host of an open or of a datagram.
func (m *Message) Host() (string, bool) { return m.values[KeyHost].Text() }

// Port returns the port of an open or of a datagram, whichever way it is
// written: Apple's original sends open's as a number, the networkextension
// fork as a string. The number may be out of a port's range.
func (m *Message) Port() (int64, bool) {
	v := m.values[KeyPort]
	if n, ok := v.Int(); ok {
		return n, true
	}
	s, ok := v.Text()
	if !ok {
		return 0, false
	}
	return parsePort(s)
}

// HasEndpoint reports whether a data message names an endpoint as the genuine
// ends see it: a host that is a string and a port that is a number.
func (m *Message) HasEndpoint() bool {
	_, port := m.values[KeyPort].Int()
	return m.values[KeyHost].Type() == bplist.String && port
}

// Configuration returns the configuration, a dictionary if it is what it
// should be; absent if there is none.
func (m *Message) Configuration() bplist.Value { return m.values[KeyConfiguration] }

// UnknownKeys reports how many keys the message has that the protocol does
// not know. Root has them.
func (m *Message) UnknownKeys() int { return m.unknown }

// PacketCount reports how many elements of packets [Message.Packet] can
// return: all, but in a message that no genuine end accepts, of over 8,192
// packets or with shared references that stand for far more bytes than it has.
func (m *Message) PacketCount() int { return len(m.packets) }

// PacketTotal reports how many elements packets has.
func (m *Message) PacketTotal() int { return m.packetsAll }

// Packet returns element i of packets, and the address family that protocols
// gives it, -1 if none. The packet aliases the record. It is empty if the
// element is, or is no data: then it is no packet.
func (m *Message) Packet(i int) (pkt []byte, family int64) {
	return m.packets[i].data, m.packets[i].family
}

// PacketSpan returns where in the record the bytes of element i of packets
// are.
func (m *Message) PacketSpan(i int) bplist.Span {
	return inRecord(m.values[KeyPackets].At(i).Body())
}

// read parses the payload in whatever encoding it is.
func (m *Message) read(payload []byte) error {
	doc, err := bplist.Open(payload, bplist.Limits{})
	m.payload, m.doc, m.Encoding = payload, doc, doc.Encoding()
	all := bplist.Span{Len: len(payload)}
	if err != nil {
		var pe *bplist.Error
		if errors.As(err, &pe) {
			all, m.Encoding = pe.Span, pe.Encoding
		}
		m.problem(ProblemNotPropertyList, all, ClosesTunnel, Ignores, "not a property list: %v", err)
		return ErrNoMessage
	}
	switch doc.Shape() {
	case bplist.NotPropertyList:
	case bplist.Dictionary, bplist.StringsFile:
		m.problem(ProblemCommandMissing, all, ClosesTunnel, Ignores, "OpenStep text: all its values are strings, so that there is no command")
		return ErrNoMessage
	default:
		m.problem(ProblemNotDictionary, all, Crashes, Crashes, "OpenStep text whose root is no dictionary")
		return ErrNoMessage
	}
	root := m.doc.Root()
	if root.Type() != bplist.Dict {
		m.problem(ProblemNotDictionary, root.Span(), Crashes, Crashes, "a property list whose root is %s and no dictionary", root.Type())
		return ErrNoMessage
	}
	m.checkEncoding(payload)
	return nil
}

// checkEncoding notes what the genuine ends read and never write.
func (m *Message) checkEncoding(payload []byte) {
	if m.Encoding == bplist.XML {
		m.problem(ProblemNotBinary, bplist.Span{Len: len(payload)}, Accepts, Accepts, "XML property list: the genuine ends read it and never send it")
	}
	if m.Encoding == bplist.Binary && string(payload[6:8]) != "00" {
		m.problem(ProblemOddVersion, bplist.Span{Off: 6, Len: 2}, Accepts, Accepts, "property list version %q instead of 00", payload[6:8])
	}
	if d := m.doc.MaxDepth(); d > maxDepthIOS {
		m.problem(ProblemDepth, m.Root().Span(), Accepts, Ignores, "nested %d levels deep, over the %d that iOS reads", d, maxDepthIOS)
	}
}

// maxDepthIOS is how deep CoreFoundation reads on a phone.
const maxDepthIOS = 128

// fields finds the known keys. The first of equal keys counts, as in
// CoreFoundation.
func (m *Message) fields() {
	root := m.doc.Root()
	for i := range root.Len() {
		k, v := root.Pair(i)
		if k.Type() != bplist.String {
			m.problem(ProblemKeyType, k.Span(), Crashes, Crashes, "a key is not a string but %s", k.Type())
			continue
		}
		known, ok := m.keyOf(k)
		switch {
		case !ok:
			m.unknown++
			if m.unknown == 1 {
				m.problem(ProblemUnknownKeys, k.Span(), Accepts, Accepts, "a key that the protocol does not know")
			}
		case m.values[known].Exists():
			m.problem(ProblemDuplicateKey, k.Span(), Accepts, Accepts, "key %s stands twice: the first counts", known)
		default:
			m.values[known] = v
		}
		if v.OddText() {
			m.problem(ProblemStringEncoding, v.Span(), Accepts, Accepts, "a string has bytes that its encoding does not allow")
		}
	}
}

// keyOf finds the known key that k is.
func (m *Message) keyOf(k bplist.Value) (Key, bool) {
	if m.Encoding != bplist.Binary {
		return equalKey(k)
	}
	s := k.Body()
	text := m.payload[s.Off : s.Off+s.Len]
	for i, name := range keyNames {
		if string(text) == name {
			return Key(i), true
		}
	}
	if len(text) > 0 && text[0] == 0 { // UTF-16
		return equalKey(k)
	}
	return 0, false
}

// equalKey compares as text, whatever its encoding.
func equalKey(k bplist.Value) (Key, bool) {
	for i, name := range keyNames {
		if k.EqualText(name) {
			return Key(i), true
		}
	}
	return 0, false
}

func isArray(v bplist.Value) bool { return v.Type() == bplist.Array }

// inRecord turns a span of the payload into one of the record.
func inRecord(s bplist.Span) bplist.Span {
	s.Off += frame.HeaderLen
	return s
}
