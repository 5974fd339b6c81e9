//go:build !unix

package main

import (
	"os"

	"github.com/spf13/cobra"
)

// notifyHangup does nothing where there is no such signal.
func notifyHangup(chan os.Signal) {}

// screenKeeper does nothing: a console is its own keeper where it has no
// settings that outlive a process.
type screenKeeper struct{}

func keepScreen() (*screenKeeper, error) { return nil, nil }

func (*screenKeeper) leave() error { return nil }

func restoreTerminalCommands() []*cobra.Command { return nil }
