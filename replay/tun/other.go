//go:build !linux && !darwin

package tun

import (
	"fmt"
	"net/netip"

	"tundump/replay"
)

// water has a driver for Windows whose reads do not end when it is closed.
var errSystem = fmt.Errorf("tun: %w: TUN devices are for Linux and macOS; without --tun, serve and connect use a TCP/IP stack of their own, which needs no driver and no administrator", ErrSystem)

// Device is a TUN of the kernel's.
type Device struct{ replay.Device }

// Name returns the device's name.
func (d *Device) Name() string { return "" }

// Dropped reports how many packets were dropped.
func (d *Device) Dropped() int64 { return 0 }

// Open fails: there is no TUN here that the package can use.
func Open(Options) (*Device, error) { return nil, errSystem }

// Available reports why there can be no device here.
func Available() error { return errSystem }

// IPv6 reports whether devices can have IPv6 addresses here.
func IPv6() bool { return false }

// PathTo returns how packets to a host leave this machine.
func PathTo(netip.Addr) (Path, error) { return Path{}, errSystem }

// Recover has nothing to undo.
func Recover() ([]Change, error) { return nil, nil }

// UndoFile has nothing to undo.
func UndoFile(string) error { return nil }

type journal struct{ path string }

func newJournal() (*journal, error)          { return nil, errSystem }
func (*journal) write([]Change) error        { return errSystem }
func resolve(c Change) (Change, bool, error) { return c, false, errSystem }
func perform(Change) error                   { return errSystem }
func revert(Change) error                    { return errSystem }

// Advertised has nothing to say.
func Advertised() (device string, ok bool) { return "", false }

func heldByOthers(Change, string) (string, bool) { return "", false }
