// Package reasm puts one direction of a TCP connection together: segments as
// they were captured go in, the bytes in order and the gaps between them come
// out. It serves the tunnels' own connections and the flows inside them alike.
//
//	var s reasm.Stream
//	for seg := range segments {
//		s.Add(&seg)
//		for p, ok := s.Next(); ok; p, ok = s.Next() {
//			use(p.Kind, p.Offset, p.Data)
//		}
//	}
//	s.Flush() // nothing more will come
//	for p, ok := s.Next(); ok; p, ok = s.Next() {
//		use(p.Kind, p.Offset, p.Data)
//	}
//
// [Stream.Acked] takes what the other direction acknowledges. With it a gap is
// given up as soon as it is known that the receiver has the bytes and the
// capture will never see them; without it only when memory is full or at the
// end.
//
// The first copy of a byte wins, as it does in the receiver: a later copy that
// says something else is reported and not used. Bytes are handed out once.
//
// What is held is bounded for each stream and for all that share a [Memory]:
// beyond that the first gap is given up.
//
// Source: RFC 9293, sections 3.4 and 3.10; RFC 7323, section 2.3 for the
// largest window, which is what makes a segment believable.
package reasm

// Kind says what a [Piece] is.
type Kind uint8

const (
	// Data is bytes that follow the piece before.
	Data Kind = iota + 1
	// Gap is bytes that were sent and not captured.
	Gap
	// Fin is the end of the stream. Nothing follows it.
	Fin
)

// Piece is what a stream goes on with.
type Piece struct {
	Kind   Kind
	Offset int64  // in the stream: 0 is the byte after SYN, or the first that was captured
	Len    int64  // in bytes; 0 for Fin
	Data   []byte // of Data: valid until the next call of a method of the stream
}

// Segment is a TCP segment of the stream's direction.
type Segment struct {
	Seq           uint32
	SYN, FIN, PSH bool
	Data          []byte // as captured
	Len           int    // bytes of payload on the wire, if more than was captured; else 0
}

// Verdict says what was noticed about a segment. Most have none of it.
type Verdict uint8

const (
	Repeated    Verdict = 1 << iota // some of its bytes came before
	Conflict                        // a byte that came before differs now
	OutOfOrder                      // bytes before it are missing so far
	KeepAlive                       // the byte that a keep-alive probe carries, which is not part of the stream
	Unbelieved                      // it is a GiB or more away from where the stream stands; it was not used
	BeyondFin                       // it carries bytes behind the end of the stream; those were not used
	OtherStream                     // a SYN with another sequence number than the stream's; it was not used
)

// Memory bounds what streams hold, all numbers in bytes. Streams share one by
// pointing to it, on one goroutine. The zero value has the defaults.
type Memory struct {
	Stream  int // one stream may hold; 0: 4 MiB
	Total   int // all together may hold; 0: 256 MiB
	History int // kept of what was handed out, to compare later copies with; 0: nothing

	used int
}

const (
	defaultStream = 4 << 20
	defaultTotal  = 256 << 20

	// maxHoles bounds the gaps that are open at a time, and so the work for
	// one segment.
	maxHoles = 1024
	// spanCost is what holding a run of bytes costs besides the bytes.
	spanCost = 64
	// joinBytes is how much is held of a stream that was met in its middle,
	// for the case that earlier bytes are still to come.
	joinBytes = 64 << 10
	// believable is how far from where it stands a stream takes bytes: the
	// largest window of RFC 7323.
	believable = 1 << 30
	// maxCopy is the capacity up to which a buffer is used again.
	maxCopy = 64 << 10
)

// Used reports how many bytes the streams hold.
func (m *Memory) Used() int { return m.used }

func (m *Memory) stream() int {
	if m.Stream > 0 {
		return m.Stream
	}
	return defaultStream
}

func (m *Memory) total() int {
	if m.Total > 0 {
		return m.Total
	}
	return defaultTotal
}
