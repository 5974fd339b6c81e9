package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/capture/record"
	"tundump/capture/sniff"
	"tundump/tui"
)

// uiFlags say whether the terminal UI takes the place of what is printed.
type uiFlags struct {
	on, off bool
}

func (u *uiFlags) register(f *pflag.FlagSet) {
	f.BoolVar(&u.on, "tui", false, "show everything in the terminal UI instead of printing it, until q")
	f.BoolVar(&u.off, "no-tui", false, "print, even on a terminal")
}

// start returns the terminal UI's log, nil where rows are printed. usual is
// whether the UI is shown on a terminal without being asked for.
func (u *uiFlags) start(cmd *cobra.Command, usual bool, r *recordFlags) (*heldLog, error) {
	switch {
	case u.on && u.off:
		return nil, usage(errors.New("--tui and --no-tui contradict each other"))
	case u.on && r.path == "-":
		return nil, usage(errors.New("-w - needs standard output for itself: name a file, or leave --tui away"))
	case u.on && !hasTerminal():
		return nil, usage(errNoTerminal)
	case u.off, !u.on && (!usual || r.path == "-" || !hasTerminal()):
		return nil, nil
	}
	h := &heldLog{to: cmd.ErrOrStderr()}
	cmd.SetErr(h)
	return h, nil
}

// asksToPrint reports whether a flag about what is printed was given.
func asksToPrint(cmd *cobra.Command) bool {
	asked := false
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "format", "field", "option", "detail", "hex", "time", "verbose", "quiet", "count", "packets", "messages", "display-filter":
			asked = true
		}
	})
	return asked
}

// maxHeld bounds what is kept of a log, in bytes.
const maxHeld = 256 << 10

// heldLog keeps what is written to it while the screen is in the way.
type heldLog struct {
	to io.Writer

	mu   sync.Mutex
	held []byte
	cut  bool
	free bool
}

func (h *heldLog) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.free {
		return h.to.Write(b)
	}
	h.held = append(h.held, b...)
	if n := len(h.held) - maxHeld; n > 0 {
		h.held, h.cut = append(h.held[:0], h.held[n:]...), true
	}
	return len(b), nil
}

// release writes out what was held, and from now on everything as it comes. A
// nil log holds nothing.
func (h *heldLog) release() error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free = true
	if h.cut {
		h.held = append([]byte("… what the log said before was too much to keep\n"), h.held...)
	}
	_, err := h.to.Write(h.held)
	h.held = nil
	return err
}

// startShown starts the recorder and a view of it for the screen, which is
// shown by live.show.
func startShown(o record.Options, as decodeAs) (*live, error) {
	r, err := record.New(o)
	if err != nil {
		return nil, usage(err)
	}
	path := o.Path
	if o.Rotation != (record.Rotation{}) {
		path = "" // of several files
	}
	l := &live{recorder: r, done: make(chan struct{}), source: liveSource(path, r, as)}
	go func() { // ends with the recorder
		defer close(l.done)
		<-l.source.view.Done()
		s := l.source.view.Snapshot()
		l.summary, l.err = s.Summary, s.Err
	}()
	return l, nil
}

// show shows the screen, if there is one, until the user quits or ctx is done,
// and calls cancel then. The channel gets its error, or nil at once where
// there is no screen.
func (l *live) show(ctx context.Context, cancel func(), o sniff.Options, log io.Writer) <-chan error {
	ended := make(chan error, 1)
	if l.source == nil {
		ended <- nil
		return ended
	}
	go func() {
		defer cancel()
		c := &viewControl{options: o, as: l.source.as, log: log}
		err := runScreen(ctx, []tui.Source{l.source}, c)
		ended <- errors.Join(err, c.closeAll())
	}()
	return ended
}

// openCommand is tundump open.
func openCommand() *cobra.Command {
	var source sourceFlags
	var print printFlags
	var ui uiFlags
	c := &cobra.Command{
		Use:   "open FILE...",
		Short: "show captures in the terminal UI",
		Long: `Shows captures in the terminal UI: any that tundump read prints. Rows appear
while a large file is still being indexed. ? in it shows the keys that can be
pressed where you are. tundump FILE does the same.

What is set there is kept in XDG_CONFIG_HOME/tundump/config.yaml, and notes and
marks in FILE.notes beside the capture, which is never changed.`,
		Example: `  tundump open session.pcapng
  tundump session.pcapng
  tundump open before.pcapng after.pcapng`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if ui.off {
				return readFiles(cmd, args, &print, &source)
			}
			return openFiles(cmd, args, &source, print.decode)
		},
	}
	print = printFlags{format: "text", stamp: "a"}
	fl := c.Flags()
	fl.SortFlags = false
	source.register(fl)
	fl.StringArrayVarP(&print.decode, "decode-as", "d", nil, decodeAsHelp)
	ui.register(fl)
	return c
}

// openFiles shows captures until the user quits.
func openFiles(cmd *cobra.Command, paths []string, f *sourceFlags, decode []string) (err error) {
	o, err := f.options()
	if err != nil {
		return err
	}
	as, err := parseDecodeAs(decode)
	if err != nil {
		return usage(err)
	}
	if !hasTerminal() {
		return usage(errNoTerminal)
	}
	c := &viewControl{options: o, as: as, log: cmd.ErrOrStderr()}
	defer func() { err = errors.Join(err, c.closeAll()) }()
	var sources []tui.Source
	for _, path := range paths {
		s, err := c.Open(cmd.Context(), path)
		if err != nil {
			return usage(err)
		}
		sources = append(sources, s)
	}
	return runScreen(cmd.Context(), sources, c)
}
