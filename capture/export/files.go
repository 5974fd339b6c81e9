package export

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxOpen  = 64       // files at a time
	maxFiles = 10_000   // in all
	bufSize  = 64 << 10 // before a file is written to
)

// files are the files of an export, of which only those last written to are
// open.
type files struct {
	path, suffix string
	head         []byte
	made         int
	all          map[string]*file
	inUse        []*file // the least recently used first
}

// file is one of them. buf holds whole blocks.
type file struct {
	owner *files
	path  string
	w     io.Writer
	f     *os.File // w, if it is one
	buf   []byte
	begun bool
}

func newFiles(path string, head []byte) *files {
	suffix := filepath.Ext(path)
	return &files{path: strings.TrimSuffix(path, suffix), suffix: suffix, head: head, all: make(map[string]*file)}
}

// stream makes w the only file.
func (s *files) stream(w io.Writer) error {
	f := &file{owner: s, w: w, begun: true, path: "the output"}
	s.all[""] = f
	s.inUse = append(s.inUse, f)
	s.made = 1
	return f.write(append(f.buf, s.head...))
}

// open returns the file that name, put in front of the suffix, sets apart.
func (s *files) open(name []byte) (*file, error) {
	f := s.all[string(name)]
	if f == nil {
		if len(s.all) >= maxFiles {
			return nil, fmt.Errorf("export: more than %d files: a filter makes them fewer", maxFiles)
		}
		f = &file{owner: s, path: s.path + string(name) + s.suffix}
		s.all[string(name)] = f
	}
	if f.w == nil {
		return f, s.reopen(f)
	}
	if last := len(s.inUse) - 1; s.inUse[last] != f {
		s.forget(f)
		s.inUse = append(s.inUse, f)
	}
	return f, nil
}

func (s *files) forget(f *file) {
	for i, o := range s.inUse {
		if o == f {
			s.inUse = append(s.inUse[:i], s.inUse[i+1:]...)
			return
		}
	}
}

// reopen opens a file, the first time or again.
func (s *files) reopen(f *file) error {
	if len(s.inUse) >= maxOpen {
		oldest := s.inUse[0]
		s.inUse = s.inUse[1:]
		if err := oldest.close(); err != nil {
			return err
		}
	}
	how := os.O_WRONLY | os.O_APPEND
	if !f.begun {
		how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	o, err := os.OpenFile(f.path, how, 0o600)
	if err != nil {
		return f.failure(err)
	}
	f.f, f.w = o, o
	s.inUse = append(s.inUse, f)
	if f.begun {
		return nil
	}
	f.begun = true
	s.made++
	return f.write(append(f.buf, s.head...))
}

// buffer is where the next block is appended.
func (f *file) buffer() []byte { return f.buf }

// write takes the buffer with what was appended to it.
func (f *file) write(buf []byte) error {
	f.buf = buf
	if len(buf) < bufSize {
		return nil
	}
	return f.flush()
}

func (f *file) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	_, err := f.w.Write(f.buf)
	if f.buf = f.buf[:0]; cap(f.buf) > 4*bufSize {
		f.buf = nil
	}
	if err != nil {
		return f.failure(err)
	}
	return nil
}

func (f *file) failure(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("export: cannot write %s: %w", f.path, err)
}

func (f *file) close() error {
	err := f.flush()
	if f.f != nil {
		if cerr := f.f.Close(); cerr != nil && err == nil {
			err = f.failure(cerr)
		}
		f.f = nil
	}
	f.w, f.buf = nil, nil
	return err
}

func (s *files) flush() error {
	for _, f := range s.inUse {
		if err := f.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (s *files) close() error {
	var errs []error
	for _, f := range s.inUse {
		errs = append(errs, f.close())
	}
	s.inUse = nil
	return errors.Join(errs...)
}
