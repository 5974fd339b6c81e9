package output

import (
	"fmt"
	"net/netip"
	"strconv"

	"tundump/capture/session"
	"tundump/decode/stats"
)

const rule = "================================================================================\n"

func parseLayer(name string) (stats.Layer, error) {
	l, ok := stats.ParseLayer(name)
	if !ok {
		return 0, fmt.Errorf("%q is no layer; there are ip, ipv6, tcp and udp", name)
	}
	return l, nil
}

// between counts who talks with whom.
type between struct {
	byPackets
	layer stats.Layer
	table *stats.Conversations
}

// statConversations is how many conversations have rows of their own.
const statConversations = 1 << 17

func newBetween(layer string) (b between, err error) {
	b.layer, err = parseLayer(layer)
	b.table = stats.NewConversations(statConversations)
	return b, err
}

func (b *between) packet(r *session.Row, i int) {
	c := &r.Packets[i]
	b.table.Add(&r.Event, &c.Facts, &c.Flow)
}

func (b *between) ports() bool { return b.layer == stats.TCP || b.layer == stats.UDP }

// conv is -z conv,….
type conv struct{ between }

func newConv(layer string) (tap, error) {
	b, err := newBetween(layer)
	return &conv{b}, err
}

func (c *conv) text(p *page) {
	width := 20
	if c.ports() {
		width = 26
	}
	gap := 2*width + 7
	p.WriteString(rule)
	p.printf("%s Conversations\nFilter:%s\n", c.layer, filterName(p.filter))
	p.printf("%*s|       <-      | |       ->      | |     Total     |    Relative    |   Duration   |\n", gap, "")
	p.printf("%*s| Frames  Bytes | | Frames  Bytes | | Frames  Bytes |      Start     |              |\n", gap, "")
	rows, others := c.table.List(c.layer)
	for i := range rows {
		r := &rows[i]
		p.printf("%-*s <-> %-*s  ", width, c.end(r.Addr[0]), width, c.end(r.Addr[1]))
		for _, n := range [...]stats.Count{r.Count[1], r.Count[0], r.Total()} {
			p.printf("%6d %-9s  ", n.N, bytesWord(n.Bytes))
		}
		from, to := float64(r.First-p.span.first)/1e9, float64(r.Last-p.span.first)/1e9
		p.printf("%14.9f%15.4f%s\n", from, to-from, p.which(r.Tunnel)) // rounded as in tshark
	}
	if others.Rows > 0 {
		p.printf("%d others %*s%6d %-9s\n", others.Rows, gap+20, "", others.N, bytesWord(others.Bytes))
	}
	p.WriteString(rule)
}

// which says which tunnel a row is of, if there are several.
func (p *page) which(tunnel uint32) string {
	if !p.many || tunnel == 0 {
		return ""
	}
	return "  T" + strconv.FormatUint(uint64(tunnel), 10)
}

func filterName(f string) string {
	if f == "" {
		return "<No Filter>"
	}
	return safe(f)
}

// end writes an end as tshark does: no brackets around IPv6.
func (b *between) end(a netip.AddrPort) string {
	if b.ports() {
		return a.Addr().String() + ":" + strconv.Itoa(int(a.Port()))
	}
	return a.Addr().String()
}

// bytesWord writes a number of bytes as tshark's conversations have it: in the
// largest unit of which there are at least ten.
func bytesWord(n int64) string {
	units := [...]string{"bytes", "kB", "MB", "GB", "TB"}
	i := 0
	for n >= 10_000 && i < len(units)-1 {
		n /= 1000
		i++
	}
	return strconv.FormatInt(n, 10) + " " + units[i]
}

func (c *conv) json(p *page) {
	rows, others := c.table.List(c.layer)
	for i := range rows {
		r := &rows[i]
		p.object()
		p.tunnel(r.Tunnel)
		if r.Stream >= 0 {
			p.num("stream", r.Stream)
		}
		p.address("a", r.Addr[0], c.ports())
		p.address("b", r.Addr[1], c.ports())
		p.count("a_to_b", r.Count[0])
		p.count("b_to_a", r.Count[1])
		p.float("a_to_b.rate", r.Rate(0))
		p.float("b_to_a.rate", r.Rate(1))
		p.num("icmp_errors", r.Errors)
		p.seconds("start", r.First)
		p.seconds("relative_start", r.First-p.span.first)
		p.seconds("duration", r.Last-r.First)
		p.end()
	}
	p.others(others)
}

func (p *page) others(o stats.Others) {
	if o.Rows > 0 {
		p.object()
		p.num("others", o.Rows)
		p.count("packets", o.Count)
		p.end()
	}
}

// endpoints is -z endpoints,….
type endpoints struct{ between }

func newEndpoints(layer string) (tap, error) {
	b, err := newBetween(layer)
	return &endpoints{b}, err
}

func (e *endpoints) text(p *page) {
	port := ""
	if e.ports() {
		port = "  Port  ||"
	}
	p.WriteString(rule)
	p.printf("%s Endpoints\nFilter:%s\n", e.layer, filterName(p.filter))
	p.printf("                       |%s  Packets  | |  Bytes  | | Tx Packets | | Tx Bytes | | Rx Packets | | Rx Bytes |\n", port)
	rows, others := e.table.Endpoints(e.layer)
	for i := range rows {
		r := &rows[i]
		p.printf("%-20s      ", r.Addr.Addr())
		if e.ports() {
			p.printf("%5d     ", r.Addr.Port())
		}
		p.printf("%6d     %9d     %6d       %9d      %6d       %9d   %s\n", r.Total().N, r.Total().Bytes, r.Sent.N, r.Sent.Bytes, r.Received.N, r.Received.Bytes, p.which(r.Tunnel))
	}
	if others.Rows > 0 {
		p.printf("%d others: %d packets, %d bytes\n", others.Rows, others.N, others.Bytes)
	}
	p.WriteString(rule)
}

func (e *endpoints) json(p *page) {
	rows, others := e.table.Endpoints(e.layer)
	for i := range rows {
		r := &rows[i]
		p.object()
		p.tunnel(r.Tunnel)
		p.str("addr", r.Addr.Addr().String())
		if e.ports() {
			p.num("port", int64(r.Addr.Port()))
		}
		p.count("packets", r.Total())
		p.count("sent", r.Sent)
		p.count("received", r.Received)
		p.end()
	}
	p.others(others)
}
