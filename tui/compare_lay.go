package tui

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"tundump/tui/paint"
	"tundump/tui/pane"
)

// Columns of what is compared.
const (
	compareState = iota
	compareNumber
	compareTo
	compareAsked
	compareRecorded
	compareRule
	compareLive
	compareThen
	compareNow
)

// compareNarrow is the width below which there is no room for all of them.
const compareNarrow = 120

// compareColumns halves what room there is between then and now.
func compareColumns(w int) []pane.Column {
	c := []pane.Column{
		compareState:    {Title: "State", Width: 12},
		compareNumber:   {Title: "No.", Width: 6, Right: true},
		compareTo:       {},
		compareAsked:    {Title: "Asked"},
		compareRecorded: {Title: "Recorded"},
		compareRule:     {Title: "│", Width: 1},
		compareLive:     {Title: "Now"},
		compareThen:     {},
		compareNow:      {Title: "Took", Width: 6, Right: true},
	}
	if w >= compareNarrow {
		c[compareNumber].Width = 8
		c[compareTo] = pane.Column{Title: "To", Width: 15, Ends: true}
		c[compareThen] = pane.Column{Title: "Took then", Width: 9, Right: true}
		c[compareNow] = pane.Column{Title: "Took now", Width: 8, Right: true}
	}
	room := w - 2 // the signs in front
	for i := range c {
		if c[i].Width > 0 {
			room -= c[i].Width + 1
		}
	}
	room = max(room-2, 3*8) // between the three, of which none stands at the end
	c[compareAsked].Width = room * 3 / 10
	c[compareRecorded].Width = (room - c[compareAsked].Width) / 2
	c[compareLive].Width = room - c[compareAsked].Width - c[compareRecorded].Width
	return c
}

// cells draws a row.
func (e *Exchange) cells() *pane.Cells {
	w := compareWords[min(e.State, Surplus)]
	recorded, now := e.sides()
	to, asked := e.To, brief(e.Asked)
	if e.Connection { // the end is what tells it from others
		_, end, from := strings.Cut(asked, " > ")
		if _, to, app := strings.Cut(asked, " to "); from || app {
			asked = cmp.Or(end, to)
		}
	}
	switch {
	case asked == "" && e.Asks:
		asked = brief(e.Live)
	case asked == "" && e.Request > 0:
		asked = "after " + e.number(e.Request)
	}
	return &pane.Cells{
		Text: []string{
			compareState: w.sign + " " + w.word, compareNumber: e.number(cmp.Or(e.Answer, e.Request)), compareTo: to, compareAsked: asked,
			compareRecorded: recorded, compareRule: "│", compareLive: now, compareThen: took(e.Then), compareNow: took(e.Now),
		},
		Style: w.style,
	}
}

// number writes one of the recording's.
func (e *Exchange) number(n int64) string {
	switch {
	case n == 0:
		return ""
	case e.Message:
		return "#" + thousands(n)
	}
	return thousands(n)
}

func took(d time.Duration) string {
	if d < 0 {
		return ""
	}
	return short(d)
}

// sides are the two that stand side by side: of what is different, that alone.
func (e *Exchange) sides() (recorded, now string) {
	asked := brief(e.Asked)
	answer := func(s string) string { return news(asked, brief(s)) }
	recorded = answer(e.Recorded)
	if e.Connection {
		recorded = e.Recorded
	}
	switch e.State {
	case Awaited:
		now = "waiting "
		if e.Connection {
			now = "open for "
		}
		now += lasting(e.Since)
	case Equal:
		now = "the same"
	case Belated:
		now = "the same, late"
	case Different:
		if len(e.Fields) == 0 || e.Differs != e.Loop {
			return recorded, cmp.Or(answer(e.Live), "something else")
		}
		f := e.Fields[0]
		recorded, now = cmp.Or(f.Recorded, "none"), cmp.Or(f.Live, "none")
		if !strings.HasPrefix(f.Name, "_ws.") {
			recorded = f.Name + " " + recorded
		}
		if f.Recorded == f.Live {
			now += " (no match)"
		}
		if n := len(e.Fields) - 1; n > 0 {
			now += fmt.Sprintf(" (+%d)", n)
		}
	case Lost:
		now = cmp.Or(e.Live, "nothing came")
	case Surplus:
		recorded, now = "nothing", brief(e.Live)
		if e.Asks {
			now = "unmatched"
		}
	}
	return recorded, now
}

// lasting writes how long something has lasted so far.
func lasting(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// wordy is what a line of a list can do without.
var wordy = strings.NewReplacer("Standard query response ", "", "Standard query ", "", "Echo (ping) ", "", "   ", " ", "  ", " ")

// brief leaves out what says little: the first words of a DNS message are the
// same in all of them, and numbers tell nobody anything.
func brief(s string) string {
	s = wordy.Replace(s)
	if what, rest, ok := strings.Cut(s, " id=0x"); ok && strings.HasPrefix(s, "ICMP") { // seq tells them apart
		if _, rest, ok = strings.Cut(rest, ", "); ok {
			return what + " " + rest
		}
	}
	if rest, ok := strings.CutPrefix(s, "DNS 0x"); ok {
		if _, rest, ok = strings.Cut(rest, " "); ok {
			return "DNS " + rest
		}
	}
	return s
}

// news is what an answer says beyond the words that it has from its question.
func news(asked, answer string) string {
	rest := answer
	for {
		a, b, _ := strings.Cut(asked, " ")
		c, d, more := strings.Cut(rest, " ")
		if a != c || !more {
			return rest
		}
		asked, rest = b, d
	}
}

// lay makes the text of the row at the cursor, if that or its width is another.
func (v *compareView) lay() {
	e := v.current()
	if e == v.shown {
		return
	}
	if v.shown == nil || e == nil || e.Request != v.shown.Request || e.Answer != v.shown.Answer {
		v.text.Home()
	}
	if v.shown = e; e == nil {
		v.text.Lines = nil
		return
	}
	v.text.Lines = e.lines(max(v.width, minWidth))
}

// fit lays it for a width.
func (v *compareView) fit(w int) {
	if v.width == w {
		return
	}
	v.width, v.shown = w, nil
	v.list.Columns = compareColumns(w)
	v.lay()
}

// lines says all that is known of it, in w columns: what was recorded and what
// is now side by side.
func (e *Exchange) lines(w int) [][]pane.Piece {
	word := compareWords[min(e.State, Surplus)]
	out := [][]pane.Piece{styled(word.style, " "+word.sign+" "+strings.ToUpper(word.word), paint.Strong, "  "+e.heading())}
	asked, rows := e.rows()
	label := len("asked")
	for _, r := range rows {
		label = max(label, paint.Width(r.Name))
	}
	label = min(label, w/4)
	half := (w - label - 8) / 2
	name := "asked"
	for _, l := range wrap(asked, w-label-6) {
		if asked == "" {
			break
		}
		out = append(out, styled(paint.Dim, "   "+pad(name, label)+"  ", paint.Plain, l))
		name = ""
	}
	out = append(out, styled(paint.Dim, fmt.Sprintf("   %s  %s │ now", pad("", label), pad("recorded", half))))
	for _, r := range rows {
		style := word.style
		if r.same {
			style = paint.Plain
		}
		names, then, now := wrap(r.Name, label), wrap(r.Recorded, half), wrap(r.Live, half)
		for i := range max(len(names), len(then), len(now)) {
			out = append(out, styled(paint.Dim, "   "+pad(line(names, i), label)+"  ", paint.Plain, pad(line(then, i), half), paint.Dim, " │ ", style, line(now, i)))
		}
	}
	return out
}

// heading says in a line what it is.
func (e *Exchange) heading() string {
	thing := "packet "
	if e.Message {
		thing = "message "
	}
	var text string
	switch {
	case e.Connection:
		text = "the connection that begins with " + thing + e.number(e.Request)
	case e.Asks && e.Request > 0:
		text = "what " + thing + e.number(e.Request) + " asks"
	case e.Answer > 0:
		text = thing + e.number(e.Answer) + ", the answer to " + e.number(e.Request)
	case e.Request > 0:
		text = "an answer more to " + thing + e.number(e.Request)
	default:
		text = "nothing like it was recorded"
	}
	if e.Came > 0 {
		text += "; now packet " + thousands(e.Came)
	}
	if e.Loop > 1 {
		text += fmt.Sprintf("; loop %d", e.Loop)
	}
	return text
}

// compareRow is one line of the two columns.
type compareRow struct {
	ExchangeField
	same bool // it is no difference
}

// rows are what is asked, "" if that is among them, and the lines of the two
// columns.
func (e *Exchange) rows() (asked string, out []compareRow) {
	add := func(name, then, now string, same bool) {
		out = append(out, compareRow{ExchangeField{name, then, now}, same})
	}
	asked = e.Asked
	if e.To != "" && !e.Connection {
		asked = "to " + e.To + ": " + asked
	}
	differs := e.State == Different && e.Differs == e.Loop
	_, now := e.sides()
	if e.State == Surplus {
		now = e.Live
	}
	for _, f := range e.Fields {
		name := f.Name
		if strings.HasPrefix(name, "_ws.") {
			name = "what it is"
		}
		if !differs {
			name = fmt.Sprintf("loop %d: %s", e.Differs, name)
		}
		add(name, cmp.Or(f.Recorded, "none"), cmp.Or(f.Live, "none"), !differs)
	}
	switch {
	case e.Asks && !e.Connection && e.State != Surplus:
		add("asked", asked, cmp.Or(e.Live, now), !differs)
		add("answer", cmp.Or(e.Recorded, "none"), "", true)
		asked = ""
	default:
		if differs {
			now = e.Live
		}
		name := "answer"
		switch {
		case e.Connection:
			name = "carried"
		case e.Asks:
			name = "asked"
		}
		add(name, cmp.Or(e.Recorded, "nothing"), now, !Differences.Has(e.State) && e.State != Belated)
	}
	if e.State == Awaited && e.Wait > 0 && !e.Connection {
		add("given up", "", "once nothing has come for "+e.Wait.String()+" at the end", true)
	}
	if then := took(e.Then); then != "" {
		add("took", then, took(e.Now), e.State != Belated)
	}
	return asked, out
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}
