package pcapng

import "encoding/binary"

// Option codes, by the blocks that they occur in.
const (
	optEnd     = 0
	optComment = 1

	optApplication = 4 // section header

	optIfName        = 2
	optIfDescription = 3
	optIfResolution  = 9
	optIfOffset      = 14

	optFlags = 2 // packets

	optStatStart    = 2
	optStatEnd      = 3
	optStatReceived = 4
	optStatDropped  = 5
)

// maxOption is the longest value that an option's length field can state.
const maxOption = 1<<16 - 1

// Options is the end of a block, where its options stand. It aliases the
// block.
type Options struct {
	b   []byte
	big bool
}

// Next takes the next option off the front. value is without padding and may
// be empty. ok is false at the end of the options, and at an option that
// reaches beyond the block: what comes before that is still good.
func (o *Options) Next() (code uint16, value []byte, ok bool) {
	if len(o.b) < 4 {
		return 0, nil, false
	}
	var n int
	if o.big {
		code, n = binary.BigEndian.Uint16(o.b), int(binary.BigEndian.Uint16(o.b[2:]))
	} else {
		code, n = binary.LittleEndian.Uint16(o.b), int(binary.LittleEndian.Uint16(o.b[2:]))
	}
	if code == optEnd || n > len(o.b)-4 {
		o.b = nil
		return 0, nil, false
	}
	value = o.b[4 : 4+n : 4+n]
	o.b = o.b[min(len(o.b), 4+pad4(n)):]
	return code, value, true
}

func pad4(n int) int { return (n + 3) &^ 3 }

var zeros [4]byte

// appendOption appends one option; a value beyond what its length field can
// state is cut.
func appendOption[T string | []byte](dst []byte, code uint16, value T) []byte {
	n := min(len(value), maxOption)
	dst = binary.LittleEndian.AppendUint16(dst, code)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(n))
	dst = append(dst, value[:n]...)
	return append(dst, zeros[:pad4(n)-n]...)
}
