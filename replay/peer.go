package replay

import (
	"fmt"
	"net/netip"

	"tundump/decode"
)

// Item is one thing that is sent or received: a packet, or a message that
// carries none.
type Item struct {
	Kind   decode.Kind // decode.Packet, or decode.Record for a message
	Tunnel uint32      // of the recording; 0 from a peer that knows of none
	Step   int         // in the plan; of no meaning in what is received
	Data   []byte      // the IP packet, or the whole record
	Number int64       // of what is received: what the peer calls it, see DevicePeer.Tap; 0 for nothing
}

// Peer is what a plan is played against. Send is called by one goroutine and
// Receive by another. What is received is in the recording's words: a peer
// that gives messages other identifiers translates both ways.
type Peer interface {
	// Send sends items in order and keeps nothing of them. It returns how many
	// it got to; those of them that it could not send are in Refused. The
	// error means that nothing more can be sent.
	Send(items []Item) (int, error)
	// Receive waits until something comes, puts it into items and returns how
	// much. The data is valid until the next call. After Close the error is
	// net.ErrClosed.
	Receive(items []Item) (int, error)
	// Refused reports how many items were not sent though Send got to them.
	Refused() int64
	// Close ends both. Play calls it.
	Close() error
}

// Restarter is a Peer that does something before a plan is played again.
type Restarter interface{ Restart() }

// DevicePeer plays packets into a Device and takes what comes out of it.
type DevicePeer struct {
	Device Device
	// Tap, if set, is told of every packet that is handed over and that came;
	// from two goroutines, and must not keep them. It may number them: the
	// first is number first, and those that follow one more each; 0 is none.
	Tap func(sent bool, pkts [][]byte) (first int64)
	// Senders are the addresses that packets come from. A device that is a
	// [Forgetter] forgets them between one loop and the next, so that the same
	// connections can be opened again.
	Senders []netip.Addr
	// Resets ends the TCP connections that a device that is no Forgetter has
	// taken up, between one loop and the next, with a reset each: else it
	// would not answer the same SYN again. They are told to no Tap.
	Resets bool

	opened opened

	out   [][]byte
	bufs  [][]byte
	sizes []int
	in    [][]byte
}

var _ Peer = (*DevicePeer)(nil)

// dropper is a Device that counts what it did not take.
type dropper interface{ Dropped() int64 }

// receiveBatch is how many packets are taken from a device at a time.
const receiveBatch = 64

// Send implements [Peer].
func (d *DevicePeer) Send(items []Item) (int, error) {
	d.out = d.out[:0]
	for i := range items {
		if items[i].Kind != decode.Packet {
			return i, fmt.Errorf("replay: a device takes packets, not messages")
		}
		d.out = append(d.out, items[i].Data)
	}
	if d.Tap != nil {
		d.Tap(true, d.out) // before an answer can come
	}
	return d.Device.Write(d.out)
}

// told taps a packet that is too large for the device, and what its sender is
// told by the device's end, whose number it returns.
func (d *DevicePeer) told(pkt, answer []byte) int64 {
	if d.Tap == nil {
		return 0
	}
	d.Tap(true, [][]byte{pkt})
	return d.Tap(false, [][]byte{answer})
}

// Receive implements [Peer].
func (d *DevicePeer) Receive(items []Item) (int, error) {
	if d.bufs == nil {
		d.bufs, d.sizes = Buffers(receiveBatch, d.Device.MTU())
	}
	n, err := d.Device.Read(d.bufs[:min(len(items), receiveBatch)], d.sizes)
	if err != nil {
		return 0, err
	}
	d.in = d.in[:0]
	for i := range n {
		items[i] = Item{Kind: decode.Packet, Data: d.bufs[i][:d.sizes[i]]}
		d.in = append(d.in, items[i].Data)
	}
	if d.Resets {
		d.opened.see(d.in)
	}
	if d.Tap == nil {
		return n, nil
	}
	if first := d.Tap(false, d.in); first > 0 {
		for i := range n {
			items[i].Number = first + int64(i)
		}
	}
	return n, nil
}

// Restart implements [Restarter].
func (d *DevicePeer) Restart() {
	if f, ok := d.Device.(Forgetter); ok {
		f.Forget(d.Senders...)
	} else if d.Resets {
		_, _ = d.Device.Write(d.opened.resets()) // a device that takes none says so of the next packet
	}
}

// Refused implements [Peer]: what the device dropped.
func (d *DevicePeer) Refused() int64 {
	if c, ok := d.Device.(dropper); ok {
		return c.Dropped()
	}
	return 0
}

// Close implements [Peer].
func (d *DevicePeer) Close() error { return d.Device.Close() }
