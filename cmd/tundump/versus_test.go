package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tundump/decode/bplist"
	"tundump/decode/frame"
)

// TestVersus compares the relay with others in one run, on this machine:
//
//	TUNDUMP_VERSUS=1 go test ./cmd/tundump -run TestVersus -v -timeout 30m
//
// HAProxy, socat and toxiproxy (as toxiproxy-server) take part where they are
// installed. It asserts nothing: its figures are for people.
func TestVersus(t *testing.T) {
	if os.Getenv("TUNDUMP_VERSUS") == "" {
		t.Skip("set TUNDUMP_VERSUS=1 to compare with other relays; it takes minutes")
	}
	bin := buildProgram(t)
	capture := func(more ...string) func(t *testing.T, listen, upstream string) *exec.Cmd {
		return func(t *testing.T, listen, upstream string) *exec.Cmd {
			return exec.Command(bin, append([]string{"proxy", "-q", "--listen", listen, "--upstream", upstream,
				"-w", filepath.Join(t.TempDir(), "v.pcapng")}, more...)...)
		}
	}
	relays := []struct {
		name  string
		start func(t *testing.T, listen, upstream string) *exec.Cmd
	}{
		{"direct", nil},
		{"haproxy", haproxy},
		{"socat", func(_ *testing.T, listen, upstream string) *exec.Cmd {
			_, port, _ := net.SplitHostPort(listen)
			return installed("socat", "TCP-LISTEN:"+port+",bind=127.0.0.1,fork,reuseaddr,backlog=200", "TCP:"+upstream)
		}},
		{"toxiproxy", toxiproxy},
		{"tundump --no-inner", capture("--no-inner")},
		{"tundump", capture()},
	}
	for _, load := range []struct{ tunnels, perWrite, records int }{
		{1, 1, 100_000}, {1, 32, 600_000}, {10, 32, 600_000}, {100, 1, 200_000}, {100, 32, 600_000},
	} {
		for _, r := range relays {
			t.Run(fmt.Sprintf("%d tunnels, %d a write, %s", load.tunnels, load.perWrite, r.name), func(t *testing.T) {
				var got atomic.Int64
				addr := startRelay(t, r.start, func(c net.Conn) { io.Copy(counting{&got}, c) })
				rate := throughput(t, addr, load.tunnels, load.perWrite, load.records, &got)
				t.Logf("%.0f MB/s", rate)
			})
		}
	}
	for _, r := range relays {
		t.Run("latency, "+r.name, func(t *testing.T) {
			addr := startRelay(t, r.start, echoBack)
			median, p99 := roundTrip(t, addr, 20_000)
			t.Logf("round trip of 100 bytes: median %v, 99th percentile %v", median, p99)
		})
	}
}

// startRelay starts a server and the relay in front of it, and returns where
// clients connect to.
func startRelay(t *testing.T, relay func(*testing.T, string, string) *exec.Cmd, serve func(net.Conn)) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	upstream := ln.Addr().String()
	if relay == nil {
		return upstream
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := free.Addr().String()
	free.Close()
	cmd := relay(t, listen, upstream)
	if cmd == nil {
		t.Skip("not installed")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		killed := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		killed.Stop()
	})
	for range 500 {
		c, err := net.Dial("tcp", listen)
		if err == nil {
			c.Close()
			return listen
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s does not listen", cmd.Path)
	return ""
}

func installed(name string, args ...string) *exec.Cmd {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil
	}
	return exec.Command(path, args...)
}

func haproxy(t *testing.T, listen, upstream string) *exec.Cmd {
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	writeFile(t, file, "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"+
		"listen l\n bind "+listen+"\n server s "+upstream+"\n")
	return installed("haproxy", "-db", "-f", file)
}

func toxiproxy(t *testing.T, listen, upstream string) *exec.Cmd {
	file := filepath.Join(t.TempDir(), "toxiproxy.json")
	writeFile(t, file, fmt.Sprintf(`[{"name":"l","listen":%q,"upstream":%q,"enabled":true}]`, listen, upstream))
	return installed("toxiproxy-server", "-config", file, "-port", "0")
}

// counting counts what is written to it.
type counting struct{ n *atomic.Int64 }

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func echoBack(c net.Conn) { io.Copy(c, c) }

// throughput sends records over tunnels at once and returns megabytes a
// second, from the first write until the server has got the last byte.
func throughput(t *testing.T, addr string, tunnels, perWrite, records int, got *atomic.Int64) float64 {
	burst := bytes.Repeat(packetsOf(t, 1400), perWrite)
	writes := records / tunnels / perWrite
	conns := make([]*net.TCPConn, tunnels)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c.(*net.TCPConn)
	}
	var wg sync.WaitGroup
	begin := time.Now()
	for _, c := range conns {
		wg.Go(func() {
			for range writes {
				if _, err := c.Write(burst); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	total := int64(writes * tunnels * len(burst))
	for got.Load() < total && !t.Failed() {
		time.Sleep(100 * time.Microsecond)
	}
	return float64(total) / 1e6 / time.Since(begin).Seconds()
}

// roundTrip sends one record of 100 bytes after the other, each when the one
// before has come back.
func roundTrip(t *testing.T, addr string, n int) (median, p99 time.Duration) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rec := packetsOf(t, 200)[:100] // half a record will do: it is passed on
	rec = append([]byte{100, 0, 0, 0}, rec[4:]...)
	times := make([]time.Duration, n)
	for i := range times {
		begin := time.Now()
		if _, err := c.Write(rec); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len(rec))); err != nil {
			t.Fatal(err)
		}
		times[i] = time.Since(begin)
	}
	slices.SortFunc(times, cmp.Compare[time.Duration])
	return times[n/2], times[n*99/100]
}

// packetsOf is a packets message of n bytes with one packet in it.
func packetsOf(t *testing.T, n int) []byte {
	pkt := []byte(strings.Repeat("\x45", n))
	for size := n - 100; ; {
		var w bplist.Writer
		rec, err := w.Append(frame.Reserve(nil), w.Dict(w.String("identifier"), w.Int(3735928559), w.String("command"), w.Int(8),
			w.String("packets"), w.DataArray([][]byte{pkt[:size]}), w.String("protocols"), w.IntArray([]int64{2})))
		if err != nil {
			t.Fatal(err)
		}
		if len(rec) == n {
			if err := frame.PutLength(rec, 0); err != nil {
				t.Fatal(err)
			}
			return rec
		}
		size += n - len(rec)
	}
}
