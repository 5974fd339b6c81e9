package store

import "bytes"

type inMemory struct {
	*bytes.Reader
	again int // bytes that were read of rows
}

func (*inMemory) Close() error { return nil }

func (m *inMemory) ReadAt(b []byte, off int64) (int, error) {
	n, err := m.Reader.ReadAt(b, off)
	m.again += n
	return n, err
}

// OpenBytes indexes b, which must not change, without a goroutine or a file.
func OpenBytes(b []byte) *Store {
	s := newStore()
	s.indexer(&inMemory{Reader: bytes.NewReader(b)}, bytes.NewReader(b), "test").run()
	return s
}

// OpenBytesInOrder is OpenInOrder of b.
func OpenBytesInOrder(b []byte) *Store {
	s := newStore()
	s.indexInOrder(s.indexer(&inMemory{Reader: bytes.NewReader(b)}, bytes.NewReader(b), "test"))
	return s
}

// ReadAgain reports how many bytes were read for rows, besides those that were
// read to index them.
func (s *Store) ReadAgain() int { return s.segments[0].file.(*inMemory).again }
