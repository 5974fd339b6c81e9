package replay

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"tundump/decode/packet"
)

// Unmatched says what becomes of a request that a recording does not have.
type Unmatched uint8

const (
	Ignore      Unmatched = iota // nothing
	Reset                        // TCP is reset, the rest gets nothing
	Unreachable                  // "port unreachable"
	Forward                      // TCP and UDP go on as if they were known: the stack's Dial decides
)

// ResponderDevice is a [Device] with a recorded server at its other end. TCP,
// and what goes on, ends in Stack, whose Dial is the Responder's DialStream for
// what the recording has.
type ResponderDevice struct {
	Responder *Responder
	Stack     Device
	Unmatched Unmatched
	// Tap, if set, is told of every packet: sent by the recorded server, or
	// come from the client; from several goroutines, and must not keep them.
	Tap func(sent bool, pkts [][]byte)

	once    sync.Once
	out     chan []byte
	done    chan struct{}
	dropped atomic.Int64
	wg      sync.WaitGroup
	parsing sync.Mutex
	parser  *packet.Parser
	facts   packet.Facts
}

var _ Device = (*ResponderDevice)(nil)

// maxWaiting is how many packets wait to be read; more are dropped.
const maxWaiting = 4096

// Start begins to take what the stack sends. It comes before everything else;
// Close ends it.
func (d *ResponderDevice) Start() {
	d.out, d.done, d.parser = make(chan []byte, maxWaiting), make(chan struct{}), packet.NewParser()
	if d.Tap == nil {
		d.Tap = func(bool, [][]byte) {}
	}
	d.wg.Go(func() { // ends when the stack is closed
		bufs, sizes := Buffers(receiveBatch, d.Stack.MTU())
		for {
			n, err := d.Stack.Read(bufs, sizes)
			if err != nil {
				return
			}
			for i := range n {
				d.send(append([]byte(nil), bufs[i][:sizes[i]]...))
			}
		}
	})
}

// send puts a packet out, which is the device's from then on.
func (d *ResponderDevice) send(p []byte) {
	select {
	case d.out <- p:
	default:
		d.dropped.Add(1)
	}
}

// Write implements [Device]: what a client sent.
func (d *ResponderDevice) Write(pkts [][]byte) (int, error) {
	select {
	case <-d.done:
		return 0, net.ErrClosed
	default:
	}
	d.Tap(false, pkts)
	for _, p := range pkts {
		if err := d.one(p); err != nil {
			return 0, err
		}
	}
	return len(pkts), nil
}

// one takes one packet.
func (d *ResponderDevice) one(p []byte) error {
	tcp, begins, to := d.look(p)
	if tcp {
		if !begins || d.Responder.HasStream(to.String()) || d.Unmatched == Reset || d.Unmatched == Forward {
			if begins && !d.Responder.HasStream(to.String()) {
				d.Responder.Unmatched("TCP", to.String())
			}
			_, err := d.Stack.Write([][]byte{p})
			return err
		}
		d.Responder.Unmatched("TCP", to.String())
		return d.refuse(p)
	}
	answers, known, err := d.Responder.Answer(nil, p)
	if err != nil {
		return err
	}
	if !known {
		return d.refuse(p)
	}
	for _, a := range answers {
		d.send(a)
	}
	return nil
}

func (d *ResponderDevice) look(p []byte) (tcp, begins bool, to netip.AddrPort) {
	d.parsing.Lock()
	defer d.parsing.Unlock()
	f := &d.facts
	d.parser.Facts(p, f)
	return f.Transport == packet.TCP, f.Flags&(packet.SYN|packet.ACK) == packet.SYN, netip.AddrPortFrom(f.Dst, f.DstPort)
}

// refuse does what is to be done with what the recording does not have.
func (d *ResponderDevice) refuse(p []byte) error {
	switch d.Unmatched {
	case Unreachable:
		if a, ok := appendUnreachable(nil, p); ok {
			d.send(a)
		}
	case Forward:
		_, err := d.Stack.Write([][]byte{p})
		return err
	}
	return nil
}

// Read implements [Device]: what the recorded server answers.
func (d *ResponderDevice) Read(bufs [][]byte, sizes []int) (int, error) {
	n := 0
	take := func(p []byte) {
		if len(p) > len(bufs[n]) {
			d.dropped.Add(1)
			return
		}
		sizes[n] = copy(bufs[n], p)
		n++
	}
	for n == 0 {
		select {
		case p := <-d.out:
			take(p)
		case <-d.done:
			return 0, net.ErrClosed
		}
	}
	for n < len(bufs) {
		select {
		case p := <-d.out:
			take(p)
			continue
		default:
		}
		break
	}
	pkts := make([][]byte, n)
	for i := range pkts {
		pkts[i] = bufs[i][:sizes[i]]
	}
	d.Tap(true, pkts)
	return n, nil
}

// MTU implements [Device]: answers are as large as they were recorded.
func (d *ResponderDevice) MTU() int { return 65535 }

// Dropped reports how many answers were dropped because nobody read them.
func (d *ResponderDevice) Dropped() int64 { return d.dropped.Load() }

// Close implements [Device]. It closes the stack.
func (d *ResponderDevice) Close() error {
	var err error
	d.once.Do(func() {
		close(d.done)
		err = d.Stack.Close()
		d.wg.Wait()
	})
	return err
}

// Dial is what Stack dials with: what the recording has, and otherwise next, if
// it is not nil.
func (r *Responder) Dial(ctx context.Context, network, address string, next func(ctx context.Context, network, address string) (net.Conn, error)) (net.Conn, error) {
	if network == "tcp" && r.HasStream(address) || next == nil {
		return r.DialStream(ctx, address)
	}
	return next(ctx, network, address)
}
