package record

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"tundump/capture/pcapng"
	"tundump/capture/store"
)

// sink is the file that is written, and those before it that the capture is
// still in: files with names that follow each other, or the row of files that
// stand for one of limited size.
type sink struct {
	w       *store.Writer
	log     *slog.Logger
	name    string // for errors, and to open it again
	file    *os.File
	output  io.Writer // a stream that is written too, or nil
	pipe    *os.File  // the same, if it is ours to close
	head    []byte    // what every file begins with
	section pcapng.Section
	size    int64 // of the current file
	written int64 // to all

	named    bool // else the file has no name, and readers only of ours
	rotation Rotation
	names    *namer
	begun    time.Time // the current file

	segment int64   // what a file without a name grows to, or what one with a name may
	keep    int64   // all together, in bytes; 0: no limit
	pieces  []piece // the current one last
	held    int     // so many of the last are in the store
}

const snapLen = 262144

func newSink(o *Options, w *store.Writer) (*sink, error) {
	if err := o.Rotation.check(o); err != nil {
		return nil, err
	}
	s := &sink{w: w, log: o.Logger, output: o.Output, rotation: o.Rotation, begun: o.Now()}
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
		if err := s.openNamed(o); err != nil {
			return nil, err
		}
	}
	if s.named {
		s.keep, s.segment = o.Keep, o.Rotation.Size
	} else {
		s.keep = cmp.Or(o.Keep, defaultKeep)
		s.segment = max(s.keep/8, 1)
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

// openNamed opens the first file, or a pipe, which is written as an output is.
func (s *sink) openNamed(o *Options) error {
	names, err := newNamer(o.Path, &o.Rotation)
	if err != nil {
		return err
	}
	s.name = names.name(s.begun)
	if info, err := os.Stat(s.name); err == nil && info.Mode()&fs.ModeNamedPipe != 0 && !o.Rotation.on() {
		f, err := os.OpenFile(s.name, os.O_WRONLY, 0)
		if err != nil {
			return cannotOpen(s.name, err)
		}
		s.output, s.pipe = f, f
		return nil
	}
	s.file, err = openRegular(s.name)
	s.named, s.names = true, names
	return err
}

// openRegular opens the file at path, which must be regular, and empties it.
// It looks before it does that: not every name is a file's.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, cannotOpen(path, err)
	case !info.Mode().IsRegular():
		return nil, cannotOpen(path, errNotRegular)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, cannotOpen(path, err)
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(cannotOpen(path, err), f.Close())
	}
	return f, nil
}

var errNotRegular = errors.New("it is not a regular file")

func cannotOpen(path string, err error) error {
	return fmt.Errorf("record: cannot write %s: %w", path, reason(err))
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
	next := s.nextUnnamed
	if s.named {
		next = s.start
	}
	if err := next(); err != nil {
		return err
	}
	if s.output != nil {
		if _, err := s.output.Write(s.head); err != nil {
			return fmt.Errorf("record: cannot write the output: %w", err)
		}
	}
	return nil
}

// nextUnnamed goes on in a new file without a name.
func (s *sink) nextUnnamed() error {
	f, err := store.TempFile()
	if err != nil {
		return err
	}
	s.file = f
	if s.name == "" {
		s.name = "the temporary file"
	}
	return s.start()
}

// start makes room for s.file, writes its head and hands it to the store.
func (s *sink) start() error {
	s.size = 0
	if err := s.makeRoom(); err != nil {
		return errors.Join(err, s.file.Close())
	}
	if _, err := s.file.Write(s.head); err != nil {
		return errors.Join(s.failure(err), s.file.Close())
	}
	s.size = int64(len(s.head))
	s.written += s.size
	p := piece{size: s.size}
	if s.named {
		p.path = s.name
	}
	s.pieces = append(s.pieces, p)
	s.held++
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
	s.pieces[len(s.pieces)-1].size = s.size
	s.w.Append(e.rows)
	e.continueAt(s.size)
	if !s.named && s.size >= s.segment {
		if err := s.nextUnnamed(); err != nil {
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
