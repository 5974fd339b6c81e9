package stream

import (
	"cmp"
	"slices"

	"tundump/decode/reasm"
)

// table is the connections that are remembered, and the memory they share.
type table struct {
	conns   map[key]*conn
	last    *conn   // the one that was asked for last
	idle    [3]list // by phase
	created int64
	reasm   reasm.Memory
	budget  int // bytes that may be held of what was put in order
	held    int // bytes that are
}

// list is connections by when they were used, the longest idle first.
type list struct{ first, last *conn }

// history is how much of each direction is kept to compare repeated segments
// with.
const history = 16 << 10

func (t *table) init(memory int) {
	t.conns = make(map[key]*conn)
	t.reasm = reasm.Memory{Total: memory / 2, History: history, Stream: min(4<<20, memory/4)}
	t.budget = memory / 2
}

func (t *table) get(k key) *conn {
	if t.last != nil && t.last.key == k {
		return t.last
	}
	c := t.conns[k]
	if c != nil {
		t.last = c
	}
	return c
}

func (t *table) add(c *conn) {
	t.created++
	c.number = t.created
	t.conns[c.key] = c
	t.last = c
	t.idle[c.state].push(c)
}

func (t *table) remove(c *conn) {
	delete(t.conns, c.key)
	if t.last == c {
		t.last = nil
	}
	t.idle[c.state].cut(c)
	c.release(t)
}

// touch says that c was used.
func (t *table) touch(c *conn) {
	if l := &t.idle[c.state]; l.last != c {
		l.cut(c)
		l.push(c)
	}
}

// move changes c's phase.
func (t *table) move(c *conn, to phase) {
	t.idle[c.state].cut(c)
	c.state = to
	t.idle[to].push(c)
}

// all returns the connections in the order in which they appeared.
func (t *table) all() []*conn {
	var all []*conn
	for _, c := range t.conns {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.number, b.number) })
	return all
}

func (l *list) push(c *conn) {
	c.before, c.behind = l.last, nil
	if l.last != nil {
		l.last.behind = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *list) cut(c *conn) {
	if c.before != nil {
		c.before.behind = c.behind
	} else {
		l.first = c.behind
	}
	if c.behind != nil {
		c.behind.before = c.before
	} else {
		l.last = c.before
	}
	c.before, c.behind = nil, nil
}

// oldest is the connection that can be forgotten at the least loss.
func (t *table) oldest() *conn {
	for _, p := range [...]phase{over, candidate, open} {
		if c := t.idle[p].first; c != nil {
			return c
		}
	}
	return nil
}
