package tun

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const runDir = "/run"

// startOf returns when a process started, in ticks since the system did:
// proc_pid_stat(5), field 22.
func startOf(pid int) (string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	// Field 2 is the program's name in parentheses, which may have anything
	// in it; field 3 is the first after it.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return "", fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f)+2)
	}
	return string(f[19]), nil
}

// surroundings names this run of the machine and the network namespace. The
// namespace's cookie is never given out again, other than its inode number.
func surroundings() (boot, network string, err error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", "", err
	}
	boot = strings.TrimSpace(string(b))
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", "", fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(fd)
	if cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err == nil {
		return boot, "cookie:" + strconv.FormatUint(cookie, 10), nil
	}
	network, err = os.Readlink("/proc/thread-self/ns/net") // before Linux 5.14
	return boot, network, err
}
