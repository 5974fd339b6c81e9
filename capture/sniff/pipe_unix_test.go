//go:build unix

package sniff

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// fifo makes a named pipe and opens it for writing once somebody reads.
func fifo(tb testing.TB, path string) <-chan *os.File {
	tb.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		tb.Skip(err)
	}
	opened := make(chan *os.File, 1)
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			tb.Error(err)
		}
		opened <- f
	}()
	return opened
}

// pipe makes a named pipe that b comes through.
func pipe(tb testing.TB, b []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "pipe")
	w := fifo(tb, path)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f := <-w
		_, _ = f.Write(b) // the reader may not want all of it
		f.Close()
	}()
	tb.Cleanup(func() { <-done })
	return path
}
