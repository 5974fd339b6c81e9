package reasm

// past is what a stream handed out last, to compare later copies with.
type past struct {
	ring []byte // the byte at offset o is at o % len(ring)
	from int64  // it holds the bytes from there
	to   int64  // to there
}

// add remembers b, which begins at offset off, where the bytes before ended.
func (p *past) add(m *Memory, off int64, b []byte) {
	if m.History <= 0 || p.ring == nil && m.used+m.History > m.total() {
		return
	}
	if p.ring == nil {
		p.ring, p.from = make([]byte, m.History), off
		m.used += m.History
	}
	size := int64(len(p.ring))
	p.to = off + int64(len(b))
	if over := int64(len(b)) - size; over > 0 {
		off, b = off+over, b[over:]
	}
	n := copy(p.ring[off%size:], b)
	copy(p.ring, b[n:])
	p.from = max(p.from, p.to-size)
}

// forget says that the bytes before offset off are not known.
func (p *past) forget(off int64) { p.from, p.to = off, off }

// differs reports whether a byte that was handed out is another one in b,
// which begins at offset off.
func (p *past) differs(off int64, b []byte) bool {
	if p.ring == nil {
		return false
	}
	lo, hi := max(off, p.from), min(off+int64(len(b)), p.to)
	size := int64(len(p.ring))
	for o := lo; o < hi; o++ {
		if p.ring[o%size] != b[o-off] {
			return true
		}
	}
	return false
}

func (p *past) close(m *Memory) {
	m.used -= len(p.ring)
	p.ring = nil
}
