package output

import (
	"bytes"
	"strconv"
	"time"

	"tundump/capture/session"
	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// row prints one row as text: a line for the event, and under it one for each
// packet and for what is wrong.
func (p *Printer) row(r *session.Row) {
	switch ev := &r.Event; {
	case ev.Kind == decode.Packet:
	case ev.Kind.Counts():
		if p.opt.Packets || !p.selected.event {
			break
		}
		p.stampAndTunnel(ev)
		p.message(r)
		p.endLine()
		p.problems(r.Message)
		p.details(r)
	default:
		if p.selected.event && !p.opt.Packets && !p.opt.Messages && (p.opt.Verbose || !isAside(r)) {
			p.stampAndTunnel(ev)
			p.tunnelEvent(r)
			p.endLine()
		}
	}
	if p.opt.Messages {
		return
	}
	for i := range r.Packets {
		if p.selected.packet(i) && !p.packet(r, i) {
			return
		}
	}
}

// isAside reports a row that is printed with -v only: a measurement, or the end
// of a tunnel that never began.
func isAside(r *session.Row) bool {
	switch r.Event.Kind {
	case decode.TCPInfo, decode.Blocked:
		return true
	case decode.Closed:
		return r.Tunnel.Refused
	}
	return false
}

func (p *Printer) stampAndTunnel(ev *decode.Event) {
	p.stamp(ev.Time)
	if ev.Tunnel == 0 { // a packet without a tunnel
		return
	}
	p.line = append(p.line, 'T')
	p.line = strconv.AppendUint(p.line, uint64(ev.Tunnel), 10)
	p.line = append(p.line, ' ')
}

// message writes what follows "T1 ": direction, number, command, summary.
func (p *Printer) message(r *session.Row) {
	ev := &r.Event
	p.line = append(p.line, ev.Dir.Arrow()...)
	p.line = append(p.line, " #"...)
	at := len(p.line)
	p.line = strconv.AppendInt(p.line, ev.Number, 10)
	p.line = append(p.line, ' ')
	p.pad(at, 4)
	switch {
	case ev.Kind == decode.Gap:
		p.text("? ", strconv.FormatInt(detail(ev).Len, 10), " bytes missing at ", strconv.FormatInt(ev.Offset, 10))
	case ev.Kind == decode.Unframed:
		p.unframed(ev)
	case r.Message.Command == 0:
		p.text("? ", strconv.Itoa(len(ev.Raw)), " bytes ")
		p.summary(r.Message)
	default:
		p.text(r.Message.Command.String(), " ")
		p.summary(r.Message)
	}
	p.flags(ev.Flags)
	if p.opt.Verbose {
		p.text(" [", strconv.Itoa(len(ev.Raw)), " bytes at ", strconv.FormatInt(ev.Offset, 10))
		if r.Message != nil {
			p.text(" ", r.Message.Encoding.String())
		}
		p.text("]")
	}
}

func (p *Printer) summary(m *decode.Message) {
	p.scratch = m.AppendSummary(p.scratch[:0])
	p.line = packet.AppendSafe(p.line, p.scratch)
}

func (p *Printer) unframed(ev *decode.Event) {
	what := " bytes unframed at "
	if ev.Flags&decode.Partial != 0 {
		what = " bytes of a record that never ended, at "
	}
	p.text("? ", strconv.Itoa(len(ev.Raw)), what, strconv.FormatInt(ev.Offset, 10))
	if why := detail(ev).Reason; why != "" {
		p.text(": ")
		p.line = packet.AppendSafe(p.line, why)
	}
}

func (p *Printer) flags(f decode.Flags) {
	const shown = decode.Edited | decode.Dropped | decode.Injected | decode.Delayed | decode.Held
	if f&shown == 0 {
		return
	}
	p.text(" [")
	p.line = (f & shown).AppendNames(p.line)
	p.text("]")
}

// openedWord tells a tunnel that was open before the file began.
func openedWord(d *decode.Detail) string {
	if d.Since != 0 {
		return "already open "
	}
	return "opened "
}

// tunnelEvent writes what a tunnel did.
func (p *Printer) tunnelEvent(r *session.Row) {
	ev, d := &r.Event, detail(&r.Event)
	p.scratch = p.scratch[:0]
	switch ev.Kind {
	case decode.Opened:
		p.text(openedWord(d), d.Client.String(), " > ", d.Listener.String(), " upstream ")
		p.scratch = append(p.scratch, d.Upstream...)
	case decode.Connected:
		p.text("upstream connected ", d.Local.String(), " > ", d.Remote.String())
	case decode.Refused:
		p.text("upstream refused: ")
		p.scratch = append(p.scratch, d.Reason...)
	case decode.HalfClosed:
		p.text(d.By.String(), " sends no more (FIN)")
	case decode.Reset:
		p.text("reset by ", d.By.String(), " (RST)")
	case decode.Closed:
		p.text("closed by ", d.By.String())
		if d.Reason != "" {
			p.text(" (")
			p.line = packet.AppendSafe(p.line, d.Reason)
			p.text(")")
		}
		p.text(" ", seconds(time.Duration(ev.Time-r.Tunnel.Opened)), " ", strconv.FormatInt(r.Tunnel.Messages, 10), " messages")
	case decode.TCPInfo:
		p.text(ev.Dir.Arrow(), " tcp rtt ", d.RTT.String(), " retransmissions ", strconv.FormatUint(uint64(d.Retrans), 10), " unacked ", strconv.FormatUint(uint64(d.Unacked), 10))
	case decode.Blocked:
		p.text(ev.Dir.Arrow(), " write blocked ", d.Wait.String())
	default:
		p.text(ev.Kind.String())
	}
	p.line = packet.AppendSafe(p.line, p.scratch)
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
}

// packet prints one inner packet, and reports whether more may follow.
func (p *Printer) packet(r *session.Row, i int) bool {
	f := &r.Packets[i].Facts
	number := r.FirstPacket + int64(i)
	if p.opt.Packets || r.Event.Kind == decode.Packet {
		p.stampAndTunnel(&r.Event)
		p.text(r.Event.Dir.Arrow(), " ")
	} else {
		p.text("    ")
	}
	at := len(p.line)
	for n := number; n < 1_000_000 && len(p.line) < at+6; n = n*10 + 9 {
		p.line = append(p.line, ' ')
	}
	p.line = strconv.AppendInt(p.line, number, 10)
	p.line = append(p.line, ' ')
	p.addresses(p.parser.Innermost(f))
	p.line = flow.AppendProtocol(p.line, p.parser, f, &r.Packets[i].Flow)
	p.line = append(p.line, ' ')
	p.info(f, &r.Packets[i].Flow)
	if p.opt.Verbose {
		p.text(" [", strconv.Itoa(f.Len), " bytes ttl ", strconv.Itoa(int(f.TTL)), " id ", strconv.Itoa(int(f.ID)), " af ", strconv.FormatInt(r.Packets[i].Family, 10), "]")
	}
	p.endLine()
	if found, ok := r.Finding(i); ok {
		p.finding(found.Severity, found.Code, found.Text)
	}
	p.packetDetails(r, i)
	return p.counted(p.opt.Packets)
}

// addresses writes "IPv4 10.8.0.2:53122 > 93.184.216.34:443 ".
func (p *Printer) addresses(f *packet.Facts) {
	if !f.Src.IsValid() {
		return
	}
	p.text("IPv", strconv.Itoa(int(f.Version)), " ")
	ports := f.Transport == packet.TCP || f.Transport == packet.UDP
	p.endpoint(f, true, ports)
	p.text(" > ")
	p.endpoint(f, false, ports)
	p.text(" ")
}

func (p *Printer) endpoint(f *packet.Facts, source, ports bool) {
	a, port := f.Dst, f.DstPort
	if source {
		a, port = f.Src, f.SrcPort
	}
	if !ports {
		p.line = a.AppendTo(p.line)
		return
	}
	if f.Version == 6 {
		p.line = append(p.line, '[')
	}
	p.line = a.AppendTo(p.line)
	if f.Version == 6 {
		p.line = append(p.line, ']')
	}
	p.line = append(p.line, ':')
	p.line = strconv.AppendUint(p.line, uint64(port), 10)
}

// info writes the info column without the ports, which stand beside the
// addresses already.
func (p *Printer) info(f *packet.Facts, a *flow.Analysis) {
	notes := len(a.AppendNotes(p.line))
	p.line = flow.AppendInfo(p.line, p.parser, f, a)
	p.scratch = strconv.AppendUint(p.scratch[:0], uint64(f.SrcPort), 10)
	p.scratch = append(p.scratch, " → "...)
	p.scratch = strconv.AppendUint(p.scratch, uint64(f.DstPort), 10)
	p.scratch = append(p.scratch, ' ')
	if bytes.HasPrefix(p.line[notes:], p.scratch) {
		p.line = append(p.line[:notes], p.line[notes+len(p.scratch):]...)
	}
}

// problems prints what is wrong with a message. What is only worth knowing is
// printed with -v.
func (p *Printer) problems(m *decode.Message) {
	if m == nil {
		return
	}
	for i := range m.Problems {
		if pr := &m.Problems[i]; pr.Severity > decode.Note || p.opt.Verbose {
			p.finding(pr.Severity.String(), string(pr.Code), pr.String())
		}
	}
}

func (p *Printer) finding(severity, code, text string) {
	p.text("      ! ", severity, " ", code, ": ")
	p.line = packet.AppendSafe(p.line, text)
	p.endLine()
}

var noDetail decode.Detail

func detail(ev *decode.Event) *decode.Detail {
	if ev.Detail == nil {
		return &noDetail
	}
	return ev.Detail
}
