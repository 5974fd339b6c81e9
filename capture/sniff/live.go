package sniff

import (
	"errors"
	"fmt"
)

// LiveStats counts what an interface brought.
type LiveStats struct {
	Received uint64 // packets that the kernel's filter let through
	Dropped  uint64 // of those, packets that the kernel had no room for: they are gaps in the tunnels
}

// ErrUnsupported is what Listen returns where packets cannot be captured
// without libpcap.
var ErrUnsupported = errors.New("sniff: capturing is for Linux only; elsewhere: tcpdump -i IFACE -U -w - 'tcp port N' | tundump read -")

// Any is the name that stands for all interfaces.
const Any = "any"

func cannotListen(iface string, err error) error {
	return fmt.Errorf("sniff: cannot capture on %s: %w", iface, err)
}
