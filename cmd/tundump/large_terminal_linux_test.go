package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTenMillionPackets opens ten million packets in a real terminal:
//
//	TUNDUMP_LARGE=1 go test ./cmd/tundump -run TestTenMillionPackets -v -timeout 30m
//
// It needs some 12 GB in the directory for temporary files. Times of single
// keys are those from the key until tmux has the rows; the others have starting
// tmux and the time between two looks in them.
func TestTenMillionPackets(t *testing.T) {
	if os.Getenv("TUNDUMP_LARGE") == "" {
		t.Skip("set TUNDUMP_LARGE=1 to open ten million packets; it takes minutes and 12 GB")
	}
	const packets = 10_000_000
	bin := buildProgram(t)
	ours, inner := millionPackets(t, t.TempDir(), packets)
	if err := os.Remove(inner); err != nil {
		t.Error(err)
	}

	began := time.Now()
	x := newTerminal(t, 140, 45, bin+" "+ours+"; echo exit $?")
	x.patience = 5 * time.Minute
	first := x.took(func() { x.until("its first rows", func(s string) bool { return firstRows.MatchString(s) }) })
	x.keys("2")
	x.shows("No.")
	early := x.took(func() { x.keys("G"); x.until("a later row", func(s string) bool { return atCursor(s) > 1000 }) })
	x.keys("g")
	x.shows(thousands(packets) + " packets")
	x.until("the end of the indexing", func(s string) bool { return !strings.Contains(strings.SplitN(s, "\n", 2)[0], "%") })
	all := time.Since(began)
	t.Logf("first rows after %v, all after %v; to the end so far, while it is read, %v", first.Round(time.Millisecond), all.Round(time.Millisecond), early.Round(time.Millisecond))

	c := x.control()
	var ends, homes, pages []time.Duration
	for range 50 {
		ends = append(ends, c.press("End", thousands(packets)))
		pages = append(pages, c.press("PPage", "▌"), c.press("PPage", "▌"), c.press("NPage", "▌"))
		homes = append(homes, c.press("g", "0.000000")) // the time of the first rows
		pages = append(pages, c.press("NPage", "▌"))
	}
	for _, k := range []struct {
		name  string
		times []time.Duration
	}{{"to the end", ends}, {"to the beginning", homes}, {"a page", pages}} {
		slices.Sort(k.times)
		median, most := k.times[len(k.times)/2], k.times[len(k.times)-1]
		t.Logf("%s: median %v, most %v", k.name, median.Round(100*time.Microsecond), most.Round(100*time.Microsecond))
		if median > 100*time.Millisecond {
			t.Errorf("%s takes %v", k.name, median)
		}
	}
	filter := x.took(func() {
		x.keys("/")
		x.keys("-l", "tcp.port == 443")
		x.keys("Enter")
		x.until("that all rows were looked at", func(s string) bool { return filtered.MatchString(s) })
	})
	for _, view := range []struct{ key, shows string }{{"3", "Retr"}, {"4", "Life of the tunnel"}, {"5", "Severity"}, {"6", "Top talkers"}, {"2", "No."}} {
		x.keys(view.key)
		x.shows(view.shows)
	}
	now, peak := x.resident(bin)
	t.Logf("tcp.port == 443 over all of them: %v; resident %d MiB, at most %d MiB", filter.Round(time.Millisecond), now>>20, peak>>20)
	if peak >= 1<<30 {
		t.Errorf("%d MiB were resident", peak>>20)
	}
	x.keys("q")
	x.shows("exit 0")
}

var (
	firstRows = regexp.MustCompile(`(?m)^.\s*▸? +1 +\d`)
	filtered  = regexp.MustCompile(`\n / tcp\.port == 443 +[\d,]+ of 10,000,000`)
	cursorRow = regexp.MustCompile(`(?m)^▌.? *([\d,]+) `)
)

// atCursor is the number of the row at the cursor, 0 if there is none on the
// screen.
func atCursor(screen string) int {
	m := cursorRow.FindStringSubmatch(screen)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
	if err != nil {
		return 0
	}
	return n
}

// took is how long do takes.
func (x *terminal) took(do func()) time.Duration {
	x.t.Helper()
	began := time.Now()
	do()
	return time.Since(began)
}

// control is a client of the terminal's tmux that is told what the program
// writes as soon as it does.
type control struct {
	t   *testing.T
	in  io.Writer
	out chan string
}

func (x *terminal) control() *control {
	x.t.Helper()
	cmd := exec.Command("tmux", "-S", x.socket, "-C", "attach-session", "-f", "ignore-size")
	in, err := cmd.StdinPipe()
	if err != nil {
		x.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		x.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	c := &control{x.t, in, make(chan string, 1024)}
	go func() { // ends with the client
		defer close(c.out)
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasPrefix(line, "%output ") {
				c.out <- line
			}
		}
	}()
	x.t.Cleanup(func() {
		in.Close()
		for range c.out {
		}
		if err := cmd.Wait(); err != nil {
			x.t.Error(err)
		}
	})
	return c
}

// press sends a key and returns how long it takes until the program has
// written text.
func (c *control) press(key, text string) time.Duration {
	c.t.Helper()
	for len(c.out) > 0 {
		<-c.out
	}
	began := time.Now()
	if _, err := fmt.Fprintln(c.in, "send-keys", key); err != nil {
		c.t.Fatal(err)
	}
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-c.out:
			if !ok {
				c.t.Fatalf("tmux ended before %q", text)
			}
			if strings.Contains(line, text) {
				return time.Since(began)
			}
		case <-timeout:
			c.t.Fatalf("%s never led to %q", key, text)
		}
	}
}

// resident is the memory that the program has in the terminal, now and at
// most, in bytes.
func (x *terminal) resident(program string) (now, peak int64) {
	x.t.Helper()
	x.processes(func(pid int, args string) {
		if !strings.HasPrefix(args, program+" ") {
			return
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			x.t.Error(err)
		}
		for line := range strings.Lines(string(status)) {
			var kB int64
			if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kB); n == 1 {
				now += kB << 10
			}
			if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kB); n == 1 {
				peak += kB << 10
			}
		}
	})
	if peak == 0 {
		x.t.Error("the program does not run in the terminal")
	}
	return now, peak
}
