// Package tun is the kernel's TUN as a [replay.Device], and the changes to
// this machine's network that go with it: addresses, MTU, routes, forwarding,
// filter rules. Whatever it changes it can undo, also what a process left that
// was killed.
//
// The loop that everybody writes:
//
//	log, err := tun.Recover() // undo what a killed process left
//	dev, err := tun.Open(tun.Options{Name: "tundump0", MTU: 1350})
//	if err != nil {
//		return err
//	}
//	defer dev.Close()
//	var setup tun.Setup
//	defer setup.Undo()
//	err = setup.Apply(
//		tun.HostRoute(server), // first in, last out
//		tun.Up(dev.Name()),
//		tun.Address(dev.Name(), address),
//		tun.Route(dev.Name(), network),
//	)
//	... // read and write dev
//
// Linux and macOS have it; elsewhere [Open] says in one line what there is
// instead. It needs root, or on Linux CAP_NET_ADMIN alone.
package tun

import "errors"

// Errors that callers tell apart.
var (
	// ErrName: a name that no device can have.
	ErrName = errors.New("no name for a device")
	// ErrExists: a device of that name is there already.
	ErrExists = errors.New("a device of that name exists already")
	// ErrPrivilege: the process may not make devices or change the network.
	ErrPrivilege = errors.New("not permitted")
	// ErrSystem: this system has no TUN that the package can use.
	ErrSystem = errors.New("not on this system")
)

const (
	// DefaultMTU is what a device has unless it is told otherwise.
	DefaultMTU = 1500
	// MinMTU is what IPv4 asks of every link (RFC 791 section 3.1 has 68 and
	// every host must take 576). IPv6 needs 1280: RFC 8200 section 5.
	MinMTU = 576
	// MaxMTU is the largest packet that IPv4 has.
	MaxMTU = 65535
)

// Options describe a device. The zero value is a device with a name of the
// system's choice and [DefaultMTU].
type Options struct {
	Name string // "" lets the system choose: tundump0 or utun4
	MTU  int    // bytes, MinMTU to MaxMTU; 0 is DefaultMTU
	// Batched takes TCP segments joined from the kernel, and joins those that
	// it hands over: more throughput, 8 MiB of memory or so. Linux only.
	Batched bool
}
