package packet

import (
	"encoding/binary"
	"fmt"

	"github.com/google/gopacket/layers"
)

func portFields(proto string) []field {
	return []field{
		{proto + ".srcport", "Source Port", 0, 2, func(f *Facts) string { return fmt.Sprint(f.SrcPort) }},
		{proto + ".dstport", "Destination Port", 2, 2, func(f *Facts) string { return fmt.Sprint(f.DstPort) }},
	}
}

func tcpFields() []field {
	return append(portFields("tcp"), []field{
		{"tcp.seq_raw", "Sequence Number (raw)", 4, 4, func(f *Facts) string { return fmt.Sprint(f.Seq) }},
		{"tcp.ack_raw", "Acknowledgment number (raw)", 8, 4, func(f *Facts) string { return fmt.Sprint(f.Ack) }},
		{"tcp.hdr_len", "Header Length", 12, 1, func(f *Facts) string { return fmt.Sprintf("%d bytes (%d)", f.TCPHdrLen, f.TCPHdrLen/4) }},
		{"tcp.flags", "Flags", 12, 2, func(f *Facts) string { return fmt.Sprintf("0x%03x (%s)", f.Flags, f.AppendFlags(nil)) }},
		{"tcp.window_size_value", "Window", 14, 2, func(f *Facts) string { return fmt.Sprint(f.Window) }},
		{"tcp.checksum", "Checksum", 16, 2, func(f *Facts) string { return checksumValue(f.L4Checksum, f.L4Status) }},
		{"tcp.urgent_pointer", "Urgent Pointer", 18, 2, func(f *Facts) string { return fmt.Sprint(f.Urgent) }},
	}...)
}

// fixed returns how much of the transport header's fixed part the facts have:
// all of it, or the ports alone.
func (f *Facts) fixed(n int) int {
	if f.L4Complete {
		return n
	}
	return min(4, len(f.Segment))
}

func (t *treeBuilder) tcp() []Node {
	f := &t.f
	label := fmt.Sprintf("Transmission Control Protocol, Src Port: %d, Dst Port: %d", f.SrcPort, f.DstPort)
	kids := t.fields(tcpFields(), f.HdrLen, f.fixed(tcpMinLen))
	n := len(f.Segment)
	if f.L4Complete {
		n = min(max(f.TCPHdrLen, tcpMinLen), len(f.Segment))
		label += fmt.Sprintf(", Seq: %d", f.Seq)
		if f.Flags&ACK != 0 {
			label += fmt.Sprintf(", Ack: %d", f.Ack)
		}
		label += fmt.Sprintf(", Len: %d", f.PayloadLen)
	}
	if f.L4Complete && f.TCPHdrLen > tcpMinLen && f.TCPHdrLen <= len(f.Segment) {
		kids = append(kids, t.tcpOptions())
	}
	return append([]Node{t.node("tcp", label, "", f.HdrLen, n, kids...)}, t.payload(n)...)
}

func (t *treeBuilder) tcpOptions() Node {
	f := &t.f
	room := f.TCPHdrLen - tcpMinLen
	var kids []Node
	off := tcpMinLen
	for _, o := range t.p.tree.tcpOptions(f.Segment[:f.TCPHdrLen]) {
		n := min(max(int(o.OptionLength), 1), f.TCPHdrLen-off)
		name, label, value := tcpOptionLine(o)
		kids = append(kids, t.node(name, "TCP Option - "+label, value, f.HdrLen+off, n))
		off += n
	}
	return t.node("tcp.options", fmt.Sprintf("Options: (%d bytes)", room), "", f.HdrLen+tcpMinLen, room, kids...)
}

func tcpOptionLine(o layers.TCPOption) (name, label, value string) {
	d := o.OptionData
	switch {
	case o.OptionType == optEnd:
		return "tcp.options.eol", "End of Option List (EOL)", ""
	case o.OptionType == optNop:
		return "tcp.options.nop", "No-Operation (NOP)", ""
	case o.OptionType == optMSS && len(d) == 2:
		return "tcp.options.mss", "Maximum segment size", fmt.Sprintf("%d bytes", binary.BigEndian.Uint16(d))
	case o.OptionType == optWScale && len(d) == 1:
		return "tcp.options.wscale", "Window scale", fmt.Sprintf("%d (multiply by %d)", d[0], 1<<min(d[0], 14))
	case o.OptionType == optSACKPermitted:
		return "tcp.options.sack_perm", "SACK permitted", ""
	case o.OptionType == optTimestamps && len(d) == 8:
		return "tcp.options.timestamp", "Timestamps", fmt.Sprintf("TSval %d, TSecr %d", binary.BigEndian.Uint32(d), binary.BigEndian.Uint32(d[4:]))
	case o.OptionType == optSACK:
		for ; len(d) >= 8; d = d[8:] {
			value += fmt.Sprintf(" %d-%d", binary.BigEndian.Uint32(d), binary.BigEndian.Uint32(d[4:]))
		}
		return "tcp.options.sack", "SACK" + value, ""
	}
	return "", fmt.Sprintf("Unknown (%d)", uint8(o.OptionType)), fmt.Sprintf("%d bytes", o.OptionLength)
}

func (t *treeBuilder) udp() []Node {
	f := &t.f
	list := append(portFields("udp"), []field{
		{"udp.length", "Length", 4, 2, func(f *Facts) string { return fmt.Sprint(f.UDPLen) }},
		{"udp.checksum", "Checksum", 6, 2, func(f *Facts) string { return checksumValue(f.L4Checksum, f.L4Status) }},
	}...)
	n := min(udpLen, len(f.Segment))
	label := fmt.Sprintf("User Datagram Protocol, Src Port: %d, Dst Port: %d", f.SrcPort, f.DstPort)
	head := t.node("udp", label, "", f.HdrLen, n, t.fields(list, f.HdrLen, f.fixed(udpLen))...)
	return append([]Node{head}, t.payload(n)...)
}

// payload makes the node of what the transport header, n bytes, carries.
func (t *treeBuilder) payload(n int) []Node {
	if t.f.PayloadLen == 0 {
		return nil
	}
	if nodes := t.app(); nodes != nil {
		return nodes
	}
	return []Node{t.data(t.f.HdrLen+n, t.f.PayloadLen)}
}

func icmpFields(f *Facts) []field {
	name, typeName := "icmp", lookup(icmpTypes[:], int(f.Type))
	if f.Transport == ICMPv6 {
		name, typeName = "icmpv6", icmpv6Name(f.Type)
	}
	if typeName == "" {
		typeName = "Unknown"
	}
	list := []field{
		{name + ".type", "Type", 0, 1, func(f *Facts) string { return fmt.Sprintf("%d (%s)", f.Type, typeName) }},
		{name + ".code", "Code", 1, 1, icmpCodeValue},
		{name + ".checksum", "Checksum", 2, 2, func(f *Facts) string { return checksumValue(f.L4Checksum, f.L4Status) }},
	}
	switch {
	case f.HasICMPID() && f.Transport == ICMP:
		list = append(list,
			field{"icmp.ident", "Identifier (BE)", 4, 2, func(f *Facts) string { return fmt.Sprintf("%d (0x%04x)", f.ICMPID, f.ICMPID) }},
			field{"icmp.seq", "Sequence Number (BE)", 6, 2, func(f *Facts) string { return fmt.Sprintf("%d (0x%04x)", f.ICMPSeq, f.ICMPSeq) }})
	case f.HasICMPID():
		list = append(list,
			field{"icmpv6.echo.identifier", "Identifier", 4, 2, func(f *Facts) string { return fmt.Sprintf("0x%04x", f.ICMPID) }},
			field{"icmpv6.echo.sequence_number", "Sequence", 6, 2, func(f *Facts) string { return fmt.Sprint(f.ICMPSeq) }})
	case f.Transport == ICMP && f.Type == 3 && f.Code == 4:
		list = append(list, field{"icmp.mtu", "MTU of next hop", 6, 2, func(f *Facts) string { return fmt.Sprint(f.MTU) }})
	case f.Transport == ICMPv6 && f.Type == 2:
		list = append(list, field{"icmpv6.mtu", "MTU", 4, 4, func(f *Facts) string { return fmt.Sprint(f.MTU) }})
	}
	return list
}

func icmpCodeValue(f *Facts) string {
	codes := icmpCodes(f.Type)
	if f.Transport == ICMPv6 {
		codes = nil
		switch f.Type {
		case 1, 3, 4:
			codes = icmpv6Codes(f.Type)
		}
	}
	if name := lookup(codes, int(f.Code)); name != "" {
		return fmt.Sprintf("%d (%s)", f.Code, name)
	}
	return fmt.Sprint(f.Code)
}

func (t *treeBuilder) icmp() []Node {
	f := &t.f
	name, label := "icmp", "Internet Control Message Protocol"
	if f.Transport == ICMPv6 {
		name, label = "icmpv6", "Internet Control Message Protocol v6"
	}
	have := len(f.Segment)
	if !f.L4Complete {
		have = 2
	}
	kids := t.fields(icmpFields(f), f.HdrLen, have)
	kids = append(kids, t.items(f.HdrLen)...)
	switch {
	case f.PayloadLen == 0:
	case f.Carries == Quoted && t.depth < maxInside:
		inner := treeBuilder{p: t.p, place: t.place, off: t.off + f.HdrLen + icmpLen, depth: t.depth + 1}
		kids = append(kids, inner.packet(f.Payload)...)
	default:
		kids = append(kids, t.data(f.HdrLen+icmpLen, f.PayloadLen))
	}
	return []Node{t.node(name, label, "", f.HdrLen, len(f.Segment), kids...)}
}
