package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestVersusTermshark compares the terminal UI with termshark on the same
// million inner packets, side by side on one screen after the other:
//
//	TUNDUMP_VERSUS=1 go test ./cmd/tundump -run TestVersusTermshark -v -timeout 30m
//
// Times are those until tmux shows it, which is asked every few milliseconds.
// It asserts nothing: its figures are for people.
func TestVersusTermshark(t *testing.T) {
	if os.Getenv("TUNDUMP_VERSUS") == "" {
		t.Skip("set TUNDUMP_VERSUS=1 to compare with termshark; it takes minutes")
	}
	if _, err := exec.LookPath("termshark"); err != nil {
		t.Skip("no termshark: ", err)
	}
	bin := buildProgram(t)
	ours, inner := millionPackets(t, t.TempDir(), 1_000_000)
	const text = "tcp.port == 443"
	passes := strings.Count(stdoutOf(t, "read", ours, "--packets", "-Y", text, "-T", "fields", "-e", "frame.number"), "\n")

	began := time.Now()
	bare := newPTY(t, 140, 45, bin, ours)
	bare.until("4 packets")
	t.Logf("in a terminal that runs already, tundump shows its first rows %v after its start", time.Since(began).Round(time.Millisecond))
	bare.write("q")

	us := versus{name: "tundump", rows: regexp.MustCompile(`(?m)^.\s*▸? +1 +\d`)}
	us.measure(t, bin+" "+ours, func(x *terminal) time.Duration {
		x.keys("2")
		x.shows("No.")
		began := time.Now()
		x.keys("/")
		x.keys("-l", text)
		x.keys("Enter")
		x.shows(thousands(passes) + " of ")
		return time.Since(began)
	})
	kept := t.TempDir()
	termshark := "XDG_CONFIG_HOME=" + kept + " XDG_CACHE_HOME=" + kept + " termshark -r "
	first := newTerminal(t, 140, 45, termshark+small(t, inner)) // makes its cache of tshark's fields
	first.patience = 5 * time.Minute
	first.shows("<Recent>")
	first.until("its rows", func(s string) bool { return termsharkRows.MatchString(s) })
	first.keys("q")
	them := versus{name: "termshark", rows: termsharkRows}
	them.measure(t, termshark+inner, func(x *terminal) time.Duration {
		began := time.Now()
		x.keys("/")
		x.keys("-l", text)
		x.keys("Enter")
		x.until("what it filtered", func(s string) bool { return strings.Contains(s, "443") && !strings.Contains(s, "0.000000") })
		t.Logf("termshark shows its first filtered rows after %v", time.Since(began).Round(time.Millisecond))
		for x.runs("tshark", text) { // it reads on
			time.Sleep(20 * time.Millisecond)
		}
		return time.Since(began)
	})
	t.Logf("first rows: tundump %v, termshark %v, %.1f times as soon", us.first.Round(time.Millisecond), them.first.Round(time.Millisecond), them.first.Seconds()/us.first.Seconds())
	t.Logf("all rows: tundump %v, termshark %v", us.all.Round(time.Millisecond), them.all.Round(time.Millisecond))
	t.Logf("%s, %d rows: tundump %v, termshark %v, %.1f times as soon", text, passes, us.filter.Round(time.Millisecond), them.filter.Round(time.Millisecond), them.filter.Seconds()/us.filter.Seconds())
	t.Logf("peak memory of all processes: tundump %d MiB, termshark %d MiB, a share of %.2f", us.peak>>20, them.peak>>20, float64(us.peak)/float64(them.peak))
}

var termsharkRows = regexp.MustCompile(`(?m)^.?\s*1\s+0\.0+`)

// small is the beginning of a capture.
func small(t *testing.T, path string) string {
	t.Helper()
	b := make([]byte, 20<<10)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadFull(f, b); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "small.pcapng")
	if err := os.WriteFile(out, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// versus is what a program took.
type versus struct {
	name string
	rows *regexp.Regexp // what the screen has once there are rows

	first, all, filter time.Duration
	peak               int64 // of all its processes together, in bytes
}

func (v *versus) measure(t *testing.T, command string, filter func(*terminal) time.Duration) {
	began := time.Now()
	x := newTerminal(t, 140, 45, command)
	x.patience = 5 * time.Minute
	stop := make(chan struct{})
	var peak atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				peak.Store(max(peak.Load(), x.memory()))
			}
		}
	})
	x.until("its first rows", func(s string) bool { return v.rows.MatchString(s) })
	v.first = time.Since(began)
	if v.name == "tundump" {
		x.shows("1,000,000 packets")
		x.until("the end of the indexing", func(s string) bool { return !strings.Contains(strings.SplitN(s, "\n", 2)[0], "%") })
	} else {
		for x.runs("tshark", "") {
			time.Sleep(20 * time.Millisecond)
		}
	}
	v.all = time.Since(began)
	v.filter = filter(x)
	close(stop)
	wg.Wait()
	v.peak = peak.Load()
	x.keys("q")
}

// processes calls use for the terminal's processes.
func (x *terminal) processes(use func(pid int, args string)) {
	root, err := strconv.Atoi(strings.TrimSpace(x.tmux("display-message", "-p", "#{pane_pid}")))
	if err != nil {
		x.t.Error(err)
		return
	}
	parents := map[int]int{}
	dirs, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		x.t.Error(err)
	}
	for _, d := range dirs {
		b, err := os.ReadFile(d)
		if err != nil {
			continue // it has ended
		}
		pid, err := strconv.Atoi(strings.Split(d, "/")[2])
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if err == nil && len(fields) > 1 {
			parents[pid], _ = strconv.Atoi(fields[1])
		}
	}
	for pid := range parents {
		for p := pid; p > 1; p = parents[p] {
			if p == root {
				args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty if it has ended
				use(pid, strings.ReplaceAll(string(args), "\x00", " "))
				break
			}
		}
	}
}

// memory is the resident memory of the terminal's processes, in bytes.
func (x *terminal) memory() (total int64) {
	x.processes(func(pid int, _ string) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)) // empty if it has ended
		if f := strings.Fields(string(b)); len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			total += pages * int64(os.Getpagesize())
		}
	})
	return total
}

// runs reports whether a process of that name runs, with text among its
// arguments.
func (x *terminal) runs(name, text string) (yes bool) {
	x.processes(func(_ int, args string) {
		program, _, _ := strings.Cut(args, " ")
		yes = yes || filepath.Base(program) == name && strings.Contains(args, text)
	})
	return yes
}

// TestKeyDelay measures how long the screen takes to follow a key while 20,000
// packets a second pass through the proxy:
//
//	TUNDUMP_VERSUS=1 go test ./cmd/tundump -run TestKeyDelay -v
func TestKeyDelay(t *testing.T) {
	if os.Getenv("TUNDUMP_VERSUS") == "" {
		t.Skip("set TUNDUMP_VERSUS=1 to measure; it takes half a minute")
	}
	const (
		perSecond  = 20_000
		perMessage = 4
		keys       = 300
	)
	bin := buildProgram(t)
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	go discardAll(upstream)
	listen := freeAddr(t)
	screen := newPTY(t, 140, 45, bin, "proxy", "--listen", listen, "--upstream", upstream.Addr().String(), "--tui")
	screen.until("Messages")
	var client net.Conn
	for end := time.Now().Add(patience); client == nil && time.Now().Before(end); {
		client, _ = net.Dial("tcp", listen)
	}
	if client == nil {
		t.Fatal("the proxy does not listen")
	}
	defer client.Close()
	stop := make(chan struct{})
	var sent atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() { traffic(t, client, perSecond, perMessage, &sent, stop) })
	screen.write("2")
	screen.until("No.")
	time.Sleep(3 * time.Second)
	screen.press("\x1b[A", "▌") // which ends following the tail: from now on only keys move the cursor
	if alone := screen.writes(500*time.Millisecond, "▌"); alone > 0 {
		t.Fatalf("the cursor moves %d times by itself", alone)
	}
	began, before := time.Now(), sent.Load()
	var delays []time.Duration
	for i := range keys {
		key := "\x1b[A"
		if i%8 >= 4 {
			key = "\x1b[B"
		}
		delays = append(delays, screen.press(key, "▌"))
		time.Sleep(time.Duration(20+i%30) * time.Millisecond)
	}
	rate := float64(sent.Load()-before) / time.Since(began).Seconds()
	close(stop)
	wg.Wait()
	screen.write("q")
	slices.Sort(delays)
	at := func(p float64) time.Duration {
		return delays[int(p*float64(len(delays)-1))].Round(100 * time.Microsecond)
	}
	t.Logf("%.0f packets a second, %d keys: median %v, 95th percentile %v, most %v", rate, keys, at(0.5), at(0.95), at(1))
}

// traffic sends messages at that rate of packets until stop.
func traffic(t *testing.T, c net.Conn, perSecond, perMessage int, sent *atomic.Int64, stop <-chan struct{}) {
	pkt := make([]byte, 200)
	copy(pkt, []byte{0x45, 0, 0, 200, 0, 0, 0, 0, 64, 17, 0, 0, 10, 8, 0, 2, 10, 8, 0, 1, 0xc3, 0x50, 0xc3, 0x51, 0, 180})
	packets := make([][]byte, perMessage)
	for i := range packets {
		packets[i] = pkt
	}
	record := packetsRecord(t, packets)
	began := time.Now()
	for n := 0; ; {
		due := int(time.Since(began).Seconds() * float64(perSecond))
		for ; n < due; n += perMessage {
			if _, err := c.Write(record); err != nil {
				t.Error(err)
				return
			}
			sent.Add(int64(perMessage))
		}
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func discardAll(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			b := make([]byte, 64<<10)
			for {
				if _, err := c.Read(b); err != nil {
					c.Close()
					return
				}
			}
		}()
	}
}

func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// pty is a terminal without a multiplexer in between: what the program writes
// is seen when it is written. It answers no question, and is of a type that is
// asked none.
type pty struct {
	t      *testing.T
	master *os.File
	out    chan string
	seen   string
}

func newPTY(t *testing.T, width, height uint16, program string, args ...string) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminals: ", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "TERM=screen-256color", "XDG_CONFIG_HOME="+t.TempDir())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	p := &pty{t: t, master: master, out: make(chan string, 1024)}
	go func() { // ends when the program does
		defer close(p.out)
		b := make([]byte, 64<<10)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			p.out <- string(b[:n])
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		for range p.out {
		}
		cmd.Wait()
		master.Close()
	})
	return p
}

func (p *pty) write(s string) {
	if _, err := p.master.WriteString(s); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until the program has written the text.
func (p *pty) until(text string) {
	p.t.Helper()
	timeout := time.After(patience)
	for !strings.Contains(p.seen, text) {
		select {
		case s, ok := <-p.out:
			if !ok {
				p.t.Fatalf("it ended before it wrote %q: %q", text, p.seen)
			}
			p.seen += s
		case <-timeout:
			p.t.Fatalf("it never wrote %q: %q", text, p.seen)
		}
	}
	p.seen = ""
}

// writes counts how often text is written in a time without keys, after what
// was on its way.
func (p *pty) writes(d time.Duration, text string) (n int) {
	time.Sleep(100 * time.Millisecond)
	for len(p.out) > 0 {
		<-p.out
	}
	for end := time.After(d); ; {
		select {
		case s := <-p.out:
			n += strings.Count(s, text)
		case <-end:
			return n
		}
	}
}

// press sends a key and returns how long it takes until text is written.
func (p *pty) press(key, text string) time.Duration {
	p.t.Helper()
	for len(p.out) > 0 {
		<-p.out
	}
	p.seen = ""
	began := time.Now()
	p.write(key)
	p.until(text)
	return time.Since(began)
}
