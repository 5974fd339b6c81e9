package replay

import (
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharpen makes this goroutine's sleeps exact, and returns what undoes it. A
// thread's timers are 50 µs late by default, and the runtime's up to 1 ms.
//
// On a loaded machine a thread also waits for its turn. So where the privilege
// is there, which those who may make a device mostly have, it becomes a real-time
// one: beside 15 busy programs on two processors, the 99th percentile of 50,000
// packets a second was 1 ms late instead of 20. It sleeps often, see [waiter],
// and does not get the only processor.
func sharpen() (undo func()) {
	runtime.LockOSThread()
	var restore []func() // what fails leaves sleeps that are only more exact
	if slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err == nil && unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) == nil {
		restore = append(restore, func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) })
	}
	if was, err := unix.SchedGetAttr(0, 0); err == nil && was.Policy == unix.SCHED_NORMAL && runtime.NumCPU() > 1 {
		first := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
		if unix.SchedSetAttr(0, &first, 0) == nil {
			restore = append(restore, func() { _ = unix.SchedSetAttr(0, was, 0) })
		}
	}
	return func() {
		for _, f := range restore {
			f()
		}
		runtime.UnlockOSThread()
	}
}

// nap sleeps for d, or less: a signal ends it early, and the caller looks at the
// clock. It is not known to Go's scheduler, which would give this goroutine's
// place away, for it to wait for one after each sleep. The others have the rest
// of them, if there is more than one.
func nap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	if runtime.GOMAXPROCS(0) > 1 {
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
		return
	}
	_ = unix.Nanosleep(&ts, nil)
}
