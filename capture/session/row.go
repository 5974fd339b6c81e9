package session

import (
	"math"

	"tundump/decode/flow"
)

// row is what is kept in memory of an inner packet. With its flow it is enough
// to say all that the analysis said, and with the file to draw the packet.
type row struct {
	event  uint32 // the store's row that carries it
	place  uint32 // where it begins in the event's Raw, and in the low bits involved and what units has of its protocol
	flow   uint32 // which, in the low 24 bits, noFlow if none; above them the saw bits
	back   uint32 // how many packets before this one is the one that it repeats, answers or acknowledges; 0: none
	number uint32 // bytes in flight, or of a duplicate acknowledgment which it is
	length uint16 // in bytes; longLength: or more
	flags  uint16 // of the TCP analysis, and who sent it
}

const (
	appBits    = 6
	maxApp     = 1<<appBits - 1
	involved   = 1 << appBits // it carries another packet, or is a fragment or no IP: its flow does not say what it is
	placeShift = appBits + 1
	maxPlace   = 1<<(32-placeShift) - 1

	flowBits = 24
	noFlow   = 1<<flowBits - 1

	longLength = math.MaxUint16
	side1      = 1 << 15   // in flags: side 1 sent it
	quoted     = 1<<15 - 1 // in flags, all of them: the flow is that of the packet that it quotes

	// Bits above the flow's: what was seen of the connection up to the packet,
	// as flow.Completeness has it, and what back is.
	answers      = 1 << 30 // a DNS answer or an echo reply: back is the packet that asked
	acknowledges = 1 << 31 // back is the packet acknowledged, unless it is something else: then see View.acks
)

func (r *row) offset() int    { return int(r.place >> placeShift) }
func (r *row) unit() uint8    { return uint8(r.place & maxApp) }
func (r *row) flowID() uint32 { return r.flow & noFlow }
func (r *row) side() uint8    { return uint8(r.flags >> 15) }

func (r *row) completeness() flow.Completeness {
	return flow.Completeness(r.flow >> flowBits & 63)
}

// pack keeps what a says of packet n. own is the packet that it acknowledges
// where there was no room for that in the row, else 0.
func (r *row) pack(n int64, a *flow.Analysis) (own int64) {
	r.flags = uint16(a.Flags) & quoted
	if a.Quoted {
		r.flags = quoted
	}
	if a.Side != 0 {
		r.flags |= side1
	}
	r.flow |= uint32(a.Completeness&63) << flowBits
	r.number = a.InFlight
	ref := a.AckOf
	switch {
	case a.Flags&flow.DuplicateAck != 0:
		ref, r.number = a.DupAckOf, a.DupAck
	case a.AnswerTo != 0:
		ref = a.AnswerTo
		r.flow |= answers
	}
	if a.AckOf != 0 {
		r.flow |= acknowledges
		if ref != a.AckOf {
			own = a.AckOf
		}
	}
	if d := n - ref; ref > 0 && d > 0 && d <= math.MaxUint32 {
		r.back = uint32(d)
	}
	return own
}

// unpack is the inverse of pack, for what does not stand in the flow. own is
// what pack returned. The times are missing.
func (r *row) unpack(n, own int64, a *flow.Analysis) {
	a.Side = r.side()
	if a.Flags = flow.Flags(r.flags & quoted); a.Flags == quoted {
		a.Flags, a.Quoted = 0, true
	}
	a.Completeness = r.completeness()
	ref := int64(0)
	if r.back != 0 {
		ref = n - int64(r.back)
	}
	a.InFlight = r.number
	if a.Flags&flow.DuplicateAck != 0 {
		a.DupAckOf, a.DupAck, a.InFlight = ref, r.number, 0
	} else if r.flow&answers != 0 {
		a.AnswerTo = ref
	}
	if r.flow&acknowledges != 0 {
		if a.AckOf = own; own == 0 {
			a.AckOf = ref
		}
	}
}
