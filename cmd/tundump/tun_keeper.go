package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"tundump/replay/tun"
)

// keeperCommand is hidden: people have no use for it.
const keeperCommand = "undo-after"

// keeper is a process that keeps the privileges which this one gives up. It
// reads nothing but the end of a pipe, which comes however this process ends,
// and then undoes the setup.
type keeper struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

// startKeeper leaves the setup to a new process.
func startKeeper(setup *tun.Setup) (*keeper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	k := &keeper{cmd: exec.Command(self, keeperCommand, setup.State())}
	k.cmd.Stderr = os.Stderr
	if k.pipe, err = k.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := k.cmd.Start(); err != nil {
		return nil, err
	}
	return k, nil
}

// finish lets the keeper undo the setup and waits for it.
func (k *keeper) finish() error { return errors.Join(k.pipe.Close(), k.cmd.Wait()) }

// keep is the keeper's whole life. What interrupts the process that it works
// for must not interrupt it.
func keep(in io.Reader, state string) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	return tun.UndoFile(state)
}
