// Package flow follows the flows inside tunnels: conversations with their
// counts, TCP analysis with Wireshark's meanings, DNS queries and their
// answers, ICMP errors and what they are about, and the protocol and info
// columns that need such knowledge.
//
//	table := flow.New(flow.Options{})
//	for each packet of the capture, in order {
//		parser.Facts(data, &facts)
//		table.Packet(flow.Packet{Tunnel: 1, Number: n, Time: ns, Facts: &facts}, &analysis)
//		line = flow.AppendInfo(line[:0], parser, &facts, &analysis)
//	}
//
// A flow is the packets of one 5-tuple of one tunnel, both ways: two tunnels
// may carry the same addresses. TCP flows and UDP flows are numbered from 0 in
// the order in which they appear in the capture, as tshark numbers tcp.stream
// and udp.stream over the capture's inner export.
//
// An [Analysis] is complete by itself: what it says of a packet does not
// change when the table goes on. Memory is bounded: flows that have been idle
// longest are forgotten first, and so are pending DNS queries and names; the
// segments that wait for an acknowledgment have a common budget.
// [Table.Losses] says what that cost.
//
// The meanings are those of Wireshark's documentation: the User's Guide,
// section 7.5 (TCP analysis), and the display filter references of tcp and
// dns, version 4.0. Where these are silent, tshark 4.0.17 was asked, and the
// tests ask it again.
package flow

import (
	"iter"
	"net/netip"

	"tundump/decode/packet"
	"tundump/decode/reasm"
)

// Options limit a table. Zero stands for the default in each.
type Options struct {
	Flows    int   // followed at a time; 65,536
	Idle     int64 // nanoseconds after which a flow without packets is forgotten; 0: only when there is no room
	Segments int   // awaiting acknowledgment, over all flows; 262,144
	Queries  int   // DNS queries without an answer, and echo requests; 16,384
	Names    int   // names learnt from DNS answers and TLS clients; 16,384
	Bytes    int   // kept of units that span packets, over all flows; 32 MiB
	Depth    Depth // how far flows are followed; [Alone] is as Streams here
}

// Table is the flows of one capture. It is not safe for concurrent use.
type Table struct {
	opt     Options
	flows   map[key]*Flow
	recent  *Flow      // the list's first
	oldest  *Flow      // its last
	count   int        // in the list: those whose ports were reused are in it, and not in the map
	near    [256]*Flow // by key.slot: most packets belong to few flows
	streams [2]int64   // TCP and UDP flows so far
	pool    pool
	asked   ring[question, query]
	names   ring[nameKey, string]
	losses  Losses

	reading reading
	own     Arena
	kept    int          // bytes of units that have not ended
	spare   [][]byte     // for those to come
	held    reasm.Memory // bytes that wait for others before them

	parser *packet.Parser
	quoted packet.Facts
	dns    packet.DNSMessage
}

// Losses counts what was forgotten to keep memory bounded.
type Losses struct {
	Flows    int64 // idle ones; if one goes on, it is a new flow
	Segments int64 // their acknowledgment will not be recognised
	Queries  int64 // their answer will have no latency
	Names    int64
	Units    int64 // of which not all that their fields are read from was kept
}

// New returns an empty table.
func New(opt Options) *Table {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&opt.Flows, 1<<16)
	set(&opt.Segments, 1<<18)
	set(&opt.Queries, 1<<14)
	set(&opt.Names, 1<<14)
	set(&opt.Bytes, 32<<20)
	t := &Table{opt: opt, flows: make(map[key]*Flow), parser: packet.NewParser()}
	t.pool.limit = opt.Segments
	t.asked.limit, t.names.limit = opt.Queries, opt.Names
	t.held = reasm.Memory{Stream: 256 << 10, Total: opt.Bytes}
	return t
}

// Packet is one packet as the table takes it in.
type Packet struct {
	Tunnel uint32
	Number int64 // in the capture, from 1
	Time   int64 // nanoseconds since the Unix epoch
	Facts  *packet.Facts
	// Arena, if not nil, is where the packet's PDUs are put, which are valid
	// then until it is reset; else they are until the next call of
	// Table.Packet.
	Arena *Arena
}

// Arena holds the PDUs of packets that are looked at together.
type Arena struct {
	pdus  []packet.PDU
	bytes []byte // of PDUs that no packet has in one piece
}

// maxArena is the capacity up to which an arena's memory is used again.
const maxArena = 1 << 18

// Reset makes room: what is in the arena is valid no more.
func (r *Arena) Reset() {
	if cap(r.bytes) > maxArena || cap(r.pdus) > maxArena/64 {
		*r = Arena{}
	}
	r.pdus, r.bytes = r.pdus[:0], r.bytes[:0]
}

// copy returns a copy of b in the arena.
func (r *Arena) copy(b []byte) []byte {
	start := len(r.bytes)
	r.bytes = append(r.bytes, b...)
	return r.bytes[start:len(r.bytes):len(r.bytes)]
}

// Analysis is what its flow says of a packet. The zero Analysis is that of a
// packet without a flow.
type Analysis struct {
	Proto  packet.Transport // TCP or UDP; NoTransport: the packet has no flow
	Quoted bool             // the flow is that of the packet that an ICMP error quotes, and only Stream is known
	Side   uint8            // who sent the packet; 0 is who sent the flow's first
	Stream int64            // number of the flow, from 0, counted for TCP and UDP alone

	// Of TCP:
	Base         packet.Base // what Seq and Ack are counted from, and the sender's window scale
	Flags        Flags
	Completeness Completeness // of the flow before this packet, as in tshark
	InFlight     uint32       // bytes sent and not acknowledged after this packet; 0 if not known
	DupAck       uint32       // which repetition of DupAckOf's acknowledgment this is; 0 if none
	DupAckOf     int64        // number of the packet
	AckOf        int64        // number of the packet that this one acknowledges; 0 if none
	AckRTT       int64        // nanoseconds since then
	InitialRTT   int64        // nanoseconds from the SYN to the end of the handshake; 0 until it is known

	// Of what it carries: TLS, HTTP/1 or QUIC, put together over segments.
	App     packet.App   // the flow's
	Segment Segment      // whether it is part of a unit that ends later; if one ends in it, that is all it says
	PDUs    []packet.PDU // that end in it; [Packet.Arena] says how long they are valid

	Again Again // instead of PDUs, where the analysis was made again for a packet alone

	// Of DNS, HTTP and ICMP echo:
	AnswerTo int64 // number of the packet that asked; 0 if none
	Latency  int64 // nanoseconds since then
}

// Again is what is left of a packet's PDUs when it is looked at again without
// those before it: the columns. The fields of its units are those that begin in
// it then, see [packet.Parser.PDUs].
type Again struct {
	Column string // the protocol column; "": there is nothing
	Info   string // the part of the info column that units have; "": what the packet alone says
}

// Count is one direction of a flow.
type Count struct {
	Packets int64
	Bytes   int64 // of the packets, IP headers included
	First   int64 // time, in nanoseconds since the Unix epoch; of no meaning without packets
	Last    int64
}

func (c *Count) add(p *Packet) {
	if c.Packets == 0 {
		c.First = p.Time
	}
	c.Packets++
	c.Bytes += int64(p.Facts.Len)
	c.Last = p.Time
}

// Flow is one conversation. Side 0 is who sent its first packet.
type Flow struct {
	Tunnel uint32
	Proto  packet.Transport // TCP or UDP
	Stream int64            // number, from 0
	Addr   [2]netip.AddrPort
	Count  [2]Count // by sender
	Errors int64    // ICMP errors about its packets, which Count does not count

	key        key
	flip       bool // side 0 is the second of key
	newer      *Flow
	older      *Flow
	tcp        *tcp
	dialog     *dialog
	spoke      [2]bool // by sender: it sent data before there was a dialog
	lastActive int64
}

// Rate returns the bytes a second that a side sent, over the time from the
// flow's first packet to its last, whoever sent them, as in Wireshark; 0 if that
// is no time.
func (f *Flow) Rate(side int) float64 {
	var first, last int64
	for i := range f.Count {
		switch c := &f.Count[i]; {
		case c.Packets == 0:
		case last == 0 && first == 0:
			first, last = c.First, c.Last
		default:
			first, last = min(first, c.First), max(last, c.Last)
		}
	}
	return Rate(f.Count[side].Bytes, first, last)
}

// Rate returns how many bytes a second so many are between two times in
// nanoseconds, 0 if between them is no time.
func Rate(bytes, first, last int64) float64 {
	if last <= first {
		return 0
	}
	return float64(bytes) / (float64(last-first) / 1e9)
}

// InitialRTT returns the time from the SYN to the end of the handshake in
// nanoseconds, 0 if that is not known.
func (f *Flow) InitialRTT() int64 {
	if f.tcp == nil {
		return 0
	}
	return f.tcp.initialRTT
}

// Completeness returns what was seen of a TCP connection.
func (f *Flow) Completeness() Completeness {
	if f.tcp == nil {
		return 0
	}
	return f.tcp.complete
}

// Packet takes in the next packet of the capture and sets a to what its flow
// says of it. It keeps nothing of p.Facts.
//
// Of packets inside each other the innermost belongs to a flow, the one that
// an ICMP error quotes aside.
//
// It does not allocate unless the packet begins a flow, or is a DNS message
// that teaches a name.
func (t *Table) Packet(p Packet, a *Analysis) {
	*a = Analysis{}
	f := p.Facts
	if f.Carries == packet.Encapsulated {
		f = t.parser.Innermost(f)
		f.Len = p.Facts.Len // what is counted is the packet
		p.Facts = f
	}
	if f.IsFragment() {
		return
	}
	switch f.Transport {
	case packet.TCP, packet.UDP:
		if !f.L4Complete || !f.Dst.IsValid() {
			return
		}
		t.transport(&p, a)
	case packet.ICMP, packet.ICMPv6:
		if quoted := f.Quoted(); quoted != nil {
			t.about(&p, quoted, a)
		} else {
			t.echo(&p, a)
		}
	}
}

func (t *Table) transport(p *Packet, a *Analysis) {
	f := p.Facts
	fl, second := t.lookup(p.Tunnel, f, p.Time)
	if f.Transport == packet.TCP && f.Flags&(packet.SYN|packet.ACK) == packet.SYN && fl.tcp.reusedBy(second, f) {
		fl, second = t.reuse(fl, f, p.Time)
		a.Flags |= ReusedPorts
	}
	a.Proto, a.Stream, a.Side = f.Transport, fl.Stream, side(second != fl.flip)
	fl.Count[a.Side].add(p)
	t.touch(fl, p.Time)
	if fl.tcp != nil {
		fl.tcp.packet(p, second, a, &t.pool)
	}
	if t.opt.Depth == Dialogs && (fl.dialog != nil || f.PayloadLen > 0) {
		t.talk(p, fl, second, a)
	}
	if f.App != packet.NoApp && !a.Flags.Repeats() {
		t.answers(p, fl, a)
	}
}

func side(second bool) uint8 {
	if second {
		return 1
	}
	return 0
}

// about finds the flow of the packet that an ICMP error quotes. A quoted UDP
// packet that is the first of its flow counts as one in tshark, a TCP packet
// does not; so it is here.
func (t *Table) about(p *Packet, quoted []byte, a *Analysis) {
	q := &t.quoted
	t.parser.Facts(quoted, q)
	if q.Transport != packet.TCP && q.Transport != packet.UDP || q.IsFragment() || !q.Dst.IsValid() {
		return
	}
	if k, _ := keyOf(p.Tunnel, q); t.flows[k] == nil && (q.Transport == packet.TCP || !q.L4Complete) {
		return
	}
	fl, second := t.lookup(p.Tunnel, q, p.Time)
	t.touch(fl, p.Time)
	fl.Errors++
	a.Proto, a.Quoted, a.Stream, a.Side = q.Transport, true, fl.Stream, side(second != fl.flip)
}

// Flows yields the flows that are followed, the most recently active first.
// The pointers are valid until the next call of Packet.
func (t *Table) Flows() iter.Seq[*Flow] {
	return func(yield func(*Flow) bool) {
		for f := t.recent; f != nil; f = f.older {
			if !yield(f) {
				return
			}
		}
	}
}

// Kept returns the bytes that are kept of units that have not ended, and of
// segments that wait for others.
func (t *Table) Kept() int { return t.kept + t.held.Used() }

// Losses returns what was forgotten so far.
func (t *Table) Losses() Losses {
	t.losses.Segments = t.pool.lost
	t.losses.Queries, t.losses.Names = t.asked.lost, t.names.lost
	return t.losses
}
