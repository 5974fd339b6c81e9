package tui

import (
	"fmt"
	"strings"
	"time"

	"tundump/decode"
	"tundump/tui/paint"
	"tundump/tui/pane"
)

// tunnelsTab is the tunnels, and the life of the one at the cursor.
type tunnelsTab struct {
	tab
	table   *pane.Table
	text    *pane.Text
	tunnels []Tunnel
	keys    map[int64]int
	last    int64
	inText  bool // the ladder has the keys
	width   int  // that the text was laid for
	of      int64
}

func newTunnelsTab() *tunnelsTab {
	return &tunnelsTab{text: pane.NewText(), table: pane.NewTable([]pane.Column{
		{Title: "T", Width: 5, Min: 4, Right: true},
		{Title: "Client", Width: 22, Min: 14, Ends: true},
		{Title: "Listener", Width: 22, Min: 15, Drop: 3, Ends: true},
		{Title: "Upstream", Width: 22, Flex: true},
		{Title: "State", Width: 17, Min: 8},
		{Title: "Lived", Width: 8, Min: 7, Right: true},
		{Title: "Messages", Width: 9, Right: true, Drop: 2},
		{Title: "▲ bytes", Width: 10, Min: 9, Right: true},
		{Title: "▼ bytes", Width: 10, Min: 9, Right: true},
		{Title: "Problems", Width: 8, Right: true, Drop: 1},
	}, "no tunnels yet")}
}

func (t *tunnelsTab) set(tunnels []Tunnel, last int64) {
	t.tunnels, t.last = tunnels, last
	t.lay()
}

func (t *tunnelsTab) narrow(part string) { t.part = part; t.lay() }

func (t *tunnelsTab) lay() {
	t.keys = make(map[int64]int, len(t.tunnels))
	entries := make([]pane.Entry, 0, len(t.tunnels))
	for i := range t.tunnels {
		n := &t.tunnels[i]
		e := pane.Entry{Key: int64(n.Number), Text: n.cells(t.last), Bad: n.Problems[decode.Error] > 0 || n.Refused || n.Reset}
		if e.Bad {
			e.Style = paint.RowError
		}
		if t.has(e.Text) {
			t.keys[e.Key] = i
			entries = append(entries, e)
		}
	}
	t.table.Set(entries)
	t.of = -1
	t.ladder()
}

func (t *tunnelsTab) current() *Tunnel {
	e := t.table.Current()
	if e == nil {
		return nil
	}
	return &t.tunnels[t.keys[e.Key]]
}

func (t *tunnelsTab) moved() { t.ladder() }

func (n *Tunnel) cells(last int64) []string {
	problems := ""
	if k := n.Problems[decode.Error] + n.Problems[decode.Warning]; k > 0 {
		problems = thousands(k)
	}
	return []string{
		fmt.Sprintf("T%d", n.Number), addr(n.Client.IsValid(), n.Client.String()), addr(n.Listener.IsValid() && !n.direct(), n.Listener.String()), safe(n.Upstream),
		n.state(), short(time.Duration(n.end(last) - n.Opened)), thousands(n.Messages), size(n.Bytes[0]), size(n.Bytes[1]), problems,
	}
}

func addr(valid bool, s string) string {
	if !valid {
		return ""
	}
	return s
}

func (n *Tunnel) end(last int64) int64 {
	if n.Ended != 0 {
		return n.Ended
	}
	return max(last, n.Opened)
}

func (n *Tunnel) state() string {
	by := ""
	if n.By != decode.Nobody {
		by = " by " + n.By.String()
	}
	switch {
	case n.Refused:
		return "refused"
	case n.Reset:
		return "reset" + by
	case n.Ended != 0:
		return "closed" + by
	}
	return "open"
}

// serverAt is the last column of the ladder's three stations.
const serverAt = 60

var stations = [...]int{AtClient: 8, AtProxy: 34, AtServer: serverAt}

// direct reports whether no proxy stood in the tunnel: it was seen on a
// network, where the client's peer is the server.
func (n *Tunnel) direct() bool { return n.Listener.IsValid() && n.Upstream == n.Listener.String() }

// ladder lays the text of the tunnel at the cursor, if it is another one.
func (t *tunnelsTab) ladder() {
	n := t.current()
	if n == nil {
		t.text.Lines, t.of = nil, -1
		return
	}
	if t.of == int64(n.Number) && t.width > 0 {
		return
	}
	if t.of >= 0 {
		t.text.Home()
	}
	t.of = int64(n.Number)
	t.text.Lines = n.ladder(t.last, max(t.width, 76))
}

// ladder draws the tunnel's life.
func (n *Tunnel) ladder(last int64, w int) [][]pane.Piece {
	out := [][]pane.Piece{n.head(last), plain("")}
	header := []rune(strings.Repeat(" ", serverAt+6))
	for i, name := range []string{"client", "proxy", "server"} {
		if i != int(AtProxy) || !n.direct() {
			copy(header[stations[i]-3:], []rune(name))
		}
	}
	out = append(out, styled(paint.Strong, string(header)))
	for i := range n.Steps {
		out = append(out, n.step(&n.Steps[i]))
	}
	out = append(out, plain(""))
	out = append(out, n.facts(last)...)
	if len(n.Configuration) > 0 {
		out = append(out, styled(paint.Strong, " What the configuration means"))
		for _, sentence := range n.Configuration {
			sign := "   • "
			for _, line := range wrap(sentence, min(w-6, 110)) {
				out = append(out, plain(sign+line))
				sign = "     "
			}
		}
	}
	return out
}

func (n *Tunnel) head(last int64) []pane.Piece {
	lived := "up "
	if n.Ended != 0 {
		lived = "lived "
	}
	parts := []any{paint.Strong, fmt.Sprintf(" T%d  ", n.Number), paint.Plain, addr(n.Client.IsValid(), n.Client.String())}
	if n.Listener.IsValid() && !n.direct() {
		parts = append(parts, paint.Dim, " → ", paint.Plain, n.Listener.String())
	}
	if n.Upstream != "" {
		parts = append(parts, paint.Dim, " → ", paint.Plain, safe(n.Upstream))
	}
	parts = append(parts, paint.Plain, "   "+lived+short(time.Duration(n.end(last)-n.Opened)))
	if n.Midway {
		parts = append(parts, paint.Dim, " (open before the capture began)")
	}
	return styled(parts...)
}

// step draws one rung: the three lines of life, and what goes between them.
func (n *Tunnel) step(s *Step) []pane.Piece {
	direct := n.direct()
	canvas := []rune(strings.Repeat(" ", serverAt+1))
	for i, x := range stations {
		if i != int(AtProxy) || !direct {
			canvas[x] = '│'
		}
	}
	style := paint.Plain
	text := []rune(safe(s.Text))
	from, to := int(s.From), int(s.To)
	if from < 0 || from > 2 || to < 0 || to > 2 {
		from, to = 1, 1
	}
	if direct && from != to { // what the proxy would take is the server's
		from, to = from+from%2, to+to%2
	}
	a, b := stations[min(from, to)], stations[max(from, to)]
	switch {
	case s.Kind == Trouble || s.Kind == Event || a == b:
		if s.Kind == Trouble {
			style = paint.Bad
		}
		x := stations[from]
		canvas[x] = '●'
		if room := serverAt - x - 2; from < 2 && len(text) <= room {
			copy(canvas[x+2:], text)
		} else {
			return styled(style, string(canvas)+" "+string(text), paint.Dim, n.when(s), paint.Dim, note(s))
		}
	default:
		ch := '─'
		if s.Kind == Traffic {
			ch = '═'
		}
		for x := a + 1; x < b; x++ {
			canvas[x] = ch
		}
		if to > from {
			canvas[b-1] = '▶'
		} else {
			canvas[a+1] = '◀'
		}
		if room := b - a - 6; len(text) > room {
			text = append(text[:max(room-1, 0)], '…')
		}
		copy(canvas[a+3:], []rune(" "+string(text)+" "))
		if s.From == AtClient || s.To == AtClient {
			style = paint.Up
		}
		if to < from {
			style = paint.Down
		}
	}
	return styled(style, string(canvas), paint.Dim, n.when(s), paint.Plain, note(s))
}

func (n *Tunnel) when(s *Step) string {
	return fmt.Sprintf("  %9s", short(time.Duration(s.Time-n.Opened)))
}

func note(s *Step) string {
	if s.Note == "" {
		return ""
	}
	return "   " + safe(s.Note)
}

// facts are the lines under the ladder.
func (n *Tunnel) facts(last int64) [][]pane.Piece {
	var out [][]pane.Piece
	add := func(label, value string) {
		out = append(out, styled(paint.Dim, fmt.Sprintf("   %-18s", label), paint.Plain, value))
	}
	add("sent by client", fmt.Sprintf("%s, %s packets", size(n.Bytes[0]), thousands(n.Packets[0])))
	add("sent by server", fmt.Sprintf("%s, %s packets", size(n.Bytes[1]), thousands(n.Packets[1])))
	if n.RTT != [2]time.Duration{} {
		add("round trips", fmt.Sprintf("client %s, server %s", short(n.RTT[0]), short(n.RTT[1])))
	}
	if n.Retrans != [2]int64{} {
		add("sent again", fmt.Sprintf("%d segments to the client, %d to the server", n.Retrans[0], n.Retrans[1]))
	}
	if n.Blocked != [2]time.Duration{} {
		add("writes waited", fmt.Sprintf("%s to the server, %s to the client", short(n.Blocked[0]), short(n.Blocked[1])))
	}
	if n.Suspends > 0 {
		lived := max(n.end(last)-n.Opened, 1)
		add("suspended", fmt.Sprintf("%s in %s (%.1f %%)", short(n.Suspended), count(int64(n.Suspends), "span"), float64(n.Suspended)*100/float64(lived)))
	}
	if n.Ended != 0 {
		why := n.state()
		if n.Reason != "" {
			why += ": " + safe(n.Reason)
		}
		add("end", why)
	}
	if n.Problems != [3]int64{} {
		add("problems", fmt.Sprintf("%d errors, %d warnings, %d notes", n.Problems[decode.Error], n.Problems[decode.Warning], n.Problems[decode.Note]))
	}
	return append(out, plain(""))
}
