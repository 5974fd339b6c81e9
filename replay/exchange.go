package replay

import (
	"sync/atomic"
	"time"
)

// State is how it stands with something that is compared.
type State uint8

const (
	Unasked   State = iota // it was not asked for yet, or not at all
	Awaited                // it was asked for and has not come
	Equal                  // it has come, and is as it was recorded
	Belated                // so it is, but took longer by Options.Late or more
	Different              // what came differs from what was recorded
	Lost                   // it never came
	Surplus                // it came, and the recording has nothing like it
	States                 // how many there are
)

// Exchange is what the recording has of a request and its answer, or of a
// connection, and what became of it now. Its texts are safe to print.
type Exchange struct {
	State State
	// Connection says that it is a connection that is opened again, as a whole.
	Connection bool
	// Asks says that it is a request to a recorded server, with its answer: what
	// can differ is the request.
	Asks bool
	// Request and Answer are numbers of packets in the recording, or of
	// messages if Message is set; 0 if there is none.
	Request, Answer int64
	Message         bool
	// Came is the Item.Number of what came, 0 if that is not known.
	Came int64
	Loop int // that is played, from 1; 0 if nothing was yet

	// To is where the request goes, an address; "" for a message.
	To string
	// Asked, Recorded and Live say in a line what is asked, what was answered
	// then and what now. Live is "" if nothing came, and if that is the same.
	Asked, Recorded, Live string
	// Then and Now are how long the answer took, or the connection lasted, in
	// the recording and now; below 0 if that is not known. Since is for how
	// long it has been awaited.
	Then, Now, Since time.Duration
	// Difference is what is known of how it differs: of the loop that is
	// played, or else of an earlier one. Nil if it never did, and if there were
	// too many: see Report.Differences. It must not be changed.
	Difference *Difference
}

// Exchanges are what a recording has to be compared by: the answers that are
// expected and the connections that are opened again, each at its place in
// time, and behind them what came besides, in the order in which it came. They
// are numbered from 0, and keep their numbers.
//
// The methods may be called from any goroutine, before, while and after the
// recording is played. Asking holds up what is played no longer than a lookup
// takes, and costs it nothing while nobody asks.
type Exchanges interface {
	// Len reports how many there are so far.
	Len() int
	// At is how far playing has come: the newest that was asked for, -1 if none
	// was, or if they are asked for in no order.
	At() int
	// State is that of number i. It reads no file.
	State(i int) State
	// Read returns number i. The error says why the recording cannot be read;
	// what does not depend on it is there all the same.
	Read(i int) (Exchange, error)
	// Different reports how many differences there are so far.
	Different() int64
	// Differences returns them, as a Report has them: the first of them. The
	// slice is the caller's.
	Differences() []Difference
}

// flags are of many things, which one goroutine sets and any reads.
type flags []atomic.Uint64

func newFlags(n int) flags { return make(flags, (n+63)/64) }

func (b flags) set(i int32)      { b[i/64].Or(1 << (i % 64)) }
func (b flags) has(i int32) bool { return b[i/64].Load()>>(i%64)&1 != 0 }

func (b flags) clear() {
	for i := range b {
		b[i].Store(0)
	}
}
