package output

import (
	"tundump/capture/session"
	"tundump/decode/stats"
)

// hierarchy is -z io,phs.
type hierarchy struct {
	byPackets
	table *stats.Hierarchy
}

func newHierarchy() tap { return &hierarchy{table: stats.NewHierarchy()} }

func (h *hierarchy) packet(r *session.Row, i int) {
	c := &r.Packets[i]
	h.table.Add(&c.Facts, &c.Flow)
}

const phsRule = "===================================================================\n"

func (h *hierarchy) text(p *page) {
	p.printf("\n%sProtocol Hierarchy Statistics\nFilter: %s\n\n", phsRule, safe(p.filter))
	for _, l := range h.table.List() {
		p.printf("%*s%-*s frames:%d bytes:%d\n", 2*l.Depth, "", 40-2*l.Depth, l.Name, l.N, l.Bytes)
	}
	if o := h.table.Others(); o.N > 0 {
		p.printf("%-40s frames:%d bytes:%d\n", "(others)", o.N, o.Bytes)
	}
	p.WriteString(phsRule)
}

func (h *hierarchy) json(p *page) {
	var path []string
	for _, l := range h.table.List() {
		path = append(path[:l.Depth], l.Name)
		p.object()
		whole := ""
		for i, name := range path {
			if i > 0 {
				whole += ":"
			}
			whole += name
		}
		p.str("frame.protocols", whole)
		p.str("protocol", l.Name)
		p.num("depth", int64(l.Depth))
		p.count("packets", l.Count)
		p.end()
	}
	if o := h.table.Others(); o.N > 0 {
		p.object()
		p.num("others", o.N)
		p.count("packets", o)
		p.end()
	}
}
