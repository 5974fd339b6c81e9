package rewrite

import (
	"fmt"
	"strconv"
	"strings"
)

// PortMap puts TCP and UDP ports in the place of others. The zero value maps
// nothing.
type PortMap struct{ to map[uint16]uint16 }

// Map returns what takes the place of port.
func (m *PortMap) Map(port uint16) uint16 {
	if to, ok := m.to[port]; ok {
		return to
	}
	return port
}

// Len returns how many ports are mapped.
func (m *PortMap) Len() int { return len(m.to) }

// Add has the port from become to.
func (m *PortMap) Add(from, to uint16) error {
	if _, twice := m.to[from]; twice {
		return fmt.Errorf("port map: %d is mapped twice", from)
	}
	if m.to == nil {
		m.to = make(map[uint16]uint16)
	}
	m.to[from] = to
	return nil
}

// Parse adds what s says: OLD=NEW, several with commas between. OLD may be a
// range, 8000-8099; then NEW is a port, which all become, or a range of the
// same size. A colon in the place of = is understood, as tcprewrite writes it.
func (m *PortMap) Parse(s string) error {
	for one := range strings.SplitSeq(s, ",") {
		old, repl, ok := strings.Cut(one, "=")
		if !ok {
			old, repl, ok = strings.Cut(one, ":")
		}
		if !ok {
			return fmt.Errorf("port map: %q: write OLD=NEW, two ports or ranges", one)
		}
		lo, hi, err := parsePorts(old)
		if err != nil {
			return fmt.Errorf("port map: %q: %w", one, err)
		}
		toLo, toHi, err := parsePorts(repl)
		switch {
		case err != nil:
			return fmt.Errorf("port map: %q: %w", one, err)
		case toHi != toLo && toHi-toLo != hi-lo:
			return fmt.Errorf("port map: %q: the ranges must have the same size", one)
		}
		for from, to := lo, toLo; from <= hi; from++ {
			if err := m.Add(uint16(from), uint16(to)); err != nil {
				return err
			}
			if toHi != toLo {
				to++
			}
		}
	}
	return nil
}

func parsePorts(s string) (lo, hi int, err error) {
	first, last, isRange := strings.Cut(strings.TrimSpace(s), "-")
	l, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("port %q: not a number from 0 to 65535", first)
	}
	h := l
	if isRange {
		if h, err = strconv.ParseUint(last, 10, 16); err != nil || h < l {
			return 0, 0, fmt.Errorf("port range %q: write LOW-HIGH, up to 65535", s)
		}
	}
	return int(l), int(h), nil
}

// TTL is a change to a time to live or hop limit. The zero value is none.
type TTL struct {
	Set uint8 // the new value; 0: do not set
	Add int   // added to the old one where it is not set; the result is kept from 1 to 255
}

// ParseTTL reads N, which sets, or +N or -N, as tcprewrite does.
func ParseTTL(s string) (TTL, error) {
	n, err := strconv.Atoi(s)
	relative := strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-")
	switch {
	case err != nil || n < -255 || n > 255 || !relative && n == 0:
		return TTL{}, fmt.Errorf("time to live %q: write 1 to 255, or +N or -N", s)
	case relative:
		return TTL{Add: n}, nil
	}
	return TTL{Set: uint8(n)}, nil
}

func (t TTL) apply(v uint8) uint8 {
	switch {
	case t.Set != 0:
		return t.Set
	case t.Add != 0:
		return uint8(min(max(int(v)+t.Add, 1), 255))
	}
	return v
}
