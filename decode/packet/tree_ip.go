package packet

import "fmt"

var ecnNames = [...]string{"Not-ECT", "ECT(1)", "ECT(0)", "CE"}

func dsfieldValue(f *Facts) string {
	return fmt.Sprintf("0x%02x (DSCP: %d, ECN: %s)", f.DSField, f.DSField>>2, ecnNames[f.DSField&3])
}

func ipv4FlagsValue(f *Facts) string {
	switch {
	case f.DF && f.MF:
		return "Don't fragment, More fragments"
	case f.DF:
		return "Don't fragment"
	case f.MF:
		return "More fragments"
	}
	return "None"
}

func ipv4Fields() []field {
	return []field{
		{"ip.version", "Version", 0, 1, func(*Facts) string { return "4" }},
		{"ip.hdr_len", "Header Length", 0, 1, func(f *Facts) string { return fmt.Sprintf("%d bytes (%d)", f.HdrLen, f.HdrLen/4) }},
		{"ip.dsfield", "Differentiated Services Field", 1, 1, dsfieldValue},
		{"ip.len", "Total Length", 2, 2, func(f *Facts) string { return fmt.Sprint(f.TotalLen) }},
		{"ip.id", "Identification", 4, 2, func(f *Facts) string { return fmt.Sprintf("0x%04x (%d)", f.ID, f.ID) }},
		{"ip.flags", "Flags", 6, 1, ipv4FlagsValue},
		{"ip.frag_offset", "Fragment Offset", 6, 2, func(f *Facts) string { return fmt.Sprint(f.FragOffset) }},
		{"ip.ttl", "Time to Live", 8, 1, func(f *Facts) string { return fmt.Sprint(f.TTL) }},
		{"ip.proto", "Protocol", 9, 1, func(f *Facts) string { return protoValue(f.Proto) }},
		{"ip.checksum", "Header Checksum", 10, 2, func(f *Facts) string { return checksumValue(f.IPChecksum, f.IPStatus) }},
		{"ip.src", "Source Address", 12, 4, func(f *Facts) string { return f.Src.String() }},
		{"ip.dst", "Destination Address", 16, 4, func(f *Facts) string { return f.Dst.String() }},
	}
}

// ipLabel is the line of an IP layer, with the addresses that are there.
func ipLabel(f *Facts) string {
	label := fmt.Sprintf("Internet Protocol Version %d", f.Version)
	if f.Src.IsValid() {
		label += ", Src: " + f.Src.String()
	}
	if f.Dst.IsValid() {
		label += ", Dst: " + f.Dst.String()
	}
	return label
}

func (t *treeBuilder) ipv4(b []byte) Node {
	f := &t.f
	n := min(max(f.HdrLen, ipv4MinLen), len(b))
	kids := t.fields(ipv4Fields(), 0, n)
	if f.Header != nil && f.ipv4HdrLen() > ipv4MinLen {
		kids = append(kids, t.ipv4Options())
	}
	return t.node("ip", ipLabel(f), "", 0, n, kids...)
}

func (t *treeBuilder) ipv4Options() Node {
	end := t.f.ipv4HdrLen()
	n := end - ipv4MinLen
	return t.node("ip.options", fmt.Sprintf("Options: (%d bytes)", n), "", ipv4MinLen, n, t.itemsBetween(ipv4MinLen, end)...)
}

func ipv6Fields() []field {
	return []field{
		{"ipv6.version", "Version", 0, 1, func(*Facts) string { return "6" }},
		{"ipv6.tclass", "Traffic Class", 0, 2, dsfieldValue},
		{"ipv6.flow", "Flow Label", 1, 3, func(f *Facts) string { return fmt.Sprintf("0x%05x", f.FlowLabel) }},
		{"ipv6.plen", "Payload Length", 4, 2, func(f *Facts) string { return fmt.Sprint(f.TotalLen - ipv6Len) }},
		{"ipv6.nxt", "Next Header", 6, 1, func(f *Facts) string { return protoValue(f.NextHeader) }},
		{"ipv6.hlim", "Hop Limit", 7, 1, func(f *Facts) string { return fmt.Sprint(f.TTL) }},
		{"ipv6.src", "Source Address", 8, 16, func(f *Facts) string { return f.Src.String() }},
		{"ipv6.dst", "Destination Address", 24, 16, func(f *Facts) string { return f.Dst.String() }},
	}
}

func (t *treeBuilder) ipv6(b []byte) Node {
	n := min(ipv6Len, len(b))
	return t.node("ipv6", ipLabel(&t.f), "", 0, n, t.fields(ipv6Fields(), 0, n)...)
}

func (t *treeBuilder) extensions() []Node {
	var nodes []Node
	for proto, s := range t.f.extensions {
		if len(nodes) == maxExtensionNodes {
			break
		}
		name := map[uint8]string{ProtoHopByHop: "ipv6.hopopts", ProtoRouting: "ipv6.routing", ProtoFragment: "ipv6.fraghdr", ProtoDstOpts: "ipv6.dstopts", ProtoAH: "ah"}[proto]
		kids := t.itemsBetween(s.Off, s.Off+s.Len)
		if kids == nil {
			kids = []Node{t.node("", "Next Header", protoValue(t.f.Header[s.Off]), s.Off, 1), t.node("", "Length", fmt.Sprintf("%d bytes", s.Len), s.Off+1, 1)}
		}
		nodes = append(nodes, t.node(name, protoName(proto), "", s.Off, s.Len, kids...))
	}
	return nodes
}
