package store

import (
	"context"
	"errors"
	"io"
	"os"
	"sort"
	"sync"
	"sync/atomic"

	"tundump/capture/pcapng"
)

// ErrGone is returned for a row that a limited capture no longer holds.
var ErrGone = errors.New("store: the row is no longer held: the capture's size is limited")

// Store is a capture's rows. It owns its files.
type Store struct {
	rows    rows
	first   atomic.Int64
	indexed atomic.Int64

	scratch chan *pcapng.Packet // spare ones, for At; a sync.Pool may lose what it holds at any time

	mu       sync.Mutex
	segments []*segment    // oldest first
	changed  chan struct{} // closed at the next change; nil if nobody waits
	err      error
	warnings []string
	losses   pcapng.Losses
	closed   bool

	done     chan struct{} // no more rows will come
	finish   sync.Once
	indexing sync.WaitGroup
	stop     atomic.Bool // the indexer should end

	// Of a store that is indexed in order; for who waits and reads:
	index     func() (struct{}, bool) // indexes on; false at the end
	stopIndex func()
	piece     piece
}

// piece is what the indexing has read of a file and has not read over yet.
type piece struct {
	number int // which it is, from 1
	file   file
	offset int64
	bytes  []byte
}

// file is what rows lie in.
type file interface {
	io.ReaderAt
	io.Closer
}

// segment is one file and the rows in it.
type segment struct {
	file  file
	first int // its first row

	mu       sync.RWMutex
	sections []pcapng.Section // by offset
}

func newStore() *Store {
	return &Store{scratch: make(chan *pcapng.Packet, 8), done: make(chan struct{})}
}

// Len reports how many rows there are so far, those that are no longer held
// included.
func (s *Store) Len() int { return s.rows.len() }

// First is the oldest row that is still held; Len() if there is none.
func (s *Store) First() int { return int(s.first.Load()) }

// Indexed reports how many bytes of the file have been indexed, while it is; 0
// for a capture that is indexed as it is written.
func (s *Store) Indexed() int64 { return s.indexed.Load() }

// Entry returns what is known of row i without reading the file. It is the
// zero Entry if there is no such row any more.
func (s *Store) Entry(i int) Entry {
	if e, ok := s.rows.at(i); ok && i >= s.First() {
		return *e
	}
	return Entry{}
}

// Wait waits until there are more than n rows and returns how many there are.
// The error is io.EOF if there will never be more than n, or what ended the
// capture before its end; ctx's error if that is done first.
func (s *Store) Wait(ctx context.Context, n int) (int, error) {
	for {
		if l := s.Len(); l > n {
			return l, nil
		}
		if s.index != nil && ctx.Err() == nil {
			if _, more := s.index(); more {
				continue
			}
		}
		wake, err := s.subscribe(n)
		if wake == nil {
			return s.Len(), err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return s.Len(), ctx.Err()
		}
	}
}

// subscribe returns a channel that is closed at the next change, or nil if
// there are more than n rows by now or never will be.
func (s *Store) subscribe(n int) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		switch {
		case s.Len() > n:
			return nil, nil
		case s.err != nil:
			return nil, s.err
		}
		return nil, io.EOF
	default:
	}
	if s.Len() > n {
		return nil, nil
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed, nil
}

func (s *Store) announce() {
	s.mu.Lock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	s.mu.Unlock()
}

// Done is closed when no more rows will come.
func (s *Store) Done() <-chan struct{} { return s.done }

// Err reports why the rows ended before the capture did; nil while more may
// come, and at a proper end. A file that is cut or damaged is no error: see
// [Store.Warnings].
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Warnings returns what a user should know about the file, a line each. They
// are complete when Done is closed.
func (s *Store) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.warnings...)
}

func (s *Store) warn(w string) {
	s.mu.Lock()
	s.warnings = append(s.warnings, w)
	s.mu.Unlock()
}

// Losses returns what the capture's statistics say that the recording lost or
// made the tunnels wait for, as far as it has been indexed. A capture that is
// cut has none of its last file.
func (s *Store) Losses() pcapng.Losses {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.losses
}

func (s *Store) lost(l pcapng.Losses) {
	s.mu.Lock()
	s.losses.Add(l)
	s.mu.Unlock()
}

// end says that no more rows will come.
func (s *Store) end(err error) {
	s.finish.Do(func() {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		close(s.done)
		s.announce()
	})
}

// Close ends the indexing and closes the files. Rows cannot be read after it;
// waiting ends with os.ErrClosed. A second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.stop.Store(true)
	s.end(os.ErrClosed)
	s.indexing.Wait()
	if s.stopIndex != nil {
		s.stopIndex()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, g := range s.segments {
		err = errors.Join(err, g.file.Close())
	}
	return err
}

// segmentOf finds the file that holds row i.
func (s *Store) segmentOf(i int) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := sort.Search(len(s.segments), func(k int) bool { return s.segments[k].first > i })
	if k == 0 {
		return nil
	}
	return s.segments[k-1]
}

// section returns the section that offset lies in.
func (g *segment) section(offset int64) (pcapng.Section, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	k := sort.Search(len(g.sections), func(k int) bool { return g.sections[k].Offset > offset })
	if k == 0 {
		return pcapng.Section{}, false
	}
	return g.sections[k-1], true
}

// Writer adds rows to a store that is written while it is read. It is for one
// goroutine.
type Writer struct{ s *Store }

// New returns an empty store and the writer that fills it.
func New() (*Store, *Writer) {
	s := newStore()
	return s, &Writer{s}
}

// AddFile makes f the file that the rows from now on lie in, with all of its
// interfaces in section. The store owns f and closes it when it is dropped or
// the store is closed; the caller goes on writing to it.
func (w *Writer) AddFile(f *os.File, section pcapng.Section) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.segments = append(w.s.segments, &segment{file: f, first: w.s.Len(), sections: []pcapng.Section{section}})
}

// Append adds rows whose bytes are in the file. It does not keep entries.
func (w *Writer) Append(entries []Entry) {
	if len(entries) == 0 {
		return
	}
	w.s.rows.append(entries)
	w.s.announce()
}

// AddLosses counts what a file lost.
func (w *Writer) AddLosses(l pcapng.Losses) { w.s.lost(l) }

// DropFile gives up the oldest file and its rows. The numbers of the others
// stay.
func (w *Writer) DropFile() error {
	w.s.mu.Lock()
	if len(w.s.segments) == 0 || w.s.closed {
		w.s.mu.Unlock()
		return nil
	}
	old, first := w.s.segments[0], w.s.Len()
	w.s.segments = append([]*segment(nil), w.s.segments[1:]...)
	if len(w.s.segments) > 0 {
		first = w.s.segments[0].first
	}
	w.s.mu.Unlock()
	w.s.first.Store(int64(first))
	w.s.rows.drop(first)
	return old.file.Close()
}

// Finish says that no more rows will come; err, if the recording failed, says
// why.
func (w *Writer) Finish(err error) { w.s.end(err) }
