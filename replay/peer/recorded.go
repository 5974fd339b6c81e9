package peer

import (
	"errors"
	"fmt"
	"net/netip"

	"tundump/decode"
	"tundump/decode/bplist"
)

// RecordedConfiguration returns the configuration that a recorded message of a
// server's has, record and all. Addresses are handed out from first on, and
// from the recorded one on if first is not valid. A message without addresses
// is one for app proxies; clients that open an IP connection all the same get
// addresses as from [DefaultConfiguration].
func RecordedConfiguration(rec []byte, first netip.Addr) (*Configuration, error) {
	var m decode.Message
	if err := m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: rec}); err != nil {
		return nil, fmt.Errorf("peer: recorded configuration: %w", err)
	}
	budget := maxConfigurationNodes
	v, err := plain(m.Configuration(), maxConfigurationDepth, &budget)
	if err != nil {
		return nil, fmt.Errorf("peer: recorded configuration: %w", err)
	}
	keys, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("peer: recorded configuration: it is no dictionary")
	}
	for i, fallback := range [2]netip.Addr{netip.MustParseAddr("10.8.0.2"), {}} {
		pooled(keys, families[i], i == 1, first, fallback)
	}
	c, err := newConfiguration(keys)
	if err != nil {
		return nil, fmt.Errorf("peer: recorded configuration: %w", err)
	}
	return c, nil
}

// pooled puts a pool in the place of a family's address.
func pooled(keys map[string]any, family string, six bool, first, fallback netip.Addr) {
	d, _ := keys[family].(map[string]any)
	text, _ := d["Address"].(string)
	start, err := netip.ParseAddr(text)
	if err != nil || start.Is6() != six {
		start = fallback
	}
	if first.IsValid() && first.Is6() == six {
		start = first
	}
	if !start.IsValid() {
		return
	}
	conf := map[string]any{"Pool": map[string]any{"StartAddress": start.String(), "EndAddress": lastOf(start).String()}}
	for k, v := range d {
		if k != "Address" && k != "Netmask" && k != "NetworkPrefixLength" {
			conf[k] = v
		}
	}
	keys[family] = conf
}

// lastOf returns the end of a pool: the last address of the /16 or /112 that a
// is in, or one more than a.
func lastOf(a netip.Addr) netip.Addr {
	b := a.AsSlice()
	b[len(b)-1], b[len(b)-2] = 255, 255
	if last, _ := netip.AddrFromSlice(b); a.Less(last) {
		return last
	}
	return a.Next()
}

var errSize = errors.New("too large or too deep")

// plain returns a value as the library would.
func plain(v bplist.Value, depth int, budget *int) (any, error) {
	if *budget--; *budget < 0 || depth < 0 {
		return nil, errSize
	}
	switch v.Type() {
	case bplist.Dict:
		m := make(map[string]any)
		for i := range v.Len() {
			key, val := v.Pair(i)
			k, ok := key.Text()
			if !ok {
				return nil, errors.New("a key is no text")
			}
			p, err := plain(val, depth-1, budget)
			if err != nil {
				return nil, err
			}
			m[k] = p
		}
		return m, nil
	case bplist.Array:
		list := []any{}
		for i := range v.Len() {
			p, err := plain(v.At(i), depth-1, budget)
			if err != nil {
				return nil, err
			}
			list = append(list, p)
		}
		return list, nil
	}
	if s, ok := v.Text(); ok {
		return s, nil
	}
	if b, ok := v.Bool(); ok {
		return b, nil
	}
	if n, ok := v.Int(); ok {
		return n, nil
	}
	if f, ok := v.Real(); ok {
		return f, nil
	}
	if b, ok := v.Data(); ok {
		return append([]byte(nil), b...), nil
	}
	if t, ok := v.Date(); ok {
		return t, nil
	}
	return nil, fmt.Errorf("a value of type %s cannot be sent", v.Type())
}
