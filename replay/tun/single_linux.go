package tun

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"
)

// single is the driver that takes and hands over one packet a system call.
type single struct {
	file    *os.File
	raw     syscall.RawConn
	dropped *atomic.Int64
}

// newSingle makes the device. water opens it without O_CLOEXEC: until the flag
// is set no process may start, because that would keep the device alive.
func newSingle(name string, dropped *atomic.Int64) (*single, string, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ifce, err := water.New(water.Config{DeviceType: water.TUN, PlatformSpecificParams: water.PlatformSpecificParams{Name: name}})
	if err != nil {
		return nil, "", err
	}
	f, ok := ifce.ReadWriteCloser.(*os.File)
	if !ok {
		return nil, "", errors.Join(errors.New("the driver brought no file"), ifce.Close())
	}
	raw, err := f.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { unix.CloseOnExec(int(fd)) })
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return &single{file: f, raw: raw, dropped: dropped}, ifce.Name(), nil
}

func (d *single) read(bufs [][]byte, sizes []int) (int, error) {
	limit := min(len(bufs), len(sizes))
	if limit == 0 {
		return 0, nil
	}
	n := 0
	var failed error
	// The kernel cuts what does not fit and does not say so: one byte more
	// than the buffer shows it.
	var spare [1]byte
	var into [2][]byte
	err := d.raw.Read(func(fd uintptr) bool {
		for n < limit {
			into = [2][]byte{bufs[n], spare[:]}
			got, err := unix.Readv(int(fd), into[:])
			switch {
			case err == unix.EINTR:
			case err == unix.EAGAIN:
				return n > 0
			case err != nil:
				failed = err
				return true
			case got > len(bufs[n]):
				d.dropped.Add(1)
			case got > 0:
				sizes[n] = got
				n++
			}
		}
		return true
	})
	if n > 0 {
		return n, nil // an error comes again
	}
	return 0, errors.Join(err, failed)
}

func (d *single) write(pkts [][]byte) (int, error) {
	n := 0
	var failed error
	err := d.raw.Write(func(fd uintptr) bool {
		for n < len(pkts) {
			_, err := unix.Write(int(fd), pkts[n])
			switch {
			case err == unix.EINTR:
				continue
			case err == unix.EAGAIN:
				return false
			case err == unix.EBADFD:
				failed = err
				return true
			case err != nil:
				d.dropped.Add(1)
			}
			n++
		}
		return true
	})
	return n, errors.Join(err, failed)
}

func (d *single) close() error { return d.file.Close() }
