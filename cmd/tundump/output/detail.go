package output

import (
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"tundump/capture/session"
	"tundump/decode/bplist"
	"tundump/decode/packet"
)

// Limits of a detail tree: shared references can make a small property list a
// very large one.
const (
	maxDetailLines = 2000
	maxDetailDepth = 32
	maxDetailText  = 200
)

// details prints a message's tree and bytes, if they are asked for.
func (p *Printer) details(r *session.Row) {
	if p.opt.Detail && r.Message != nil {
		p.text("    Length: ", strconv.Itoa(len(r.Event.Raw)), " [0+4]")
		p.endLine()
		lines := maxDetailLines
		p.dictionary(r.Message.Root(), 1, &lines)
		if lines <= 0 {
			p.text("    … more is not printed")
			p.endLine()
		}
	}
	if p.opt.Hex {
		p.hexDump(r.Event.Raw, "    ")
	}
}

// packetDetails does the same for inner packet i. Its bytes stand in its
// message's dump, unless messages are not printed.
func (p *Printer) packetDetails(r *session.Row, i int) {
	if p.opt.Detail {
		for _, n := range p.parser.TreeOf(&r.Packets[i].Facts, r.Packets[i].Data) {
			p.node(n, 3)
		}
	}
	if p.opt.Hex && p.opt.Packets {
		p.hexDump(r.Packets[i].Data, "    ")
		if w := r.Packets[i].Facts.Whole; w != nil {
			p.indent(2)
			p.text("Reassembled datagram (", strconv.Itoa(len(w.Segment)), " bytes):")
			p.endLine()
			p.hexDump(w.Segment, "    ")
		}
	}
}

func (p *Printer) node(n packet.Node, depth int) {
	p.indent(depth)
	p.text(n.Label)
	if n.Value != "" {
		p.text(": ", n.Value)
	}
	p.endLine()
	for _, c := range n.Children {
		p.node(c, depth+1)
	}
}

func (p *Printer) dictionary(v bplist.Value, depth int, lines *int) {
	for i := 0; i < v.Len() && *lines > 0; i++ {
		var name string
		e := v
		if v.Type() == bplist.Dict {
			var k bplist.Value
			k, e = v.Pair(i)
			name = string(packet.AppendSafe(nil, k.AppendText(nil)))
		} else {
			e = v.At(i)
			name = strconv.Itoa(i)
		}
		p.value(name, e, depth, lines)
	}
}

func (p *Printer) value(name string, v bplist.Value, depth int, lines *int) {
	*lines--
	p.indent(depth)
	p.text(name, ": ")
	switch v.Type() {
	case bplist.Dict, bplist.Array, bplist.Set:
		p.text(v.Type().String(), ", ", strconv.Itoa(v.Len()))
	case bplist.Data:
		b, _ := v.Data()
		p.text(strconv.Itoa(len(b)), " bytes ")
		p.line = hex.AppendEncode(p.line, b[:min(len(b), 24)])
		if len(b) > 24 {
			p.text("…")
		}
	default:
		p.scratch = v.AppendText(p.scratch[:0])
		if len(p.scratch) > maxDetailText {
			n := maxDetailText
			for n > maxDetailText-utf8.UTFMax && !utf8.RuneStart(p.scratch[n]) {
				n--
			}
			p.scratch = append(p.scratch[:n], "…"...)
		}
		p.line = packet.AppendSafe(p.line, p.scratch)
	}
	s := v.Span()
	p.text(" [", strconv.Itoa(s.Off+4), "+", strconv.Itoa(s.Len), "]")
	p.endLine()
	if depth < maxDetailDepth {
		p.dictionary(v, depth+1, lines)
	}
}

func (p *Printer) indent(depth int) {
	for range depth {
		p.line = append(p.line, "    "...)
	}
}

// hexDump prints bytes as tshark -x does: an offset has four digits, or as many
// as the last one needs.
func (p *Printer) hexDump(b []byte, margin string) {
	top := 12
	for (len(b)-1)>>top > 15 {
		top += 4
	}
	for off := 0; off < len(b); off += 16 {
		row := b[off:min(off+16, len(b))]
		p.text(margin)
		for shift := top; shift >= 0; shift -= 4 {
			p.line = append(p.line, "0123456789abcdef"[off>>shift&15])
		}
		p.text("  ")
		at := len(p.line)
		for _, c := range row {
			p.line = append(hex.AppendEncode(p.line, []byte{c}), ' ')
		}
		p.pad(at, 3*16)
		p.text("  ")
		for _, c := range row {
			if c < ' ' || c > '~' {
				c = '.'
			}
			p.line = append(p.line, c)
		}
		p.endLine()
	}
}
