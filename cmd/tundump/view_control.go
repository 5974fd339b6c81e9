package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"tundump/capture/session"
	"tundump/capture/sniff"
	"tundump/decode/field"
	"tundump/decode/flow"
	"tundump/tui"
)

// viewControl does what a screen asks for and cannot do itself.
type viewControl struct {
	options sniff.Options // for captures that are opened
	as      decodeAs      // likewise
	log     io.Writer     // for what there is to say once the screen is gone

	mu      sync.Mutex
	opened  []*viewSource // that are not closed
	replays []*ownReplay  // likewise
	ended   []*heldLog    // what those printed that are over
}

// closeAll ends what was begun and closes what was opened, and says what there
// is to say: it is for when the screen is gone.
func (c *viewControl) closeAll() error {
	for _, r := range c.begun() {
		r.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	for _, h := range c.ended {
		err = errors.Join(err, h.release())
	}
	c.ended = nil
	for _, s := range c.opened {
		err = errors.Join(err, s.close())
	}
	c.opened = nil
	return err
}

// source returns what tui knows as s.
func source(s tui.Source) (*viewSource, error) {
	if v, ok := s.(*viewSource); ok {
		return v, nil
	}
	return nil, tui.ErrNotHere
}

// Open implements tui.Control.
func (c *viewControl) Open(ctx context.Context, path string) (tui.Source, error) {
	path = fromHome(path)
	opened, err := openCapture(ctx, path, c.options)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err() // which is no error to the screen
	case err != nil:
		return nil, err
	}
	s := fileSource(path, opened, c.as)
	c.mu.Lock()
	c.opened = append(c.opened, s)
	c.mu.Unlock()
	return s, nil
}

// fromHome takes a leading ~ as a shell does.
func fromHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && rest != "" && os.IsPathSeparator(rest[0]) {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// Close implements tui.Control.
func (c *viewControl) Close(s tui.Source) error {
	v, err := source(s)
	if err != nil {
		return err
	}
	for _, r := range c.begun() {
		switch {
		case r.shows(v):
			r.Close()
		case r.recorded == v:
			r.halt()
		}
	}
	c.mu.Lock()
	i := slices.Index(c.opened, v)
	if i < 0 { // it is what is being recorded, or closed
		c.mu.Unlock()
		return nil
	}
	c.opened = slices.Delete(c.opened, i, i+1)
	c.mu.Unlock()
	return v.close()
}

// SetRecording implements tui.Control.
func (c *viewControl) SetRecording(_ context.Context, s tui.Source, on bool) error {
	v, err := source(s)
	if err != nil {
		return err
	}
	if v.recorder == nil {
		return tui.ErrNotHere
	}
	v.recorder.Pause(!on)
	return nil
}

// create makes a new file for write, and leaves none behind if that fails.
func create(path string, write func(io.Writer) error) error {
	path = fromHome(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; choose another name", path)
	} else if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Wireshark implements tui.Control.
func (c *viewControl) Wireshark(ctx context.Context, s tui.Source, pos int) error {
	v, err := source(s)
	if err != nil {
		return err
	}
	program, err := exec.LookPath("wireshark")
	if err != nil {
		return fmt.Errorf("%w: there is no program wireshark on the PATH", tui.ErrNotHere)
	}
	if v.path == "" {
		return fmt.Errorf("%w: the capture is in no file; export it first", tui.ErrNotHere)
	}
	path, err := filepath.Abs(v.path) // a name that begins with - is no option then
	if err != nil {
		return err
	}
	args := []string{"-r", path}
	if pos >= 0 && v.capture != nil && !v.capture.Foreign() {
		err := v.view.Read(ctx, session.Packets, []int{pos}, func(it *session.Item) bool {
			args = append(args, "-J", commentFilter(&it.Row))
			return true
		})
		if err != nil {
			return err
		}
	}
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() // ends with Wireshark, which may outlive us; how it ends is its own affair
	return nil
}

// commentFilter finds an inner packet in a capture of tundump's by its comment.
func commentFilter(r *field.Row) string {
	return fmt.Sprintf(`frame.comment contains "tundump:1 T%d #%d %s " and frame.comment matches " pkt=%d( |$)"`, r.Event.Tunnel, r.Event.Number, r.Event.Dir, r.Index)
}

// SaveStream implements tui.Control. Of a stream that grows it writes what is
// there.
func (c *viewControl) SaveStream(ctx context.Context, s tui.Source, w tui.SaveStream, progress func(done, all int64)) error {
	return create(w.Path, func(out io.Writer) error {
		f := s.Follow(w.Stream)
		defer f.Close()
		var done int64
		var sent [2]int64
		var b []byte
		for {
			chunks, err := f.Next(ctx)
			for i := range chunks {
				c := &chunks[i]
				done += int64(len(c.Data))
				if w.Side < 0 || int(c.Side) == w.Side {
					b = appendChunk(b[:0], c, w.Form, sent[c.Side&1])
					if _, err := out.Write(b); err != nil {
						return err
					}
				}
				sent[c.Side&1] += int64(len(c.Data)) + c.Missing
			}
			progress(done, done)
			switch {
			case err == io.EOF, err == nil && len(chunks) == 0:
				return nil
			case err != nil:
				return err
			}
		}
	})
}

// appendChunk appends a chunk, whose side had sent so many bytes before, as
// tshark's follow prints it.
func appendChunk(b []byte, c *tui.Chunk, form tui.StreamForm, sent int64) []byte {
	indent := ""
	if c.Side == 1 {
		indent = "\t"
	}
	switch {
	case form == tui.AsRaw:
		return append(b, c.Data...)
	case c.Missing > 0:
		return append(flow.AppendGap(append(b, indent...), c.Missing), '\n')
	case form == tui.AsHex:
		return flow.AppendFollowHex(b, indent, sent, c.Data)
	}
	return append(flow.AppendFollowText(b, c.Data, false), '\n')
}
