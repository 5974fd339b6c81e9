package tui

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/packet"
	"tundump/tui/paint"
	"tundump/tui/pane"
)

// followView is a stream that is read while it grows.
type followView struct {
	stream   Stream
	title    string
	follower Follower
	text     *pane.Text
	form     StreamForm
	side     int // 0, 1, or -1 for both
	chunks   []Chunk
	bytes    [2]int64
	missing  int64
	held     int // bytes in chunks
	full     bool
	stale    bool // the capture has changed since it was read
	reading  bool
	ended    bool
	offset   [2]int64 // of the next byte, for hexadecimal
	open     bool     // the last line goes on
	openSide uint8
}

// maxFollow bounds what is held of a stream; saving it writes all of it.
const maxFollow = 8 << 20

// followStream opens the stream of what is at the cursor.
func (m *Model) followStream() tea.Cmd {
	s := m.scr()
	stream, title, ok := s.streamHere()
	if !ok {
		m.say(paint.Caution, "this belongs to no stream")
		return nil
	}
	if s.follow != nil {
		s.follow.close()
	}
	s.follow = &followView{stream: stream, title: title, side: -1, text: pane.NewText(), stale: true, follower: s.src.Follow(stream)}
	m.search.reset()
	return nil
}

// streamHere names the stream of what is at the cursor.
func (s *screen) streamHere() (Stream, string, bool) {
	switch s.view {
	case flowsView:
		if f := s.flows.current(); f != nil {
			return f.stream(), fmt.Sprintf("%s %s → %s", f.filter(), f.Addr[0], f.Addr[1]), true
		}
	case tunnelsView:
		if t := s.tunnels.current(); t != nil {
			return Stream{Kind: TunnelStream, Tunnel: t.Number}, fmt.Sprintf("tunnel T%d", t.Number), true
		}
	case messagesView, packetsView:
		r := s.lists[s.view]
		d := r.tree.Detail()
		if d == nil {
			break
		}
		return r.streamOf()
	}
	return Stream{}, "", false
}

func (f *Flow) stream() Stream {
	kind := TCPStream
	if f.Proto == packet.UDP {
		kind = UDPStream
	}
	return Stream{kind, f.Tunnel, f.Stream}
}

// streamOf names the stream of the row whose detail is shown.
func (r *rowsView) streamOf() (Stream, string, bool) {
	d := r.tree.Detail()
	st := d.Stream
	switch {
	case st.Flow && st.UDP:
		return Stream{UDPStream, st.Tunnel, st.ID}, d.Flow, true
	case st.Flow:
		return Stream{TCPStream, st.Tunnel, st.ID}, d.Flow, true
	case st.Connection:
		return Stream{ConnectionStream, st.Tunnel, st.ID}, fmt.Sprintf("T%d connection %d", st.Tunnel, st.ID), true
	case st.Tunnel != 0:
		return Stream{Kind: TunnelStream, Tunnel: st.Tunnel}, fmt.Sprintf("tunnel T%d", st.Tunnel), true
	}
	return Stream{}, "", false
}

func (f *followView) close() { f.follower.Close() }

func (s *screen) leaveStream() {
	s.follow.close()
	s.follow = nil
}

// streamMsg is what followed.
type streamMsg struct {
	s      *screen
	f      *followView
	chunks []Chunk
	err    error
}

func (t streamMsg) take(m *Model) tea.Cmd {
	if !m.alive(t.s) || t.s.follow != t.f {
		return nil
	}
	f := t.f
	f.reading = false
	f.stale = f.stale || len(t.chunks) > 0
	switch {
	case errors.Is(t.err, io.EOF):
		f.ended = true
	case t.err != nil:
		f.ended = true
		m.fail("following", t.err)
	}
	for i := range t.chunks {
		f.take(&t.chunks[i])
	}
	if f.ended && errors.Is(t.err, io.EOF) && len(f.chunks) == 0 {
		m.say(paint.Caution, "nothing was sent in this stream: its packets carry no data")
	}
	return nil
}

// want reads on.
func (f *followView) want(s *screen) tea.Cmd {
	if f.reading || f.ended || f.full || !f.stale {
		return nil
	}
	f.reading, f.stale = true, false
	ctx, follower := s.ctx, f.follower
	return func() tea.Msg {
		chunks, err := follower.Next(ctx)
		return streamMsg{s, f, chunks, err}
	}
}

func (f *followView) take(c *Chunk) {
	if f.full {
		return
	}
	f.held += len(c.Data) + 64
	f.full = f.held > maxFollow
	f.chunks = append(f.chunks, *c)
	side := c.Side & 1
	f.bytes[side] += int64(len(c.Data))
	f.missing += c.Missing
	f.add(c)
}

// lay writes all lines again, in another form or of other sides.
func (f *followView) lay() {
	f.text.Lines, f.open, f.offset = nil, false, [2]int64{}
	for i := range f.chunks {
		f.add(&f.chunks[i])
	}
}

func sideStyle(side uint8) paint.Style {
	if side&1 == 0 {
		return paint.Up
	}
	return paint.Down
}

// sideSign tells the sides apart without colour.
func sideSign(side uint8) string {
	if side&1 == 0 {
		return "> "
	}
	return "< "
}

// add appends the lines of a chunk.
func (f *followView) add(c *Chunk) {
	side := c.Side & 1
	if f.side >= 0 && int(side) != f.side {
		return
	}
	x := f.text
	if c.Missing > 0 {
		f.open = false
		x.Lines = append(x.Lines, styled(sideStyle(side), sideSign(side), paint.Caution, fmt.Sprintf("[%s bytes are missing here]", thousands(c.Missing))))
		f.offset[side] += c.Missing
		return
	}
	if f.form == AsHex {
		f.hex(c, side)
		return
	}
	lines := f.lines(c)
	for i, line := range lines {
		if i == 0 && f.open && f.openSide == side {
			last := x.Lines[len(x.Lines)-1]
			last[len(last)-1].Text += line
			continue
		}
		if i == len(lines)-1 && line == "" && i > 0 {
			break // the text ended with the line
		}
		x.Lines = append(x.Lines, styled(sideStyle(side), sideSign(side), sideStyle(side), line))
	}
	f.open, f.openSide = len(lines) > 0 && lines[len(lines)-1] != "" && f.stream.Kind != UDPStream, side
}

// maxStreamLine breaks lines that never end.
const maxStreamLine = 512

// lines cuts a chunk into lines that are safe to print.
func (f *followView) lines(c *Chunk) []string {
	var out []string
	data := c.Data
	for len(data) > 0 {
		n, next := len(data), len(data)
		for i, b := range data {
			if b == '\n' {
				n, next = i, i+1
				break
			}
			if i == maxStreamLine {
				n, next = i, i
				break
			}
		}
		line := data[:n]
		if f.form == AsText {
			out = append(out, dotted(strings.TrimSuffix(string(line), "\r")))
		} else {
			out = append(out, string(packet.AppendSafe(nil, data[:next])))
		}
		ended := next > n
		data = data[next:]
		if len(data) == 0 && ended {
			out = append(out, "")
		}
	}
	return out
}

// dotted writes what cannot be printed as a dot. A line that is no UTF-8
// throughout is no text: only its ASCII is shown.
func dotted(s string) string {
	text := utf8.ValidString(s)
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case packet.UnsafeRune(r) || r >= utf8.RuneSelf && !text:
			return '.'
		}
		return r
	}, s)
}

// hex writes a chunk as a dump: offset, bytes, characters.
func (f *followView) hex(c *Chunk, side uint8) {
	for off := 0; off < len(c.Data); off += 16 {
		row := c.Data[off:min(off+16, len(c.Data))]
		var b, text strings.Builder
		for i, ch := range row {
			if i == 8 {
				b.WriteByte(' ')
			}
			b.WriteString(hex.EncodeToString([]byte{ch}))
			b.WriteByte(' ')
			if ch < ' ' || ch > '~' {
				ch = '.'
			}
			text.WriteByte(ch)
		}
		f.text.Lines = append(f.text.Lines, styled(sideStyle(side), sideSign(side), paint.Dim, fmt.Sprintf("%08x  ", f.offset[side]+int64(off)),
			sideStyle(side), fmt.Sprintf("%-49s  %s", b.String(), text.String())))
	}
	f.offset[side] += int64(len(c.Data))
}

func (m *Model) streamForm() {
	f := m.scr().follow
	f.form = (f.form + 1) % 3
	f.lay()
}

func (m *Model) streamSide() {
	f := m.scr().follow
	f.side = (f.side+2)%3 - 1
	f.lay()
}

var formNames = [...]string{AsText: "text", AsHex: "hexadecimal", AsRaw: "raw"}

// heading says what the stream is and how it is shown.
func (f *followView) heading() string {
	side := "both sides"
	if f.side >= 0 {
		side = []string{"only >", "only <"}[f.side]
	}
	s := fmt.Sprintf("%s   %s, %s   > %s  < %s", f.title, formNames[f.form], side, size(f.bytes[0]), size(f.bytes[1]))
	if f.missing > 0 {
		s += "   " + thousands(f.missing) + " bytes missing"
	}
	switch {
	case f.full:
		s += "   more is not held: save it"
	case f.ended:
		s += "   ended"
	}
	return s
}

// askSaveStream asks for the file.
func (m *Model) askSaveStream() {
	s := m.scr()
	f := s.follow
	if m.here("save") == nil {
		return
	}
	suffix := [...]string{AsText: ".txt", AsHex: ".hex", AsRaw: ".bin"}[f.form]
	m.askPath("save "+formNames[f.form]+" to", "stream"+suffix, func(m *Model, path string) tea.Cmd {
		control, src, what := m.control, s.src, SaveStream{Path: path, Stream: f.stream, Side: f.side, Form: f.form}
		return m.run(s, "save", func(ctx context.Context, progress func(done, all int64)) (func(m *Model) tea.Cmd, error) {
			err := control.SaveStream(ctx, src, what, progress)
			return func(m *Model) tea.Cmd { m.say(paint.Good, "wrote the stream to %s", path); return nil }, err
		})
	})
}
