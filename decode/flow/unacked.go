package flow

// segment is what was sent and waits for an acknowledgment.
type segment struct {
	time     int64
	number   int64
	seq, end uint32
	next     uint32 // in the list, or in the free list; 0: the last
}

// pool holds the segments of all flows, so that they have one budget and cost
// no allocation each. Places are counted from 1.
type pool struct {
	segments []segment
	free     uint32
	limit    int
	lost     int64 // segments for which there was no place
}

func (p *pool) at(i uint32) *segment { return &p.segments[i-1] }

// take returns a free place, 0 if there is none.
func (p *pool) take() uint32 {
	if i := p.free; i != 0 {
		p.free = p.at(i).next
		return i
	}
	if len(p.segments) >= p.limit {
		p.lost++
		return 0
	}
	p.segments = append(p.segments, segment{})
	return uint32(len(p.segments))
}

// Limits of one direction's list. Wireshark keeps 10,000; a list that is not
// in order is searched from end to end for each packet, hence fewer.
const (
	maxUnacked = 10_000
	maxMixed   = 1_000
)

// unacked is the segments of one direction that wait for an acknowledgment,
// in the order in which they were sent.
type unacked struct {
	head, tail uint32
	count      int
	mixed      bool // they do not follow each other in the sequence space
}

// add appends a segment if there is room.
func (u *unacked) add(p *pool, s segment) (added bool) {
	if u.count >= maxUnacked || u.mixed && u.count >= maxMixed {
		p.lost++
		return false
	}
	i := p.take()
	if i == 0 {
		return false
	}
	s.next = 0
	*p.at(i) = s
	if u.tail == 0 {
		u.head, u.mixed = i, false
	} else {
		last := p.at(u.tail)
		last.next = i
		u.mixed = u.mixed || before(s.seq, last.end)
	}
	u.tail = i
	u.count++
	return true
}

// acknowledge takes off what ack covers, shortens what it covers in part, and
// returns the oldest segment that ends at ack. A range that is in order is
// read only as far as it is covered.
func (u *unacked) acknowledge(p *pool, ack uint32) (matched segment, ok bool) {
	var prev, end uint32
	mixed := false
	for i := u.head; i != 0; {
		s := p.at(i)
		next := s.next
		switch {
		case s.end == ack && !ok:
			matched, ok = *s, true
			fallthrough
		case !before(ack, s.end):
			u.drop(p, prev, i)
			i = next
			continue
		case before(s.seq, ack):
			s.seq = ack
		}
		if !u.mixed {
			return matched, ok
		}
		mixed = mixed || prev != 0 && before(s.seq, end)
		end = s.end
		prev, i = i, next
	}
	u.mixed = mixed
	return matched, ok
}

// drop frees segment i, which follows prev.
func (u *unacked) drop(p *pool, prev, i uint32) {
	s := p.at(i)
	if prev == 0 {
		u.head = s.next
	} else {
		p.at(prev).next = s.next
	}
	if u.tail == i {
		u.tail = prev
	}
	u.count--
	s.next, p.free = p.free, i
}

// span returns the number of bytes from the first unacknowledged to the last.
// base is where the direction's numbers are counted from.
func (u *unacked) span(p *pool, base uint32) uint32 {
	if u.head == 0 {
		return 0
	}
	first, last := p.at(u.head).seq-base, p.at(u.tail).end-base
	for i := u.head; u.mixed && i != 0; i = p.at(i).next {
		first, last = min(first, p.at(i).seq-base), max(last, p.at(i).end-base)
	}
	return last - first
}

func (u *unacked) release(p *pool) {
	for u.head != 0 {
		u.drop(p, 0, u.head)
	}
	u.mixed = false
}

// before compares sequence numbers, RFC 9293 section 3.4.
func before(a, b uint32) bool { return int32(a-b) < 0 }
