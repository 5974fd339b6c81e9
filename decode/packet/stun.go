package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

const (
	stunLen    = 20
	stunCookie = 0x2112a442
)

// looksLikeSTUN tests the header: two zero bits, the magic cookie, a length
// that fits. Source: RFC 8489, section 5.
func looksLikeSTUN(b []byte) bool { return confirmsSTUN(b) && b[3]&3 == 0 }

// confirmsSTUN is looksLikeSTUN on STUN's port: some servers count no padding
// in the length.
func confirmsSTUN(b []byte) bool {
	if len(b) < stunLen || b[0]&0xc0 != 0 || binary.BigEndian.Uint32(b[4:]) != stunCookie {
		return false
	}
	n := stunLen + uint16At(b, 2)
	return n == len(b) || n < len(b) && n&3 == 0
}

var stunMethods = [...]string{1: "Binding", 2: "SharedSecret", 3: "Allocate", 4: "Refresh", 6: "Send", 7: "Data", 8: "CreatePermission", 9: "Channel-Bind"}

var stunClasses = [...]string{"Request", "Indication", "Success Response", "Error Response"}

// stunType takes the class bits out of the type.
func stunType(b []byte) (method, class int) {
	t := uint16At(b, 0)
	return t&0xf | t&0xe0>>1 | t&0x3e00>>2, t>>4&1 | t>>7&2
}

// stunAttributes calls yield for each attribute: its type and where its value
// is.
func stunAttributes(b []byte, yield func(typ, off, n int) bool) {
	end := min(len(b), stunLen+uint16At(b, 2))
	for off := stunLen; off+4 <= end; {
		n := uint16At(b, off+2)
		if off+4+n > end || !yield(uint16At(b, off), off+4, n) {
			return
		}
		off += 4 + (n+3)&^3
	}
}

// stunAddress reads a (XOR-)MAPPED-ADDRESS of n bytes at off. Source: RFC
// 8489, sections 14.1 and 14.2.
func stunAddress(b []byte, off, n int, xor bool) (netip.AddrPort, bool) {
	if n != 8 && n != 20 {
		return netip.AddrPort{}, false
	}
	port := uint16(uint16At(b, off+2))
	var a [16]byte
	copy(a[:], b[off+4:off+n])
	if xor {
		port ^= stunCookie >> 16
		for i := range a {
			a[i] ^= b[4+i]
		}
	}
	if n == 8 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[:4])), port), true
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a), port), true
}

func (f *Facts) appendSTUN(dst []byte) []byte {
	b := f.Payload
	if !confirmsSTUN(b) {
		return append(dst, malformed...)
	}
	method, class := stunType(b)
	if name := lookup(stunMethods[:], method); name != "" {
		dst = append(dst, name...)
	} else {
		dst = append(dst, "Unknown"...)
	}
	dst = append(append(dst, ' '), stunClasses[class]...)
	stunAttributes(b, func(typ, off, n int) bool {
		switch typ {
		case 0x0001, 0x0020, 0x8020:
			if a, ok := stunAddress(b, off, n, typ != 1); ok {
				if typ == 1 {
					dst = append(dst, " MAPPED-ADDRESS: "...)
				} else {
					dst = append(dst, " XOR-MAPPED-ADDRESS: "...)
				}
				dst = a.Addr().AppendTo(dst)
				dst = appendInt(append(dst, ':'), int(a.Port()))
			}
		case 0x0006:
			dst = AppendSafe(append(dst, " user: "...), b[off:off+n])
		case 0x0009:
			if n >= 4 {
				dst = appendInt(append(dst, " error-code: "...), int(b[off+2]&7)*100+int(b[off+3]))
				dst = AppendSafe(append(dst, ' '), b[off+4:off+n])
			}
		case 0x000d:
			if n == 4 {
				dst = appendUint32(append(dst, " lifetime: "...), binary.BigEndian.Uint32(b[off:]))
			}
		case 0x0014:
			dst = AppendSafe(append(dst, " realm: "...), b[off:off+n])
		case 0x0015:
			dst = append(dst, " with nonce"...)
		}
		return len(dst) < 1<<10
	})
	return dst
}

func (e *emitter) stun() {
	if !confirmsSTUN(e.b) {
		return
	}
	method, class := stunType(e.b)
	e.uint("stun.type", "Message Type", 0, 2, 4)
	e.emit(Item{Name: "stun.type.class", Label: "Message Class", Kind: KindUint, Hex: 4, Num: uint64(class&1 | class>>1<<4), Depth: 1, Word: stunClasses[class]}, 0, 2) // as tshark numbers them
	e.emit(Item{Name: "stun.type.method", Label: "Message Method", Kind: KindUint, Hex: 4, Num: uint64(method), Depth: 1, Word: lookup(stunMethods[:], method)}, 0, 2)
	e.uint("stun.length", "Message Length", 2, 2, 0)
	e.raw("stun.cookie", "Message Cookie", 4, 4, KindBytes)
	e.raw("stun.id", "Message Transaction ID", 8, 12, KindBytes)
	stunAttributes(e.b, func(typ, off, n int) bool {
		name, known := stunAttributeNames[typ]
		if !known {
			e.line(fmt.Sprintf("Unknown attribute 0x%04x, Length: %d", typ, n), off-4, n+4)
			return !e.done
		}
		e.line(name, off-4, n+4)
		e.depth = 1
		e.word("stun.att.type", "Attribute Type", off-4, 2, 4, func(int) string { return name })
		e.uint("stun.att.length", "Attribute Length", off-2, 2, 0)
		switch typ {
		case 0x0006:
			e.raw("stun.att.username", "Username", off, n, KindText)
		case 0x0001, 0x0020:
			if a, ok := stunAddress(e.b, off, n, typ != 1); ok && a.Addr().Is4() {
				e.emit(Item{Name: "stun.att.ipv4", Label: "IP", Kind: KindAddr, Addr: a.Addr()}, off+4, 4)
			}
		}
		e.depth = 0
		return !e.done
	})
}
