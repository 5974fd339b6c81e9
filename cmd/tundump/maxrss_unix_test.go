//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// maxRSS is the most memory that a process had, in bytes.
func maxRSS(p *os.ProcessState) int64 {
	n := p.SysUsage().(*syscall.Rusage).Maxrss
	if runtime.GOOS == "linux" {
		n *= 1024 // elsewhere it is in bytes
	}
	return int64(n)
}
