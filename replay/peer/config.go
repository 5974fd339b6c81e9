package peer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"howett.net/plist"

	"tundump/decode/bplist"
	"tundump/decode/frame"
)

const (
	maxConfiguration      = 1 << 20 // bytes of a configuration file
	maxConfigurationNodes = 1 << 14 // values in it, shared ones counted each time
	maxConfigurationDepth = 32
)

// Configuration is what a server tells its clients, and the addresses that it
// hands out. It is used by one [Server] at a time.
type Configuration struct {
	pool4 *pool
	pool6 *pool          // nil: no IPv6
	keys  map[string]any // everything but the pools, as read
}

// ReadConfiguration reads the configuration file of Apple's tunnel_server, a
// property list in XML or binary: IPv4 with a Pool of StartAddress and
// EndAddress, and Routes; DNS with Servers and SearchDomains. An extension is
// IPv6 with a Pool, out of which Address and NetworkPrefixLength are set.
// Other keys are passed through to clients. Without DNS, the clients are
// given the addresses of [Configuration.Gateways].
//
// b is at most 1 MiB. Errors are one line, for whoever wrote the file.
//
// Source: ServerConfiguration.swift and AddressPool.swift.
func ReadConfiguration(b []byte) (*Configuration, error) {
	keys, err := readPropertyList(b)
	if err != nil {
		return nil, fmt.Errorf("peer: configuration: %w", err)
	}
	c, err := newConfiguration(keys)
	if err != nil {
		return nil, fmt.Errorf("peer: configuration: %w", err)
	}
	return c, nil
}

// DefaultConfiguration has addresses from 10.8.0.2 and fd00:8::2 on, and the
// addresses before them for DNS.
func DefaultConfiguration() *Configuration {
	c, err := newConfiguration(map[string]any{
		"IPv4": map[string]any{"Pool": map[string]any{"StartAddress": "10.8.0.2", "EndAddress": "10.8.255.255"}},
		"IPv6": map[string]any{"Pool": map[string]any{"StartAddress": "fd00:8::2", "EndAddress": "fd00:8::1:0"}},
	})
	if err != nil {
		panic(err) // the test of this function reads it
	}
	return c
}

// readPropertyList reads a dictionary. The library trusts what it reads, so
// the file is looked at before.
func readPropertyList(b []byte) (keys map[string]any, err error) {
	if len(b) > maxConfiguration {
		return nil, fmt.Errorf("file of %d bytes is larger than 1 MiB", len(b))
	}
	if err := checkPropertyList(b); err != nil {
		return nil, err
	}
	defer func() {
		// The library panics on some malformed input, and hands panics on.
		if r := recover(); r != nil {
			keys, err = nil, fmt.Errorf("not a property list: %v", r)
		}
	}()
	var root any
	if _, err := plist.Unmarshal(b, &root); err != nil {
		return nil, fmt.Errorf("not a property list: %w", err)
	}
	keys, ok := root.(map[string]any)
	if !ok {
		return nil, errors.New("the property list is not a dictionary")
	}
	return keys, nil
}

// checkPropertyList refuses what would cost the library too much: OpenStep
// text, which it takes for whatever it does not know, nesting, and shared
// references that stand for far more than the file has.
func checkPropertyList(b []byte) error {
	if !bytes.HasPrefix(b, []byte("bplist")) {
		text := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
		if !bytes.HasPrefix(text, []byte("<?xml")) && !bytes.HasPrefix(text, []byte("<!DOCTYPE")) && !bytes.HasPrefix(text, []byte("<plist")) {
			return errors.New("not an XML or binary property list")
		}
		if n := bytes.Count(b, []byte("<")); n > maxConfigurationNodes {
			return fmt.Errorf("too large: %d elements", n)
		}
		return nil
	}
	doc, err := bplist.Parse(b, bplist.Limits{Depth: maxConfigurationDepth})
	if err != nil {
		return err
	}
	budget := maxConfigurationNodes
	if !affordable(doc.Root(), &budget) {
		return errors.New("too large: shared values stand for too many")
	}
	return nil
}

func affordable(v bplist.Value, budget *int) bool {
	*budget--
	for i := 0; i < v.Len() && *budget > 0; i++ {
		switch v.Type() {
		case bplist.Array, bplist.Set:
			affordable(v.At(i), budget)
		case bplist.Dict:
			_, val := v.Pair(i)
			affordable(val, budget)
		default:
			return true
		}
	}
	return *budget > 0
}

func newConfiguration(keys map[string]any) (*Configuration, error) {
	c := &Configuration{keys: maps.Clone(keys)}
	v4, ok := keys["IPv4"].(map[string]any)
	if !ok {
		return nil, errors.New("IPv4 is missing: it needs a dictionary with Pool")
	}
	var err error
	if c.pool4, err = poolOf("IPv4", v4, true); err != nil {
		return nil, err
	}
	if c.pool4 == nil {
		return nil, errors.New("IPv4.Pool is missing: it needs StartAddress and EndAddress")
	}
	c.keys["IPv4"] = without(v4, "Pool")
	if v6, ok := keys["IPv6"].(map[string]any); ok {
		if c.pool6, err = poolOf("IPv6", v6, false); err != nil {
			return nil, err
		}
		c.keys["IPv6"] = without(v6, "Pool")
	}
	if _, ok := keys["DNS"]; !ok {
		servers := []any{}
		for _, g := range c.Gateways() {
			servers = append(servers, g.Addr().String())
		}
		c.keys["DNS"] = map[string]any{"Servers": servers, "SearchDomains": []any{}}
	}
	return c, c.check()
}

// check finds out now whether clients can be told.
func (c *Configuration) check() error {
	var e encoder
	a := assignment{v4: c.pool4.start}
	if c.pool6 != nil {
		a.v6 = c.pool6.start
	}
	rec, err := e.openResultIP(0, c, a)
	const slack = 64 // the longest addresses and identifier
	if errors.Is(err, errTooLong) || len(rec)+slack > frame.MaxLen {
		return fmt.Errorf("too large: it does not fit into a message, which has at most %d bytes", frame.MaxLen)
	}
	return err
}

func poolOf(family string, d map[string]any, v4 bool) (*pool, error) {
	v, ok := d["Pool"]
	if !ok {
		return nil, nil
	}
	p, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s.Pool is not a dictionary", family)
	}
	var ends [2]string
	for i, key := range []string{"StartAddress", "EndAddress"} {
		v, ok := p[key]
		if !ok {
			return nil, fmt.Errorf("%s.Pool.%s is missing", family, key)
		}
		if ends[i], ok = v.(string); !ok {
			return nil, fmt.Errorf("%s.Pool.%s is not a string", family, key)
		}
	}
	pool, err := newPool(ends[0], ends[1], v4)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", family, err)
	}
	return pool, nil
}

func without(d map[string]any, key string) map[string]any {
	d = maps.Clone(d)
	delete(d, key)
	return d
}

// Gateways returns the addresses before the pools' first ones, with the
// length of the pool's network: what a server's own stack may use.
func (c *Configuration) Gateways() []netip.Prefix {
	var gateways []netip.Prefix
	if a := c.pool4.start.Prev(); netip.PrefixFrom(c.pool4.start, 16).Masked().Contains(a) {
		gateways = append(gateways, netip.PrefixFrom(a, 16))
	}
	if c.pool6 != nil {
		if a := c.pool6.start.Prev(); netip.PrefixFrom(c.pool6.start, 64).Masked().Contains(a) {
			gateways = append(gateways, netip.PrefixFrom(a, 64))
		}
	}
	return gateways
}

// Networks returns the networks that the pools lie in: for routes towards the
// clients, and for what a [Dialer] should refuse.
func (c *Configuration) Networks() []netip.Prefix {
	nets := []netip.Prefix{netip.PrefixFrom(c.pool4.start, 16).Masked()}
	if c.pool6 != nil {
		nets = append(nets, netip.PrefixFrom(c.pool6.start, 64).Masked())
	}
	return nets
}

// reserved reports whether a client may only have a if it was assigned.
func (c *Configuration) reserved(a netip.Addr) bool {
	if c.pool4.contains(a) || c.pool6 != nil && c.pool6.contains(a) {
		return true
	}
	return slices.ContainsFunc(c.Gateways(), func(g netip.Prefix) bool { return g.Addr() == a })
}

// assignment is what one IP connection was given.
type assignment struct {
	v4, v6 netip.Addr // v6 is invalid if there is none
}

func (c *Configuration) assign() (a assignment, ok bool) {
	if a.v4, ok = c.pool4.take(); !ok {
		return assignment{}, false
	}
	if c.pool6 == nil {
		return a, true
	}
	if a.v6, ok = c.pool6.take(); !ok {
		c.pool4.give(a.v4)
		return assignment{}, false
	}
	return a, true
}

func (c *Configuration) giveBack(a assignment) {
	c.pool4.give(a.v4)
	if a.v6.IsValid() {
		c.pool6.give(a.v6)
	}
}

// forClient returns the configuration of an openResult:
// ServerTunnelConnection.swift.
func (c *Configuration) forClient(a assignment) map[string]any {
	keys := maps.Clone(c.keys)
	v4 := maps.Clone(keys["IPv4"].(map[string]any))
	v4["Address"], v4["Netmask"] = a.v4.String(), "255.255.255.255"
	keys["IPv4"] = v4
	if a.v6.IsValid() {
		v6 := maps.Clone(keys["IPv6"].(map[string]any))
		v6["Address"], v6["NetworkPrefixLength"] = a.v6.String(), int64(128)
		keys["IPv6"] = v6
	}
	return keys
}

// forFetch returns the configuration of a fetchConfiguration answer:
// ServerTunnel.swift. It has no addresses.
func (c *Configuration) forFetch() map[string]any {
	keys := without(c.keys, "IPv4")
	if c.pool6 != nil {
		delete(keys, "IPv6")
	}
	return keys
}

// describe gives w a value that a configuration has.
func describe(w *bplist.Writer, v any) (bplist.Ref, error) {
	switch v := v.(type) {
	case string:
		return w.String(v), nil
	case bool:
		return w.Bool(v), nil
	case int64:
		return w.Int(v), nil
	case uint64:
		if v > 1<<63-1 {
			return 0, fmt.Errorf("the number %d is too large", v)
		}
		return w.Int(int64(v)), nil
	case float64:
		return w.Real(v), nil
	case float32:
		return w.Real(float64(v)), nil
	case []byte:
		return w.Data(v), nil
	case time.Time:
		return w.Date(v.Sub(appleEpoch).Seconds()), nil
	case plist.UID:
		return w.UID(uint32(v)), nil
	case []any:
		refs := make([]bplist.Ref, len(v))
		for i := range v {
			var err error
			if refs[i], err = describe(w, v[i]); err != nil {
				return 0, err
			}
		}
		return w.Array(refs...), nil
	case map[string]any:
		refs := make([]bplist.Ref, 0, 2*len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			val, err := describe(w, v[key])
			if err != nil {
				return 0, fmt.Errorf("%s: %w", key, err)
			}
			refs = append(refs, w.String(key), val)
		}
		return w.Dict(refs...), nil
	}
	return 0, fmt.Errorf("a value of type %T cannot be sent", v)
}

// appleEpoch is what property lists count dates from.
var appleEpoch = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
