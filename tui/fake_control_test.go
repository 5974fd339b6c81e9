package tui

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
)

// fakeControl remembers what it was asked.
type fakeControl struct {
	mu        sync.Mutex
	copied    string
	exported  Export
	saved     SaveStream
	notes     Notes
	settings  Settings
	recording []bool
	opened    Source
	replay    *fakeReplay // what Replay returns
	closed    int
	paths     []Path   // in the folder d
	asked     []string // what paths were asked for
	err       error
}

func (c *fakeControl) Open(context.Context, string) (Source, error) { return c.opened, c.err }
func (c *fakeControl) Close(Source) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++
	return nil
}
func (c *fakeControl) SetRecording(_ context.Context, _ Source, on bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recording = append(c.recording, on)
	return c.err
}
func (c *fakeControl) Export(_ context.Context, _ Source, e Export, progress func(done, all int64)) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	progress(1, 1)
	c.exported = e
	return int64(len(e.Rows)), c.err
}
func (c *fakeControl) SaveStream(_ context.Context, _ Source, w SaveStream, _ func(done, all int64)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved = w
	return c.err
}
func (c *fakeControl) Notes(context.Context, Source) (Notes, error) { return Notes{}, nil }
func (c *fakeControl) SaveNotes(_ context.Context, _ Source, n Notes) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = n
	return nil
}
func (c *fakeControl) Replay(_ context.Context, _ Source, words []string) (Replay, error) {
	if c.replay == nil {
		return nil, cmp.Or(c.err, ErrNotHere)
	}
	c.replay.words = words
	return c.replay, nil
}
func (c *fakeControl) Wireshark(context.Context, Source, int) error { return ErrNotHere }
func (c *fakeControl) SaveSettings(_ context.Context, s Settings) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settings = s
	return nil
}

// Paths has a folder in memory: what begins as was typed behind "d/".
func (c *fakeControl) Paths(_ context.Context, typed string) (Paths, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, typed)
	begin, in := strings.CutPrefix(typed, "d/")
	if !in {
		return Paths{}, errors.New("no such file or directory\x1b[2J")
	}
	p := Paths{From: len("d/"), Folder: begin == "", More: begin == ""}
	for _, n := range c.paths {
		if strings.HasPrefix(n.Name, begin) {
			p.Names = append(p.Names, n)
			p.Folder = p.Folder || n.Folder && n.Name == begin+"/"
		}
	}
	return p, nil
}
func (c *fakeControl) Copy(_ context.Context, text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copied = text
	return nil
}
