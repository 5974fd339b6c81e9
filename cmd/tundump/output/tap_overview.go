package output

import (
	"fmt"
	"time"

	"tundump/capture/session"
	"tundump/decode"
	"tundump/decode/stats"
)

// overviewTalkers is how many conversations an overview has.
const overviewTalkers = 10

// overview is what is printed where no tap is named.
type overview struct{ all *stats.Collector }

func newOverview() *overview { return &overview{stats.New(stats.Options{})} }

func (o *overview) event(r *session.Row) { o.all.Event(&r.Event, r.Message) }

func (o *overview) packet(r *session.Row, i int) {
	c := &r.Packets[i]
	o.all.Packet(&r.Event, &c.Facts, &c.Flow)
}

func (o *overview) text(p *page) {
	s := o.all.Snapshot(overviewTalkers)
	first, last := time.Unix(0, s.First), time.Unix(0, s.Last)
	p.printf("%s to %s, %s\n", first.Format(time.DateTime+".000"), last.Format(time.DateTime+".000"), span64(s.Last-s.First))
	p.printf("    %-28s %22s   %22s\n", "", "up", "down")
	p.both("messages", s.Messages)
	p.both("packets in them", s.Packets)
	p.both("data in them", s.Data)
	p.pair("framing", func(d decode.Direction) string {
		n, percent := s.Overhead(d)
		return fmt.Sprintf("%s  +%.1f %%", size(n), percent)
	})
	p.pair("throughput", func(d decode.Direction) string { return rate(s.Messages[d].Bytes, s.Last-s.First) })
	p.perMessage(s.PerMessage)
	if g := Graph(&s.Whole, GraphOptions{}); g != "" {
		p.printf("\n%s\n", g)
	}
	if len(s.Talkers) > 0 {
		p.printf("\n    %-8s %-26s     %-26s %8s %10s   %8s %10s\n", "", "who talks most", "", "->", "", "<-", "")
	}
	for i := range s.Talkers {
		t := &s.Talkers[i]
		p.printf("    %-8s %-26s <-> %-26s %8d %10s   %8d %10s%s\n", t.Layer, t.Addr[0], t.Addr[1], t.Count[0].N, size(t.Count[0].Bytes), t.Count[1].N, size(t.Count[1].Bytes), p.which(t.Tunnel))
	}
	for _, t := range s.Tunnels[:min(len(s.Tunnels), overviewTunnels)] {
		p.tunnelText(t)
	}
	if more := len(s.Tunnels) - overviewTunnels; more > 0 {
		p.printf("\n%d more tunnels: -z tunnel prints all\n", more)
	}
	p.losses(s.Losses)
}

// overviewTunnels is how many tunnels an overview has.
const overviewTunnels = 20

func (p *page) losses(l stats.Losses) {
	if l.Conversations > 0 {
		p.printf("%d small conversations were folded into sums to keep memory bounded\n", l.Conversations)
	}
	if l.Tunnels > 0 {
		p.printf("%d tunnels were forgotten to keep memory bounded\n", l.Tunnels)
	}
}

func (o *overview) json(p *page) {
	s := o.all.Snapshot(overviewTalkers)
	p.object()
	p.seconds("first", s.First)
	p.seconds("last", s.Last)
	p.num("tunnels", int64(len(s.Tunnels)))
	for d, name := range [...]string{"c2s", "s2c"} {
		p.open(name)
		p.count("messages", s.Messages[d])
		p.count("packets", s.Packets[d])
		p.count("data", s.Data[d])
		bytes, percent := s.Overhead(decode.Direction(d))
		p.num("overhead", bytes)
		p.float("overhead.percent", percent)
		p.shut()
	}
	p.num("conversations_folded", s.Losses.Conversations)
	p.num("tunnels_forgotten", s.Losses.Tunnels)
	p.end()
	for _, t := range s.Tunnels {
		p.tunnelJSON(t)
	}
}
