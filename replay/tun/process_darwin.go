package tun

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const runDir = "/var/run"

// startOf returns when a process started.
func startOf(pid int) (string, error) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", err
	}
	t := k.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", t.Sec, t.Usec), nil
}

// surroundings names this run of the machine.
func surroundings() (boot, network string, err error) {
	boot, err = unix.Sysctl("kern.bootsessionuuid")
	return boot, "", err
}
