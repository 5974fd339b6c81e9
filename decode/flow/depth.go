package flow

// Depth is how far the flows of a capture are followed: what nobody asks for
// need not be found out. The lower, the deeper.
type Depth uint8

const (
	// Dialogs is all there is: also what two ends say to each other in
	// protocols above the transport, put together over packets.
	Dialogs Depth = iota
	// Streams leaves dialogs out: an Analysis has no App and no PDUs, nor what
	// depends on those.
	Streams
	// Alone takes each packet for itself.
	Alone
)

// And returns the depth that is enough for both.
func (d Depth) And(e Depth) Depth { return min(d, e) }
