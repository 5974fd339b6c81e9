package bplist

// state says how far a container has been visited.
type state uint8

const (
	unseen state = iota
	active       // its contents are being visited
	done
)

// marks remembers containers by their offset: a few in a list, many in two
// bits per byte of the payload.
type marks struct {
	n      int
	offs   [64]uint32
	states [64]state
	bits   []uint8
}

func (m *marks) state(off uint32) state {
	if m.bits != nil {
		return state(m.bits[off/4] >> (off % 4 * 2) & 3)
	}
	for i, o := range m.offs[:m.n] {
		if o == off {
			return m.states[i]
		}
	}
	return unseen
}

func (m *marks) set(off uint32, s state, size int) {
	if m.bits == nil {
		for i := m.n - 1; i >= 0; i-- {
			if m.offs[i] == off {
				m.states[i] = s
				return
			}
		}
		if m.n < len(m.offs) {
			m.offs[m.n], m.states[m.n] = off, s
			m.n++
			return
		}
		m.bits = make([]uint8, size/4+1)
		for i, o := range m.offs {
			m.setBits(o, m.states[i])
		}
	}
	m.setBits(off, s)
}

func (m *marks) setBits(off uint32, s state) {
	b, shift := &m.bits[off/4], off%4*2
	*b = *b&^(3<<shift) | uint8(s)<<shift
}
