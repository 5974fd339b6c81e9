package flow

import (
	"bytes"
	"strconv"

	"tundump/decode/packet"
)

// follows reports whether the columns are those of what the flow says of the
// packet, rather than of the packet alone.
func (a *Analysis) follows(f *packet.Facts) bool {
	return a.App != packet.NoApp && (f.PayloadLen > 0 || len(a.PDUs) > 0)
}

// AppOf returns the protocol above the transport that the packet is decoded as:
// none if its bytes are not what comes next in the stream, or if they only go
// on with a unit, as in tshark.
func (a *Analysis) AppOf(f *packet.Facts) packet.App {
	switch {
	case len(a.PDUs) > 0 || a.Segment == SegmentBegins && a.App == packet.AppTLS:
		return a.App
	case a.App != packet.NoApp || a.Flags.Repeats():
		return packet.NoApp
	}
	return f.App
}

// AppendProtocol appends the value of the field _ws.col.protocol for a packet
// whose flow says a of it. A TCP segment in which no unit of a higher protocol
// ends is TCP, as in tshark.
func AppendProtocol(dst []byte, p *packet.Parser, f *packet.Facts, a *Analysis) []byte {
	switch n := len(a.PDUs); {
	case a.Again.Column != "":
		return append(dst, a.Again.Column...)
	case !a.follows(p.Innermost(f)):
		return p.AppendProtocol(dst, f)
	case n > 0:
		return append(dst, a.PDUs[n-1].Column()...)
	case a.Proto == packet.UDP:
		return append(dst, "UDP"...)
	}
	return append(dst, "TCP"...)
}

// AppendProtocols appends the value of the field frame.protocols for such a
// packet.
func AppendProtocols(dst []byte, p *packet.Parser, f *packet.Facts, a *Analysis) []byte {
	dst = p.AppendProtocols(dst, f)
	g := p.Innermost(f)
	if !a.follows(g) {
		return dst
	}
	dst = bytes.TrimSuffix(dst, []byte(":data"))
	if streamed(g.App) {
		dst = dst[:len(dst)-len(g.App.String())-1]
	}
	if a.Segment == SegmentBegins && a.App == packet.AppTLS {
		return append(dst, ":tls"...)
	}
	for i := range a.PDUs {
		u := &a.PDUs[i]
		// tshark enters a dissector once for a unit that began earlier and
		// once for all that follow it.
		if i == 0 || i == 1 && a.PDUs[0].Earlier {
			dst = append(append(dst, ':'), u.App.String()...)
		}
		if len(u.Handshake) > 0 {
			dst = append(dst, ":tls"...)
		}
	}
	return dst
}

// AppendInfo appends the value of the field _ws.col.info for a packet whose
// flow says a of it.
func AppendInfo(dst []byte, p *packet.Parser, f *packet.Facts, a *Analysis) []byte {
	start := len(dst)
	dst = a.AppendNotes(dst)
	switch g := p.Innermost(f); {
	case a.Again.Info != "":
		return append(dst, a.Again.Info...)
	case a.Again.Column != "" && a.Again.Column != "TCP" && streamed(g.App):
		return p.AppendPDUs(dst, start, p.PDUs(g))
	case !a.follows(g):
	case len(a.PDUs) > 0:
		return p.AppendPDUs(dst, start, a.PDUs)
	default:
		return a.appendSegment(dst, start, p, g)
	}
	dst = p.AppendInfo(dst, f, a.Base)
	if a.AnswerTo != 0 && a.Proto == packet.NoTransport { // an echo reply
		dst = strconv.AppendInt(append(dst, " (request in "...), a.AnswerTo, 10)
		dst = append(dst, ')')
	}
	return dst
}

// AppendKept appends what has to be kept as [Again].Info for the packet: the
// info column without its notes, where the packet alone would say something
// else, as of units that began in earlier packets, or of QUIC packets whose
// keys come from others.
func (a *Analysis) AppendKept(dst []byte, p *packet.Parser, f *packet.Facts) []byte {
	if len(a.PDUs) == 0 {
		return dst
	}
	start := len(dst)
	dst = AppendInfo(dst, p, f, a)
	end := len(dst)
	alone := *a
	alone.PDUs, alone.Again.Column = nil, "alone"
	dst = AppendInfo(dst, p, f, &alone)
	if bytes.Equal(dst[start:end], dst[end:]) {
		return dst[:start]
	}
	notes := len(a.AppendNotes(dst)) - len(dst)
	return append(dst[:start], dst[start+notes:end]...)
}

// appendSegment is for a packet in which no unit ends.
func (a *Analysis) appendSegment(dst []byte, start int, p *packet.Parser, f *packet.Facts) []byte {
	m, _ := packet.HTTPHead(f.Payload)
	switch {
	case a.Segment == SegmentBegins && a.App == packet.AppHTTP && m.Line != nil:
		dst = append(packet.AppendSafe(dst, m.Line), ' ')
	case a.Segment != SegmentBegins || a.App != packet.AppTLS:
		bare := *f
		bare.App = packet.NoApp
		dst = p.AppendInfo(dst, &bare, a.Base)
	}
	if a.Segment == NoSegment {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	return append(dst, "[TCP segment of a reassembled PDU]"...)
}
