package replay

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"tundump/decode/packet"
	"tundump/decode/rewrite"
)

// fitter makes an answer to a live request of one that was recorded. What
// mirrored the recorded request mirrors the live one.
type fitter struct {
	parser         *packet.Parser
	request, reply packet.Facts // as recorded
}

// append appends the answer to live, the recorded one fitted: to its sender,
// with its ports and identifiers. It appends nothing if the answer is no whole
// packet.
func (f *fitter) append(dst, request, reply []byte, live *packet.Facts, livePkt []byte) []byte {
	f.parser.Facts(request, &f.request)
	f.parser.Facts(reply, &f.reply)
	q, a := &f.request, &f.reply
	if a.Header == nil || !a.Src.IsValid() || a.Src.Is4() != live.Src.Is4() {
		return dst
	}
	body := a.Payload
	if bytes.Equal(a.Payload, q.Payload) {
		body = live.Payload
	}
	body = body[:min(len(body), rewrite.MaxPayload)]
	switch {
	case a.Quoted() != nil:
		// As much of the live request as was quoted of the recorded one.
		head := a.Segment[:len(a.Segment)-len(a.Quoted())]
		return f.packet(dst, live, head, livePkt[:min(len(livePkt), len(a.Quoted()))])
	case a.Transport == packet.UDP:
		from := len(dst)
		dst = rewrite.AppendUDP(dst, netip.AddrPortFrom(a.Src, a.SrcPort), netip.AddrPortFrom(live.Src, live.SrcPort), body)
		if a.App == packet.AppDNS {
			fitDNS(dst[len(dst)-len(body):], live.Payload)
			rewrite.FixChecksums(dst[from:])
		}
		return dst
	case (a.Transport == packet.ICMP || a.Transport == packet.ICMPv6) && len(a.Segment) >= echoHeader && len(live.Segment) >= echoHeader:
		var head [echoHeader]byte
		copy(head[:], a.Segment)
		copy(head[4:], live.Segment[4:echoHeader]) // identifier and sequence number
		return f.packet(dst, live, head[:], body)
	}
	return f.packet(dst, live, a.Segment, nil)
}

const (
	echoHeader = 8
	maxPacket  = 65535
)

// packet appends the reply's IP header, to the sender of live, with head and
// body behind it.
func (f *fitter) packet(dst []byte, live *packet.Facts, head, body []byte) []byte {
	start := len(dst)
	dst = append(append(append(dst, f.reply.Header...), head...), body...)
	p := dst[start:]
	if len(p) > maxPacket {
		return dst[:start]
	}
	to := live.Src.AsSlice()
	if live.Src.Is4() {
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		copy(p[16:20], to)
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
		copy(p[24:40], to)
	}
	rewrite.FixChecksums(p)
	return dst
}

// fitDNS puts the query's identifier into an answer, and the case of its
// question's letters, which resolvers mix on purpose.
func fitDNS(answer, query []byte) {
	const header = 12
	if len(answer) < header || len(query) < header {
		return
	}
	copy(answer[:2], query[:2])
	n := bytes.IndexByte(query[header:], 0)
	if n > 0 && header+n <= len(answer) && bytes.EqualFold(answer[header:header+n], query[header:header+n]) {
		copy(answer[header:], query[header:header+n])
	}
}

// appendUnreachable appends the ICMP message that says that nobody listens
// where pkt goes to: "port unreachable". ok is false where none may be sent.
func appendUnreachable(dst, pkt []byte) (out []byte, ok bool) {
	start := len(dst)
	// The rules about what may be answered, and what is quoted, are the same.
	if dst, ok = rewrite.AppendTooBig(dst, pkt, rewrite.MinMTU, netip.Addr{}); !ok {
		return dst, false
	}
	p := dst[start:]
	at, code := 20, byte(3)
	if p[0]>>4 == 6 {
		const unreachable, port = 1, 4
		at, code = 40, port
		p[at] = unreachable
	}
	p[at+1] = code
	clear(p[at+4 : at+8]) // the MTU
	rewrite.FixChecksums(p)
	return dst, true
}
