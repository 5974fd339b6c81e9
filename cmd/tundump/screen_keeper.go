//go:build unix

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// restoreCommand is hidden: people have no use for it.
const restoreCommand = "restore-terminal"

// screenKeeper is a process that makes the terminal what it was when this one
// ends without doing so: bubbletea catches the panics of its own goroutines
// only, and nothing in a process catches another's, a runtime error or SIGKILL.
// It reads a pipe that this process holds open, and that the runtime writes a
// crash to.
type screenKeeper struct {
	cmd    *exec.Cmd
	pipe   *os.File
	stderr int      // what standard error was
	stray  *os.File // what it is instead: what lands on the screen breaks it
}

// left is what a keeper is told when the terminal was left as it should be.
const left = "left\n"

// keepScreen starts a keeper for the terminal as it is now.
func keepScreen() (*screenKeeper, error) {
	state, err := terminalState(os.Stdin.Fd())
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	k := &screenKeeper{cmd: exec.Command(self, restoreCommand, state), pipe: w}
	k.cmd.Stdin, k.cmd.Stdout, k.cmd.Stderr = r, os.Stdout, os.Stderr
	k.cmd.ExtraFiles = []*os.File{os.Stdin}
	err = k.cmd.Start()
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if err := errors.Join(debug.SetCrashOutput(w, debug.CrashOptions{}), k.redirect()); err != nil {
		return nil, errors.Join(err, k.leave())
	}
	return k, nil
}

// redirect has what libraries write to standard error kept in a file that has
// no name.
func (k *screenKeeper) redirect() error {
	f, err := os.CreateTemp("", "tundump")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		return errors.Join(err, f.Close())
	}
	stderr, err := unix.FcntlInt(os.Stderr.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if err := unix.Dup2(int(f.Fd()), 2); err != nil {
		return errors.Join(err, unix.Close(stderr), f.Close())
	}
	k.stderr, k.stray = stderr, f
	return nil
}

// leave tells the keeper that the terminal is as it was, waits for its end, and
// writes out what was written to standard error in the meantime.
func (k *screenKeeper) leave() error {
	err := debug.SetCrashOutput(nil, debug.CrashOptions{})
	if k.stray != nil {
		err = errors.Join(err, unix.Dup2(k.stderr, 2), unix.Close(k.stderr))
		_, seek := k.stray.Seek(0, io.SeekStart)
		_, copied := io.Copy(os.Stderr, io.LimitReader(k.stray, maxHeld))
		err = errors.Join(err, seek, copied, k.stray.Close())
	}
	_, told := k.pipe.WriteString(left)
	return errors.Join(err, told, k.pipe.Close(), k.cmd.Wait())
}

// restoreTerminal is the keeper's whole life.
func restoreTerminal(in io.Reader, tty, screen, log *os.File, state string) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTTOU)
	first := make([]byte, 4096)
	n, err := in.Read(first)
	if string(first[:n]) == left {
		return nil
	}
	if err != nil && err != io.EOF {
		return err
	}
	err = setTerminalState(tty.Fd(), state)
	_, wrote := screen.WriteString(ansi.ResetMode(ansi.ModeMouseButtonEvent, ansi.ModeMouseAnyEvent, ansi.ModeMouseExtSgr, ansi.ModeBracketedPaste) +
		ansi.ResetStyle + ansi.ShowCursor + ansi.ResetMode(ansi.ModeAltScreenSaveCursor))
	if n == 0 {
		_, told := fmt.Fprintln(log, "tundump: ended without leaving the screen, which is restored")
		return errors.Join(err, wrote, told)
	}
	_, told := io.Copy(log, io.LimitReader(io.MultiReader(bytes.NewReader(first[:n]), in), maxHeld))
	_, rest := io.Copy(io.Discard, in)
	return errors.Join(err, wrote, told, rest)
}

// terminalState is a terminal's settings as an argument.
func terminalState(fd uintptr) (string, error) {
	s, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	b, err := binary.Append(nil, binary.NativeEndian, &s.Termios)
	return base64.RawURLEncoding.EncodeToString(b), err
}

func setTerminalState(fd uintptr, state string) error {
	b, err := base64.RawURLEncoding.DecodeString(state)
	if err != nil {
		return err
	}
	var s term.State
	if _, err := binary.Decode(b, binary.NativeEndian, &s.Termios); err != nil {
		return err
	}
	return term.SetState(fd, &s)
}

// restoreTerminalCommands is what a keeper runs, see keepScreen.
func restoreTerminalCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    restoreCommand + " SETTINGS",
		Short:  "make the terminal what it was when standard input ends",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return restoreTerminal(cmd.InOrStdin(), os.NewFile(3, "terminal"), os.Stdout, os.Stderr, args[0])
		},
	}}
}
