package tui

import (
	"net/netip"
	"time"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Flow is one conversation inside a tunnel. Side 0 is who sent its first
// packet.
type Flow struct {
	Tunnel uint32
	Proto  packet.Transport // TCP or UDP
	Stream int64            // tcp.stream or udp.stream
	Addr   [2]netip.AddrPort
	Name   string // of what side 1 is, from DNS, TLS or HTTP as far as seen; "" if not; safe
	App    string // the topmost protocol seen, as _ws.col.protocol has it; safe
	Count  [2]flow.Count

	InitialRTT   int64 // nanoseconds; 0 if not known
	Retrans      int64 // segments sent again
	Errors       int64 // ICMP errors about its packets
	Completeness flow.Completeness
	// Rate is the bytes, both ways, of successive stretches of equal length
	// whose last ends at Snapshot.Last; nil if that is not kept.
	Rate []int64
}

// Tunnel is one tunnel and its life.
type Tunnel struct {
	Number   uint32
	Client   netip.AddrPort
	Listener netip.AddrPort
	Upstream string // as it was named; not safe

	Opened   int64 // nanoseconds since the Unix epoch
	Ended    int64 // 0 while it is open
	Midway   bool  // it was open before the capture began
	Refused  bool
	By       decode.Party // who ended it
	Reset    bool
	Reason   string // not safe
	Messages int64
	Bytes    [2]int64 // on its stream, by direction
	Packets  [2]int64
	Problems [3]int64 // by decode.Severity

	RTT     [2]time.Duration // of the sockets: towards the client, towards the server; 0 if not measured
	Retrans [2]int64         // the same
	Blocked [2]time.Duration // how long writes waited, by direction
	// Suspended is for how long, and in how many spans, a side had asked the
	// other to stop sending.
	Suspended time.Duration
	Suspends  int

	// Steps is the life of the tunnel in order. It is bounded: what repeats
	// has one step.
	Steps []Step
	// Configuration says what the configuration means, a sentence each; safe.
	Configuration []string
}

// Station is a place on the ladder of a tunnel.
type Station uint8

const (
	AtClient Station = iota
	AtProxy
	AtServer
)

// StepKind says how a step is drawn.
type StepKind uint8

const (
	Signal  StepKind = iota // something one station tells another: an arrow
	Traffic                 // packets or data: a double arrow
	Event                   // something that happens at From, and goes nowhere
	Trouble                 // an Event that is bad: refused, reset, a gap
)

// Step is one rung of a tunnel's ladder.
type Step struct {
	Kind     StepKind
	Time     int64 // nanoseconds since the Unix epoch
	From, To Station
	Text     string // on the arrow, short: "open ip 7"; not safe
	Note     string // beside it: "address 10.8.0.2/32"; "" if there is none; not safe
	Message  int    // position of the message, -1 if it is none
}

// Finding is something wrong, or worth knowing.
type Finding struct {
	Severity    decode.Severity
	Code        string
	Tunnel      uint32 // 0: none in particular
	Text        string // what, in one line; not safe
	Seen        string // the evidence; "" where Text has it all; not safe
	Means       string // what follows from it; ""; not safe
	Do          string // what to do about it; ""; not safe
	Count       int64
	First, Last int64 // nanoseconds since the Unix epoch
	// Filter is a display filter for List that shows the rows concerned; "" if
	// there is none.
	Filter string
	// List and Proof are some of the rows that show it, by position, oldest
	// first; at most 100.
	List  List
	Proof []int
}

// Stats is the numbers of a capture.
type Stats struct {
	// Series is successive stretches of Step nanoseconds from Start on; at
	// most a few thousand.
	Start, Step   int64
	BytesSeries   [2][]int64 // on the tunnels' streams, by direction
	PacketsSeries [2][]int64

	Talkers   []Talker // by bytes, the most first; at most 100
	Hierarchy []Share  // protocols, each after the one that carries it
	// PerMessage is how many messages had how many packets, the least first.
	PerMessage []Bar

	// Overhead: what the tunnels' streams were made of, in bytes.
	StreamBytes  int64 // all
	PayloadBytes int64 // the inner packets and the contents of data messages
	// Lines are further facts worth a line, such as "write waits"; safe.
	Lines []Fact
}

// Talker is one address inside the tunnels, or inside one of them: those with
// the same address are shown as one.
type Talker struct {
	Addr    netip.Addr
	Name    string   // safe
	Packets [2]int64 // sent by it, sent to it
	Bytes   [2]int64
}

// Share is one protocol of the hierarchy.
type Share struct {
	Name    string // as in frame.protocols; safe
	Depth   int    // how many protocols carry it
	Packets int64
	Bytes   int64 // of the inner packets
}

// Bar is one bar of a chart.
type Bar struct {
	Label string // safe
	Count int64
}

// Fact is one line of a panel.
type Fact struct{ Label, Value string }
