// Package frame cuts a SimpleTunnel byte stream into records, builds records
// from payloads, and finds the next record after damage.
//
// A record is one length field and one payload, back to back, with no gap
// before the next record:
//
//	 0       4                    Length
//	+--------+--------------------+
//	| Length | Payload            |
//	+--------+--------------------+
//
// Length is 32 bits, least significant byte first, and counts itself. The
// payload is a property list, nearly always a binary one; this package looks
// at its magic and its trailer only, to tell a record from bytes that happen
// to look like one.
//
// [Cut] is for a stream that is known to be sound. [Scanner] is for any
// stream: what it cannot frame it hands out as unframed bytes, and goes on at
// the next record. The loop around it:
//
//	var s frame.Scanner
//	for {
//		span, ok := s.Next(pending, frame.More)
//		if !ok {
//			break // read more, append it to pending
//		}
//		use(span.Kind, pending[:span.Len])
//		pending = pending[span.Len:]
//	}
//
// The package does no input or output and starts no goroutine.
//
// Source: serializeMessage in Apple's SimpleTunnel sample,
// SimpleTunnelServices/Tunnel.swift. The sample writes the number in the byte
// order of the machine it runs on; every machine that it has shipped for is
// little-endian.
package frame

import (
	"encoding/binary"
	"fmt"
)

const (
	// HeaderLen is the size of the length field, and so the shortest record.
	HeaderLen = 4
	// MaxLen is the longest record that the genuine ends accept:
	// Tunnel.maximumMessageSize.
	MaxLen = 128 << 10
	// MaxDecode is the longest record that is still decoded, to show what a
	// genuine end would have refused.
	MaxDecode = 16 << 20
	// MinLen is the shortest record whose payload can be a binary property
	// list with one object.
	MinLen = HeaderLen + len(magic) + 1 + 1 + 1 + trailerLen

	magic      = "bplist0" // and any eighth byte, as CoreFoundation reads it
	trailerLen = 32
)

// A LengthError reports a length field that no record can have.
type LengthError struct {
	Len uint32 // the length field as read, in bytes
	Max int    // the limit that was asked for, in bytes
}

func (e *LengthError) Error() string {
	if e.Len < HeaderLen {
		return fmt.Sprintf("frame: length %d is less than the %d bytes of the length field itself", e.Len, HeaderLen)
	}
	return fmt.Sprintf("frame: length %d is more than %d bytes", e.Len, e.Max)
}

// Cut reports the length in bytes, length field included, of the record that
// b begins with.
//
// b is a piece of one direction of one connection, starting at a record
// boundary; it may hold any number of records and end inside one. Cut reads
// only the length field and never writes to b or keeps it.
//
// n is 0 with a nil error when b ends before the record does; read more and
// call again. Otherwise n is at least [HeaderLen] and at most max, and
// n <= len(b).
//
// The error is a [*LengthError], and n is 0, if the length field is less than
// [HeaderLen] or more than max. It comes as soon as the field itself has
// arrived. Pass [MaxLen] for max to accept what Apple's peers accept; a
// debugger that wants to see what they would refuse passes [MaxDecode].
//
// Cut does not allocate unless it fails.
//
// Source: readNextPacket in SimpleTunnelServices/ClientTunnel.swift, which
// checks the upper bound only. A length below 4 makes that code underflow;
// Cut reports it instead.
func Cut(b []byte, max int) (n int, err error) {
	if len(b) < HeaderLen {
		return 0, nil
	}
	l := binary.LittleEndian.Uint32(b)
	if l < HeaderLen || uint64(l) > uint64(max) {
		return 0, &LengthError{Len: l, Max: max}
	}
	if uint64(l) > uint64(len(b)) {
		return 0, nil
	}
	return int(l), nil
}

// Reserve appends room for a length field to dst; [PutLength] fills it in once
// the payload behind it is complete.
func Reserve(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

// PutLength writes the length field of the record that begins at b[start] and
// ends where b ends. It refuses a record that no length field can hold.
func PutLength(b []byte, start int) error {
	n := len(b) - start
	if n < HeaderLen || uint64(n) > 1<<32-1 {
		return fmt.Errorf("frame: a record of %d bytes has no length field", n)
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(n))
	return nil
}

// Fits reports whether rec, a whole record, holds a binary property list
// whose trailer fits the record's length: the object table's end, the offset
// table and the trailer add up to it. That is how a record is told from bytes
// that happen to look like one; it says nothing about the objects.
//
// Source: __CFBinaryPlistGetTopLevelInfo in CoreFoundation's
// CFBinaryPList.c, which allows no slack between table and trailer.
func Fits(rec []byte) bool {
	if len(rec) < MinLen || string(rec[HeaderLen:HeaderLen+len(magic)]) != magic {
		return false
	}
	payload := uint64(len(rec) - HeaderLen)
	t := rec[len(rec)-trailerLen:]
	offsetSize, refSize := uint64(t[6]), t[7]
	objects := binary.BigEndian.Uint64(t[8:])
	root := binary.BigEndian.Uint64(t[16:])
	table := binary.BigEndian.Uint64(t[24:])
	if offsetSize == 0 || refSize == 0 || objects == 0 || root >= objects || table < uint64(len(magic))+2 || table > payload-trailerLen {
		return false
	}
	room := payload - trailerLen - table
	return room%offsetSize == 0 && room/offsetSize == objects
}
