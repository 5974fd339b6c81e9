package stream

import (
	"net/netip"
	"slices"

	"tundump/decode"
	"tundump/decode/packet"
)

// Options say what to look for. The zero value finds tunnels on any port.
type Options struct {
	// Ports, if any, are those that carry tunnels: every TCP connection from
	// or to them is one, and no other.
	Ports []uint16
	// Bare takes every IP packet as one without a tunnel.
	Bare bool
	// Memory bounds what is held, in bytes; 0 is 256 MiB.
	Memory int
	// Connections bounds how many are remembered; 0 is 65,536. Those that are
	// no tunnels go first, and the longest idle among them.
	Connections int
}

// Packet is a captured frame.
type Packet struct {
	LinkType uint16 // as in capture files
	Time     int64  // nanoseconds since the Unix epoch
	Data     []byte // as captured; used during the call
	// Dir is which way a bare packet went, if HasDir says that this is known.
	Dir    decode.Direction
	HasDir bool
}

// Stats counts what was seen.
type Stats struct {
	Packets     int64
	Unknown     int64 // of a link type that is not known
	IP          int64 // holding an IP packet, fragments included
	TCP         int64 // TCP segments
	Bare        int64 // packets that were handed out as they are
	Connections int64 // TCP connections
	Tunnels     uint32
	Evicted     int64 // tunnels that were given up because there were too many
	Conflicts   int64 // segments that came again with other bytes
	Links       []uint16
	Ports       []PortCount // where connections went to, the most used first; not all if there are many
}

// PortCount is how many connections went to a TCP port.
type PortCount struct {
	Port        uint16
	Connections int64
}

const (
	defaultMemory      = 256 << 20
	defaultConnections = 1 << 16
	maxPorts           = 1024
	maxLinks           = 64
)

// Finder turns packets into events. It is for one goroutine.
type Finder struct {
	opt    Options
	emit   func(*decode.Event)
	parser *packet.Parser
	facts  packet.Facts
	frags  fragments
	table  table
	ports  map[uint16]int64
	stats  Stats

	message decode.Message
	event   decode.Event
}

// New returns a Finder that hands each event to emit. The event, and the bytes
// that it points to, are valid during the call.
func New(o Options, emit func(*decode.Event)) *Finder {
	if o.Memory <= 0 {
		o.Memory = defaultMemory
	}
	if o.Connections <= 0 {
		o.Connections = defaultConnections
	}
	f := &Finder{opt: o, emit: emit, parser: packet.NewParser(), ports: make(map[uint16]int64)}
	f.table.init(o.Memory)
	return f
}

// Stats returns the counts so far.
func (f *Finder) Stats() Stats {
	s := f.stats
	s.Links = slices.Clone(s.Links)
	for port, n := range f.ports {
		s.Ports = append(s.Ports, PortCount{port, n})
	}
	slices.SortFunc(s.Ports, func(a, b PortCount) int {
		if a.Connections != b.Connections {
			return int(b.Connections - a.Connections)
		}
		return int(a.Port) - int(b.Port)
	})
	return s
}

// Packet takes the next packet of the capture.
func (f *Finder) Packet(p *Packet) {
	f.stats.Packets++
	if n := len(f.stats.Links); (n == 0 || f.stats.Links[n-1] != p.LinkType) && n < maxLinks && !slices.Contains(f.stats.Links, p.LinkType) {
		f.stats.Links = append(f.stats.Links, p.LinkType)
	}
	ip, ok := network(p.LinkType, p.Data)
	if !ok {
		if LinkName(p.LinkType) == "" {
			f.stats.Unknown++
		}
		return
	}
	f.stats.IP++
	if f.opt.Bare {
		f.bare(p, ip)
		return
	}
	f.parser.Facts(ip, &f.facts)
	if f.facts.IsFragment() {
		whole := f.frags.add(&f.facts)
		if whole == nil {
			return
		}
		f.parser.Facts(whole, &f.facts)
	}
	if f.facts.Transport == packet.TCP && f.facts.L4Complete {
		f.segment(p.Time)
	}
}

// End says that the capture is over: what is held is handed out.
func (f *Finder) End() {
	for _, c := range f.table.all() {
		f.finish(c)
	}
}

// bare hands out an IP packet, without what Ethernet padded it with.
func (f *Finder) bare(p *Packet, ip []byte) {
	f.parser.Facts(ip, &f.facts)
	if n := f.facts.TotalLen; n > 0 && n < len(ip) && f.facts.Problem != packet.ProblemLengthZero && n >= f.facts.HdrLen {
		ip = ip[:n]
	}
	f.stats.Bare++
	f.event = decode.Event{Kind: decode.Packet, Time: p.Time, Raw: ip, Dir: p.Dir}
	if !p.HasDir {
		f.event.Dir = guess(&f.facts)
	}
	f.emit(&f.event)
}

// guess says which way a packet went by what it asks or answers: services have
// the lower port.
func guess(f *packet.Facts) decode.Direction {
	const (
		echoReply   = 0
		echoReplyV6 = 129
	)
	switch {
	case f.Transport == packet.ICMP && f.Type == echoReply, f.Transport == packet.ICMPv6 && f.Type == echoReplyV6,
		f.SrcPort < f.DstPort:
		return decode.ServerToClient
	case f.SrcPort == f.DstPort && f.SrcPort != 0 && f.Dst.Less(f.Src):
		return decode.ServerToClient
	}
	return decode.ClientToServer
}

// wanted reports whether a connection between those ports can be a tunnel.
func (f *Finder) wanted(a, b uint16) bool {
	return len(f.opt.Ports) == 0 || f.named(a) || f.named(b)
}

func (f *Finder) named(port uint16) bool { return slices.Contains(f.opt.Ports, port) }

// opened counts a connection for the statistics.
func (f *Finder) opened(server uint16) {
	f.stats.Connections++
	if _, known := f.ports[server]; known || len(f.ports) < maxPorts {
		f.ports[server]++
	}
}

// key names a connection, whichever end sends.
type key struct{ a, b netip.AddrPort }

// keyOf returns the connection's key, and which of its ends, 0 or 1, sent.
func keyOf(src, dst netip.AddrPort) (k key, side int) {
	if src.Compare(dst) <= 0 {
		return key{src, dst}, 0
	}
	return key{dst, src}, 1
}
