package tui

import (
	"context"
	"time"
)

// ExchangeState is how it stands with something that a replay compares.
type ExchangeState uint8

const (
	Unasked ExchangeState = iota
	Awaited
	Equal
	Belated
	Different
	Lost    // it never came
	Surplus // it came, and the recording has nothing like it
	exchangeStates
)

// ExchangeStates is a set of them: 1<<Different, say.
type ExchangeStates uint16

// Differences are the states that are differences.
const Differences ExchangeStates = 1<<Different | 1<<Lost | 1<<Surplus

// Has reports whether s is one of them.
func (x ExchangeStates) Has(s ExchangeState) bool { return x>>s&1 != 0 }

// Exchange is a request and its answer, or a connection: what the recording
// has, and what became of it now. All texts are safe.
type Exchange struct {
	State      ExchangeState
	Connection bool
	// Asks says that it is a request to a recorded server: what differs is what
	// was asked.
	Asks            bool
	Message         bool  // the numbers are tunnel.msg, else frame.number
	Request, Answer int64 // in the recording; 0 for none
	Came            int64 // frame.number of what came, 0 if that is not known
	Loop            int   // from 1, 0 before anything is played

	To, Asked, Recorded, Live string
	// Then and Now are how long it took, below 0 if that is not known; Since is
	// for how long it has been awaited, Wait when it is given up.
	Then, Now, Since, Wait time.Duration
	// Differs is the loop in which it differed, 0 if it did not, and Fields how.
	Differs int
	Fields  []ExchangeField
}

// ExchangeField is one field that differs.
type ExchangeField struct{ Name, Recorded, Live string }

// Exchanges are what a replay compares, numbered from 0: in the order in which
// they are asked, and what came besides at the end. Methods that take a context
// are called in the background, the others return at once; all may be called by
// several goroutines.
type Exchanges interface {
	// Len reports how many there are; it only grows.
	Len() int
	// At is how far it has come, -1 if nothing was asked, or there is no order.
	At() int
	// Different is how many are different so far.
	Different() int64
	// Read calls visit for each number, in the order given, until it returns
	// false. What it is given is the visitor's.
	Read(ctx context.Context, numbers []int, visit func(i int, e *Exchange) bool) error
	// Find returns the first from number i on, or with a step of -1 before it,
	// that is in one of the states; -1 if none is.
	Find(ctx context.Context, i, step int, in ExchangeStates) (int, error)
	// Select returns the numbers of all that are, ascending.
	Select(ctx context.Context, in ExchangeStates) ([]int32, error)
	// Recording and Live are the two captures.
	Recording() Source
	Live() Source
}
