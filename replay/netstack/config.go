package netstack

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Defaults and bounds.
const (
	DefaultMTU = 1350 // a client's: an Ethernet's 1500 less Apple's tunnelOverheadBytes, 150
	gatewayMTU = 1500 // what a client may have at most, without knowing of that overhead
	minMTU     = 1280 // RFC 8200 section 5
	maxMTU     = 65535

	defaultFlows          = 4096
	defaultFlowsPerSource = 512
	maxHandshakes         = 512
	defaultUDPIdle        = time.Minute

	queueLen = 1024 // packets that wait for Read; more are dropped, as by a router
	nicID    = 1

	// A flow's receive buffer holds only what the outer connection has not
	// taken yet; moderate, because a hostile sender can fill all of them.
	minBuffer     = 4 << 10
	defaultBuffer = 256 << 10
	maxBuffer     = 1 << 20
)

// Config describes a [Stack]. The zero value is a stack of DefaultMTU without
// addresses that forwards nothing.
type Config struct {
	// MTU in bytes, 1280 to 65535. 0 is DefaultMTU, and 1500 if Dial is set.
	// Packets of any size are taken; none that is larger is sent.
	MTU int
	// Addresses are the stack's own. It answers echo requests to them, and
	// dials from them.
	Addresses []netip.Prefix

	// Dial, if set, makes the stack a gateway: TCP and UDP flows to any
	// address, its own included unless something listens there, are carried on
	// what Dial returns. network is "tcp" or "udp". If it fails, a TCP flow is
	// reset, and the sender of a UDP flow is told "administratively
	// prohibited" for fs.ErrPermission, "host unreachable" for a timeout and
	// for no route, and "port unreachable" for anything else.
	Dial func(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error)
	// Echo answers echo requests to addresses that are not the stack's own: it
	// reports nil once dst has answered with the same payload. The sender is
	// told "administratively prohibited" for fs.ErrPermission and
	// errors.ErrUnsupported (which is also logged, once), nothing for a
	// timeout, and "host unreachable" for anything else. nil prohibits every
	// echo request. It counts only if Dial is set.
	Echo func(ctx context.Context, dst netip.Addr, payload []byte) error

	// Flows is how many TCP and UDP flows are carried at once, and
	// FlowsPerSource how many of one inner address. 0 is 4096 and 512.
	Flows, FlowsPerSource int
	// UDPIdle is how long a UDP flow lives without a datagram. 0 is a minute.
	UDPIdle time.Duration
	// DialTimeout bounds one Dial. 0 is 30 seconds.
	DialTimeout time.Duration

	Logger *slog.Logger // nil is silent
}

func (c *Config) setDefaults() error {
	if c.MTU == 0 && c.Dial != nil {
		c.MTU = gatewayMTU
	}
	c.MTU = orDefault(c.MTU, DefaultMTU)
	if c.MTU < minMTU || c.MTU > maxMTU {
		return fmt.Errorf("netstack: MTU %d is not between %d and %d", c.MTU, minMTU, maxMTU)
	}
	c.Flows = orDefault(c.Flows, defaultFlows)
	c.FlowsPerSource = orDefault(c.FlowsPerSource, defaultFlowsPerSource)
	c.UDPIdle = orDefault(c.UDPIdle, defaultUDPIdle)
	c.DialTimeout = orDefault(c.DialTimeout, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
