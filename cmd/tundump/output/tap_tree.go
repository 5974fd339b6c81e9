package output

import (
	"strconv"
	"strings"

	"tundump/capture/session"
	"tundump/decode/stats"
)

// dnsTree is -z dns,tree.
type dnsTree struct {
	byPackets
	table *stats.DNS
}

func newDNS() tap { return &dnsTree{table: stats.NewDNS()} }

func (d *dnsTree) packet(r *session.Row, i int) {
	c := &r.Packets[i]
	d.table.Add(&r.Event, &c.Facts, &c.Flow)
}

// treeColumn is the width of a column of a tree, but for the first.
const treeColumn = 14

func (d *dnsTree) text(p *page) {
	roots := d.table.List()
	width := 0
	var measure func(b *stats.Branch, depth int)
	measure = func(b *stats.Branch, depth int) {
		width = max(width, len(b.Name)+depth+2)
		for _, c := range b.Below {
			measure(c, depth+1)
		}
	}
	for _, b := range roots {
		measure(b, 0)
	}
	headings := []string{"Count", "Average", "Min Val", "Max Val", "Rate (ms)", "Percent", "Burst Rate", "Burst Start"}
	whole := width + len(headings)*treeColumn
	p.printf("\n%s\nDNS:\n%-*s", strings.Repeat("=", whole-1), width, "Topic / Item")
	for _, h := range headings {
		p.printf("%-*s", treeColumn, h)
	}
	p.printf("\n%s\n", strings.Repeat("-", whole-1))
	for _, b := range roots {
		d.branch(p, b, nil, 0, width)
	}
	p.printf("\n%s\n", strings.Repeat("-", whole-1))
}

// branch prints a line and those below it.
func (d *dnsTree) branch(p *page, b, above *stats.Branch, depth, width int) {
	p.printf("%*s%-*s", depth, "", width-depth, b.Name)
	p.printf("%-*d", treeColumn, b.N)
	for _, v := range d.values(p, b, above) {
		p.printf("%-*s", treeColumn, v)
	}
	p.WriteByte('\n')
	for _, c := range b.Below {
		d.branch(p, c, b, depth+1, width)
	}
}

// values are the columns behind the count.
func (d *dnsTree) values(p *page, b, above *stats.Branch) []string {
	v := []string{"", "", "", d.rate(b), "", "-", "-"}
	if b.Averages {
		v[0] = strconv.FormatFloat(float64(b.Sum)/float64(b.N)/float64(b.Scale), 'f', 2, 64)
		v[1], v[2] = scaled(b.Min, b.Scale), scaled(b.Max, b.Scale)
	}
	switch {
	case above == nil:
		v[4] = "100%"
	case above.N > 0:
		v[4] = strconv.FormatFloat(100*float64(b.N)/float64(above.N), 'f', 2, 64) + "%"
	}
	if b.N > 0 {
		v[5] = strconv.FormatFloat(float64(b.Burst)/100, 'f', 4, 64) // in 100 ms
		v[6] = strconv.FormatFloat(float64(b.BurstAt-p.span.first)/1e9, 'f', 3, 64)
	}
	return v
}

// rate is how many there were in each millisecond between the first message
// and the last.
func (d *dnsTree) rate(b *stats.Branch) string {
	first, last := d.table.Span()
	if last == first {
		return strconv.FormatFloat(0, 'f', 4, 64)
	}
	return strconv.FormatFloat(float64(b.N)/(float64(last-first)/1e6), 'f', 4, 64)
}

func scaled(v, scale int64) string {
	if scale == 1 {
		return strconv.FormatInt(v, 10)
	}
	return strconv.FormatFloat(float64(v)/float64(scale), 'f', 6, 64)
}

func (d *dnsTree) json(p *page) {
	var print func(b *stats.Branch, path string)
	print = func(b *stats.Branch, path string) {
		path += b.Name
		p.object()
		p.str("item", path)
		p.num("count", b.N)
		if b.Averages {
			p.float("average", float64(b.Sum)/float64(b.N)/float64(b.Scale))
			p.float("min", float64(b.Min)/float64(b.Scale))
			p.float("max", float64(b.Max)/float64(b.Scale))
		}
		if b.N > 0 {
			p.num("burst", b.Burst)
			p.seconds("burst_start", b.BurstAt)
		}
		p.end()
		for _, c := range b.Below {
			print(c, path+" / ")
		}
	}
	for _, b := range d.table.List() {
		print(b, "")
	}
}

// expert is -z expert.
type expert struct {
	table *stats.Expert
	least stats.Severity
}

// newExpert reads the severity, which may be left out, and returns what
// follows.
func newExpert(args []string) (tap, []string) {
	x := &expert{table: stats.NewExpert()}
	if len(args) > 0 {
		for i, name := range [...]string{"chat", "note", "warn", "error"} {
			if args[0] == name {
				x.least, args = stats.Severity(i), args[1:]
				break
			}
		}
	}
	return x, args
}

func (x *expert) event(r *session.Row) { x.table.Event(&r.Event, r.Message) }

func (x *expert) packet(r *session.Row, i int) {
	c := &r.Packets[i]
	x.table.Packet(&c.Facts, &c.Flow)
}

func (x *expert) text(p *page) {
	list := x.table.List()
	for i := 0; i < len(list) && list[i].Severity >= x.least; {
		n, total := i, int64(0)
		for n < len(list) && list[n].Severity == list[i].Severity {
			total += list[n].N
			n++
		}
		p.printf("\n%s (%d)\n=============\n   Frequency      Group           Protocol  Summary\n", list[i].Severity, total)
		for _, r := range list[i:n] {
			p.printf("%12d %10s %18s  %s\n", r.N, r.Group, r.Protocol, safe(r.Summary))
		}
		i = n
	}
}

func (x *expert) json(p *page) {
	for _, r := range x.table.List() {
		if r.Severity < x.least {
			break
		}
		p.object()
		p.str("severity", strings.ToLower(strings.TrimSuffix(r.Severity.String(), "s")))
		p.str("group", r.Group)
		p.str("protocol", r.Protocol)
		p.str("summary", r.Summary)
		p.num("count", r.N)
		p.end()
	}
}
