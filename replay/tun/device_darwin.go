package tun

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"

	"tundump/replay"
)

// maxName is IFNAMSIZ without the zero at its end.
const maxName = 15

func checkName(name string) error {
	if err := checkCharacters(name, maxName); err != nil {
		return err
	}
	if name == "" {
		return nil
	}
	if len(name) > 4 && name[:4] == "utun" {
		if _, err := strconv.ParseUint(name[4:], 10, 16); err == nil {
			return nil
		}
	}
	return fmt.Errorf("tun: device %q: %w: macOS has utun0, utun1 and so on", name, ErrName)
}

// Device is a TUN of the kernel's. It goes with its process, however that
// ends, and with it its addresses and the routes into it.
type Device struct {
	mtu     int
	ifce    *water.Interface
	closed  atomic.Bool
	dropped atomic.Int64

	mu      sync.Mutex
	scratch []byte // one byte more than the MTU
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
	if o.Batched {
		return nil, fmt.Errorf("tun: make a device: %w: the batched driver is for Linux", ErrSystem)
	}
	if _, err := net.InterfaceByName(o.Name); o.Name != "" && err == nil {
		return nil, fmt.Errorf("tun: device %s: %w", o.Name, ErrExists)
	}
	ifce, err := create(o.Name)
	if err != nil {
		return nil, fmt.Errorf("tun: make a device: %w", err)
	}
	if err := run(ifconfig, ifce.Name(), "mtu", strconv.Itoa(o.MTU)); err != nil {
		return nil, errors.Join(fmt.Errorf("tun: device %s: set MTU %d: %w", ifce.Name(), o.MTU, err), ifce.Close())
	}
	return &Device{mtu: o.MTU, ifce: ifce, scratch: make([]byte, o.MTU+1)}, nil
}

// create makes the device. water opens it without close-on-exec and keeps the
// descriptor to itself: it is the highest one that is open now.
func create(name string) (*water.Interface, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ifce, err := water.New(water.Config{DeviceType: water.TUN, PlatformSpecificParams: water.PlatformSpecificParams{Name: name}})
	if err != nil {
		return nil, err
	}
	return ifce, closeControlsOnExec()
}

// closeControlsOnExec marks the kernel control sockets of this process, of
// which utun devices are one kind.
func closeControlsOnExec() error {
	files, err := os.ReadDir("/dev/fd")
	if err != nil {
		return err
	}
	for _, f := range files {
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		if sa, err := unix.Getpeername(fd); err == nil {
			if _, ok := sa.(*unix.SockaddrCtl); ok {
				unix.CloseOnExec(fd)
			}
		}
	}
	return nil
}

// Name returns the device's name.
func (d *Device) Name() string { return d.ifce.Name() }

// MTU implements [replay.Device].
func (d *Device) MTU() int { return d.mtu }

// Dropped reports how many packets were dropped: those that did not fit the
// reader's buffer, and those that the kernel refused.
func (d *Device) Dropped() int64 { return d.dropped.Load() }

// Read implements [replay.Device]. It takes one packet a call.
func (d *Device) Read(bufs [][]byte, sizes []int) (int, error) {
	if min(len(bufs), len(sizes)) == 0 {
		return 0, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		n, err := d.ifce.Read(d.scratch)
		switch {
		case err != nil:
			return 0, d.fail("read", err) // n is negative here
		case n > len(bufs[0]):
			d.dropped.Add(1)
		case n > 0:
			sizes[0] = copy(bufs[0], d.scratch[:n])
			return 1, nil
		}
	}
}

// Write implements [replay.Device].
func (d *Device) Write(pkts [][]byte) (int, error) {
	for i, p := range pkts {
		if d.closed.Load() {
			return i, net.ErrClosed
		}
		if _, err := d.ifce.Write(p); err != nil {
			d.dropped.Add(1)
		}
	}
	if d.closed.Load() {
		return 0, net.ErrClosed
	}
	return len(pkts), nil
}

func (d *Device) fail(what string, err error) error {
	if d.closed.Load() {
		return net.ErrClosed
	}
	return fmt.Errorf("tun: %s: device %s: %w", what, d.Name(), err)
}

// Close implements [replay.Device].
func (d *Device) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	return d.ifce.Close()
}
