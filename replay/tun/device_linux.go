package tun

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"tundump/replay"
)

// maxName is IFNAMSIZ without the zero at its end.
const maxName = unix.IFNAMSIZ - 1

func checkName(name string) error { return checkCharacters(name, maxName) }

// Device is a TUN of the kernel's. It goes with its process, however that
// ends, and with it its addresses and the routes into it.
type Device struct {
	name    string
	mtu     int
	file    *os.File
	raw     syscall.RawConn
	closed  atomic.Bool
	dropped atomic.Int64
}

var _ replay.Device = (*Device)(nil)

// Open makes a device and sets its MTU. It is not up yet.
func Open(o Options) (*Device, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := Available(); err != nil {
		return nil, err
	}
	if o.Name != "" {
		// The kernel would hand out a persistent device that somebody else
		// set up, and water would make it go away.
		if _, err := net.InterfaceByName(o.Name); err == nil {
			return nil, fmt.Errorf("tun: device %s: %w", o.Name, ErrExists)
		}
	}
	f, name, err := create(o.Name)
	if err != nil {
		return nil, openError(o.Name, err)
	}
	d := &Device{name: name, mtu: o.MTU, file: f}
	if d.raw, err = f.SyscallConn(); err == nil {
		err = prepare(name, o.MTU)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tun: device %s: %w", name, err), f.Close())
	}
	return d, nil
}

// create makes the device. water opens it without O_CLOEXEC: until the flag is
// set no process may start, because that would keep the device alive.
func create(name string) (*os.File, string, error) {
	if name == "" {
		name = "tundump%d"
	}
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
	return f, ifce.Name(), nil
}

func openError(name string, err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("tun: device %s: %w", name, ErrExists)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("tun: make a device: %w: it takes root, or CAP_NET_ADMIN and an accessible /dev/net/tun", ErrPrivilege)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("tun: make a device: %w: /dev/net/tun is not there; load it with: modprobe tun", ErrSystem)
	}
	return fmt.Errorf("tun: make a device: %w", err)
}

// prepare sets the MTU, and keeps the kernel from talking over the device by
// itself: without it, the first packets are its router solicitations.
func prepare(name string, mtu int) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("set MTU %d: %w", mtu, err)
	}
	const none = 1 // IN6_ADDR_GEN_MODE_NONE of linux/if_link.h
	if err := netlink.LinkSetIP6AddrGenMode(link, none); err != nil && hasIPv6() {
		return fmt.Errorf("switch the link-local address off: %w", err)
	}
	return nil
}

// Name returns the device's name.
func (d *Device) Name() string { return d.name }

// MTU implements [replay.Device].
func (d *Device) MTU() int { return d.mtu }

// Dropped reports how many packets were dropped: those that did not fit the
// reader's buffer, and those that the kernel refused.
func (d *Device) Dropped() int64 { return d.dropped.Load() }

// Read implements [replay.Device]. It waits for the first packet and takes
// those that are ready with it.
func (d *Device) Read(bufs [][]byte, sizes []int) (int, error) {
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
	return 0, d.fail("read", errors.Join(err, failed))
}

// fail says what became of the device. It is net.ErrClosed after Close.
func (d *Device) fail(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case d.closed.Load():
		return net.ErrClosed
	case errors.Is(err, unix.EBADFD):
		return fmt.Errorf("tun: %s: device %s is gone: somebody removed it", what, d.name)
	}
	return fmt.Errorf("tun: %s: device %s: %w", what, d.name, err)
}

// Write implements [replay.Device]. The kernel refuses what is no IP packet,
// and everything while the device is down.
func (d *Device) Write(pkts [][]byte) (int, error) {
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
	return n, d.fail("write", errors.Join(err, failed))
}

// Close implements [replay.Device]: the device is gone when it returns.
func (d *Device) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	return d.file.Close()
}
