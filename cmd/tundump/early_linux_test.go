package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A command without a screen asks the terminal nothing, whatever its libraries
// do before main.
func TestNothingAskedOfTheTerminal(t *testing.T) {
	bin := buildProgram(t)
	pty, tty := pseudoTerminal(t)
	cmd := exec.Command(bin, "version")
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // only who is in the foreground asks
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	shown, err := io.ReadAll(pty)
	if len(shown) == 0 {
		t.Fatal("nothing was printed:", err) // reading ends with EIO when the terminal's last user has gone
	}
	if bytes.Contains(shown, []byte{0x1b}) {
		t.Errorf("the terminal was asked: %q", shown)
	}
}

// pseudoTerminal returns both ends of a terminal.
func pseudoTerminal(t *testing.T) (pty, tty *os.File) {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	t.Cleanup(func() { pty.Close() })
	if err := unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return pty, tty
}
