//go:build !linux

package sniff

import (
	"context"

	"tundump/capture"
)

// Live captures on an interface.
type Live struct{}

// Listen is for Linux.
func Listen(string, Options) (*Live, error) { return nil, ErrUnsupported }

// Run is for Linux.
func (l *Live) Run(context.Context, capture.Tap) error { return ErrUnsupported }

// Stats is for Linux.
func (l *Live) Stats() LiveStats { return LiveStats{} }

// Close is for Linux.
func (l *Live) Close() error { return nil }
