package store

import "bytes"

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// OpenBytes indexes b, which must not change, without a goroutine or a file.
func OpenBytes(b []byte) *Store {
	s := newStore()
	s.indexer(inMemory{bytes.NewReader(b)}, bytes.NewReader(b), "test").run()
	return s
}
