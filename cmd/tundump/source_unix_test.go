//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tundump/capture/sniff"
)

// TestOpenStopped opens a pipe into which nobody ever writes, and stops.
func TestOpenStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c, err := openCapture(ctx, path, sniff.Options{})
	if c != nil || err == nil || errors.As(err, new(usageError)) {
		t.Fatalf("got %v, %v", c, err)
	}
	// The one who was left waiting goes when a writer comes and leaves.
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
