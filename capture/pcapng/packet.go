package pcapng

import (
	"errors"
	"io"
)

// The values of [Packet.Flags], the epb_flags option, that say which way a
// packet went as the one who captured it sees it.
const (
	Inbound   = 1
	Outbound  = 2
	Direction = 3 // mask
)

// maxComments is how many comments of one packet are kept.
const maxComments = 1024

// Packet is one captured packet, from whichever kind of block it came.
type Packet struct {
	Interface int    // its number in the section, from 0
	Time      int64  // nanoseconds since the Unix epoch; 0 in a simple packet block, which has none
	Length    int    // on the wire, in bytes; AppendPacket takes 0 for the length of what is written
	Flags     uint32 // epb_flags; 0 if there is none
	Start     int    // where Data begins in the block, in bytes; AppendPacket does not look at it
	// Data is what was captured. Read, it aliases the block.
	Data []byte
	// Comments are in the order of the file. Read, they alias the block, and
	// only the first 1024 are kept.
	Comments [][]byte
}

// ErrNoPacket is what [Section.Packet] returns for a block that is none or
// whose contents contradict its length. The blocks behind it can be read.
var ErrNoPacket = errors.New("pcapng: no packet in this block")

// IsPacket reports whether a block of type typ holds a packet.
func isPacket(typ uint32) bool {
	switch typ {
	case EnhancedPacket, SimplePacket, OldPacket, ClassicRecord:
		return true
	}
	return false
}

// Packet reads the packet in b, which is one whole block as [Section.Cut]
// reports it. p's Data and Comments alias b; the memory of p.Comments is used
// again. It does not allocate once that is large enough.
func (s *Section) Packet(b []byte, p *Packet) error {
	*p = Packet{Comments: p.Comments[:0]}
	if s.Classic {
		return s.classicPacket(b, p)
	}
	if len(b) < minBlock {
		return ErrNoPacket
	}
	body := b[8 : len(b)-4]
	var captured uint32
	switch typ := s.u32(b); {
	case typ == EnhancedPacket && len(body) >= 20:
		p.Interface = int(s.u32(body))
		captured, body = s.stamped(body[4:], p)
	case typ == OldPacket && len(body) >= 20:
		p.Interface = int(s.u16(body))
		captured, body = s.stamped(body[4:], p)
	case typ == SimplePacket && len(body) >= 4:
		p.Length = int(s.u32(body))
		body = body[4:]
		captured = uint32(min(p.Length, len(body)))
		if len(s.Interfaces) > 0 && s.Interfaces[0].SnapLen > 0 {
			captured = min(captured, s.Interfaces[0].SnapLen)
		}
		p.Data, p.Start = body[:captured:captured], 12
		if len(s.Interfaces) == 0 {
			return ErrNoPacket
		}
		return nil
	default:
		return ErrNoPacket
	}
	if p.Interface >= len(s.Interfaces) || uint64(captured) > uint64(len(body)) {
		return ErrNoPacket
	}
	n := int(captured)
	p.Data, p.Start = body[:n:n], 28
	s.packetOptions(body[min(len(body), pad4(n)):], p)
	return nil
}

// stamped reads the time and the lengths that enhanced and old packet blocks
// share; b begins at the time. It returns what is behind them.
func (s *Section) stamped(b []byte, p *Packet) (captured uint32, rest []byte) {
	if p.Interface < len(s.Interfaces) {
		p.Time = s.Interfaces[p.Interface].Time(uint64(s.u32(b))<<32 | uint64(s.u32(b[4:])))
	}
	p.Length = int(s.u32(b[12:]))
	return s.u32(b[8:]), b[16:]
}

func (s *Section) packetOptions(b []byte, p *Packet) {
	opts := Options{b: b, big: s.BigEndian}
	for {
		code, value, ok := opts.Next()
		if !ok {
			return
		}
		switch {
		case code == optComment && len(p.Comments) < maxComments:
			p.Comments = append(p.Comments, value)
		case code == optFlags && len(value) == 4:
			p.Flags = s.u32(value)
		}
	}
}

func (s *Section) classicPacket(b []byte, p *Packet) error {
	if len(b) < classicRecordHeader || len(s.Interfaces) == 0 {
		return ErrNoPacket
	}
	unit := pow10(uint(s.Interfaces[0].Resolution))
	p.Time = s.Interfaces[0].Time(uint64(s.u32(b))*unit + uint64(s.u32(b[4:])))
	p.Length = int(s.u32(b[12:]))
	p.Data, p.Start = b[classicRecordHeader:len(b):len(b)], classicRecordHeader
	return nil
}

// ReadAt reads the packet block at an offset that [Reader.Next] reported, into
// buf if it fits there, else into memory of its own. The errors are those of
// r, a [*DamageError] when no whole block is there, and [ErrNoPacket].
func (s *Section) ReadAt(r io.ReaderAt, offset int64, buf []byte, p *Packet) error {
	if cap(buf) < classicRecordHeader {
		buf = make([]byte, 4096)
	}
	buf = buf[:cap(buf)]
	got, err := r.ReadAt(buf, offset)
	if err != nil && err != io.EOF {
		return err
	}
	if got < s.header() {
		return &DamageError{Offset: offset, Cut: true}
	}
	_, n, reason := s.measure(buf[:got])
	if reason != "" {
		return &DamageError{Offset: offset, Reason: reason}
	}
	if n > got {
		if err == io.EOF {
			return &DamageError{Offset: offset, Cut: true}
		}
		if buf, err = grow(r, offset, buf[:got], n); err != nil {
			return err
		}
	}
	if _, n, reason = s.Cut(buf[:n]); reason != "" {
		return &DamageError{Offset: offset, Reason: reason}
	}
	return s.Packet(buf[:n], p)
}

// grow returns the n bytes at offset, the first of which are in head. A length
// that the file does not have costs no more memory than twice what it has.
func grow(r io.ReaderAt, offset int64, head []byte, n int) ([]byte, error) {
	b := append([]byte(nil), head...)
	for len(b) < n {
		have := len(b)
		b = append(b, make([]byte, min(n-have, max(have, 1<<16)))...)
		got, err := r.ReadAt(b[have:], offset+int64(have))
		switch {
		case have+got == len(b):
		case err == io.EOF:
			return nil, &DamageError{Offset: offset, Cut: true}
		default:
			return nil, err
		}
	}
	return b, nil
}
