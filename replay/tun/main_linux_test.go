package tun

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// What a copy of the test program is for.
const (
	roleVariable = "TUNDUMP_TUN_TEST_ROLE"
	roleInside   = "inside" // run the tests, in a network namespace of its own
	roleLeave    = "leave"  // make changes, say so, and wait to be killed
	roleNobody   = "nobody" // ask for a device without any privilege
	outerNetwork = "TUNDUMP_TUN_TEST_OUTER"
)

// TestMain moves the tests into a network namespace that has nothing in it,
// with a /run of its own. What needs one is skipped if there can be none.
func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleLeave:
		leave()
	case roleNobody:
		_, err := Open(Options{})
		fmt.Println(err)
		os.Exit(0)
	case roleInside:
		if err := isolate(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		goleak.VerifyTestMain(m)
	}
	if os.Geteuid() != 0 {
		goleak.VerifyTestMain(m)
	}
	os.Exit(runInside())
}

func runInside() int {
	outer, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := again(roleInside, os.Args[1:]...)
	cmd.Env = append(cmd.Env, outerNetwork+"="+outer)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// again is this program in another role.
func again(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return cmd
}

// isolate finishes what runInside began, and makes sure of it.
func isolate() error {
	if inner, err := os.Readlink("/proc/self/ns/net"); err != nil || inner == os.Getenv(outerNetwork) {
		return fmt.Errorf("this is not a network namespace of the test's own: %s %w", inner, err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", runDir, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", runDir, err)
	}
	return nil
}

// inside skips a test that needs the namespace.
func inside(t testing.TB) {
	t.Helper()
	if os.Getenv(roleVariable) != roleInside {
		t.Skip("needs root, for a network namespace of its own")
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
