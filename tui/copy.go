package tui

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/paint"
)

// pickCopy lists the forms in which what is at the cursor can be copied.
func (m *Model) pickCopy() {
	s := m.scr()
	p := &picker{title: "Copy"}
	add := func(label, doc, text string) {
		if text != "" {
			p.add(label, "", doc, func(m *Model) tea.Cmd { return m.copy(label, text) })
		}
	}
	if r := s.rows(); r != nil {
		r.copies(add)
	} else if s.view == replayView && s.follow == nil {
		s.compare.copies(add)
	} else if t := s.table(); t != nil {
		if e := t.Current(); e != nil {
			add("row", "as it stands here", strings.Join(e.Text, "\t"))
			for i, c := range t.Columns {
				if i < len(e.Text) && c.Title != "" {
					add(c.Title, safe(e.Text[i]), e.Text[i])
				}
			}
		}
	}
	if len(p.choices) == 0 {
		m.say(paint.Caution, "there is nothing to copy here")
		return
	}
	m.pick(p)
}

// copies offers the forms of a row and its detail.
func (r *rowsView) copies(add func(label, doc, text string)) {
	if c := r.list.Current(); c != nil {
		add("row", "the row as it stands in the list", c.Line())
	}
	d := r.tree.Detail()
	if d == nil {
		return
	}
	if n := r.tree.Node(); n != nil {
		add("value", safe(paint.Cut(n.Value, 60)), n.Value)
		add("line", safe(paint.Cut(n.Text, 60)), n.Text)
		add("filter", safe(paint.Cut(n.Filter, 60)), n.Filter)
	}
	add("flow filter", d.Flow, d.Flow)
	b := r.hex.Bytes()
	what := fmt.Sprintf("%d bytes", len(b))
	if len(b) > maxCopy {
		what += ", too many: choose some in the tree"
		b = nil
	}
	add("bytes as hex", what, hex.EncodeToString(b))
	add("bytes as C array", what, cArray(b))
	add("bytes as base64", what, base64.StdEncoding.EncodeToString(b))
	add("JSON", "the row's fields", d.JSON)
}

// maxCopy is how many bytes are copied at most: terminals take about 100 KB.
const maxCopy = 64 << 10

func cArray(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "unsigned char data[%d] = {", len(b))
	for i, c := range b {
		if i%12 == 0 {
			out.WriteString("\n\t")
		} else {
			out.WriteByte(' ')
		}
		fmt.Fprintf(&out, "0x%02x,", c)
	}
	out.WriteString("\n};\n")
	return out.String()
}

// copiedMsg says that text is on its way to the clipboard.
type copiedMsg struct {
	what string
	n    int
	err  error
}

func (c copiedMsg) take(m *Model) tea.Cmd {
	switch {
	case errors.Is(c.err, ErrNotHere):
		m.say(paint.Caution, "copying is not possible here")
	case c.err != nil:
		m.fail("copy", c.err)
	default:
		m.say(paint.Good, "copied %s: %d characters, by way of the terminal", c.what, c.n)
	}
	return nil
}

func (m *Model) copy(what, text string) tea.Cmd {
	ctx, control := m.ctx, m.control
	return func() tea.Msg {
		if control == nil {
			return copiedMsg{err: ErrNotHere}
		}
		return copiedMsg{what, len([]rune(text)), control.Copy(ctx, text)}
	}
}
