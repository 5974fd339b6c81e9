//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyHangup has the loss of the terminal told to ch, instead of ending the
// process.
func notifyHangup(ch chan os.Signal) { signal.Notify(ch, syscall.SIGHUP) }
