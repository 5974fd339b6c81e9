package session

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/packet"
	"tundump/decode/stats"
)

// View is a capture for a screen: rows by position, however many there are,
// while the one pass goes on behind them. A packet costs 24 bytes of memory
// and a message 4, besides what the store keeps of an event; what a packet's
// row does not say is in its flow, and the bytes stay in the file.
//
// A position says where a row stands in its list: they are dense, begin at 0
// and never change, also where a limited capture gives up its oldest rows.
//
// All methods may be called from any goroutine. Those without a context return
// at once.
type View struct {
	store    *store.Store
	session  *Session
	flows    *flows
	infos    list[info]        // of units that span packets, by packet
	texts    list[string]      // of infos
	textOf   map[string]uint32 // their places; for the pass
	text     []byte
	acks     sparse[int64]            // by packet's number, for those whose row has no room: the packet acknowledged
	problems sparse[[]decode.Problem] // by event, where they are not what the message alone says

	joined        sparse[*packet.Whole] // by packet's number: the datagram whose last fragment it is
	reassembledIn sparse[int64]         // by packet's number, of the other fragments: where that is
	parser        *packet.Parser        // for the pass
	quoted        *packet.Parser        // likewise

	joinedBytes int
	kept        int          // how many problems
	packets     list[row]    // for the pass; packet number n is at n-1
	messages    list[uint32] // likewise: the event

	findings findings
	counts   counts
	rate     rate

	snapshot  atomic.Pointer[Snapshot]
	mu        sync.Mutex
	changed   chan struct{} // closed at the next change; nil if nobody waits
	returned  time.Time     // when Changed returned last
	selecting int           // selections that are not done
	closed    bool

	protocols protocols
	units     units
	readers   sync.Pool // of *reader
	cancel    context.CancelFunc
	done      chan struct{}
	work      sync.WaitGroup // selections
	ctx       context.Context
}

// Snapshot is the state of a view at one moment. It never changes.
type Snapshot struct {
	Version uint64 // differs from every other state of the view

	Messages, Packets Extent
	Summary           Summary
	Open              int64 // tunnels that are not closed
	Forgotten         int64 // flows given up to keep memory bounded
	// PacketRate and ByteRate are what came in the last second, by direction,
	// as the pass saw it.
	PacketRate, ByteRate [2]int64
	// Complete says that no more rows will come; Err why, if the capture has
	// more that cannot be read.
	Complete bool
	Err      error

	rows   list[row]
	events list[uint32]
	infos  list[info]
	texts  list[string]
	passed int // rows of the store that are in it
}

// Extent is the positions that a list has: First <= position < End.
type Extent struct{ First, End int }

// List names one of the two lists of a view.
type List uint8

const (
	// Messages is every event whose kind counts: records, bytes that are no
	// record, and gaps.
	Messages List = iota
	// Packets is every inner packet, those outside any tunnel included.
	Packets
)

// publishEvery is how often readers see a new state at most.
const publishEvery = 50 * time.Millisecond

// NewView begins the pass over st: one goroutine, which ends with the capture
// or at Close. as is what [Session.DecodeAs] is told, nil for nothing.
func NewView(st *store.Store, as map[packet.Port]packet.App) *View {
	ctx, cancel := context.WithCancel(context.Background())
	v := &View{store: st, session: New(st), flows: newFlows(), counts: counts{collector: stats.New(stats.Options{})}, parser: packet.NewParser(), quoted: packet.NewParser(), cancel: cancel, ctx: ctx, done: make(chan struct{})}
	v.session.DecodeAs(as)
	v.readers.New = func() any { return newReader(v) }
	v.snapshot.Store(&Snapshot{Version: 1})
	go func() {
		defer close(v.done)
		v.run(ctx)
	}()
	return v
}

// Close ends the pass and every selection, and waits for them. The store
// remains open.
func (v *View) Close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.cancel()
	<-v.done
	v.work.Wait()
}

// Done is closed when the pass is over.
func (v *View) Done() <-chan struct{} { return v.done }

// Snapshot returns the newest state.
func (v *View) Snapshot() *Snapshot { return v.snapshot.Load() }

// Changed waits for a state whose version is not version and returns the
// newest, at most 20 times a second. A selection that grows makes a new state
// too. The error is io.EOF when nothing will change any more.
func (v *View) Changed(ctx context.Context, version uint64) (*Snapshot, error) {
	for {
		v.mu.Lock()
		s := v.snapshot.Load()
		var wake <-chan struct{}
		pause := time.Until(v.returned.Add(publishEvery))
		switch {
		case s.Version == version && s.Complete && v.selecting == 0:
			v.mu.Unlock()
			return s, io.EOF
		case s.Version != version && pause <= 0:
			v.returned = time.Now()
			v.mu.Unlock()
			return s, nil
		case s.Version == version:
			if v.changed == nil {
				v.changed = make(chan struct{})
			}
			wake, pause = v.changed, time.Hour
		}
		v.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return s, ctx.Err()
		}
		timer.Stop()
	}
}

// waitFor waits for a state of which holds is true, and returns it.
func (v *View) waitFor(ctx context.Context, holds func(*Snapshot) bool) (*Snapshot, error) {
	for {
		v.mu.Lock()
		s := v.snapshot.Load()
		if v.changed == nil {
			v.changed = make(chan struct{})
		}
		wake := v.changed
		v.mu.Unlock()
		if holds(s) {
			return s, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

// announce makes a new state of the last one, changed by change.
func (v *View) announce(change func(*Snapshot)) {
	v.mu.Lock()
	s := *v.snapshot.Load()
	s.Version++
	change(&s)
	v.snapshot.Store(&s)
	if v.changed != nil {
		close(v.changed)
		v.changed = nil
	}
	v.mu.Unlock()
}

// checkEvery is after how many rows the pass looks at the clock.
const checkEvery = 64

// run is the pass.
func (v *View) run(ctx context.Context) {
	var published time.Time
	dirty := true // there is something that nobody has seen
	for n := 1; ; n++ {
		caughtUp := v.session.next >= v.store.Len()
		if caughtUp || n%checkEvery == 0 {
			now := time.Now()
			dirty = v.rate.measure(now, &v.session.sum) || dirty
			if dirty && now.Sub(published) >= publishEvery {
				v.publish(nil)
				published, dirty = now, false
			}
		}
		if caughtUp {
			switch err := v.idle(ctx, published, dirty); {
			case errors.Is(err, context.DeadlineExceeded):
				continue
			case err != nil:
				v.publish(err)
				return
			}
		}
		r, err := v.session.Next(ctx)
		if err != nil {
			v.publish(err)
			return
		}
		v.take(r)
		dirty = true
	}
}

// idle waits for a row, or until there is something to publish.
func (v *View) idle(ctx context.Context, published time.Time, dirty bool) error {
	until := v.rate.until()
	if dirty {
		until = published.Add(publishEvery)
	}
	if !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	_, err := v.store.Wait(ctx, v.session.next)
	return err
}

// rate measures what comes in a second.
type rate struct {
	began          time.Time
	packets, bytes [2]int64 // at that time
	packetRate     [2]int64
	byteRate       [2]int64
}

// measure sets the rates once a second, and reports whether they changed.
func (r *rate) measure(now time.Time, sum *Summary) (changed bool) {
	passed := now.Sub(r.began)
	if passed < time.Second {
		return false
	}
	before := [2][2]int64{r.packetRate, r.byteRate}
	if !r.began.IsZero() {
		for d := range 2 {
			r.packetRate[d] = int64(float64(sum.Packets[d]-r.packets[d]) / passed.Seconds())
			r.byteRate[d] = int64(float64(sum.Bytes[d]-r.bytes[d]) / passed.Seconds())
		}
	}
	r.began, r.packets, r.bytes = now, sum.Packets, sum.Bytes
	return before != [2][2]int64{r.packetRate, r.byteRate}
}

// until is when the rates have to be measured though nothing comes: they are
// to fall to nothing. It is zero if they have.
func (r *rate) until() (t time.Time) {
	if r.packetRate != [2]int64{} || r.byteRate != [2]int64{} {
		t = r.began.Add(time.Second)
	}
	return t
}

// publish lets readers see what the pass has seen. end is why it is over, nil
// if it is not.
func (v *View) publish(end error) {
	first := uint32(v.store.First())
	packets := v.packets.search(func(r *row) bool { return r.event >= first })
	messages := v.messages.search(func(e *uint32) bool { return *e >= first })
	v.packets.drop(packets)
	v.messages.drop(messages)
	v.infos.drop(v.infos.search(func(x *info) bool { return int(x.at) >= packets }))
	sum, open := v.session.Seen(), int64(len(v.session.tunnels))
	if v.session.tunnels[0] != nil { // packets without one
		open--
	}
	v.announce(func(s *Snapshot) {
		s.Packets, s.Messages = Extent{packets, v.packets.n}, Extent{messages, v.messages.n}
		s.rows, s.events, s.passed = v.packets, v.messages, v.session.next
		s.infos, s.texts = v.infos, v.texts
		s.Summary = sum
		s.Open = open
		s.PacketRate, s.ByteRate = v.rate.packetRate, v.rate.byteRate
		s.Forgotten = sum.Flows + v.flows.forgotten()
		if end != nil {
			s.Complete = true
			if end != io.EOF && !errors.Is(end, context.Canceled) {
				s.Err = end
			}
		}
	})
}
