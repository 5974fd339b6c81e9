//go:build linux || darwin

package main

import (
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"tundump/replay"
)

// onPause has SIGUSR1 pause and SIGCONT resume, as in tcpreplay, until undo is
// called.
func onPause(c *replay.Controller) (undo func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGUSR1, unix.SIGCONT)
	done := make(chan struct{})
	go func() { // ends with undo
		for {
			select {
			case s := <-signals:
				if s == unix.SIGUSR1 {
					c.Pause()
				} else {
					c.Resume()
				}
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

// rawKeys has a terminal hand out each key as it is pressed, until undo is
// called. Anything else is read as it is.
func rawKeys(in io.Reader) (undo func()) {
	f, ok := in.(*os.File)
	if !ok {
		return func() {}
	}
	was, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	if err != nil {
		return func() {} // no terminal
	}
	raw := *was
	raw.Lflag &^= unix.ICANON | unix.ECHO
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(int(f.Fd()), setTermios, &raw) != nil {
		return func() {} // then it takes Enter
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), setTermios, was) } // there is no more to be done
}
