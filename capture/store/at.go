package store

import (
	"errors"
	"fmt"
	"io"
	"os"

	"tundump/capture/pcapng"
	"tundump/decode"
)

// At returns row i. The event's Raw lies in buf if the row's blocks fit there
// (give it a few hundred bytes more than the longest record), else in memory
// of its own; nothing else of it does. It reads the file once, and does not
// allocate if buf is large enough, but for the Detail of events that have one.
//
// The error is [ErrGone] for a row that is no longer held.
func (s *Store) At(i int, buf []byte) (decode.Event, error) {
	e, g, err := s.find(i)
	if err != nil {
		return decode.Event{}, err
	}
	var p *pcapng.Packet
	select {
	case p = <-s.scratch:
	default:
		p = new(pcapng.Packet)
	}
	ev, err := g.read(e, buf, p)
	*p = pcapng.Packet{Comments: p.Comments[:0]}
	select {
	case s.scratch <- p:
	default: // as many readers at once are rare
	}
	return ev, s.rowError(i, err)
}

// find returns row i and the file that it is in.
func (s *Store) find(i int) (*Entry, *segment, error) {
	e, ok := s.rows.at(i)
	switch {
	case i < s.First() || !ok && i >= 0 && i < s.Len():
		return nil, nil, ErrGone
	case !ok:
		return nil, nil, fmt.Errorf("store: there is no row %d: there are %d", i, s.Len())
	}
	if g := s.segmentOf(i); g != nil {
		return e, g, nil
	}
	return nil, nil, ErrGone
}

// rowError says what err, from reading row i, means.
func (s *Store) rowError(i int, err error) error {
	switch {
	case errors.Is(err, os.ErrClosed) && i < s.First():
		return ErrGone
	case err != nil:
		return fmt.Errorf("store: row %d: %w", i, err)
	}
	return nil
}

var errChanged = errors.New("the file has changed since it was indexed")

func (g *segment) read(e *Entry, buf []byte, p *pcapng.Packet) (decode.Event, error) {
	section, ok := g.section(e.offset())
	if !ok {
		return decode.Event{}, errChanged
	}
	n := int(e.span)
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	got, err := g.file.ReadAt(buf, e.offset())
	if err != nil && err != io.EOF {
		return decode.Event{}, err
	}
	return assemble(&section, buf[:got], e, p)
}

// assemble makes the row of the blocks in b, by way of p. Raw becomes a part
// of b.
func assemble(section *pcapng.Section, b []byte, e *Entry, p *pcapng.Packet) (decode.Event, error) {
	n, err := firstPacket(section, b, p)
	if err != nil {
		return decode.Event{}, err
	}
	var own, tag pcapng.Tag
	if len(p.Comments) <= e.comment() || !pcapng.ParseTag(p.Comments[0], &own) {
		return decode.Event{}, errChanged
	}
	iface := &section.Interfaces[p.Interface]
	if e.comment() > 0 {
		if !pcapng.ParseTag(p.Comments[e.comment()], &tag) || tag.Kind != e.Kind {
			return decode.Event{}, errChanged
		}
		if tag.IsFact() {
			tag.Tunnel = own.Tunnel
		}
		return tag.Event(iface.Side(), p.Time), nil
	}
	ev := own.Event(iface.Side(), p.Time)
	if ev.Kind != e.Kind {
		return decode.Event{}, errChanged
	}
	if !carriesBytes(ev.Kind) {
		return ev, nil
	}
	start, ok := payload(p.Data, ev.Kind)
	if !ok {
		return decode.Event{}, errChanged
	}
	at, end := p.Start+start, p.Start+len(p.Data)
	for n < len(b) {
		k, err := firstPacket(section, b[n:], p)
		if err != nil {
			return decode.Event{}, err
		}
		if start, ok = payload(p.Data, ev.Kind); !ok {
			return decode.Event{}, errChanged
		}
		end += copy(b[end:], p.Data[start:]) // downwards, over options that were read
		n += k
	}
	ev.Raw = b[at:end:end]
	return ev, nil
}

// firstPacket reads the packet block that b begins with and reports its
// length.
func firstPacket(section *pcapng.Section, b []byte, p *pcapng.Packet) (int, error) {
	_, n, _ := section.Cut(b)
	if n == 0 {
		return 0, errChanged
	}
	return n, section.Packet(b[:n], p)
}

// carriesBytes reports whether events of this kind have bytes in a block of
// their own.
func carriesBytes(k decode.Kind) bool {
	return k == decode.Record || k == decode.Unframed || k == decode.Packet
}

const (
	ethernetHeader = 14
	typeIPv4       = 0x0800
	typeIPv6       = 0x86dd
	protocolTCP    = 6
)

// payload finds where the bytes of an event begin in a rebuilt frame: behind
// the Ethernet header for a bare packet, else behind the TCP header.
func payload(frame []byte, kind decode.Kind) (start int, ok bool) {
	if len(frame) < ethernetHeader {
		return 0, false
	}
	if kind == decode.Packet {
		return ethernetHeader, true
	}
	ip := frame[ethernetHeader:]
	var n int
	switch etherType := int(frame[12])<<8 | int(frame[13]); {
	case etherType == typeIPv4 && len(ip) >= 20 && ip[9] == protocolTCP:
		n = int(ip[0]&15) * 4
		if n < 20 {
			return 0, false
		}
	case etherType == typeIPv6 && len(ip) >= 40 && ip[6] == protocolTCP:
		n = 40
	default:
		return 0, false
	}
	if len(ip) < n+20 {
		return 0, false
	}
	header := int(ip[n+12]>>4) * 4
	if header < 20 || len(ip) < n+header {
		return 0, false
	}
	return ethernetHeader + n + header, true
}
