package pcapng

import "net/netip"

// Name is a name for an address.
type Name struct {
	Addr netip.Addr
	Name string
}

// Record types of a name resolution block.
const (
	nrbEnd  = 0
	nrbIPv4 = 1
	nrbIPv6 = 2
)

// maxName is the longest name that is written, in bytes: a DNS name has 253.
const maxName = 255

// AppendNames appends a name resolution block. A name is cut at its first zero
// byte and behind maxName bytes; what is then empty, and what has no valid
// address, is left out.
func AppendNames(dst []byte, names []Name) []byte {
	dst, start := begin(dst, NameResolution)
	for _, n := range names {
		name := n.Name[:min(len(n.Name), maxName)]
		for i := range len(name) {
			if name[i] == 0 {
				name = name[:i]
				break
			}
		}
		typ := uint16(nrbIPv4)
		if n.Addr.Is6() {
			typ = nrbIPv6
		}
		if name == "" || !n.Addr.IsValid() {
			continue
		}
		addr := n.Addr.AsSlice()
		size := len(addr) + len(name) + 1
		dst = le.AppendUint16(dst, typ)
		dst = le.AppendUint16(dst, uint16(size))
		dst = append(append(append(dst, addr...), name...), 0)
		dst = append(dst, zeros[:pad4(size)-size]...)
	}
	dst = le.AppendUint32(dst, nrbEnd)
	return end(dst, start)
}
