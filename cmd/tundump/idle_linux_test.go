package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// residentOf reads how much memory a process has, and at most had, in bytes.
func residentOf(t *testing.T, pid int) (now, most int64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	read := func(key string) int64 {
		m := regexp.MustCompile(key + `:\s+(\d+) kB`).FindSubmatch(b)
		if m == nil {
			t.Fatalf("no %s in %s", key, b)
		}
		n, err := strconv.ParseInt(string(m[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n << 10
	}
	return read("VmRSS"), read("VmHWM")
}

// TestIdleTunnels opens 10,000 tunnels through a proxy in a process of its own,
// sends a message each way in each, and asks the system what the process takes
// when all are idle. Where so many descriptors cannot be had it opens as many
// as go, and the limit is theirs.
func TestIdleTunnels(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const limit, all, spare = 256 << 20, 10_000, 200
	var fds syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &fds); err != nil {
		t.Fatal(err)
	}
	wanted := uint64(2*all + spare)
	if raised := (syscall.Rlimit{Cur: wanted, Max: max(fds.Max, wanted)}); fds.Cur < wanted && syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: fds.Cur, Max: raised.Max}) })
		fds.Cur = raised.Cur
	}
	n := int(min(all, (fds.Cur-spare)/2))
	if n < 1000 {
		t.Skipf("%d descriptors are too few", fds.Cur)
	}

	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rec := message(idleMe, 0, nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				got := make([]byte, len(rec)) // io.Copy would take a pipe, which is two more descriptors
				for {
					n, err := conn.Read(got)
					if err != nil {
						return
					}
					if _, err := conn.Write(got[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	proxy := exec.Command(self)
	proxy.Args = []string{"tundump", "proxy", "--listen", "127.0.0.1:0", "--upstream", server.Addr().String(), "-q", "--log-level", "warn",
		"-w", filepath.Join(t.TempDir(), "f"), "-C", "10MiB", "--keep", "100MiB"}
	stderr, err := proxy.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Process.Kill() }) // it has ended if all went well
	lines := bufio.NewScanner(stderr)
	if !lines.Scan() {
		t.Fatal(lines.Err())
	}
	m := regexp.MustCompile(`listening on (\S+),`).FindStringSubmatch(lines.Text())
	if m == nil {
		t.Fatal(lines.Text())
	}
	empty, _ := residentOf(t, proxy.Process.Pid)

	conns := make([]net.Conn, n)
	began := time.Now()
	var opening sync.WaitGroup
	for k := range 8 {
		opening.Go(func() {
			got := make([]byte, len(rec))
			for i := k; i < n; i += 8 {
				conn, err := net.Dial("tcp", m[1])
				if err == nil {
					conns[i] = conn
					conn.SetDeadline(time.Now().Add(time.Minute))
					_, err = conn.Write(rec)
				}
				if err == nil {
					_, err = io.ReadFull(conn, got)
				}
				if err == nil && !bytes.Equal(got, rec) {
					err = errors.New("something else came back")
				}
				if err != nil {
					t.Errorf("tunnel %d: %v", i, err)
					return
				}
			}
		})
	}
	opening.Wait()
	took := time.Since(began)
	idle, most := residentOf(t, proxy.Process.Pid)
	t.Logf("%d idle tunnels, opened in %v: %.1f MiB, %.1f at most, %.1f before the first; %.1f KiB each", n, took.Round(time.Millisecond),
		float64(idle)/(1<<20), float64(most)/(1<<20), float64(empty)/(1<<20), float64(idle-empty)/float64(n)/1024)
	if most > limit*int64(n)/all {
		t.Errorf("%d MiB is too much for %d tunnels", most>>20, n)
	}
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	if err := proxy.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	if err := proxy.Wait(); err != nil {
		t.Error(err)
	}
	t.Log(last)
	server.Close()
	wg.Wait()
}
