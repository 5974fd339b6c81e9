package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"tundump/capture/judge"
	"tundump/capture/sniff"
)

// TestReplayCorpus wraps captures of others' into a tunnel and plays them at
// top speed, over and over, into a user-space stack and into a device: some of
// them, or all with TUNDUMP_CORPUS=1. They hold other people's addresses: the
// stack reaches no socket, and the device is in a namespace without a way out.
func TestReplayCorpus(t *testing.T) {
	if testing.Short() {
		t.Skip("plays captures over and over")
	}
	files, err := filepath.Glob(filepath.Join(judge.Shared(t, "captures"), "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	loops := "50"
	if os.Getenv("TUNDUMP_CORPUS") == "" {
		loops = "3"
		var some []string
		for i := 0; i < len(files); i += 12 {
			some = append(some, files[i])
		}
		files = some
	}
	played := 0
	sessions := t.TempDir()
	for _, file := range files {
		session := inTunnel(t, file, sessions)
		if session == "" || !hasClient(t, session) {
			continue
		}
		played++
		t.Run(filepath.Base(file)+"/netstack", func(t *testing.T) { corpusNetstack(t, session, loops) })
	}
	if played == 0 {
		t.Fatal("nothing could be wrapped")
	}
	t.Run("tun", func(t *testing.T) {
		program := needLab(t)
		l := newHost(t, program)
		before := l.state(t, "host")
		for _, session := range glob(t, sessions) {
			corpusDevice(t, l, session, loops)
		}
		same(t, before, l.state(t, "host"))
	})
}

func glob(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// inTunnel makes a capture of the outer connection of a tunnel that carries what
// is in file, "" if there is no IP packet in it.
func inTunnel(t *testing.T, file, dir string) string {
	t.Helper()
	session := filepath.Join(t.TempDir(), "session")
	out := filepath.Join(dir, filepath.Base(file)+".pcap")
	for _, args := range [][]string{{"ip", file, session, "--profile", "full", "--max-gap", "1"}, {"outer", session, out}} {
		if text, err := judge.Python(t.Context(), t, "stgen.py", args...).CombinedOutput(); err != nil {
			t.Logf("%s: not wrapped: %s", filepath.Base(file), lastLine(string(text)))
			return ""
		}
	}
	return out
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// hasClient reports whether the client sent anything, and takes the capture
// away if not.
func hasClient(t *testing.T, session string) bool {
	t.Helper()
	c, err := sniff.Open(session, sniff.Options{})
	if err != nil {
		t.Logf("%s: %v", session, err)
	} else {
		c.Close()
		if len(sentIn(t, session)) > 0 {
			return true
		}
	}
	if err := os.Remove(session); err != nil {
		t.Fatal(err)
	}
	return false
}

// corpusNetstack plays a session in this process, and looks for what is left.
func corpusNetstack(t *testing.T, session, loops string) {
	replay := func(loops string) (code int, said string) {
		var b lockedBuffer
		code = run([]string{"replay", session, "--netstack", "-t", "-q", "--wait", "20ms", "-l", loops}, strings.NewReader(""), io.Discard, &b)
		return code, b.String()
	}
	if code, said := replay("1"); code == exitUsage {
		t.Fatalf("exit %d: %s", code, said)
	}
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	if code, said := replay(loops); code == exitUsage || strings.Contains(said, "failed") {
		t.Fatalf("exit %d: %s", code, said)
	}
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > goroutines; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
		}
	}
	if after := heapInUse(); after > heap+16<<20 {
		t.Errorf("%d MiB of heap before, %d after %s loops", heap>>20, after>>20, loops)
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// corpusDevice plays a session into a device, once and many times.
func corpusDevice(t *testing.T, l *lab, session, loops string) {
	t.Helper()
	var peak [2]int64
	for i, n := range [...]string{"1", loops} {
		p := l.start(t, "host", "replay", session, "--tun", "-t", "-q", "--yes", "--wait", "20ms", "-l", n)
		var last string
		for line := range p.lines {
			last = line
		}
		exit := (*exec.ExitError)(nil)
		err := <-p.done
		if strings.Contains(last, "names no address that a device can have") {
			t.Logf("%s: %s", filepath.Base(session), last) // a loopback's capture, say
			return
		}
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != exitFailed) {
			t.Errorf("%s: %v: %s", filepath.Base(session), err, last)
			return
		}
		peak[i] = p.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss // KiB
	}
	if peak[1] > peak[0]+peak[0]/2+32<<10 {
		t.Errorf("%s: %d MiB at the most in one loop, %d in %s", filepath.Base(session), peak[0]>>10, peak[1]>>10, loops)
	}
}
