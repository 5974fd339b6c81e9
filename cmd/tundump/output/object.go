package output

import (
	"net/netip"
	"strconv"

	"tundump/decode/field"
	"tundump/decode/packet"
	"tundump/decode/stats"
)

// object begins an object of the tap that prints.
func (p *page) object() {
	p.line = append(p.line[:0], `{"type":"statistics"`...)
	p.str("tap", p.name)
	if p.filter != "" {
		p.str("filter", p.filter)
	}
}

// end writes the object.
func (p *page) end() {
	p.line = append(p.line, '}', '\n')
	p.Write(p.line) // the error stays until Flush
}

func (p *page) key(name string) {
	if c := p.line[len(p.line)-1]; c != '{' && c != '[' {
		p.line = append(p.line, ',')
	}
	p.line = append(p.line, '"')
	p.line = append(p.line, name...)
	p.line = append(p.line, `":`...)
}

func (p *page) str(name, value string) {
	p.key(name)
	p.line = field.AppendJSONString(p.line, value)
}

func (p *page) num(name string, value int64) {
	p.key(name)
	p.line = strconv.AppendInt(p.line, value, 10)
}

func (p *page) float(name string, value float64) {
	p.key(name)
	p.line = strconv.AppendFloat(p.line, value, 'f', -1, 64)
}

// seconds writes nanoseconds as seconds.
func (p *page) seconds(name string, ns int64) {
	p.key(name)
	p.line = field.AppendEpoch(p.line, ns)
}

// known writes a time if there is one.
func (p *page) known(name string, ns int64) {
	if ns != 0 {
		p.seconds(name, ns)
	}
}

func (p *page) open(name string) {
	p.key(name)
	p.line = append(p.line, '{')
}

func (p *page) shut() { p.line = append(p.line, '}') }

func (p *page) count(name string, c stats.Count) {
	p.num(name, c.N)
	p.num(name+".bytes", c.Bytes)
}

func (p *page) timing(name string, t *stats.Timing) {
	if t.N == 0 {
		return
	}
	p.open(name)
	p.num("count", t.N)
	p.seconds("min", t.Min)
	p.seconds("mean", t.Mean())
	p.seconds("max", t.Max)
	p.shut()
}

func (p *page) address(prefix string, a netip.AddrPort, ports bool) {
	p.str(prefix+".addr", a.Addr().String())
	if ports {
		p.num(prefix+".port", int64(a.Port()))
	}
}

func (p *page) tunnel(n uint32) {
	if n != 0 {
		p.num("tunnel.stream", int64(n))
	}
}

func appendJSON(dst []byte, s string) []byte { return field.AppendJSONString(dst, s) }

// endpoint writes an address and port, "?" if it is not known.
func endpoint(a netip.AddrPort) string {
	if !a.IsValid() {
		return "?"
	}
	return a.String()
}

// safe makes text from the network fit for a terminal.
func safe(s string) string { return string(packet.AppendSafe(nil, s)) }
