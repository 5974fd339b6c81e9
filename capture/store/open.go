package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"tundump/capture/pcapng"
)

// Open opens a capture that tundump wrote, finished or still being written,
// and indexes it in the background: one goroutine, which ends at the end of
// the file or at Close. It returns as soon as there is a row, or none in the
// file. "-" is standard input, and that and what is no regular file is read as
// [OpenReader] does.
//
// The error says why the file cannot be used; it is [ErrForeign] for a capture
// of somebody else's. A file that is cut or damaged is opened up to there: see
// [Store.Warnings].
func Open(path string) (*Store, error) { return open(path, (*Store).indexInBackground) }

// OpenInOrder opens a capture as Open does, for one goroutine that reads its
// rows in order and once, with a [Reader]: Wait indexes as far as it is asked
// to, and the Reader finds the rows in what that has read, so that the file is
// read once. Rows are complete, and Done is closed, when Wait has said so.
// "-" and what is no regular file is opened as by Open.
func OpenInOrder(path string) (*Store, error) { return open(path, (*Store).indexInOrder) }

func open(path string, index func(*Store, *indexer)) (*Store, error) {
	if path == "-" {
		return OpenReader(os.Stdin, "standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, openError(path, err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, errors.Join(openError(path, err), f.Close())
	case info.IsDir():
		return nil, errors.Join(fmt.Errorf("cannot open %s: it is a directory", path), f.Close())
	case !info.Mode().IsRegular():
		return OpenReader(f, path)
	}
	s := newStore()
	x := s.indexer(f, io.NewSectionReader(f, 0, 1<<62), path)
	index(s, x)
	if _, err := s.Wait(context.Background(), 0); err != nil && err != io.EOF {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) indexInBackground(x *indexer) {
	s.indexing.Add(1)
	go func() {
		defer s.indexing.Done()
		x.run()
	}()
}

// indexInOrder has x run while somebody is in Wait, and only then.
func (s *Store) indexInOrder(x *indexer) {
	s.index, s.stopIndex = iter.Pull(func(more func(struct{}) bool) {
		x.more = more
		x.run()
	})
}

// openError leaves out the path that an fs.PathError repeats.
func openError(path string, err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("cannot open %s: %w", path, err)
}

// OpenReader indexes a capture that comes from r while it spools it to a file
// without a name. It returns at once; what is wrong with the capture is then
// the error of [Store.Wait] and [Store.Err]. Its goroutine ends with r, which
// it closes if r is an io.Closer; Close does not wait for a read of r that
// nothing ends.
func OpenReader(r io.Reader, name string) (*Store, error) {
	f, err := TempFile()
	if err != nil {
		return nil, err
	}
	s := newStore()
	x := s.indexer(f, io.TeeReader(r, f), name)
	go func() {
		x.run()
		if c, ok := r.(io.Closer); ok {
			c.Close() // it was only read; there is nothing to lose
		}
	}()
	return s, nil
}

func (s *Store) indexer(f file, r io.Reader, name string) *indexer {
	g := &segment{file: f}
	s.segments = []*segment{g}
	x := &indexer{s: s, w: Writer{s}, g: g, r: pcapng.NewReader(r), name: name}
	x.r.BeforeRead(x.shown)
	return x
}
