package flow

// ring is a map that forgets its oldest entries: it holds limit at most.
type ring[K comparable, V any] struct {
	limit   int
	lost    int64
	entries map[K]slot[V]
	order   []K // by age, from next on
	next    int
}

type slot[V any] struct {
	value V
	at    int // in order
}

func (r *ring[K, V]) get(k K) (v V, ok bool) {
	s, ok := r.entries[k]
	return s.value, ok
}

// put sets k's value. Setting it again does not make it younger.
func (r *ring[K, V]) put(k K, v V) {
	if r.entries == nil {
		r.entries = make(map[K]slot[V])
	}
	if s, ok := r.entries[k]; ok {
		r.entries[k] = slot[V]{v, s.at}
		return
	}
	if len(r.order) < r.limit {
		r.order = append(r.order, k)
		r.entries[k] = slot[V]{v, len(r.order) - 1}
		return
	}
	old := r.order[r.next]
	if s, ok := r.entries[old]; ok && s.at == r.next {
		delete(r.entries, old)
		r.lost++
	}
	r.order[r.next] = k
	r.entries[k] = slot[V]{v, r.next}
	r.next = (r.next + 1) % r.limit
}

// remove forgets k; its place is given to another in its turn.
func (r *ring[K, V]) remove(k K) { delete(r.entries, k) }
