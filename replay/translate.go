package replay

import (
	"fmt"
	"net/netip"

	"tundump/decode/rewrite"
)

// Translator puts addresses in packets in the place of others, checksums
// included. It is for one goroutine.
type Translator struct {
	addrs    rewrite.AddrMap
	rewriter rewrite.Rewriter
}

// NewTranslator returns a translator that puts each of to in the place of the
// address of from of the same family. An address without a counterpart stays.
func NewTranslator(from, to []netip.Addr) (*Translator, error) {
	t := new(Translator)
	t.rewriter.Addrs = &t.addrs
	for _, a := range from {
		for _, b := range to {
			if a.BitLen() != b.BitLen() {
				continue
			}
			if err := t.addrs.Add(netip.PrefixFrom(a, a.BitLen()), netip.PrefixFrom(b, b.BitLen())); err != nil {
				return nil, fmt.Errorf("replay: %s for %s: %w", b, a, err)
			}
			break
		}
	}
	return t, nil
}

// Append appends to dst what takes the place of pkt.
func (t *Translator) Append(dst, pkt []byte) []byte { return t.rewriter.Append(dst, pkt) }
