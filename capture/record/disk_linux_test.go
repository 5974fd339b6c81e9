package record

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tundump/capture/store"
	"tundump/decode"
)

// On a full disk the recording ends with one error, the tunnel goes on, and
// the file has every row that the recorder showed.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skip("cannot mount a small file system: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "f.pcapng")
	s := newSession(t, Options{Path: path})
	s.open(1, "10.0.0.1:1", "10.0.0.2:2")
	for s.rec.Err() == nil {
		s.sent = s.sent[:0]
		s.record(1, c2s, decode.OnClientSide, make([]byte, 10_000))
	}
	s.record(1, c2s, decode.OnClientSide, make([]byte, 10_000)) // returns
	err := s.rec.Close()
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("the recorder says: %v", err)
	}
	live := s.rec.Store()
	if live.Err() == nil {
		t.Error("the store ended as if nothing had happened")
	}
	opened, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if n := len(rows(t, opened)); n != live.Len() || n < 100 || len(opened.Warnings()) != 0 {
		t.Errorf("the file has %d rows, the recorder showed %d; %v", n, live.Len(), opened.Warnings())
	}
	if err := live.Close(); err != nil { // before the file system goes
		t.Error(err)
	}
}

// A named pipe is written as a stream, and read as one.
func TestNamedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("cannot make a pipe: ", err)
	}
	type opened struct {
		st  *store.Store
		err error
	}
	reader := make(chan opened, 1)
	go func() {
		st, err := store.Open(path)
		reader <- opened{st, err}
	}()
	s := newSession(t, Options{Path: path})
	read := <-reader
	if read.err != nil {
		t.Fatal(read.err)
	}
	defer read.st.Close()
	s.ordinary()
	s.close()
	if n := len(rows(t, read.st)); n != len(s.sent) {
		t.Errorf("%d rows came through the pipe, %d were recorded", n, len(s.sent))
	}
}
