package flow

import "strconv"

// Flags is what the TCP analysis found, in Wireshark's terms.
type Flags uint32

const (
	Retransmission     Flags = 1 << iota // sends again what was sent
	FastRetransmission                   // the same, soon after two or more duplicate acknowledgments
	Spurious                             // a retransmission of what was acknowledged already
	OutOfOrder                           // sends what belongs before an earlier packet and was not seen
	ReusedPorts                          // a SYN between the ports of an earlier connection
	LostSegment                          // there is a gap before it
	AckedUnseen                          // acknowledges what was not seen
	WindowUpdate                         // changes nothing but the window
	WindowFull                           // fills the receiver's window
	KeepAlive                            // the byte before the next one, again
	KeepAliveAck                         // the answer to that
	DuplicateAck                         // repeats an acknowledgment
	ZeroWindowProbe                      // one byte into a closed window
	ZeroWindow                           // there is no more room
	ZeroWindowProbeAck                   // the answer to a probe
)

// Repeats reports whether the segment's bytes come a second time or too late
// to be read in order: protocols above TCP are not decoded from it, as in
// tshark.
func (f Flags) Repeats() bool { return f&(Retransmission|OutOfOrder) != 0 }

// words stand in front of the info column, the last flag first.
var words = [...]string{
	"[TCP Retransmission] ", "[TCP Fast Retransmission] ", "[TCP Spurious Retransmission] ", "[TCP Out-Of-Order] ",
	"[TCP Port numbers reused] ", "[TCP Previous segment not captured] ", "[TCP ACKed unseen segment] ",
	"[TCP Window Update] ", "[TCP Window Full] ", "[TCP Keep-Alive] ", "[TCP Keep-Alive ACK] ", "",
	"[TCP ZeroWindowProbe] ", "[TCP ZeroWindow] ", "[TCP ZeroWindowProbeAck] ",
}

// AppendNotes appends what the analysis says in front of the info column, in
// tshark's words, with a space after each: "[TCP Dup ACK 4#1] ".
func (a *Analysis) AppendNotes(dst []byte) []byte {
	if a.Flags == 0 {
		return dst
	}
	for i := len(words) - 1; i >= 0; i-- {
		switch flag := Flags(1) << i; {
		case a.Flags&flag == 0:
		case flag == DuplicateAck:
			dst = strconv.AppendInt(append(dst, "[TCP Dup ACK "...), a.DupAckOf, 10)
			dst = strconv.AppendUint(append(dst, '#'), uint64(a.DupAck), 10)
			dst = append(dst, "] "...)
		default:
			dst = append(dst, words[i]...)
		}
	}
	return dst
}

// Completeness is what was seen of a TCP connection: the value of the field
// tcp.completeness.
type Completeness uint8

const (
	SawSYN    Completeness = 1 << iota
	SawSYNACK              // a SYN with ACK
	SawACK                 // an acknowledgment without data
	SawData                // data
	SawFIN                 // a FIN, either way
	SawRST                 // a reset
)
