package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
	"github.com/muesli/termenv"

	"tundump/tui"
)

// errNoTerminal is what --tui into a pipe gets.
var errNoTerminal = errors.New("the terminal UI needs a terminal at standard input and output, and TERM that is not dumb; leave --tui away, or have open print with --no-tui")

// hasTerminal reports whether a screen can be shown.
func hasTerminal() bool {
	return term.IsTerminal(os.Stdin.Fd()) && term.IsTerminal(os.Stdout.Fd()) && os.Getenv("TERM") != "dumb"
}

// frameWriter is the terminal as frames are written to it. What else goes to
// the terminal goes through it too, so that it never lands inside a frame.
type frameWriter struct {
	*os.File
	mu sync.Mutex
}

func (w *frameWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.File.Write(b)
}

// WriteString keeps os.File's own from going past the lock.
func (w *frameWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// controls is what a screen asks for and its sources' owner does.
type controls interface {
	Open(ctx context.Context, path string) (tui.Source, error)
	Close(s tui.Source) error
	SetRecording(ctx context.Context, s tui.Source, on bool) error
	Export(ctx context.Context, s tui.Source, e tui.Export, progress func(done, all int64)) (int64, error)
	SaveStream(ctx context.Context, s tui.Source, w tui.SaveStream, progress func(done, all int64)) error
	Notes(ctx context.Context, s tui.Source) (tui.Notes, error)
	SaveNotes(ctx context.Context, s tui.Source, n tui.Notes) error
	Wireshark(ctx context.Context, s tui.Source, pos int) error
	Replay(ctx context.Context, s tui.Source, words []string) (tui.Replay, error)
}

// terminalControl adds what the terminal and the settings are needed for.
type terminalControl struct {
	controls
	out      *frameWriter
	settings *settingsFile
}

// Copy implements tui.Control.
func (c *terminalControl) Copy(_ context.Context, text string) error {
	_, err := c.out.WriteString(ansi.SetSystemClipboard(text))
	return err
}

// SaveSettings implements tui.Control.
func (c *terminalControl) SaveSettings(_ context.Context, s tui.Settings) error {
	return c.settings.save(s)
}

// runScreen shows sources until the user quits or ctx is done. The sources
// stay their owner's. On every way out, a panic and a hangup included, the
// terminal is what it was before.
func runScreen(ctx context.Context, sources []tui.Source, c controls) (err error) {
	if !hasTerminal() {
		return usage(errNoTerminal)
	}
	keeper, unkept := keepScreen()
	if unkept == nil {
		defer func() { err = errors.Join(err, keeper.leave()) }()
	}
	settings := openSettings()
	out := &frameWriter{File: os.Stdout}
	colours := termenv.NewOutput(os.Stdout)
	opt := tui.Options{
		Sources:     sources,
		Control:     &terminalControl{c, out, settings},
		Settings:    settings.now,
		Profile:     colours.EnvColorProfile(),
		Location:    time.Local,
		ReplayFlags: replayFlagList(),
		Notice:      settings.wrong(),
	}
	if opt.Settings.Theme == "" {
		opt.Light = !colours.HasDarkBackground() // asks it, which must be before bubbletea reads from it
	}
	if opt.Notice == "" && unkept != nil {
		opt.Notice = fmt.Sprintf("a crash would leave the terminal as it is: %v", unkept)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hangup := make(chan os.Signal, 1)
	notifyHangup(hangup)
	defer signal.Stop(hangup)
	go func() { // ends with ctx
		select {
		case <-hangup:
			cancel()
		case <-ctx.Done():
		}
	}()
	model := tui.New(opt)
	defer model.Close()
	p := tea.NewProgram(model, tea.WithContext(ctx), tea.WithOutput(out), tea.WithAltScreen(), tea.WithMouseCellMotion(), tea.WithoutSignalHandler())
	_, err = p.Run()
	if ctx.Err() != nil { // asked to end: that is what it did
		return nil
	}
	if err != nil {
		return fmt.Errorf("terminal UI: %w", err)
	}
	return nil
}
