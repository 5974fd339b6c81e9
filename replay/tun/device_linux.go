package tun

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"

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
	driver  driver
	closed  atomic.Bool
	dropped atomic.Int64
}

// driver takes and hands over packets. Its errors mean that the device is of
// no use any more.
type driver interface {
	read(bufs [][]byte, sizes []int) (int, error)
	write(pkts [][]byte) (int, error)
	close() error
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
	name := o.Name
	if name == "" {
		name = "tundump%d"
	}
	d := &Device{mtu: o.MTU}
	var err error
	if o.Batched {
		d.driver, d.name, err = opened(newBatched(name, o.MTU, &d.dropped))
	} else {
		d.driver, d.name, err = opened(newSingle(name, &d.dropped))
	}
	if err != nil {
		return nil, openError(o.Name, err)
	}
	if err := prepare(d.name, o.MTU); err != nil {
		return nil, errors.Join(fmt.Errorf("tun: device %s: %w", d.name, err), d.Close())
	}
	return d, nil
}

// opened makes sure that a driver that failed is nil.
func opened[D driver](d D, name string, err error) (driver, string, error) {
	if err != nil {
		return nil, "", err
	}
	return d, name, nil
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
	n, err := d.driver.read(bufs, sizes)
	return n, d.fail("read", err)
}

// Write implements [replay.Device]. The kernel refuses what is no IP packet,
// and everything while the device is down.
func (d *Device) Write(pkts [][]byte) (int, error) {
	n, err := d.driver.write(pkts)
	if err == nil && d.closed.Load() {
		err = net.ErrClosed
	}
	return n, d.fail("write", err)
}

// fail says what became of the device. It is net.ErrClosed after Close.
func (d *Device) fail(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case d.closed.Load():
		return net.ErrClosed
	case errors.Is(err, unix.EBADFD), errors.Is(err, os.ErrClosed), unpollable(err):
		return fmt.Errorf("tun: %s: device %s is gone: somebody removed it", what, d.name)
	}
	return fmt.Errorf("tun: %s: device %s: %w", what, d.name, err)
}

// unpollable reports what a reader that waits is told while the device is
// being removed: an end of file, or that it cannot be polled, which is no error
// of the system's and has no number.
func unpollable(err error) bool {
	errno := syscall.Errno(0)
	return !errors.As(err, &errno)
}

// Close implements [replay.Device]: the device is gone when it returns.
func (d *Device) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	return d.driver.close()
}
