package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/capture/sniff"
)

// sourceFlags say what is looked for in packets that others captured.
type sourceFlags struct {
	ports []uint
	bare  bool
}

func (s *sourceFlags) register(f *pflag.FlagSet) {
	f.UintSliceVar(&s.ports, "port", nil, "TCP port that carries the tunnel; repeatable; default: tunnels are found on any port by what they send")
	f.Lookup("port").DefValue = "" // none, which need not be said
	f.BoolVar(&s.bare, "bare", false, "take IP packets as they are, without a tunnel around them")
}

func (s *sourceFlags) options() (sniff.Options, error) {
	o := sniff.Options{Bare: s.bare}
	for _, p := range s.ports {
		if p == 0 || p > 65535 {
			return o, usage(fmt.Errorf("--port %d: a port is a number from 1 to 65535", p))
		}
		o.Ports = append(o.Ports, uint16(p))
	}
	if o.Bare && len(o.Ports) > 0 {
		return o, usage(errors.New("--bare takes packets without a tunnel: --port says where one is"))
	}
	return o, nil
}

// openCapture opens the capture at path. Where it is a pipe into which nobody
// has written yet, ctx ends the waiting: a read of standard input cannot be
// interrupted, so it is left behind for the end of the program.
func openCapture(ctx context.Context, path string, o sniff.Options) (*sniff.Capture, error) {
	type opened struct {
		*sniff.Capture
		err error
	}
	result := make(chan opened)
	go func() {
		c, err := sniff.Open(path, o)
		select {
		case result <- opened{c, err}:
		case <-ctx.Done():
			if c != nil {
				_ = c.Close() // nobody is there any more to be told
			}
		}
	}()
	select {
	case r := <-result:
		return r.Capture, usage(r.err)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: stopped before it could be opened", path)
	}
}

// open opens the capture at path as the flags say.
func (s *sourceFlags) open(ctx context.Context, path string) (*sniff.Capture, error) {
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	return openCapture(ctx, path, o)
}

// openWhole opens a capture and waits until all of it has been read.
func openWhole(cmd *cobra.Command, path string, o sniff.Options) (*sniff.Capture, error) {
	c, err := openCapture(cmd.Context(), path, o)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.Store().Done():
	case <-cmd.Context().Done():
		return nil, errors.Join(fmt.Errorf("%s: interrupted", cmd.Name()), c.Close())
	}
	warn(cmd, c)
	if err := c.Err(); err != nil {
		return nil, errors.Join(usage(err), c.Close())
	}
	return c, nil
}

// passed is for the end of a pass over a capture, which err ended: it returns
// what was wrong, with the capture itself if that is why.
func passed(cmd *cobra.Command, c *sniff.Capture, err error) error {
	if cerr := c.Err(); cerr != nil && (err == nil || errors.Is(cerr, err)) {
		err = usage(cerr) // it is no capture, or has no tunnel
	}
	warn(cmd, c)
	return err
}

// warn prints what is odd about a capture.
func warn(cmd *cobra.Command, c *sniff.Capture) {
	for _, w := range c.Warnings() {
		fmt.Fprintf(cmd.ErrOrStderr(), "tundump: warning: %s\n", safe(w))
	}
}
