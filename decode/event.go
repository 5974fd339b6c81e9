package decode

import (
	"net/netip"
	"time"
)

// Direction says which way something travels through a tunnel.
type Direction uint8

const (
	ClientToServer Direction = iota // c2s, printed ">"
	ServerToClient                  // s2c, printed "<"
)

// Opposite returns the other direction.
func (d Direction) Opposite() Direction { return d ^ 1 }

// String returns "c2s" or "s2c".
func (d Direction) String() string {
	if d == ClientToServer {
		return "c2s"
	}
	return "s2c"
}

// Arrow returns ">" for client to server and "<" for server to client.
func (d Direction) Arrow() string {
	if d == ClientToServer {
		return ">"
	}
	return "<"
}

// Kind says what an [Event] is.
type Kind uint8

const (
	// Record is one whole length-prefixed unit; Raw holds it, length field
	// included.
	Record Kind = iota + 1
	// Unframed is bytes that are no record; Raw holds them.
	Unframed
	// Gap is bytes that are known to be missing; Detail.Len says how many.
	Gap
	// Packet is one bare IP packet outside any tunnel; Raw holds it.
	Packet
	// Opened: the client's connection was accepted. Detail has Client,
	// Listener and Upstream.
	Opened
	// Connected: the upstream answered. Detail has Local and Remote.
	Connected
	// Refused: the upstream could not be reached. Detail has Reason.
	Refused
	// HalfClosed: the sender of Dir sent FIN. Detail has By.
	HalfClosed
	// Reset: a connection of the tunnel was reset. Detail has By and Reason.
	Reset
	// Closed: the tunnel is over. Detail has By and Reason.
	Closed
	// TCPInfo is a measurement of the socket that sends Dir: the server side's
	// for c2s, the client side's for s2c. Detail has RTT, Retrans and Unacked.
	TCPInfo
	// Blocked: a write of Dir had to wait. Detail has Wait.
	Blocked
)

// Counts reports whether events of this kind take a message number: they are
// the bytes of the stream, or the lack of them.
func (k Kind) Counts() bool { return k == Record || k == Unframed || k == Gap }

var kindNames = [...]string{
	Record: "record", Unframed: "unframed", Gap: "gap", Packet: "packet",
	Opened: "opened", Connected: "upstream-connected", Refused: "upstream-refused",
	HalfClosed: "half-closed", Reset: "reset", Closed: "closed",
	TCPInfo: "tcp-info", Blocked: "blocked",
}

// String returns the value of the field tunnel.event, or "record" or "packet".
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

// KindOf is the inverse of [Kind.String]; ok is false for an unknown name.
func KindOf(name string) (k Kind, ok bool) {
	for i, n := range kindNames {
		if n == name && n != "" {
			return Kind(i), true
		}
	}
	return 0, false
}

// Flags say what was done to an event's bytes, and on which of the tunnel's
// two connections they were seen.
type Flags uint16

const (
	Edited   Flags = 1 << iota // an interceptor changed it; see OnClientSide and OnServerSide for which version this is
	Dropped                    // the sender sent it, the receiver never saw it
	Injected                   // the receiver saw it, the sender never sent it
	Delayed                    // passed on later than it came
	Held                       // was parked until somebody decided
	Partial                    // the stream ended before the record did

	// OnClientSide: these bytes went over the connection between client and
	// listener. OnServerSide: over the one between proxy and upstream, and the
	// capture must say so because the two may differ. A record that passed
	// untouched through a tunnel that no interceptor ever wanted has
	// OnClientSide alone.
	OnClientSide
	OnServerSide
)

var flagNames = [...]string{"edited", "dropped", "injected", "delayed", "held", "partial"}

// AppendNames appends the names of the flags that the capture file's comments
// know, separated by commas. The two sides are not among them: there, the
// interface says which side it is.
func (f Flags) AppendNames(dst []byte) []byte {
	first := true
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			if !first {
				dst = append(dst, ',')
			}
			dst = append(dst, n...)
			first = false
		}
	}
	return dst
}

// FlagOf returns the flag with that name, or 0.
func FlagOf(name string) Flags {
	for i, n := range flagNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// Party is somebody who can end a tunnel.
type Party uint8

const (
	Nobody Party = iota
	Client
	Server
	Proxy
)

var partyNames = [...]string{"", "client", "server", "proxy"}

// String returns the value of the field tunnel.by.
func (p Party) String() string { return partyNames[p&3] }

// PartyOf is the inverse of [Party.String]; an unknown name is Nobody.
func PartyOf(name string) Party {
	for i, n := range partyNames {
		if n == name {
			return Party(i)
		}
	}
	return Nobody
}

// Event is what a capture is made of, and what the tap, the file, the store,
// the session and replay carry.
type Event struct {
	Kind   Kind
	Dir    Direction
	Flags  Flags
	Tunnel uint32 // from 1, in order of appearance
	Number int64  // the message's number in the capture, from 1; 0 until the recorder gave one, and for kinds that do not count
	Time   int64  // nanoseconds since the Unix epoch, of the last byte
	Offset int64  // of the first byte, in its direction's stream
	Raw    []byte // valid as long as whoever handed the event over says
	Detail *Detail
}

// Detail is what an event says that is no bytes. Events with bytes have none.
type Detail struct {
	Client   netip.AddrPort // Opened: where the client came from
	Listener netip.AddrPort // Opened: the address it reached
	Upstream string         // Opened: the server as it was named, host:port
	Local    netip.AddrPort // Connected: the proxy's own address towards the upstream
	Remote   netip.AddrPort // Connected: the upstream's address
	Since    int64          // Opened: when, in nanoseconds since the Unix epoch, if the capture begins later: the tunnel is joined in mid-stream; else 0
	By       Party          // HalfClosed, Reset, Closed: who did it
	Reason   string         // Refused, Reset, Closed, Unframed: why, in one line; may come from the network, so escape it
	Len      int64          // Gap: missing bytes
	RTT      time.Duration  // TCPInfo: smoothed round-trip time
	Retrans  uint32         // TCPInfo: segments sent again so far
	Unacked  uint32         // TCPInfo: segments sent and not acknowledged
	Wait     time.Duration  // Blocked: how long the write waited
}
