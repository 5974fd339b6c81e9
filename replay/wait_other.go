//go:build !linux

package replay

import "time"

// sharpen makes this goroutine's sleeps exact where that can be done.
func sharpen() (undo func()) { return func() {} }

// nap sleeps for d, or less.
func nap(d time.Duration) { time.Sleep(d) }
