package main

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// fullDisk takes the first write and no other.
type fullDisk struct{ used bool }

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.used {
		return 0, errors.New("no space left on device")
	}
	d.used = true
	return len(b), nil
}

// Where nothing can be printed any more the tunnels and the recording go on.
func TestPrintingFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.pcapng")
	var stderr bytes.Buffer
	if code := run([]string{"demo", "-w", file}, nil, &fullDisk{}, &stderr); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	for _, want := range []string{"printing stopped; the tunnels go on", "\n2 tunnels, ", "ok  app-proxy UDP", "\ntundump: no space left on device\n"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, stderr.String())
		}
	}
	stderr.Reset()
	if code := run([]string{"read", "-q", file}, nil, io.Discard, &stderr); code != exitDone || !strings.HasPrefix(stderr.String(), "2 tunnels, ") {
		t.Errorf("reading the capture: exit code %d, %s", code, stderr.String())
	}
}
