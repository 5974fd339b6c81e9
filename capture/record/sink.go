package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"tundump/capture/pcapng"
	"tundump/capture/store"
)

// sink is the file that is written, or the row of files that stand for one of
// limited size.
type sink struct {
	w       *store.Writer
	name    string // for errors
	file    *os.File
	output  io.Writer // a stream that is written too, or nil
	pipe    *os.File  // the same, if it is ours to close
	head    []byte    // what every file begins with
	section pcapng.Section
	size    int64 // of the current file
	written int64

	limited bool // by segment and keep
	segment int64
	keep    int64
	sizes   []int64 // of the files that are held, the current one last
}

const snapLen = 262144

func newSink(o *Options, w *store.Writer) (*sink, error) {
	s := &sink{w: w, output: o.Output, keep: o.Keep, segment: max(o.Keep/8, 1)}
	s.head = pcapng.AppendSection(nil, pcapng.Application)
	for _, name := range ifaceNames {
		s.head = pcapng.AppendInterface(s.head, &pcapng.Interface{LinkType: pcapng.LinkEthernet, SnapLen: snapLen, Name: name})
	}
	section, err := readSection(s.head)
	if err != nil {
		return nil, err
	}
	s.section = section
	if o.Path != "" {
		if err := s.open(o.Path); err != nil {
			return nil, err
		}
	}
	if s.file == nil {
		s.limited = true
	}
	return s, s.begin()
}

// readSection reads back what was written, so that the store goes by the same
// description as a reader of the file.
func readSection(head []byte) (pcapng.Section, error) {
	r := pcapng.NewReader(bytes.NewReader(head))
	var b pcapng.Block
	for {
		switch err := r.Next(&b); err {
		case nil:
		case io.EOF:
			return *b.Section(), nil
		default:
			return pcapng.Section{}, err
		}
	}
}

// open opens the file at path, which must be regular, or a pipe. It looks
// before it empties what is there: not every name is a file's.
func (s *sink) open(path string) error {
	s.name = path
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return s.cannotOpen(err)
	case info.Mode()&fs.ModeNamedPipe != 0:
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return s.cannotOpen(err)
		}
		s.output, s.pipe = f, f
		return nil
	case !info.Mode().IsRegular():
		return s.cannotOpen(errors.New("it is not a regular file"))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return s.cannotOpen(err)
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err != nil {
		return errors.Join(s.cannotOpen(err), f.Close())
	}
	s.file = f
	return nil
}

func (s *sink) cannotOpen(err error) error {
	return fmt.Errorf("record: cannot write %s: %w", s.name, reason(err))
}

// reason leaves out the path that an fs.PathError repeats.
func reason(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// begin writes the head of the first file and of the stream.
func (s *sink) begin() error {
	if s.file == nil {
		if err := s.nextFile(); err != nil {
			return err
		}
	} else if err := s.start(); err != nil {
		return err
	}
	if s.output != nil {
		if _, err := s.output.Write(s.head); err != nil {
			return fmt.Errorf("record: cannot write the output: %w", err)
		}
	}
	return nil
}

// nextFile goes on in a new file without a name, and gives up the oldest if
// all together are too large.
func (s *sink) nextFile() error {
	f, err := store.TempFile()
	if err != nil {
		return err
	}
	s.file = f
	if s.name == "" {
		s.name = "the temporary file"
	}
	if err := s.start(); err != nil {
		return err
	}
	held := s.segment // what the new file may grow by
	for _, n := range s.sizes {
		held += n
	}
	for len(s.sizes) > 1 && held > s.keep {
		held -= s.sizes[0]
		s.sizes = s.sizes[1:]
		if err := s.w.DropFile(); err != nil {
			return fmt.Errorf("record: cannot give up the oldest rows: %w", err)
		}
	}
	return nil
}

// start writes the head of a file and hands the file to the store.
func (s *sink) start() error {
	if _, err := s.file.Write(s.head); err != nil {
		return errors.Join(s.failure(err), s.file.Close())
	}
	s.size = int64(len(s.head))
	s.written += s.size
	s.sizes = append(s.sizes, s.size)
	s.w.AddFile(s.file, s.section)
	return nil
}

func (s *sink) failure(err error) error {
	return fmt.Errorf("record: cannot write %s: %w; it ends after %d bytes, the tunnels go on unrecorded", s.name, reason(err), s.size)
}

// flush writes what e has encoded, and shows its rows to the store's readers.
func (s *sink) flush(e *encoder) error {
	n, err := s.file.Write(e.out)
	if err != nil {
		return s.salvage(e, n, err)
	}
	if s.output != nil {
		if _, err := s.output.Write(e.out); err != nil {
			return fmt.Errorf("record: cannot write the output: %w; the tunnels go on unrecorded", reason(err))
		}
	}
	s.size += int64(n)
	s.written += int64(n)
	s.sizes[len(s.sizes)-1] = s.size
	s.w.Append(e.rows)
	e.continueAt(s.size)
	if s.limited && s.size >= s.segment {
		if err := s.nextFile(); err != nil {
			return err
		}
		e.base = s.size
	}
	return nil
}

// salvage keeps the rows that are wholly in the n bytes which could still be
// written, and cuts off what is not.
func (s *sink) salvage(e *encoder, n int, err error) error {
	end, whole := s.size, 0
	for i := range e.rows {
		if e.rows[i].End() > s.size+int64(n) {
			break
		}
		end, whole = max(end, e.rows[i].End()), i+1
	}
	if terr := s.file.Truncate(end); terr == nil {
		s.written += end - s.size
		s.size = end
	}
	s.w.Append(e.rows[:whole])
	return s.failure(err)
}

// close ends the pipe; files are the store's.
func (s *sink) close() error {
	if s.pipe == nil {
		return nil
	}
	if err := s.pipe.Close(); err != nil {
		return fmt.Errorf("record: cannot write %s: %w", s.name, reason(err))
	}
	return nil
}
