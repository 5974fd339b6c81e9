package tui

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tundump/tui/paint"
	"tundump/tui/pane"
)

// statsTab is the numbers of the capture.
type statsTab struct {
	tab
	text  *pane.Text
	stats *Stats
	width int
}

func newStatsTab() *statsTab { return &statsTab{text: pane.NewText()} }

func (t *statsTab) set(s *Stats) {
	t.stats = s
	t.lay()
}

// lay writes the panels under one another.
func (t *statsTab) lay() {
	s := t.stats
	if s == nil {
		return
	}
	w := max(t.width, 60)
	var out [][]pane.Piece
	title := func(text string) { out = append(out, styled(paint.Accent, " "+text)) }
	title("Rate over time" + s.span(w-24))
	out = append(out, s.graph(w)...)
	out = append(out, plain(""))
	title("Top talkers")
	out = append(out, s.talkers(w)...)
	out = append(out, plain(""))
	title("Protocols")
	out = append(out, s.protocols(w)...)
	out = append(out, plain(""))
	title("Packets per message")
	out = append(out, bars(s.PerMessage, w)...)
	out = append(out, plain(""))
	title("Overhead")
	if s.StreamBytes > 0 {
		out = append(out, fact("on the tunnels", size(s.StreamBytes)), fact("of it payload", fmt.Sprintf("%s (%.1f %%)", size(s.PayloadBytes), float64(s.PayloadBytes)*100/float64(s.StreamBytes))))
	}
	for _, l := range s.Lines {
		out = append(out, fact(l.Label, l.Value))
	}
	t.text.Lines = out
}

func fact(label, value string) []pane.Piece {
	return styled(paint.Dim, fmt.Sprintf("   %-24s", label), paint.Plain, value)
}

func (s *Stats) span(width int) string {
	n := max(len(s.BytesSeries[0]), len(s.BytesSeries[1]))
	if n == 0 || s.Step <= 0 {
		return ""
	}
	return fmt.Sprintf(": %s in all, %s a column", short(time.Duration(int64(n)*s.Step)), short(time.Duration(s.perColumn(width))))
}

// graphHeight is the lines of each direction's graph.
const graphHeight = 4

// graph draws both directions, up above and down below: bytes on the tunnels,
// or packets where there is no tunnel.
func (s *Stats) graph(w int) [][]pane.Piece {
	width := w - 24
	series, rate := s.BytesSeries, perSecond
	if s.StreamBytes == 0 {
		series, rate = s.PacketsSeries, packetsPerSecond
	}
	var out [][]pane.Piece
	for d, name := range []string{"up", "down"} {
		values := squeeze(series[d], width)
		top := int64(1)
		for _, v := range values {
			top = max(top, v)
		}
		style := []paint.Style{paint.Up, paint.Down}[d]
		per := s.perColumn(width)
		for row := graphHeight - 1; row >= 0; row-- {
			label := ""
			switch row {
			case graphHeight - 1:
				label = rate(top, per)
			case 0:
				label = name
			}
			out = append(out, styled(paint.Dim, fmt.Sprintf("   %12s ", label), style, column8(values, top, row)))
		}
		total := int64(0)
		for _, v := range s.PacketsSeries[d] {
			total += v
		}
		last := int64(0)
		if len(values) > 0 {
			last = values[len(values)-1]
		}
		out = append(out, styled(paint.Dim, fmt.Sprintf("   %12s last %s, %s in all", "", rate(last, per), count(total, "packet"))))
	}
	return out
}

// perColumn is how long one column of the graph is, in nanoseconds.
func (s *Stats) perColumn(width int) int64 {
	n := max(len(s.BytesSeries[0]), len(s.BytesSeries[1]))
	return s.Step * int64(max((n+width-1)/max(width, 1), 1))
}

func perSecond(v, ns int64) string {
	if ns <= 0 {
		return ""
	}
	return size(int64(float64(v)*1e9/float64(ns))) + "/s"
}

func packetsPerSecond(v, ns int64) string {
	if ns <= 0 {
		return ""
	}
	return thousands(int64(float64(v)*1e9/float64(ns)+0.5)) + " pkt/s"
}

// squeeze adds up neighbours until there are at most w values.
func squeeze(v []int64, w int) []int64 {
	if w <= 0 || len(v) <= w {
		return v
	}
	n := (len(v) + w - 1) / w
	out := make([]int64, 0, w)
	for i := 0; i < len(v); i += n {
		sum := int64(0)
		for _, x := range v[i:min(i+n, len(v))] {
			sum += x
		}
		out = append(out, sum)
	}
	return out
}

// column8 draws one line of a graph of bars, in eighths.
func column8(values []int64, top int64, row int) string {
	const bars = " ▁▂▃▄▅▆▇█"
	r := []rune(bars)
	var b strings.Builder
	for _, v := range values {
		n := int(float64(v)/float64(top)*graphHeight*8+0.5) - row*8
		if v > 0 && row == 0 {
			n = max(n, 1)
		}
		b.WriteRune(r[min(max(n, 0), 8)])
	}
	return b.String()
}

func (s *Stats) talkers(w int) [][]pane.Piece {
	var out [][]pane.Piece
	if len(s.Talkers) == 0 {
		return [][]pane.Piece{styled(paint.Dim, "   none yet")}
	}
	list := byAddress(s.Talkers)
	top := max(list[0].Bytes[0]+list[0].Bytes[1], 1)
	out = append(out, styled(paint.Dim, fmt.Sprintf("   %-24s %-28s %10s %10s", "address", "name", "sent", "received")))
	for i := range list {
		if i == 20 {
			break
		}
		t := &list[i]
		out = append(out, styled(paint.Plain, "   "+pad(t.Addr.String(), 24)+" "+pad(t.Name, 28)+fmt.Sprintf(" %10s %10s  ", size(t.Bytes[0]), size(t.Bytes[1])),
			paint.Accent, paint.HBar(t.Bytes[0]+t.Bytes[1], top, max(min(w-84, 40), 0))))
	}
	return out
}

// byAddress adds up an address's talkers of several tunnels, and orders them by
// bytes.
func byAddress(list []Talker) []Talker {
	var out []Talker
	at := map[netip.Addr]int{}
	for _, t := range list {
		i, ok := at[t.Addr]
		if !ok {
			at[t.Addr] = len(out)
			out = append(out, t)
			continue
		}
		for d := range 2 {
			out[i].Packets[d] += t.Packets[d]
			out[i].Bytes[d] += t.Bytes[d]
		}
		if out[i].Name == "" {
			out[i].Name = t.Name
		}
	}
	slices.SortStableFunc(out, func(a, b Talker) int { return cmp.Compare(b.Bytes[0]+b.Bytes[1], a.Bytes[0]+a.Bytes[1]) })
	return out
}

// pad makes safe text exactly w columns wide.
func pad(s string, w int) string {
	s = paint.Cut(s, w)
	return s + strings.Repeat(" ", max(w-paint.Width(s), 0))
}

func (s *Stats) protocols(w int) [][]pane.Piece {
	var out [][]pane.Piece
	all := int64(1)
	for _, p := range s.Hierarchy {
		if p.Depth == 0 {
			all += p.Bytes
		}
	}
	for i := range s.Hierarchy {
		if i == 60 {
			break
		}
		p := &s.Hierarchy[i]
		out = append(out, styled(paint.Plain, "   "+pad(strings.Repeat("  ", min(p.Depth, 8))+p.Name, 24)+fmt.Sprintf(" %12s packets %10s  ", thousands(p.Packets), size(p.Bytes)),
			paint.Accent, paint.HBar(p.Bytes, all, max(min(w-66, 40), 0))))
	}
	if out == nil {
		return [][]pane.Piece{styled(paint.Dim, "   none yet")}
	}
	return out
}

func bars(list []Bar, w int) [][]pane.Piece {
	var out [][]pane.Piece
	all := int64(0)
	for _, b := range list {
		all += b.Count
	}
	for _, b := range list {
		if b.Count == 0 {
			continue
		}
		out = append(out, styled(paint.Dim, fmt.Sprintf("   %8s ", b.Label), paint.Accent, pad(paint.HBar(b.Count, all, max(min(w-40, 50), 1)), max(min(w-40, 50), 1)),
			paint.Plain, fmt.Sprintf(" %s  %.0f %%", thousands(b.Count), float64(b.Count)*100/float64(all))))
	}
	if out == nil {
		return [][]pane.Piece{styled(paint.Dim, "   none yet")}
	}
	return out
}
