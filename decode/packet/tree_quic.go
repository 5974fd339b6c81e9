package packet

import (
	"encoding/hex"
	"fmt"
)

func (c carried) quic(units []PDU) []Node {
	var nodes []Node
	for i := range units {
		if c.full() {
			break
		}
		u := &units[i]
		nodes = append(nodes, c.node("quic", "QUIC IETF", "", u.Data, c.quicPacket(u)...))
	}
	return nodes
}

func (c carried) quicPacket(u *PDU) []Node {
	b := u.Data
	h, ok := QUICHeaderAt(b, u.IDLen)
	form := "Short Header (0)"
	if h.Long() {
		form = "Long Header (1)"
	}
	nodes := []Node{
		c.node("quic.packet_length", "Packet Length", fmt.Sprint(u.Len), b),
		c.node("quic.header_form", "Header Form", form, b[:1]),
		c.node("quic.fixed_bit", "Fixed Bit", boolWord(h.First&0x40 != 0), b[:1]),
	}
	switch {
	case len(b) < 7 || !h.Long():
		if len(h.DCID) > 0 {
			nodes = append(nodes, c.quicBytes("quic.dcid", "Destination Connection ID", h.DCID))
		}
		if rest := b[min(1+len(h.DCID), len(b)):]; len(rest) > 0 {
			nodes = append(nodes, c.node("quic.remaining_payload", fmt.Sprintf("Remaining Payload (%d bytes)", len(rest)), "", rest))
		}
		return nodes
	case h.Version != 0:
		name := "quic.long.packet_type"
		if h.Second() {
			name += "_v2"
		}
		nodes = append(nodes, c.node(name, "Packet Type", fmt.Sprintf("%s (%d)", h.Type, h.Bits()), b[:1]))
	}
	nodes = append(nodes, c.node("quic.version", "Version", quicVersionValue(h.Version), b[1:5]))
	nodes = append(nodes, c.quicIDs(&h, b[5:])...)
	if !ok {
		return nodes
	}
	return append(nodes, c.quicRest(u, &h)...)
}

// quicIDs makes the nodes of the identifiers in a long header, which b begins
// with.
func (c carried) quicIDs(h *QUICHeader, b []byte) []Node {
	var nodes []Node
	for _, id := range [...]struct {
		length, name, label string
		b                   []byte
	}{
		{"quic.dcil", "quic.dcid", "Destination Connection ID", h.DCID},
		{"quic.scil", "quic.scid", "Source Connection ID", h.SCID},
	} {
		if len(b) < 1+len(id.b) || int(b[0]) != len(id.b) {
			break
		}
		nodes = append(nodes, c.node(id.length, id.label+" Length", fmt.Sprint(len(id.b)), b[:1]))
		if len(id.b) > 0 {
			nodes = append(nodes, c.quicBytes(id.name, id.label, id.b))
		}
		b = b[1+len(id.b):]
	}
	return nodes
}

// quicRest makes the nodes of what follows the identifiers.
func (c carried) quicRest(u *PDU, h *QUICHeader) []Node {
	var nodes []Node
	rest := u.Data[7+len(h.DCID)+len(h.SCID):]
	switch h.Type {
	case QUICVersionNegotiation:
		for b := h.Versions; len(b) >= 4 && !c.full(); b = b[4:] {
			v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
			nodes = append(nodes, c.node("quic.supported_version", "Supported Version", quicVersionValue(v), b[:4]))
		}
		return nodes
	case QUICRetry:
		if len(h.Token) > 0 {
			nodes = append(nodes, c.quicBytes("quic.retry_token", "Retry Token", h.Token))
		}
		return append(nodes, c.quicBytes("quic.retry_integrity_tag", "Retry Integrity Tag", rest[len(h.Token):]))
	case QUICInitial:
		_, n := quicInt(rest)
		nodes = append(nodes, c.node("quic.token_length", "Token Length", fmt.Sprint(len(h.Token)), rest[:n]))
		if len(h.Token) > 0 {
			nodes = append(nodes, c.quicBytes("quic.token", "Token", h.Token))
		}
		rest = rest[n+len(h.Token):]
	}
	_, n := quicInt(rest)
	nodes = append(nodes, c.node("quic.length", "Length", fmt.Sprint(h.Length), rest[:n]))
	rest = rest[n:]
	switch {
	case u.Clear != nil:
		const tag = 16
		n := min(max(int(h.Length)-tag-len(u.Clear), 0), len(rest))
		nodes = append(nodes, c.node("quic.packet_number", "Packet Number", fmt.Sprint(u.Number), rest[:n]))
		rest = rest[n:]
		nodes = append(nodes, c.node("quic.payload", fmt.Sprintf("Payload (%d bytes)", len(rest)), "", rest))
		inside := carried{t: c.t, b: rest, off: c.off + cap(c.b) - cap(rest), whole: true}
		return append(nodes, inside.quicFrames(u.Clear)...)
	case u.Numbered:
		nodes = append(nodes, c.node("quic.packet_number", "Packet Number", fmt.Sprint(u.Number), rest[:min(4, len(rest))]))
	}
	if len(rest) > 0 {
		nodes = append(nodes, c.node("quic.remaining_payload", fmt.Sprintf("Remaining Payload (%d bytes)", len(rest)), "", rest))
	}
	return nodes
}

// quicFrames makes the nodes of decrypted frames.
func (c carried) quicFrames(b []byte) []Node {
	var nodes []Node
	for f := range QUICFrames(b) {
		if c.full() {
			break
		}
		label := quicFrameName(f.Type)
		kids := []Node{c.node("quic.frame_type", "Frame Type", fmt.Sprintf("%s (%#016x)", label, f.Type), nil)}
		switch f.Type {
		case QUICPadding:
			label = fmt.Sprintf("PADDING Length: %d", f.Size)
		case QUICCrypto:
			kids = append(kids,
				c.node("quic.crypto.offset", "Offset", fmt.Sprint(f.Offset), nil),
				c.node("quic.crypto.length", "Length", fmt.Sprint(len(f.Data)), nil))
			if n, _, _ := WholeTLSMessages(f.Data); f.Offset == 0 {
				kids = append(kids, c.tlsMessages(f.Data[:n])...)
			}
		case QUICClose, QUICCloseApp:
			kids = append(kids, c.node("quic.cc.reason_phrase", "Reason phrase", safe(f.Data), nil))
		}
		nodes = append(nodes, c.node("quic.frame", label, "", nil, kids...))
	}
	return nodes
}

func (c carried) quicBytes(name, label string, b []byte) Node {
	return c.node(name, label, hex.EncodeToString(b), b)
}

func quicVersionValue(v uint32) string {
	name := "Unknown"
	switch {
	case v == 0:
		name = "Version Negotiation"
	case v == quicVersion1:
		name = "1"
	case v == quicVersion2:
		name = "2"
	case v>>8 == 0xff0000:
		name = fmt.Sprintf("draft-%02d", v&0xff)
	}
	return fmt.Sprintf("%s (0x%08x)", name, v)
}

func boolWord(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
