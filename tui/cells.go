package tui

import (
	"strconv"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/flow"
	"tundump/decode/packet"
	"tundump/tui/paint"
	"tundump/tui/pane"
)

// cellMaker turns rows into what is drawn of them. It is for one goroutine.
type cellMaker struct {
	parser *packet.Parser
	values []field.Value
	buf    []byte
	plain  bool // rows have no colours
}

func newCellMaker(plain bool) *cellMaker { return &cellMaker{parser: packet.NewParser(), plain: plain} }

func (c *cellMaker) cells(columns []column, r *Row) *pane.Cells {
	if r.Parser != nil { // it knows what -d says
		c.parser = r.Parser
	}
	out := &pane.Cells{Text: make([]string, len(columns)), Time: r.Event.Time, Up: r.Event.Dir == decode.ClientToServer,
		Number: r.Event.Number, FirstPacket: r.FirstPacket, Packets: r.PacketCount, Bad: isBad(r)}
	if r.Packet != nil {
		out.Number, out.Packets, out.Carrier = r.Number, 0, r.MessagePos
	}
	for i := range columns {
		if columns[i].text != nil {
			out.Text[i] = columns[i].text(c, r)
		}
	}
	if !c.plain {
		out.Style = c.style(r)
	}
	return out
}

// isBad reports whether something is wrong with the row itself.
func isBad(r *Row) bool {
	switch {
	case r.Packet != nil:
		return r.Packet.Problem != packet.NoProblem
	case r.Message == nil:
		return true
	}
	for i := range r.Message.Problems {
		if r.Message.Problems[i].Severity != decode.Note {
			return true
		}
	}
	return false
}

const tcpTrouble = flow.Retransmission | flow.FastRetransmission | flow.Spurious | flow.OutOfOrder | flow.LostSegment |
	flow.AckedUnseen | flow.WindowFull | flow.DuplicateAck | flow.ZeroWindow | flow.ZeroWindowProbe | flow.ReusedPorts

// style is the colour rules: the first that applies wins.
func (c *cellMaker) style(r *Row) paint.Style {
	if r.Packet == nil {
		switch {
		case isBad(r):
			return paint.RowError
		case r.Message.Command != decode.Packets && r.Message.Command != decode.Data:
			return paint.RowControl
		}
		return paint.Plain
	}
	f := r.Packet
	switch {
	case f.Problem != packet.NoProblem:
		return paint.RowError
	case r.Flow != nil && r.Flow.Flags&tcpTrouble != 0:
		return paint.RowTCPTrouble
	case f.Transport == packet.TCP && f.Flags&packet.RST != 0:
		return paint.RowReset
	}
	switch name := protocolCell(c, r); {
	case name == "DNS" || name == "MDNS":
		return paint.RowDNS
	case name == "HTTP" || len(name) > 4 && name[:4] == "HTTP":
		return paint.RowHTTP
	case name == "QUIC" || len(name) > 2 && (name[:3] == "TLS" || name[:3] == "SSL"):
		return paint.RowTLS
	case f.Transport == packet.ICMP || f.Transport == packet.ICMPv6:
		return paint.RowICMP
	}
	return paint.Plain
}

func (c *cellMaker) fieldText(f *field.Field, r *Row) string {
	c.values = f.Values(c.values[:0], &r.Row)
	c.buf = c.buf[:0]
	for i, v := range c.values {
		if i == 8 {
			c.buf = append(c.buf, ",…"...)
			break
		}
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.buf = v.AppendText(c.buf, f)
		if len(c.buf) > 512 {
			break
		}
	}
	return string(c.buf)
}

func numberCell(_ *cellMaker, r *Row) string { return thousands(r.number()) }

// number is the one that people see.
func (r *Row) number() int64 {
	if r.Packet != nil {
		return r.Number
	}
	return r.Event.Number
}

func tunnelCell(_ *cellMaker, r *Row) string {
	if r.Event.Tunnel == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(r.Event.Tunnel), 10)
}

func dirCell(_ *cellMaker, r *Row) string { return r.Event.Dir.Arrow() }

func lengthCell(_ *cellMaker, r *Row) string {
	switch {
	case r.Packet != nil:
		return thousands(int64(r.Packet.Len))
	case r.Event.Kind == decode.Gap && r.Event.Detail != nil:
		return thousands(r.Event.Detail.Len)
	}
	return thousands(int64(len(r.Event.Raw)))
}

func messageCell(_ *cellMaker, r *Row) string {
	if r.Event.Number == 0 {
		return ""
	}
	return thousands(r.Event.Number)
}

func commandCell(_ *cellMaker, r *Row) string {
	m := r.Message
	switch {
	case r.Event.Kind == decode.Gap:
		return "? missing"
	case m == nil:
		return "? unframed"
	case m.Command == 0 && m.HasCommand:
		return "? command " + strconv.FormatInt(m.CommandNumber, 10)
	case m.Command == 0:
		return "?"
	}
	return m.Command.String()
}

func identifierCell(_ *cellMaker, r *Row) string {
	if r.Message == nil || !r.Message.HasIdentifier {
		return ""
	}
	return strconv.FormatInt(r.Message.Identifier, 10)
}

func whatCell(c *cellMaker, r *Row) string {
	c.buf = c.buf[:0]
	if d := r.Event.Detail; r.Message == nil {
		c.buf = append(c.buf, "at "+thousands(r.Event.Offset)+" of the stream"...)
		if d != nil && d.Reason != "" {
			c.buf = packet.AppendSafe(append(c.buf, ": "...), d.Reason)
		}
		return string(c.buf)
	}
	summary := r.Message.AppendSummary(nil)
	if r.Message.HasIdentifier { // it has a column of its own
		id := "id=" + strconv.FormatInt(r.Message.Identifier, 10)
		if len(summary) >= len(id) && string(summary[:len(id)]) == id {
			summary = summary[len(id):]
			if len(summary) > 0 && summary[0] == ' ' {
				summary = summary[1:]
			}
		}
	}
	c.buf = packet.AppendSafe(c.buf, summary)
	const told = decode.Edited | decode.Dropped | decode.Injected | decode.Delayed | decode.Held
	if f := r.Event.Flags & told; f != 0 {
		c.buf = append(f.AppendNames(append(c.buf, " ["...)), ']')
	}
	return string(c.buf)
}

func (c *cellMaker) endpoint(r *Row, src bool) string {
	f := r.Packet
	if f == nil {
		return ""
	}
	a, port := f.Dst, f.DstPort
	if src {
		a, port = f.Src, f.SrcPort
	}
	if !a.IsValid() {
		return ""
	}
	ports := f.Transport == packet.TCP || f.Transport == packet.UDP
	c.buf = c.buf[:0]
	if ports && a.Is6() {
		c.buf = append(append(a.AppendTo(append(c.buf, '[')), "]:"...), strconv.Itoa(int(port))...)
		return string(c.buf)
	}
	c.buf = a.AppendTo(c.buf)
	if ports {
		c.buf = strconv.AppendUint(append(c.buf, ':'), uint64(port), 10)
	}
	return string(c.buf)
}

func sourceCell(c *cellMaker, r *Row) string { return c.endpoint(r, true) }

func destinationCell(c *cellMaker, r *Row) string { return c.endpoint(r, false) }

func conversationCell(c *cellMaker, r *Row) string {
	src := c.endpoint(r, true)
	if src == "" {
		return ""
	}
	return src + " → " + c.endpoint(r, false)
}

func protocolCell(c *cellMaker, r *Row) string {
	if r.Packet == nil {
		return ""
	}
	c.buf = flow.AppendProtocol(c.buf[:0], c.parser, r.Packet, analysisOf(r))
	return string(c.buf)
}

func infoCell(c *cellMaker, r *Row) string {
	if r.Packet == nil {
		return ""
	}
	c.buf = flow.AppendInfo(c.buf[:0], c.parser, r.Packet, analysisOf(r))
	return string(c.buf)
}

// analysisOf is what the row's flow says of it, nothing if it has none.
func analysisOf(r *Row) *flow.Analysis {
	if r.Flow != nil {
		return r.Flow
	}
	return &flow.Analysis{}
}
