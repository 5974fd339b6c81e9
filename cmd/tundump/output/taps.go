package output

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"tundump/capture/session"
	"tundump/decode/filter"
	"tundump/decode/stats"
)

// Stats counts a session's rows by taps, as tshark calls what its -z names, and
// prints what they counted in tshark's layout, or as NDJSON.
//
//	s, err := output.NewStats([]string{"conv,tcp", "io,stat,1"}, nil)
//	for each row {
//		s.Row(row)
//	}
//	s.Text(os.Stdout)
//
// It is for one goroutine.
type Stats struct {
	taps    []*listener
	filter  *filter.Filter
	left    selection
	tunnels uint32 // the highest number that was seen
	span    span
	rates   *stats.Rates
}

// span is the time from the first inner packet to the last: that of the
// capture in tshark's eyes.
type span struct {
	first, last int64
	started     bool
}

func (s *span) take(ns int64) {
	if !s.started {
		s.first, s.last, s.started = ns, ns, true
	}
	s.last = max(s.last, ns)
}

// tap is one statistic.
type tap interface {
	event(r *session.Row)         // a row that the filters left, before its packets
	packet(r *session.Row, i int) // and each packet that they left
	text(p *page)
	json(p *page)
}

// listener is a tap with its name and the filter that belongs to it.
type listener struct {
	tap
	name   string
	filter *filter.Filter
	text0  string // the filter, as it was written
	left   selection
}

// page is what taps print to: the first error stays.
type page struct {
	*bufio.Writer
	span   span
	name   string
	filter string
	many   bool // there are several tunnels: rows say which
	line   []byte
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p.Writer, format, args...) }

// NewStats returns the taps of that names; flt, if it is not nil, says what
// they count. The error names what is wrong with a name.
func NewStats(names []string, flt *filter.Filter) (*Stats, error) {
	s := &Stats{filter: flt}
	for _, name := range names {
		l, err := newListener(name)
		if err != nil {
			return nil, fmt.Errorf("-z %s: %w", name, err)
		}
		s.taps = append(s.taps, l)
	}
	return s, nil
}

// Taps lists the names that NewStats knows.
const Taps = "conv,ip|ipv6|tcp|udp[,FILTER] endpoints,ip|ipv6|tcp|udp[,FILTER] io,phs[,FILTER] " +
	"io,stat,INTERVAL[,FILTER|CALC(FIELD)FILTER]... dns,tree[,FILTER] expert[,error|warn|note|chat][,FILTER] tunnel[,FILTER]"

func newListener(name string) (*listener, error) {
	parts := splitTap(name)
	l := &listener{name: name}
	rest := []string(nil)
	var err error
	switch two := strings.Join(parts[:min(2, len(parts))], ","); {
	case parts[0] == "conv" && len(parts) > 1:
		l.tap, err = newConv(parts[1])
		rest = parts[2:]
	case parts[0] == "endpoints" && len(parts) > 1:
		l.tap, err = newEndpoints(parts[1])
		rest = parts[2:]
	case two == "io,phs":
		l.tap, rest = newHierarchy(), parts[2:]
	case two == "io,stat":
		l.tap, err = newIO(parts[2:])
	case two == "dns,tree":
		l.tap, rest = newDNS(), parts[2:]
	case parts[0] == "expert":
		l.tap, rest = newExpert(parts[1:])
	case parts[0] == "tunnel":
		l.tap, rest = newTunnels(), parts[1:]
	default:
		err = errors.New("no such statistic; there are " + Taps)
	}
	if err != nil || len(rest) == 0 {
		return l, err
	}
	l.name = strings.Join(parts[:len(parts)-len(rest)], ",")
	l.text0 = strings.Join(rest, ",")
	l.filter, err = filter.Compile(l.text0)
	return l, err
}

// splitTap splits at commas that are not inside braces, brackets, parentheses
// or quotes: filters have commas of their own.
func splitTap(s string) []string {
	var parts []string
	depth, quote, from := 0, byte(0), 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{' || c == '[' || c == '(':
			depth++
		case c == '}' || c == ']' || c == ')':
			depth--
		case c == ',' && depth <= 0:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}

// AddOverview has an overview counted too: what passed, its rates as a graph,
// who talked most, and each tunnel.
func (s *Stats) AddOverview() {
	s.taps = append(s.taps, &listener{name: "overview", tap: newOverview()})
}

// AddRates has the rates counted that a graph is drawn from.
func (s *Stats) AddRates() {
	r := &rates{}
	s.rates = &r.table
	s.taps = append(s.taps, &listener{name: "rates", tap: r})
}

// Rates returns what AddRates had counted.
func (s *Stats) Rates() stats.Series { return s.rates.Whole() }

// rates prints nothing: a graph is drawn from it.
type rates struct{ table stats.Rates }

func (s *rates) event(r *session.Row) {
	if r.Event.Kind.Counts() {
		s.table.Event(&r.Event)
	}
}

func (s *rates) packet(r *session.Row, i int) { s.table.Packet(&r.Event, r.Packets[i].Facts.Len) }

func (*rates) text(*page) {}
func (*rates) json(*page) {}

// Count counts the rows of a pass until the capture is complete.
func (s *Stats) Count(ctx context.Context, pass *session.Session) error {
	for {
		row, err := pass.Next(ctx)
		switch err {
		case nil:
			s.Row(row)
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// Row counts a row.
func (s *Stats) Row(r *session.Row) {
	s.tunnels = max(s.tunnels, r.Event.Tunnel)
	if len(r.Packets) > 0 {
		s.span.take(r.Event.Time)
		for _, l := range s.taps {
			if io, ok := l.tap.(*ioStat); ok {
				io.seen(r.Event.Time)
			}
		}
	}
	s.left.take(r, s.filter)
	if !s.left.event {
		return
	}
	for _, l := range s.taps {
		l.row(r, &s.left)
	}
}

// row gives the tap what both filters left.
func (l *listener) row(r *session.Row, left *selection) {
	if l.left.take(r, l.filter); !l.left.event {
		return
	}
	l.event(r)
	for i := range r.Packets {
		if left.packet(i) && l.left.packet(i) {
			l.packet(r, i)
		}
	}
}

// Text prints the tables.
func (s *Stats) Text(w io.Writer) error { return s.print(w, tap.text) }

// JSON prints an object a line for each row of each table; "tap" says which
// table it is of.
func (s *Stats) JSON(w io.Writer) error { return s.print(w, tap.json) }

func (s *Stats) print(w io.Writer, how func(tap, *page)) error {
	p := &page{Writer: bufio.NewWriterSize(w, 64<<10), span: s.span, many: s.tunnels > 1}
	for _, l := range s.taps {
		p.name, p.filter = l.name, l.text0
		how(l.tap, p)
	}
	return p.Flush()
}

// byPackets is a tap that counts packets and nothing else.
type byPackets struct{}

func (byPackets) event(*session.Row) {}
