package pcapng

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// The block types that this package knows. Others are handed out like them
// and can be skipped.
const (
	SectionHeader        = 0x0a0d0d0a
	InterfaceDescription = 1
	OldPacket            = 2
	SimplePacket         = 3
	NameResolution       = 4
	InterfaceStatistics  = 5
	EnhancedPacket       = 6

	// ClassicHeader and ClassicRecord stand for the parts of a classic pcap
	// file, which have no type of their own. Bit 31 marks types for local use.
	ClassicHeader = 0x80747570
	ClassicRecord = 0x80747571
)

const (
	// MaxBlock is the longest block that is read, in bytes. It leaves room for
	// the largest record that is still decoded, and its header.
	MaxBlock = 33 << 20

	minBlock      = 12
	maxInterfaces = 1 << 16
	byteOrder     = 0x1a2b3c4d
)

// A DamageError reports that a file is not what it should be from Offset on.
// Every block before Offset is whole.
type DamageError struct {
	Offset int64  // of the damaged block's first byte
	Cut    bool   // the file ends inside the block: it was cut, or is still being written
	Reason string // if not cut, what is wrong
}

func (e *DamageError) Error() string {
	if e.Cut {
		return fmt.Sprintf("pcapng: the file ends inside the block at offset %d", e.Offset)
	}
	return fmt.Sprintf("pcapng: the file is damaged at offset %d: %s", e.Offset, e.Reason)
}

// Interface is where packets of a section were captured.
type Interface struct {
	LinkType    uint16
	SnapLen     uint32 // longest captured length, in bytes; 0 is no limit
	Name        string
	Description string
	// Resolution is if_tsresol as it stands in the file: a power of ten, or,
	// with bit 7, of two, that a second is divided by. AppendInterface takes
	// 0 for nanoseconds.
	Resolution uint8
	TimeOffset int64 // if_tsoffset, in seconds
}

const nanoseconds = 9

// Time converts a time stamp of the interface to nanoseconds since the Unix
// epoch. What an int64 cannot hold becomes its nearest value.
func (i *Interface) Time(stamp uint64) int64 {
	n := uint(i.Resolution & 0x7f)
	var ns uint64
	switch {
	case i.Resolution&0x80 != 0:
		hi, lo := bits.Mul64(stamp, 1e9)
		switch {
		case n >= 64:
			ns = hi >> (n - 64)
		case hi>>n != 0:
			ns = math.MaxUint64
		default:
			ns = hi<<(64-n) | lo>>n
		}
	case n <= nanoseconds:
		hi, lo := bits.Mul64(stamp, pow10(nanoseconds-n))
		ns = lo
		if hi != 0 {
			ns = math.MaxUint64
		}
	case n-nanoseconds < 20:
		ns = stamp / pow10(n-nanoseconds)
	}
	return addSeconds(int64(min(ns, math.MaxInt64)), i.TimeOffset)
}

func pow10(n uint) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// addSeconds adds s seconds to ns, which is not negative.
func addSeconds(ns, s int64) int64 {
	const most = math.MaxInt64 / int64(1e9)
	switch {
	case s > most || s > 0 && ns > math.MaxInt64-s*1e9:
		return math.MaxInt64
	case s < -most:
		return math.MinInt64
	}
	return ns + s*1e9
}

// Section is what has to be known to understand a packet block: the byte order
// and the interfaces so far. It is a small value; a copy stays valid, and may
// be used from any goroutine, while the reader goes on.
type Section struct {
	Offset      int64 // of its first byte in the file
	Application string
	Interfaces  []Interface
	BigEndian   bool
	Classic     bool // a classic pcap file; it has one interface
}

func (s *Section) u16(b []byte) uint16 {
	if s.BigEndian {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (s *Section) u32(b []byte) uint32 {
	if s.BigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (s *Section) u64(b []byte) uint64 {
	if s.BigEndian {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

// measure reads the type and length of the block at the beginning of b, which
// holds at least its first 16 bytes or as many as the file has. reason is
// empty if the length is one that a block can have.
func (s *Section) measure(b []byte) (typ uint32, n int, reason string) {
	if s.Classic {
		return s.measureClassic(b)
	}
	typ = s.u32(b)
	l := s.u32(b[4:])
	switch {
	case l < minBlock:
		return typ, 0, fmt.Sprintf("block length %d is less than %d", l, minBlock)
	case l%4 != 0:
		return typ, 0, fmt.Sprintf("block length %d is not a multiple of 4", l)
	case l > MaxBlock:
		return typ, 0, fmt.Sprintf("block length %d is more than %d", l, MaxBlock)
	}
	return typ, int(l), ""
}

const classicRecordHeader = 16

func (s *Section) measureClassic(b []byte) (typ uint32, n int, reason string) {
	l := s.u32(b[8:])
	if l > MaxBlock-classicRecordHeader {
		return ClassicRecord, 0, fmt.Sprintf("packet length %d is more than %d", l, MaxBlock-classicRecordHeader)
	}
	return ClassicRecord, classicRecordHeader + int(l), ""
}

// header is how much of a block has to be there to measure it.
func (s *Section) header() int {
	if s.Classic {
		return classicRecordHeader
	}
	return minBlock
}

// Cut reports the type and the length in bytes of the block that b begins
// with. n is 0 with an empty reason when b ends before the block does; reason
// says why no block begins there.
func (s *Section) Cut(b []byte) (typ uint32, n int, reason string) {
	if len(b) < s.header() {
		return 0, 0, ""
	}
	typ, n, reason = s.measure(b)
	switch {
	case reason != "":
		return typ, 0, reason
	case n > len(b):
		return typ, 0, ""
	case !s.Classic && int(s.u32(b[n-4:])) != n:
		return typ, 0, fmt.Sprintf("block length is %d at its start and %d at its end", n, s.u32(b[n-4:]))
	}
	return typ, n, ""
}

// openSection reads the body of a section header block; b is the whole block.
func openSection(b []byte, offset int64) (Section, string) {
	s := Section{Offset: offset}
	if len(b) < 28 {
		return s, "section header is too short"
	}
	switch binary.LittleEndian.Uint32(b[8:]) {
	case byteOrder:
	case bits.ReverseBytes32(byteOrder):
		s.BigEndian = true
	}
	if major := s.u16(b[12:]); major != 1 {
		return s, fmt.Sprintf("version %d.%d is not known", major, s.u16(b[14:]))
	}
	opts := Options{b: b[24 : len(b)-4], big: s.BigEndian}
	for {
		code, value, ok := opts.Next()
		if !ok {
			return s, ""
		}
		if code == optApplication {
			s.Application = string(value)
		}
	}
}

// addInterface reads an interface description block; b is the whole block.
func (s *Section) addInterface(b []byte) string {
	if len(b) < 20 {
		return "interface description is too short"
	}
	if len(s.Interfaces) >= maxInterfaces {
		return fmt.Sprintf("more than %d interfaces", maxInterfaces)
	}
	i := Interface{LinkType: s.u16(b[8:]), SnapLen: s.u32(b[12:]), Resolution: 6}
	opts := Options{b: b[16 : len(b)-4], big: s.BigEndian}
	for {
		code, value, ok := opts.Next()
		if !ok {
			break
		}
		switch {
		case code == optIfName:
			i.Name = string(value)
		case code == optIfDescription:
			i.Description = string(value)
		case code == optIfResolution && len(value) == 1:
			i.Resolution = value[0]
		case code == optIfOffset && len(value) == 8:
			i.TimeOffset = int64(s.u64(value))
		}
	}
	s.Interfaces = append(s.Interfaces, i)
	return ""
}
