//go:build unix

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// terminal is a real one: a pane of a tmux of its own.
type terminal struct {
	t      *testing.T
	socket string
	dir    string

	patience time.Duration // how long it is waited for; 0: patience
}

// patience is how long a terminal is waited for.
const patience = 30 * time.Second

// newTerminal starts a terminal of that size in which the shell runs script.
func newTerminal(t *testing.T, width, height int, script string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("no tmux: ", err)
	}
	x := &terminal{t: t, dir: t.TempDir()}
	x.socket = filepath.Join(x.dir, "tmux")
	x.tmux("-f", os.DevNull, "new-session", "-d", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height), "-c", x.dir,
		"sh", "-c", script+"; echo ended; exec sleep 1000")
	t.Cleanup(func() { x.tmux("kill-server") })
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", x.socket}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+x.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

func (x *terminal) screen() string { return x.tmux("capture-pane", "-p") }

func (x *terminal) keys(keys ...string) { x.tmux(append([]string{"send-keys"}, keys...)...) }

// shows waits until the screen has the text.
func (x *terminal) shows(text string) {
	x.t.Helper()
	x.until(strconv.Quote(text), func(screen string) bool { return strings.Contains(screen, text) })
}

func (x *terminal) until(what string, holds func(screen string) bool) {
	x.t.Helper()
	for end := time.Now().Add(cmp.Or(x.patience, patience)); ; time.Sleep(20 * time.Millisecond) {
		s := x.screen()
		if holds(s) {
			return
		}
		if time.Now().After(end) {
			x.t.Fatalf("the screen never showed %s:\n%s", what, s)
		}
	}
}

// However the screen ends, a crash of the runtime and SIGKILL included, the
// terminal is as it was, and the capture whole.
func TestTerminalIsRestored(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin := buildProgram(t)
	for _, end := range []struct {
		name string
		how  func(t *testing.T, x *terminal, p *os.Process)
		exit int
		says string
	}{
		{"q", func(_ *testing.T, x *terminal, _ *os.Process) { x.keys("q") }, 0, "tunnel"},
		{"SIGTERM", func(t *testing.T, _ *terminal, p *os.Process) { send(t, p, syscall.SIGTERM) }, 0, "tunnel"},
		{"SIGINT", func(t *testing.T, _ *terminal, p *os.Process) { send(t, p, syscall.SIGINT) }, 0, "tunnel"},
		{"SIGHUP", func(t *testing.T, _ *terminal, p *os.Process) { send(t, p, syscall.SIGHUP) }, 0, "tunnel"},
		{"SIGQUIT", func(t *testing.T, _ *terminal, p *os.Process) { send(t, p, syscall.SIGQUIT) }, 2, "goroutine"},
		{"SIGKILL", func(t *testing.T, _ *terminal, p *os.Process) { send(t, p, syscall.SIGKILL) }, 137, "is restored"},
	} {
		t.Run(end.name, func(t *testing.T) {
			x := newTerminal(t, 80, 24, fmt.Sprintf("stty -a >before; sh -c 'echo $$ >pid; exec %s demo -w demo.pcapng'; echo exit $? >code; read enter; stty -a >now; mv now after", bin))
			x.shows("Packets")
			x.shows("OpenResult")
			x.until("a message in the capture", func(string) bool { // which is written up to 200 ms later
				var out bytes.Buffer
				code := run([]string{"read", filepath.Join(x.dir, "demo.pcapng"), "--messages", "-c", "1"}, nil, &out, io.Discard)
				return code == exitDone && strings.Contains(out.String(), "Open")
			})
			b, err := os.ReadFile(filepath.Join(x.dir, "pid"))
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
			if err != nil {
				t.Fatal(err)
			}
			p, err := os.FindProcess(pid)
			if err != nil {
				t.Fatal(err)
			}
			end.how(t, x, p)
			x.restored()
			x.until(end.says, func(string) bool { return strings.Contains(x.tmux("capture-pane", "-p", "-S", "-"), end.says) })
			want := fmt.Sprintf("exit %d\n", end.exit)
			x.until(want, func(string) bool { // not on the screen: after SIGKILL the shell may be there before it is left
				code, err := os.ReadFile(filepath.Join(x.dir, "code"))
				return err == nil && string(code) == want
			})
			x.keys("Enter") // which reaches the shell only if the terminal makes a line of it
			x.until("stty", func(string) bool { _, err := os.Stat(filepath.Join(x.dir, "after")); return err == nil })
			before, err := os.ReadFile(filepath.Join(x.dir, "before"))
			if err != nil {
				t.Fatal(err)
			}
			if after, err := os.ReadFile(filepath.Join(x.dir, "after")); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the terminal was\n%s and is\n%s; %v", before, after, err)
			}
			if out := stdoutOf(t, "read", filepath.Join(x.dir, "demo.pcapng"), "--messages", "-c", "1"); !strings.Contains(out, "Open") {
				t.Errorf("the capture begins with %q", out)
			}
		})
	}
}

// restored waits until the terminal has left the alternate screen, reports no
// mouse and shows its cursor.
func (x *terminal) restored() {
	x.t.Helper()
	x.until("a screen that was left", func(string) bool {
		return strings.TrimSpace(x.tmux("display-message", "-p", "#{alternate_on}#{mouse_any_flag}#{cursor_flag}")) == "001"
	})
}

func send(t *testing.T, p *os.Process, s syscall.Signal) {
	if err := p.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Every view shows a capture, at both sizes, and a filter leaves what read -Y
// does.
func TestTerminalShowsFile(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin := buildProgram(t)
	path := demoCapture(t)
	passes := strings.Count(stdoutOf(t, "read", path, "--packets", "-Y", "udp"), "\n")
	for _, size := range [][2]int{{80, 24}, {140, 45}} {
		x := newTerminal(t, size[0], size[1], bin+" "+path+"; echo exit $?")
		x.shows("OpenResult")
		for _, view := range []struct{ key, shows string }{
			{"2", "Standard query"}, {"3", "Retr"}, {"4", "connect"}, {"5", "configuration"}, {"6", "Top talkers"}, {"1", "OpenResult"},
		} {
			x.keys(view.key)
			x.shows(view.shows)
		}
		x.keys("2")
		x.shows("Standard query")
		x.keys("/")
		x.keys("-l", "udp")
		x.keys("Enter")
		x.shows(fmt.Sprintf("%d of", passes))
		x.keys("q")
		x.shows("exit 0")
	}
}
