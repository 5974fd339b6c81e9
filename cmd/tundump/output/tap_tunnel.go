package output

import (
	"fmt"
	"strings"
	"time"

	"tundump/capture/session"
	"tundump/decode"
	"tundump/decode/stats"
)

// linkMTU is the usual MTU of the link under a tunnel.
const linkMTU = 1500

// tunnels is -z tunnel.
type tunnels struct{ table *stats.Tunnels }

func newTunnels() tap { return &tunnels{stats.NewTunnels(1 << 16)} }

func (t *tunnels) event(r *session.Row) { t.table.Event(&r.Event, r.Message) }

func (t *tunnels) packet(r *session.Row, i int) {
	c := &r.Packets[i]
	t.table.Packet(&r.Event, &c.Facts, &c.Flow)
}

func (t *tunnels) text(p *page) {
	list := t.table.List()
	p.printf("\n%sTunnels: %d\n", rule, len(list))
	for _, tun := range list {
		p.tunnelText(tun)
	}
	if n := t.table.Forgotten(); n > 0 {
		p.printf("\n%d more, forgotten to keep memory bounded\n", n)
	}
	p.WriteString(rule)
}

// tunnelText prints all about one tunnel.
func (p *page) tunnelText(t *stats.Tunnel) {
	p.printf("\nT%d  %s > %s", t.Number, endpoint(t.Client), endpoint(t.Listener))
	if t.Upstream != "" {
		p.printf(" > %s", safe(t.Upstream))
	}
	p.printf("    %s\n", span64(t.Duration()))
	p.steps(t)
	p.configuration(t)
	p.printf("\n    %-28s %22s   %22s\n", "", "up", "down")
	p.both("all messages", t.Messages)
	for c := range t.Commands[0] {
		name := decode.Command(c).String()
		if name == "" {
			name = "no command that is known"
		}
		p.both("  "+name, [2]stats.Count{t.Commands[0][c], t.Commands[1][c]})
	}
	p.both("no records", t.Unframed)
	p.both("missing", t.Gaps)
	p.both("packets in them", t.Packets)
	p.both("data in them", t.Data)
	p.pair("framing", func(d decode.Direction) string {
		n, percent := t.Overhead(d)
		return fmt.Sprintf("%s  +%.1f %%", size(n), percent)
	})
	p.pair("packets in a message", func(d decode.Direction) string { return mean(t.Packets[d].N, t.PerMessage[d].Total()) })
	p.pair("throughput", func(d decode.Direction) string { return rate(t.Messages[d].Bytes, t.Duration()) })
	p.perMessage(t.PerMessage)
	p.times(t)
}

// steps prints what happened when, from the beginning on.
func (p *page) steps(t *stats.Tunnel) {
	var from int64
	if t.Midstream {
		p.printf("    it was open before the capture began\n")
	}
	for i, s := range t.Steps() {
		if i == 0 {
			from = s.Time
		}
		who := s.From.String()
		if s.To != decode.Nobody {
			who += " > " + s.To.String()
		}
		p.printf("    %14s  %-16s  %s\n", span64(s.Time-from), who, safe(s.Text))
	}
}

func (p *page) configuration(t *stats.Tunnel) {
	c := t.Configuration
	if c == nil {
		return
	}
	if c.Address != "" {
		p.printf("    address %s netmask %s\n", safe(c.Address), safe(c.Netmask))
	}
	p.printf("    what the phone does: %s\n", safe(strings.Join(c.Words(linkMTU), "; ")))
}

// both prints a count of each direction, if there is any.
func (p *page) both(name string, c [2]stats.Count) {
	if c[0].N == 0 && c[1].N == 0 {
		return
	}
	p.pair(name, func(d decode.Direction) string { return fmt.Sprintf("%d  %s", c[d].N, size(c[d].Bytes)) })
}

func (p *page) pair(name string, value func(decode.Direction) string) {
	p.printf("    %-28s %22s   %22s\n", name, value(decode.ClientToServer), value(decode.ServerToClient))
}

// perMessage prints how many messages have how many packets.
func (p *page) perMessage(h [2]stats.Histogram) {
	for d := range h {
		total := h[d].Total()
		if total == 0 {
			continue
		}
		p.printf("    %-28s", "of messages "+[...]string{"up", "down"}[d])
		for i, n := range h[d] {
			if n > 0 {
				p.printf("  %s: %.0f %%", h[d].Class(i), 100*float64(n)/float64(total))
			}
		}
		p.WriteByte('\n')
	}
}

// times prints what was measured.
func (p *page) times(t *stats.Tunnel) {
	if t.Suspends > 0 {
		more := ""
		if t.Waiting {
			more = ", and waits still"
		}
		p.printf("    suspended %s in %d spans (%.1f %%)%s\n", span64(t.Suspended), t.Suspends, 100*float64(t.Suspended)/float64(max(t.Duration(), 1)), more)
	}
	p.timingText("open to openResult", &t.Answers)
	p.timingText("round trip, server side", &t.RTT[decode.ClientToServer])
	p.timingText("round trip, client side", &t.RTT[decode.ServerToClient])
	p.timingText("inner TCP, server's side", &t.ACKs[decode.ServerToClient])
	p.timingText("inner TCP, client's side", &t.ACKs[decode.ClientToServer])
	p.timingText("inner DNS", &t.DNS)
	p.timingText("inner ping", &t.Echo)
	p.timingText("writes blocked, up", &t.Blocked[decode.ClientToServer])
	p.timingText("writes blocked, down", &t.Blocked[decode.ServerToClient])
	if n := t.Retrans[0] + t.Retrans[1]; n > 0 {
		p.printf("    sent again                   %d to the server, %d to the client\n", t.Retrans[decode.ClientToServer], t.Retrans[decode.ServerToClient])
	}
	if n := t.Problems; n != [3]int64{} {
		p.printf("    problems                     %d errors, %d warnings, %d notes\n", n[decode.Error], n[decode.Warning], n[decode.Note])
	}
}

func (p *page) timingText(name string, t *stats.Timing) {
	if t.N > 0 {
		p.printf("    %-28s %s on average, %s to %s, %d times\n", name, span64(t.Mean()), span64(t.Min), span64(t.Max), t.N)
	}
}

func (t *tunnels) json(p *page) {
	for _, tun := range t.table.List() {
		p.tunnelJSON(tun)
	}
	if n := t.table.Forgotten(); n > 0 {
		p.object()
		p.num("others", n)
		p.end()
	}
}

func (p *page) tunnelJSON(t *stats.Tunnel) {
	p.object()
	p.tunnel(t.Number)
	p.str("tunnel.client", endpoint(t.Client))
	p.str("tunnel.listener", endpoint(t.Listener))
	p.str("tunnel.upstream", t.Upstream)
	p.key("midstream")
	p.line = fmt.Append(p.line, t.Midstream)
	for _, at := range [...]struct {
		name string
		ns   int64
	}{
		{"accepted", t.Accepted}, {"connected", t.Connected}, {"refused", t.Refused}, {"open", t.Open}, {"result", t.Result},
		{"first_up", t.FirstPacket[0]}, {"first_down", t.FirstPacket[1]}, {"fin_up", t.HalfClosed[0]}, {"fin_down", t.HalfClosed[1]},
		{"reset", t.Reset}, {"closed", t.Closed}, {"last", t.Last},
	} {
		p.known(at.name, at.ns)
	}
	p.seconds("duration", t.Duration())
	if t.By != decode.Nobody {
		p.str("tunnel.by", t.By.String())
	}
	if t.Reason != "" {
		p.str("tunnel.reason", t.Reason)
	}
	if t.Open != 0 {
		p.str("kind", t.Kind.String())
		p.num("tunnel.identifier", t.Identifier)
	}
	if t.ResultCode >= 0 {
		p.num("tunnel.result_code", t.ResultCode)
	}
	p.configurationJSON(t.Configuration)
	for d, name := range [...]string{"c2s", "s2c"} {
		p.open(name)
		p.directionJSON(t, decode.Direction(d))
		p.shut()
	}
	p.num("suspends", t.Suspends)
	p.seconds("suspended", t.Suspended)
	p.timing("answers", &t.Answers)
	p.timing("dns", &t.DNS)
	p.timing("ping", &t.Echo)
	p.open("problems")
	for i, n := range t.Problems {
		p.num(decode.Severity(i).String(), n)
	}
	p.shut()
	p.end()
}

func (p *page) configurationJSON(c *stats.Configuration) {
	if c == nil {
		return
	}
	p.str("address", c.Address)
	p.str("netmask", c.Netmask)
	p.key("means")
	p.line = append(p.line, '[')
	for i, w := range c.Words(linkMTU) {
		if i > 0 {
			p.line = append(p.line, ',')
		}
		p.line = appendJSON(p.line, w)
	}
	p.line = append(p.line, ']')
}

func (p *page) directionJSON(t *stats.Tunnel, d decode.Direction) {
	p.count("messages", t.Messages[d])
	p.open("commands")
	for c, n := range t.Commands[d] {
		if name := decode.Command(c).String(); name != "" && n.N > 0 {
			p.count(name, n)
		} else if n.N > 0 {
			p.count("unknown", n)
		}
	}
	p.shut()
	p.count("packets", t.Packets[d])
	p.count("data", t.Data[d])
	p.count("unframed", t.Unframed[d])
	p.count("gaps", t.Gaps[d])
	bytes, percent := t.Overhead(d)
	p.num("overhead", bytes)
	p.float("overhead.percent", percent)
	p.open("packets_per_message")
	for i, n := range t.PerMessage[d] {
		if n > 0 {
			p.num(t.PerMessage[d].Class(i), n)
		}
	}
	p.shut()
	p.timing("tcp_rtt", &t.RTT[d])
	p.timing("blocked", &t.Blocked[d])
	p.timing("inner_ack_rtt", &t.ACKs[d])
	p.num("retransmissions", int64(t.Retrans[d]))
}

// span64 writes nanoseconds for people, with three or four digits that count.
func span64(ns int64) string {
	d := time.Duration(ns)
	switch a := d.Abs(); {
	case a == 0:
		return "0 ms"
	case a < time.Millisecond:
		return fmt.Sprintf("%.3f ms", d.Seconds()*1e3)
	case a < time.Second:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	case a < time.Minute:
		return fmt.Sprintf("%.3f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// rate writes bytes over nanoseconds.
func rate(bytes, ns int64) string {
	if ns <= 0 {
		return "-"
	}
	return size(int64(float64(bytes)/(float64(ns)/1e9))) + "/s"
}

func mean(n, of int64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(n)/float64(of))
}

func size(n int64) string { return string(decode.AppendSize(nil, n)) }
