package replay

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// sharpen makes this goroutine's sleeps exact, and returns what undoes it. A
// thread's timers are 50 µs late by default, and the runtime's up to 1 ms.
func sharpen() (undo func()) {
	runtime.LockOSThread()
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return runtime.UnlockOSThread
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return runtime.UnlockOSThread
	}
	return func() {
		// A slack that stays only makes other sleeps more exact.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0)
		runtime.UnlockOSThread()
	}
}

// nap sleeps for d, or less.
func nap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // a signal ends it early: the caller looks at the clock
}
