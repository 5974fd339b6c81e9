package main

import (
	"context"
	"errors"
	"io"
	"os"

	"tundump/capture/export"
	"tundump/capture/notes"
	"tundump/capture/session"
	"tundump/tui"
)

// errNoPackets is of an export that would leave a file without packets.
var errNoPackets = errors.New("there is no packet among these rows, so no file was written")

// Export implements tui.Control. Of a live capture it writes what is there.
func (c *viewControl) Export(ctx context.Context, s tui.Source, e tui.Export, progress func(done, all int64)) (packets int64, err error) {
	v, err := source(s)
	if err != nil {
		return 0, err
	}
	format, err := exportFormat("", e.Path)
	if err != nil {
		return 0, err
	}
	err = create(e.Path, func(w io.Writer) error {
		x, err := export.New(export.Options{Output: w, Format: format, Outer: e.Outer, Notes: fileNotes(&e.Notes)})
		if err != nil {
			return err
		}
		if e.Outer || e.Rows == nil {
			err = v.exportPass(ctx, x, &e, progress)
		} else {
			err = v.exportRows(ctx, x, &e, progress)
		}
		if cerr := x.Close(); err == nil {
			err = cerr
		}
		if packets = x.Stats().Packets; err == nil && packets == 0 {
			err = errNoPackets
		}
		return err
	})
	return packets, err
}

// exportRows writes rows by their positions.
func (s *viewSource) exportRows(ctx context.Context, x *export.Exporter, e *tui.Export, progress func(done, all int64)) error {
	const each = 1024
	for i := 0; i < len(e.Rows); i += each {
		progress(int64(i), int64(len(e.Rows)))
		part := e.Rows[i:min(i+each, len(e.Rows))]
		if err := s.view.Rows(ctx, session.List(e.List), part, func(r *session.Row) (bool, error) { return x.Add(r) }); err != nil {
			return err
		}
	}
	return nil
}

// exportPass writes all rows that there are, or those whose positions were
// asked for, with what came before them in mind.
func (s *viewSource) exportPass(ctx context.Context, x *export.Exporter, e *tui.Export, progress func(done, all int64)) error {
	snap := s.view.Snapshot()
	var wanted map[int]bool
	if e.Rows != nil {
		wanted = make(map[int]bool, len(e.Rows))
		for _, pos := range e.Rows {
			if i, ok := snap.Event(session.List(e.List), pos); ok {
				wanted[i] = true
			}
		}
	}
	pass := session.New(s.store)
	pass.DecodeAs(s.as)
	for {
		row, err := pass.Next(ctx)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if wanted == nil || wanted[row.Index] || !row.Event.Kind.Counts() {
			if more, err := x.Add(row); err != nil || !more {
				return err
			}
		}
		n := s.store.Len()
		if row.Index%4096 == 0 {
			progress(int64(row.Index), int64(n))
		}
		if row.Index == n-1 && !snap.Complete { // of what is being recorded, what is there now
			return nil
		}
	}
}

// fileNotes makes of a screen's notes those of a file.
func fileNotes(n *tui.Notes) *notes.Notes {
	out := &notes.Notes{Notes: make(map[notes.Row]string), Marks: make(map[notes.Row]string)}
	add := func(row notes.Row, note tui.Note) {
		if note.Text != "" {
			out.Notes[row] = note.Text
		}
		if note.Marked {
			out.Marks[row] = ""
		}
	}
	for number, note := range n.Messages {
		add(notes.Row{Message: number}, note)
	}
	for number, note := range n.Packets {
		add(notes.Row{Frame: number}, note)
	}
	return out
}

// Notes implements tui.Control.
func (c *viewControl) Notes(_ context.Context, s tui.Source) (tui.Notes, error) {
	out := tui.Notes{Messages: map[int64]tui.Note{}, Packets: map[int64]tui.Note{}}
	v, err := source(s)
	if err != nil {
		return out, err
	}
	defer v.addDifferences(out)
	if v.path == "" {
		return out, nil
	}
	n, err := notes.Of(v.path)
	if err != nil {
		return out, err
	}
	at := func(row notes.Row) (map[int64]tui.Note, int64) {
		if row.Message > 0 {
			return out.Messages, row.Message
		}
		return out.Packets, row.Frame
	}
	for row, text := range n.Notes {
		m, number := at(row)
		m[number] = tui.Note{Text: text, Marked: m[number].Marked}
	}
	for row := range n.Marks {
		m, number := at(row)
		m[number] = tui.Note{Text: m[number].Text, Marked: true}
	}
	return out, nil
}

// SaveNotes implements tui.Control. The file grows at its end by what has
// changed.
func (c *viewControl) SaveNotes(_ context.Context, s tui.Source, n tui.Notes) error {
	v, err := source(s)
	if err != nil {
		return err
	}
	if v.path == "" {
		return tui.ErrNotHere
	}
	old, err := notes.Of(v.path)
	if err != nil {
		return err
	}
	b, err := changedNotes(old, fileNotes(&n))
	if err != nil || len(b) == 0 {
		return err
	}
	return appendLines(v.path+notes.Suffix, b)
}

// appendLines adds lines to a file, in one write. Where its last line is cut
// they begin one of their own.
func appendLines(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err = f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			b = append([]byte{'\n'}, b...)
		}
	}
	if err == nil {
		_, err = f.Write(b)
	}
	return errors.Join(err, f.Close())
}

// changedNotes is the lines that make now of old. The names of marks are the
// file's: the screen has none.
func changedNotes(old, now *notes.Notes) (b []byte, err error) {
	add := func(l notes.Line) {
		if err == nil {
			b, err = notes.AppendLine(b, l)
		}
	}
	for row, text := range now.Notes {
		if old.Notes[row] != text {
			add(notes.Line{Type: notes.Note, Frame: row.Frame, Message: row.Message, Text: text})
		}
	}
	for row := range old.Notes {
		if _, ok := now.Notes[row]; !ok {
			add(notes.Line{Type: notes.Note, Frame: row.Frame, Message: row.Message})
		}
	}
	for row := range now.Marks {
		if _, ok := old.Marks[row]; !ok {
			add(notes.Line{Type: notes.Mark, Frame: row.Frame, Message: row.Message})
		}
	}
	for row := range old.Marks {
		if _, ok := now.Marks[row]; !ok {
			add(notes.Line{Type: notes.Mark, Frame: row.Frame, Message: row.Message, Off: true})
		}
	}
	return b, err
}
