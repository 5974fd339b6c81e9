package sniff

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"tundump/capture/pcapng"
	"tundump/capture/store"
)

// source is the bytes of a capture, decompressed.
type source struct {
	name    string
	file    *os.File
	regular bool // it can be read again
	size    int64
	read    atomic.Int64 // bytes of file
	packed  bool
	spool   *os.File // a copy of what came, if it cannot
	unpack  io.Closer
}

const (
	// maxWindow bounds the memory that a zstd file can ask for.
	maxWindow = 128 << 20
)

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// openSource opens a file; - is standard input.
func openSource(path string) (*source, error) {
	if path == "-" {
		return &source{name: "standard input", file: os.Stdin}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cannotOpen(path, err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, errors.Join(cannotOpen(path, err), f.Close())
	case info.IsDir():
		return nil, errors.Join(cannotOpen(path, errors.New("it is a directory")), f.Close())
	}
	return &source{name: path, file: f, regular: info.Mode().IsRegular(), size: info.Size()}, nil
}

// progress reports how much of a regular file has been read.
func (s *source) progress() (done, all int64) {
	if !s.regular {
		return 0, 0
	}
	return min(s.read.Load(), s.size), s.size
}

// counting counts the bytes that are read.
type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

func cannotOpen(path string, err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("cannot open %s: %w", path, err)
}

// reader returns the bytes from the beginning.
func (s *source) reader() (io.Reader, error) {
	head := make([]byte, 4)
	n, err := io.ReadFull(s.file, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("cannot read %s: %w", s.name, err)
	}
	head = head[:n]
	s.read.Store(int64(n))
	r := io.MultiReader(bytes.NewReader(head), counting{s.file, &s.read})
	s.packed = true
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("cannot decompress %s: %w", s.name, err)
		}
		s.unpack = z
		return z, nil
	case bytes.HasPrefix(head, zstdMagic):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("cannot decompress %s: %w", s.name, err)
		}
		s.unpack = z.IOReadCloser()
		return z, nil
	}
	s.packed = false
	return r, nil
}

// again returns the bytes from the beginning once more. What cannot be read
// twice has been spooled.
func (s *source) again() (io.Reader, error) {
	if s.spool != nil {
		if _, err := s.spool.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return s.spool, nil
	}
	if s.unpack != nil {
		if err := s.unpack.Close(); err != nil {
			return nil, err
		}
		s.unpack = nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return s.reader()
}

// spooled copies what is read from r, for again.
func (s *source) spooled(r io.Reader) (io.Reader, error) {
	f, err := store.TempFile()
	if err != nil {
		return nil, err
	}
	s.spool = f
	return io.TeeReader(r, f), nil
}

func (s *source) Close() error {
	var err error
	if s.unpack != nil {
		err = s.unpack.Close()
	}
	if s.spool != nil {
		err = errors.Join(err, s.spool.Close())
	}
	return errors.Join(err, s.file.Close())
}

// owned reports whether a capture that begins with r was written by tundump
// with all its interfaces, and returns a reader that begins there again. It
// reads no further than the first interface.
func owned(r io.Reader) (bool, io.Reader) {
	var seen bytes.Buffer
	ng := pcapng.NewReader(io.TeeReader(r, &seen))
	ours := false
	var b pcapng.Block
	for ng.Next(&b) == nil {
		s := b.Section()
		if b.Type == pcapng.SectionHeader && strings.HasPrefix(s.Application, pcapng.Application) {
			continue
		}
		if b.Type == pcapng.InterfaceDescription && strings.HasPrefix(s.Application, pcapng.Application) {
			i := &s.Interfaces[0]
			ours = i.LinkType == pcapng.LinkEthernet && (i.Side() != 0 || i.Name == pcapng.Inner)
		}
		break
	}
	return ours, io.MultiReader(&seen, r)
}
