package field

import (
	"bytes"
	"slices"
	"strings"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Protocol is a protocol that a filter can ask for without any field.
type Protocol struct {
	name      string
	version   uint8 // of IP
	transport packet.Transport
	app       packet.App
}

// headers are protocols that are neither IP nor a transport nor above one.
// frame and raw are in every packet.
var headers = []string{"frame", "raw", "ipv6.hopopts", "ipv6.routing", "ipv6.fraghdr", "ipv6.dstopts", "eth", "data"}

var protocols = append(slices.Clone(headers[:2]), append(packet.ProtocolNames(), headers[2:]...)...)

// Protocols returns the names of the protocols that a filter can ask for, as
// frame.protocols has them. The slice must not be changed.
func Protocols() []string { return protocols }

// LookupProtocol returns the protocol of that name.
func LookupProtocol(name string) (Protocol, bool) {
	p := Protocol{name: name}
	p.transport, _ = packet.LookupTransport(name)
	p.app, _ = packet.LookupApp(name)
	switch name {
	case "ip":
		p.version = 4
	case "ipv6":
		p.version = 6
	}
	return p, slices.Contains(protocols, name)
}

// Depth returns how far flows must be followed to know whether a packet has
// the protocol: what is above the transport is what comes next in its stream.
func (p Protocol) Depth() Depth {
	switch {
	case p.version != 0, p.transport != packet.NoTransport && p.transport != packet.ESP, p.name == headers[0], p.name == headers[1]:
		return Alone
	}
	return flow.Dialogs
}

// Owns reports whether fields named as the protocol are never there without
// it: dns.flags is in mdns, too.
func (p Protocol) Owns() bool { return p.transport != packet.NoTransport }

// In reports whether r's packet, or one inside it, has the protocol; r may
// have no packet.
func (p Protocol) In(r *Row) bool {
	if r.Packet == nil {
		return false
	}
	if p.version != 0 || p.transport != packet.NoTransport || p.app != packet.NoApp {
		return p.level(r) != nil
	}
	return p.name == "frame" || p.listed(r)
}

// level returns the packet, or the one inside, that has the protocol.
func (p Protocol) level(r *Row) *packet.Facts {
	f := r.Packet
	for depth := 0; f != nil; depth++ {
		switch {
		case p.version != 0:
			if f.Version == p.version {
				return f
			}
		case f.Header == nil || f.IsFragment():
		case p.transport == packet.ESP && hasESP(f):
			return f
		case p.app == packet.NoApp && f.Transport == p.transport, p.app != packet.NoApp && f.App == p.app:
			return f
		}
		if f.Carries == packet.NotInside {
			return nil
		}
		f = r.Parser.Inside(f, depth)
	}
	return nil
}

// listed looks the name up in frame.protocols.
func (p Protocol) listed(r *Row) bool {
	var list []byte
	if r.Memory != nil {
		at := len(r.Memory.text)
		r.Memory.text = r.Parser.AppendProtocols(r.Memory.text, r.Packet)
		list = r.Memory.text[at:]
		r.Memory.text = r.Memory.text[:at]
	} else {
		list = r.Parser.AppendProtocols(nil, r.Packet)
	}
	for {
		name, rest, more := bytes.Cut(list, colon)
		if string(name) == p.name || !more {
			return string(name) == p.name
		}
		list = rest
	}
}

var colon = []byte{':'}

// Bytes returns the bytes of the protocol in r's packet, from its header to
// the end of the packet; ok is false if it is not there, or is none that has
// bytes of its own.
func (p Protocol) Bytes(r *Row) (v Value, ok bool) {
	if r.Packet == nil {
		return Value{}, false
	}
	if p.name == "frame" || p.name == "raw" {
		return bytesValue(r.Data), true
	}
	f := p.level(r)
	switch {
	case f == nil:
		return Value{}, false
	case p.version != 0:
		return bytesValue(r.Data[len(r.Data)-min(len(r.Data), f.Len):]), true
	case p.app != packet.NoApp, p.transport == packet.ESP && f.App == packet.AppUDPEncap:
		return bytesValue(f.Payload), true
	}
	return bytesValue(f.Segment), len(f.Segment) > 0
}

// Below returns the fields whose names begin with name and a dot.
func Below(name string) []*Field {
	var list []*Field
	for i := range table {
		if strings.HasPrefix(table[i].Name, name+".") {
			list = append(list, &table[i])
		}
	}
	return list
}
