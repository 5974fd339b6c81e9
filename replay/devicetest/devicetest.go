// Package devicetest has in-memory devices for tests.
//
// A [Pipe] is two [replay.Device] values joined back to back: what is written
// to one is read from the other, in order, and nothing is lost.
//
//	a, b := devicetest.Pipe(1400)
//	defer a.Close()
//	a.Write([][]byte{packet})
//	n, err := b.Read(bufs, sizes)
package devicetest

import (
	"net"
	"sync"
	"sync/atomic"

	"tundump/replay"
)

// queueLen is how many packets wait in one direction before Write blocks.
const queueLen = 256

// Device is one end of a [Pipe].
type Device struct {
	mtu     int
	in, out chan []byte
	done    chan struct{} // closed by either end
	once    *sync.Once
	dropped atomic.Int64
}

var _ replay.Device = (*Device)(nil)

// Pipe returns two joined devices for packets of up to mtu bytes. Each
// direction holds a bounded number of packets; Write waits for room. Closing
// either end closes both.
func Pipe(mtu int) (a, b *Device) {
	x, y := make(chan []byte, queueLen), make(chan []byte, queueLen)
	done, once := make(chan struct{}), new(sync.Once)
	a = &Device{mtu: mtu, in: x, out: y, done: done, once: once}
	b = &Device{mtu: mtu, in: y, out: x, done: done, once: once}
	return a, b
}

// Read implements [replay.Device].
func (d *Device) Read(bufs [][]byte, sizes []int) (int, error) {
	limit := min(len(bufs), len(sizes))
	n := 0
	for n == 0 {
		select {
		case <-d.done:
			return 0, net.ErrClosed
		case p := <-d.in:
			n = d.place(p, bufs, sizes, n)
		}
	}
	for n < limit {
		select {
		case p := <-d.in:
			n = d.place(p, bufs, sizes, n)
		default:
			return n, nil
		}
	}
	return n, nil
}

// place copies p into slot n and reports the next free slot.
func (d *Device) place(p []byte, bufs [][]byte, sizes []int, n int) int {
	if len(p) > len(bufs[n]) {
		d.dropped.Add(1)
		return n
	}
	sizes[n] = copy(bufs[n], p)
	return n + 1
}

// Write implements [replay.Device]. A packet larger than the MTU is dropped.
func (d *Device) Write(pkts [][]byte) (int, error) {
	for i, p := range pkts {
		if len(p) > d.mtu {
			d.dropped.Add(1)
			continue
		}
		select {
		case <-d.done:
			return i, net.ErrClosed
		case d.out <- append([]byte(nil), p...):
		}
	}
	select {
	case <-d.done:
		return 0, net.ErrClosed
	default:
		return len(pkts), nil
	}
}

// MTU implements [replay.Device].
func (d *Device) MTU() int { return d.mtu }

// Close implements [replay.Device]. It closes the other end too.
func (d *Device) Close() error {
	d.once.Do(func() { close(d.done) })
	return nil
}

// Dropped reports how many packets this end could not pass on because they
// did not fit.
func (d *Device) Dropped() int64 { return d.dropped.Load() }
