package rewrite

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"math/bits"
	"net/netip"
)

// KeySize is the length of a [PrefixPreserving] key in bytes.
const KeySize = 32

// maxRemembered bounds the memory for addresses already mapped, some 4 MiB.
const maxRemembered = 1 << 15

// PrefixPreserving maps addresses one to one so that nobody without the key
// can tell which they were, and two addresses with a common prefix of n bits
// still have one of n bits: Crypto-PAn (Xu, Fan, Ammar, Moon, "Prefix-
// preserving IP address anonymization", ICNP 2002), for IPv4 and IPv6.
//
// Addresses that stand for a role rather than for a host stay: unspecified,
// loopback, broadcast, 224.0.0.0/24 and the well-known IPv6 groups. A private,
// shared, link-local, unique local, multicast or reserved address stays in its
// range and is changed behind its prefix, and others do not get into one. The
// price is that an address shows how many bits it shares with such a range.
// It is not safe for concurrent use.
type PrefixPreserving struct {
	block   cipher.Block
	pad     [16]byte
	in, out [16]byte
	known   map[netip.Addr]netip.Addr
}

// NewPrefixPreserving returns the mapping of a key of [KeySize] bytes: 16 for
// AES and 16 that are encrypted once and fill what an address leaves of a
// block.
func NewPrefixPreserving(key []byte) (*PrefixPreserving, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("anonymising key: %d bytes, not %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return nil, fmt.Errorf("anonymising key: %w", err)
	}
	p := &PrefixPreserving{block: block, known: make(map[netip.Addr]netip.Addr)}
	block.Encrypt(p.pad[:], key[16:])
	return p, nil
}

// Map returns what takes the place of a.
func (p *PrefixPreserving) Map(a netip.Addr) netip.Addr {
	if to, ok := p.known[a]; ok {
		return to
	}
	to := a
	if a.Is4() {
		b := a.As4()
		p.flip(b[:], kept(b[:], ranges4))
		to = netip.AddrFrom4(b)
	} else if a.IsValid() {
		b := a.As16()
		keep := kept(b[:], ranges6)
		if b[0] == 0xff { // flags and scope are no address
			groups := [...]wellKnown{{[16]byte{0xff, b[1]}, 96, true}, {[16]byte{0xff, b[1], 11: 1, 12: 0xff}, 104, false}}
			keep = max(keep, 16, kept(b[:], groups[:]))
		}
		p.flip(b[:], keep)
		to = netip.AddrFrom16(b)
	}
	if len(p.known) >= maxRemembered {
		clear(p.known)
	}
	p.known[a] = to
	return to
}

// flip changes each bit of b behind the first keep by what the bits before it
// encrypt to.
func (p *PrefixPreserving) flip(b []byte, keep int) {
	var addr [16]byte
	copy(addr[:], b)
	for i := keep; i < 8*len(b); i++ {
		p.in = p.pad
		mix16(&p.in, &addr, i)
		p.block.Encrypt(p.out[:], p.in[:])
		b[i/8] ^= p.out[0] >> 7 << (7 - i%8)
	}
}

// mix16 has dst begin with the first bits of src.
func mix16(dst, src *[16]byte, bits int) {
	n := bits / 8
	copy(dst[:n], src[:n])
	if n < 16 {
		mask := byte(0xff) >> (bits % 8)
		dst[n] = src[n]&^mask | dst[n]&mask
	}
}

// wellKnown is a range of addresses that maps to itself; whole: each of them
// does.
type wellKnown struct {
	prefix [16]byte
	bits   int
	whole  bool
}

// Source: RFC 6890 and the IANA registries of special addresses.
var ranges4 = []wellKnown{
	{[16]byte{}, 32, true},
	{[16]byte{10}, 8, false},
	{[16]byte{100, 64}, 10, false},
	{[16]byte{127}, 8, false},
	{[16]byte{127, 0, 0, 1}, 32, true},
	{[16]byte{169, 254}, 16, false},
	{[16]byte{172, 16}, 12, false},
	{[16]byte{192, 168}, 16, false},
	{[16]byte{224}, 24, true},
	{[16]byte{224}, 4, false},
	{[16]byte{240}, 4, false},
	{[16]byte{255, 255, 255, 255}, 32, true},
}

var ranges6 = []wellKnown{
	{[16]byte{}, 128, true},
	{[16]byte{15: 1}, 128, true},
	{[16]byte{0xfc}, 7, false},
	{[16]byte{0xfe, 0x80}, 64, false},
	{[16]byte{0xff}, 8, false},
}

// kept returns how many bits of address b stay. The bit behind a common prefix
// with a range stays too: were it changed, the address would get into it.
func kept(b []byte, ranges []wellKnown) int {
	keep := 0
	for i := range ranges {
		r := &ranges[i]
		same := commonBits(b, r.prefix[:len(b)])
		switch {
		case same < r.bits:
			keep = max(keep, same+1)
		case r.whole:
			return 8 * len(b)
		default:
			keep = max(keep, r.bits)
		}
	}
	return keep
}

func commonBits(a, b []byte) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 8 * len(a)
}
