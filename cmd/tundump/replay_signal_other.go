//go:build !linux && !darwin

package main

import (
	"io"

	"tundump/replay"
)

// onPause does nothing where there are no such signals.
func onPause(*replay.Controller) (undo func()) { return func() {} }

// rawKeys does nothing: Enter hands a key out.
func rawKeys(io.Reader) (undo func()) { return func() {} }
