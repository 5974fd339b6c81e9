package stats

import (
	"cmp"
	"slices"
	"strconv"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Severity is how much an expert's remark matters.
type Severity uint8

const (
	Chat Severity = iota
	Note
	Warn
	Error
)

// String returns the heading under which tshark prints the remarks: "Warns".
func (s Severity) String() string { return [...]string{"Chats", "Notes", "Warns", "Errors"}[s&3] }

// Remark is something worth knowing, and how often it was seen.
type Remark struct {
	Severity Severity
	Group    string // Sequence, Malformed, Protocol, Checksum, Tunnel
	Protocol string
	Summary  string // may quote the network: escape it
	N        int64

	order int
}

type remarkKey struct {
	severity                 Severity
	group, protocol, summary string
}

type portKey struct {
	port  uint16
	reply bool
}

// maxRemarks bounds how many different remarks are kept apart.
const maxRemarks = 4096

// Expert counts what is remarkable about packets and messages, in tshark's
// words (-z expert) where it has them.
type Expert struct {
	remarks map[remarkKey]*Remark
	flags   [len(analysis)]*Remark
	ports   map[portKey]*Remark
	dups    [16]*Remark
}

// NewExpert returns an Expert that has seen nothing.
func NewExpert() *Expert {
	return &Expert{remarks: make(map[remarkKey]*Remark), ports: make(map[portKey]*Remark)}
}

// analysis is what the TCP analysis makes tshark say.
var analysis = [...]struct {
	flag     flow.Flags
	severity Severity
	summary  string
}{
	{flow.Retransmission | flow.FastRetransmission | flow.Spurious, Note, "This frame is a (suspected) retransmission"},
	{flow.FastRetransmission, Note, "This frame is a (suspected) fast retransmission"},
	{flow.Spurious, Note, "This frame is a (suspected) spurious retransmission"},
	{flow.OutOfOrder, Warn, "This frame is a (suspected) out-of-order segment"},
	{flow.ReusedPorts, Note, "A new tcp session is started with the same ports earlier in this trace"},
	{flow.LostSegment, Warn, "Previous segment(s) not captured (common at capture start)"},
	{flow.AckedUnseen, Warn, "ACKed segment that wasn't captured (common at capture start)"},
	{flow.WindowUpdate, Chat, "TCP window update"},
	{flow.WindowFull, Warn, "TCP window specified by the receiver is now completely full"},
	{flow.KeepAlive, Note, "TCP keep-alive segment"},
	{flow.KeepAliveAck, Note, "ACK to a TCP keep-alive segment"},
	{flow.ZeroWindowProbe, Note, "TCP Zero Window Probe"},
	{flow.ZeroWindow, Warn, "TCP Zero Window segment"},
	{flow.ZeroWindowProbeAck, Note, "ACK to a TCP Zero Window Probe"},
}

// Event takes in what is wrong with a message.
func (x *Expert) Event(ev *decode.Event, m *decode.Message) {
	switch ev.Kind {
	case decode.Unframed:
		x.say(Error, "Tunnel", "Bytes that are no record")
	case decode.Gap:
		x.say(Warn, "Tunnel", "Bytes of the stream are missing")
	}
	if m == nil {
		return
	}
	for i := range m.Problems {
		p := &m.Problems[i]
		x.say(Note+Severity(p.Severity), "Tunnel", string(p.Code))
	}
}

func (x *Expert) say(severity Severity, group, summary string) {
	x.count(severity, group, "SimpleTunnel", summary)
}

// Packet takes in a packet.
func (x *Expert) Packet(f *packet.Facts, a *flow.Analysis) {
	if f.Problem != packet.NoProblem {
		x.problem(f)
	}
	if a.Proto != packet.TCP || a.Quoted || f.Transport != packet.TCP {
		return
	}
	if a.Flags != 0 || a.DupAck > 0 {
		x.analysed(a)
	}
	if f.Flags&(packet.SYN|packet.FIN|packet.RST) != 0 {
		x.handshake(f)
	}
}

func (x *Expert) analysed(a *flow.Analysis) {
	for i := range analysis {
		if a.Flags&analysis[i].flag == 0 {
			continue
		}
		if x.flags[i] == nil {
			x.flags[i] = x.remark(analysis[i].severity, "Sequence", "TCP", analysis[i].summary)
		}
		x.flags[i].N++
	}
	switch {
	case a.DupAck == 0:
	case int(a.DupAck) < len(x.dups) && x.dups[a.DupAck] != nil:
		x.dups[a.DupAck].N++
	default:
		r := x.remark(Note, "Sequence", "TCP", "Duplicate ACK (#"+strconv.Itoa(int(a.DupAck))+")")
		r.N++
		if int(a.DupAck) < len(x.dups) {
			x.dups[a.DupAck] = r
		}
	}
}

func (x *Expert) handshake(f *packet.Facts) {
	if f.Flags&packet.RST != 0 {
		x.count(Warn, "Sequence", "TCP", "Connection reset (RST)")
	}
	if f.Flags&packet.FIN != 0 {
		x.count(Chat, "Sequence", "TCP", "Connection finish (FIN)")
	}
	if f.Flags&packet.SYN == 0 {
		return
	}
	k := portKey{f.DstPort, f.Flags&packet.ACK != 0}
	text := "Connection establish request (SYN): server port "
	if k.reply {
		k.port, text = f.SrcPort, "Connection establish acknowledge (SYN+ACK): server port "
	}
	r := x.ports[k]
	if r == nil {
		r = x.remark(Chat, "Sequence", "TCP", text+strconv.Itoa(int(k.port)))
		if len(x.ports) < maxRemarks {
			x.ports[k] = r
		}
	}
	r.N++
}

func (x *Expert) problem(f *packet.Facts) {
	group, protocol := "Malformed", "IPv4"
	switch {
	case f.Problem == packet.ProblemHeaderSum || f.Problem == packet.ProblemTransportSum:
		group = "Checksum"
	case f.Version == 0:
		protocol = "IP"
	}
	if f.Version == 6 {
		protocol = "IPv6"
	}
	if !f.Problem.IP() {
		switch f.Transport {
		case packet.TCP:
			protocol = "TCP"
		case packet.UDP:
			protocol = "UDP"
		case packet.ICMP:
			protocol = "ICMP"
		case packet.ICMPv6:
			protocol = "ICMPv6"
		}
	}
	x.count(Error, group, protocol, f.Problem.String())
}

func (x *Expert) count(severity Severity, group, protocol, summary string) {
	x.remark(severity, group, protocol, summary).N++
}

// remark returns the remark to count, that for all others if there are too
// many.
func (x *Expert) remark(severity Severity, group, protocol, summary string) *Remark {
	k := remarkKey{severity, group, protocol, summary}
	r := x.remarks[k]
	switch {
	case r != nil:
	case len(x.remarks) >= maxRemarks && summary != otherRemarks:
		return x.remark(severity, group, protocol, otherRemarks)
	default:
		r = &Remark{Severity: severity, Group: group, Protocol: protocol, Summary: summary, order: len(x.remarks)}
		x.remarks[k] = r
	}
	return r
}

const otherRemarks = "(others)"

// List returns the remarks, the gravest first, and of one severity as they
// first appeared.
func (x *Expert) List() []Remark {
	list := make([]Remark, 0, len(x.remarks))
	for _, r := range x.remarks {
		if r.N > 0 {
			list = append(list, *r)
		}
	}
	slices.SortFunc(list, func(a, b Remark) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.order, b.order))
	})
	return list
}
