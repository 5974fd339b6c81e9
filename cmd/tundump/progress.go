package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"tundump/capture/store"
)

// progress shows on a terminal how far work on a capture's rows has come, once
// it has taken a second: done of all, rate, time left. A nil one shows nothing.
type progress struct {
	w     io.Writer
	begun time.Time
	last  time.Time
	asked int
	shown bool
}

// startProgress returns nil unless w is a terminal.
func startProgress(w io.Writer, quiet bool) *progress {
	f, ok := w.(*os.File)
	if !ok || quiet {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	now := time.Now()
	return &progress{w: w, begun: now, last: now}
}

// at says that done rows of st's are done.
func (p *progress) at(done int, st *store.Store) {
	const every = 256 // rows between looks at the clock
	if p == nil {
		return
	}
	if p.asked++; p.asked%every != 0 {
		return
	}
	now := time.Now()
	if now.Sub(p.begun) < time.Second || now.Sub(p.last) < 200*time.Millisecond {
		return
	}
	p.last, p.shown = now, true
	all := st.Len()
	rate := float64(done) / now.Sub(p.begun).Seconds()
	line := fmt.Sprintf("%d of %d rows, %.0f/s", done, all, rate)
	select {
	case <-st.Done():
		line += fmt.Sprintf(", %s left", (time.Duration(float64(all-done) / rate * float64(time.Second))).Round(time.Second))
	default:
		line += ", still being indexed"
	}
	fmt.Fprintf(p.w, "\r%s\x1b[K", line)
}

// end takes the line away.
func (p *progress) end() {
	if p != nil && p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
