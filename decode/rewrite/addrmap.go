package rewrite

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// AddrMap puts addresses and prefixes in the place of others. The longest
// prefix that an address is in decides, and the bits behind it are kept. The
// zero value maps nothing.
type AddrMap struct {
	lengths [2][]int // of IPv4 and IPv6 prefixes, longest first
	to      map[netip.Prefix]netip.Addr
}

// Add has addresses in from become addresses in to, which must be of the same
// family and length. Bits behind the prefix are not looked at.
func (m *AddrMap) Add(from, to netip.Prefix) error {
	switch {
	case !from.IsValid() || !to.IsValid():
		return fmt.Errorf("address map: %v=%v: not a prefix", from, to)
	case from.Addr().Is4() != to.Addr().Is4():
		return fmt.Errorf("address map: %v=%v: IPv4 and IPv6 cannot take each other's place", from, to)
	case from.Bits() != to.Bits():
		return fmt.Errorf("address map: %v=%v: the prefixes must have the same length", from, to)
	}
	from = from.Masked()
	if _, twice := m.to[from]; twice {
		return fmt.Errorf("address map: %v is mapped twice", from)
	}
	if m.to == nil {
		m.to = make(map[netip.Prefix]netip.Addr)
	}
	m.to[from] = to.Masked().Addr()
	l := &m.lengths[family(from.Addr())]
	if !slices.Contains(*l, from.Bits()) {
		*l = append(*l, from.Bits())
		slices.SortFunc(*l, func(a, b int) int { return b - a })
	}
	return nil
}

// Parse adds what s says: OLD=NEW, both an address or a prefix, several with
// commas between. NEW without a length takes OLD's.
func (m *AddrMap) Parse(s string) error {
	for one := range strings.SplitSeq(s, ",") {
		old, repl, ok := strings.Cut(one, "=")
		if !ok {
			return fmt.Errorf("address map: %q: write OLD=NEW, two addresses or prefixes", one)
		}
		from, err := parsePrefix(old, -1)
		if err != nil {
			return fmt.Errorf("address map: %q: %w", one, err)
		}
		to, err := parsePrefix(repl, from.Bits())
		if err != nil {
			return fmt.Errorf("address map: %q: %w", one, err)
		}
		if err := m.Add(from, to); err != nil {
			return err
		}
	}
	return nil
}

// parsePrefix reads a prefix, or an address as one of the given length, or of
// its own when that is below 0.
func parsePrefix(s string, bits int) (netip.Prefix, error) {
	s = strings.TrimSpace(s)
	if strings.Contains(s, "/") {
		return netip.ParsePrefix(s)
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if bits < 0 || bits > a.BitLen() {
		bits = a.BitLen()
	}
	return netip.PrefixFrom(a.WithZone(""), bits), nil
}

// Len returns how many prefixes are mapped.
func (m *AddrMap) Len() int { return len(m.to) }

// Map returns what takes the place of a: a itself if no prefix has it.
func (m *AddrMap) Map(a netip.Addr) netip.Addr {
	for _, bits := range m.lengths[family(a)] {
		p, err := a.Prefix(bits)
		if err != nil {
			return a
		}
		if to, ok := m.to[p]; ok {
			return keepHost(to, a, bits)
		}
	}
	return a
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// keepHost returns the first bits of network and the others of host.
func keepHost(network, host netip.Addr, bits int) netip.Addr {
	if host.Is4() {
		n, h := network.As4(), host.As4()
		mix(n[:], h[:], bits)
		return netip.AddrFrom4(n)
	}
	n, h := network.As16(), host.As16()
	mix(n[:], h[:], bits)
	return netip.AddrFrom16(n)
}

// mix has dst keep its first bits, and copies the others from src.
func mix(dst, src []byte, bits int) {
	for i := range dst {
		keep := min(max(bits-8*i, 0), 8)
		mask := byte(0xff) >> keep
		dst[i] = dst[i]&^mask | src[i]&mask
	}
}
