// Package replay sends a recorded session again at the right times and
// compares the answers with the recorded ones. It also holds what the things
// that take part in a live tunnel share: a [Device] that carries IP packets,
// whether the kernel's TUN, a user-space stack or a fake, and a [Source] of
// recorded events.
//
// A recording is compiled into a plan, which says what is sent when and which
// answer is expected by what, and the plan is played against a [Peer]:
//
//	plan, err := replay.Compile(store, replay.Options{Pace: replay.Pace{Multiplier: 2}})
//	if err != nil {
//		return err
//	}
//	report, err := replay.Play(ctx, plan, &replay.DevicePeer{Device: dev})
//	if err != nil {
//		return err // the report is of the part that was played
//	}
//	same := report.Same()
//
// While it is played, plan.Control pauses, steps, seeks and changes the pace.
//
// The loop that everybody writes over a device:
//
//	bufs, sizes := replay.Buffers(32, dev.MTU())
//	for {
//		n, err := dev.Read(bufs, sizes)
//		if err != nil {
//			return err
//		}
//		for i := range n {
//			use(bufs[i][:sizes[i]])
//		}
//	}
package replay

import (
	"net/netip"

	"tundump/decode"
)

// Device carries IP packets, several a call. Read and Write may be called at
// the same time, each from one goroutine or from several.
type Device interface {
	// Read waits until at least one packet is there, puts one packet into each
	// of bufs and its length into sizes, and returns how many it put. A packet
	// that does not fit its buffer is dropped and counted, never cut. After
	// Close it returns an error that is net.ErrClosed.
	Read(bufs [][]byte, sizes []int) (int, error)
	// Write hands packets to the device, which does not keep them. It returns
	// how many were taken; a packet that the device refuses is dropped and is
	// no error. After Close the error is net.ErrClosed.
	Write(pkts [][]byte) (int, error)
	// MTU is the largest packet the device carries, in bytes.
	MTU() int
	// Close ends pending and later calls. A second Close does nothing.
	Close() error
}

// Forgetter is a Device that keeps something for the addresses it exchanges
// packets with, as a stack keeps connections.
type Forgetter interface {
	// Forget ends what is kept for addrs, before somebody else is given them.
	Forget(addrs ...netip.Addr)
}

// Buffers returns n buffers for packets of up to mtu bytes, and the sizes
// slice that goes with them.
func Buffers(n, mtu int) (bufs [][]byte, sizes []int) {
	bufs = make([][]byte, n)
	all := make([]byte, n*mtu)
	for i := range bufs {
		bufs[i] = all[i*mtu : (i+1)*mtu : (i+1)*mtu]
	}
	return bufs, make([]int, n)
}

// Source is a recorded session: rows by number. A capture/store.Store is one.
type Source interface {
	// Len reports how many rows there are so far.
	Len() int
	// At returns row i. The event's Raw lies in buf if it fits there, else in
	// memory of its own.
	At(i int, buf []byte) (decode.Event, error)
}
