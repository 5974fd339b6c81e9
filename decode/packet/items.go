package packet

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
)

// Kind is what an Item's value is.
type Kind uint8

const (
	KindLine  Kind = iota // no value of its own
	KindUint              // Num
	KindInt               // Num, in two's complement
	KindBool              // Num
	KindText              // Raw, as it is on the wire
	KindSafe              // Raw, which is safe to print
	KindBytes             // Raw
	KindMAC               // Raw, six bytes
	KindAddr              // Addr
)

// Item is one named value of a protocol that is decoded on request only. It is
// valid, with what Raw aliases, until the function that got it returns.
type Item struct {
	Name  string // tshark's
	Label string // for the tree
	Word  string // what the value stands for, "" if nothing
	Kind  Kind
	Hex   uint8 // digits of a number that is shown in hexadecimal; 0: in decimal
	Depth uint8 // in the tree, below the protocol
	Num   uint64
	Raw   []byte
	Addr  netip.Addr
	Span  Span // in the packet; of no meaning if f is joined
}

// Items calls yield for the named values of f's IPv4 options and IPv6 extension
// headers, of its ICMP, IGMP or rarer transport and of its application, in the
// order in which they stand in the packet, until it returns false. What is cut off is not there. yield must not call
// methods of p that decode.
func (p *Parser) Items(f *Facts, yield func(*Item) bool) {
	if f.Header == nil {
		return
	}
	e := &p.emitter
	*e = emitter{f: f, yield: yield}
	if e.headerItems(); e.done || f.IsFragment() {
		return
	}
	e.b, e.off = f.Segment, f.HdrLen
	switch f.Transport {
	case ICMP:
		e.icmp()
	case ICMPv6:
		e.icmpv6()
	case IGMP:
		e.igmp()
	case SCTP:
		e.sctp()
	case UDPLite:
		e.udpLite()
	case GRE:
		e.gre()
	case ESP:
		e.esp()
	}
	if f.App == NoApp {
		return
	}
	e.b, e.off = f.Payload, f.HdrLen+len(f.Segment)-len(f.Payload)
	switch f.Transport {
	case TCP:
		e.off = f.HdrLen + f.TCPHdrLen
	case UDP:
		e.off = f.HdrLen + udpLen
	}
	switch f.App {
	case AppDHCP:
		e.dhcp()
	case AppDHCPv6:
		e.dhcpv6()
	case AppNTP:
		e.ntp()
	case AppSTUN:
		e.stun()
	case AppNBNS:
		e.nbns()
	case AppWireGuard:
		e.wireguard()
	case AppUDPEncap:
		e.esp()
	case AppCAPWAP:
		e.capwap()
	case AppDNS, AppMDNS, AppLLMNR:
		if p.DNS(f, &p.dns) {
			_, e.off = f.dnsMessage()
			p.dns.items(e)
		}
	}
}

// emitter reads values out of b and yields them.
type emitter struct {
	f     *Facts
	yield func(*Item) bool
	b     []byte
	off   int // of b in the packet
	depth uint8
	done  bool
	item  Item
}

func (e *emitter) emit(it Item, off, n int) {
	if e.done {
		return
	}
	e.item = it
	e.item.Depth += e.depth
	e.item.Span = Span{e.off + off, n}
	e.done = !e.yield(&e.item)
}

func (e *emitter) has(off, n int) bool { return off >= 0 && n >= 0 && off+n <= len(e.b) }

// uint reads n bytes at off, 1 to 8, and returns them.
func (e *emitter) uint(name, label string, off, n int, hex uint8) uint64 {
	return e.word(name, label, off, n, hex, nil)
}

// word is uint with names for the values.
func (e *emitter) word(name, label string, off, n int, hex uint8, names func(int) string) uint64 {
	if !e.has(off, n) {
		return 0
	}
	v := bigEndian(e.b[off : off+n])
	it := Item{Name: name, Label: label, Kind: KindUint, Hex: hex, Num: v}
	if names != nil {
		it.Word = names(int(v))
	}
	e.emit(it, off, n)
	return v
}

func bigEndian(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// bits yields a part of the n bytes at off, which the caller took out.
func (e *emitter) bits(name, label string, off, n int, v uint64, kind Kind) {
	if e.has(off, n) {
		e.emit(Item{Name: name, Label: label, Kind: kind, Num: v, Depth: 1}, off, n)
	}
}

func (e *emitter) raw(name, label string, off, n int, kind Kind) {
	if e.has(off, n) {
		e.emit(Item{Name: name, Label: label, Kind: kind, Raw: e.b[off : off+n]}, off, n)
	}
}

// addr reads an address of n bytes, 4 or 16.
func (e *emitter) addr(name, label string, off, n int) {
	if e.has(off, n) {
		if a, ok := netip.AddrFromSlice(e.b[off : off+n]); ok {
			e.emit(Item{Name: name, Label: label, Kind: KindAddr, Addr: a}, off, n)
		}
	}
}

func (e *emitter) line(label string, off, n int) {
	if e.has(off, n) {
		e.emit(Item{Label: label}, off, n)
	}
}

// AppendValue appends the item's value as tshark prints the field; it is safe
// to print.
func (it *Item) AppendValue(dst []byte) []byte {
	switch it.Kind {
	case KindUint:
		if it.Hex > 0 {
			return appendHex(append(dst, "0x"...), it.Num, int(it.Hex))
		}
		return fmt.Appendf(dst, "%d", it.Num)
	case KindInt:
		return fmt.Appendf(dst, "%d", int64(it.Num))
	case KindBool:
		return append(dst, '0'+byte(it.Num&1))
	case KindText:
		return AppendSafe(dst, it.Raw)
	case KindSafe:
		return append(dst, it.Raw...)
	case KindBytes:
		return fmt.Appendf(dst, "%x", it.Raw)
	case KindMAC:
		return appendMAC(dst, it.Raw)
	case KindAddr:
		return it.Addr.AppendTo(dst)
	}
	return dst
}

// maxItems limits the lines of one protocol in the tree.
const maxItems = 2048

// items makes the nodes of f's items that lie at off or behind it.
func (t *treeBuilder) items(off int) []Node { return t.itemsBetween(off, math.MaxInt) }

// itemsBetween makes the nodes of f's items that begin in front of end.
func (t *treeBuilder) itemsBetween(off, end int) []Node {
	root := Node{}
	var path [4]*Node
	path[0] = &root
	count := 0
	t.p.Items(&t.f, func(it *Item) bool {
		if it.Span.Off < off || it.Span.Off >= end {
			return it.Span.Off < off
		}
		count++
		value := string(it.AppendValue(nil))
		if it.Word != "" {
			value = fmt.Sprintf("%s (%s)", it.Word, value)
		}
		depth := min(int(it.Depth), len(path)-2)
		for depth > 0 && path[depth] == nil {
			depth--
		}
		parent := path[depth]
		n := t.node(it.Name, it.Label, value, it.Span.Off, it.Span.Len)
		parent.Children = append(parent.Children, n)
		for _, above := range path[1 : depth+1] { // a line covers those below it
			end := max(above.Span.Off+above.Span.Len, n.Span.Off+n.Span.Len)
			above.Span.Off = min(above.Span.Off, n.Span.Off)
			above.Span.Len = end - above.Span.Off
		}
		path[depth+1] = &parent.Children[len(parent.Children)-1]
		for i := depth + 2; i < len(path); i++ {
			path[i] = nil
		}
		return count < maxItems
	})
	return root.Children
}

// itemTree makes the node of an application from its items.
func (t *treeBuilder) itemTree(label string) []Node {
	f := &t.f
	off := f.HdrLen + len(f.Segment) - len(f.Payload)
	if f.Transport == UDP {
		off = f.HdrLen + udpLen
	}
	return []Node{t.node(f.App.String(), label, "", off, f.PayloadLen, t.items(off)...)}
}

// uint16At reads two bytes; 0 if they are not there.
func uint16At(b []byte, off int) int {
	if off+2 > len(b) {
		return 0
	}
	return int(binary.BigEndian.Uint16(b[off:]))
}
