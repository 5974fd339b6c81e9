package record

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"
)

// Rotation says when a file with a name is followed by the next, and how that
// is called. It is tcpdump's: -C, -G and -W.
//
// With Size, the second file's name is the first's with 1 appended, and so on;
// with Files as well it begins with 0, all numbers have the same width, and
// behind the last file the first is written again. With Every, conversions of
// strftime in the name stand for the local time at which the file was begun;
// without any, each file replaces the one before. With Every and Files but no
// Size, the recording is complete after so many files.
//
// As in tcpdump, it is an event that comes which makes a file be followed by
// the next. A file is longer than Size by no more than the last event.
type Rotation struct {
	Size  int64         // bytes; 0: whatever the size
	Every time.Duration // 0: however long
	Files int           // 0: as many as it takes
}

func (r *Rotation) on() bool { return r.Size > 0 || r.Every > 0 }

func (r *Rotation) check(o *Options) error {
	switch {
	case r.Size < 0 || r.Every < 0 || r.Files < 0:
		return errors.New("record: a rotation by less than nothing")
	case r.Files > 0 && !r.on():
		return errors.New("record: a number of files needs a size or an interval at which they end")
	case r.on() && (o.Path == "" || o.Output != nil):
		return errors.New("record: only a file with a name can be followed by the next")
	}
	return nil
}

// last reports whether number files were all.
func (r *Rotation) last(files int) bool { return r.Size == 0 && r.Files > 0 && files >= r.Files }

// piece is one of the files that the capture is in.
type piece struct {
	path string // empty: it has no name, or another than we gave it
	size int64
}

// Where neither a ring nor a limit of size ends it, so many of the last files
// stay open for readers, and so many bytes. The others go on to exist.
const (
	maxHeld      = 64
	maxHeldBytes = 2 << 30
)

// due reports whether the event that comes belongs into the next file.
func (s *sink) due(pending int, now time.Time) bool {
	r := &s.rotation
	return r.Size > 0 && s.size+int64(pending) >= r.Size || r.Every > 0 && now.Sub(s.begun) >= r.Every
}

// room is how many bytes of a file may repeat what is open, so that there is
// some for what happens, too.
func (s *sink) room() int {
	if s.rotation.Size > 0 {
		return int(min(s.rotation.Size/4, math.MaxInt32))
	}
	return math.MaxInt
}

// rotate goes on in the next file with a name.
func (s *sink) rotate(now time.Time) error {
	if r := &s.rotation; r.Every > 0 && now.Sub(s.begun) >= r.Every {
		s.names.number = 0
	} else {
		s.names.advance()
	}
	path := s.names.name(now)
	if err := s.giveUp(path); err != nil {
		return err
	}
	f, err := openRegular(path)
	if err != nil {
		return err
	}
	s.file, s.name, s.begun = f, path, now
	return s.start()
}

// giveUp lets go of the file that had this name, and of all that are older:
// it will be written again.
func (s *sink) giveUp(path string) error {
	for i := len(s.pieces) - 1; i >= 0; i-- {
		if s.pieces[i].path != path {
			continue
		}
		for len(s.pieces)-s.held <= i && s.held > 0 {
			if err := s.drop(); err != nil {
				return err
			}
		}
		s.pieces = append(s.pieces[:i:i], s.pieces[i+1:]...)
		return nil
	}
	return nil
}

// drop takes the oldest file from the store.
func (s *sink) drop() error {
	s.held--
	if err := s.w.DropFile(); err != nil {
		return fmt.Errorf("record: cannot give up the oldest rows: %w", err)
	}
	return nil
}

// makeRoom gives up the oldest files until all together, and what the next one
// may grow to, are as large as they may be.
func (s *sink) makeRoom() error {
	total := s.segment
	for i := range s.pieces {
		total += s.pieces[i].size
	}
	for len(s.pieces) > 0 && s.keep > 0 && total > s.keep {
		old := s.pieces[0]
		if s.held == len(s.pieces) {
			if err := s.drop(); err != nil {
				return err
			}
		}
		s.pieces = s.pieces[1:]
		total -= old.size
		if old.path == "" {
			continue
		}
		if err := os.Remove(old.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("an old file cannot be deleted", "file", old.path, "err", reason(err))
		}
	}
	for s.held > 1 && (s.held >= maxHeld || s.heldBytes() > maxHeldBytes) {
		if err := s.drop(); err != nil {
			return err
		}
	}
	if s.keep == 0 {
		s.pieces = s.pieces[len(s.pieces)-s.held:]
	}
	return nil
}

func (s *sink) heldBytes() int64 {
	n := int64(0)
	for _, p := range s.pieces[len(s.pieces)-s.held:] {
		n += p.size
	}
	return n
}

// moved reports whether the file that is written is no longer found under its
// name.
func (s *sink) moved() (bool, error) {
	mine, err := s.file.Stat()
	if err != nil {
		return false, cannotOpen(s.name, err)
	}
	there, err := os.Stat(s.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, cannotOpen(s.name, err)
	}
	return !os.SameFile(mine, there), nil
}

// reopen makes the file that s.name has to be begun anew under; nil if the one
// that is written is still there.
func (s *sink) reopen() (*os.File, error) {
	moved, err := s.moved()
	if err != nil || !moved {
		return nil, err
	}
	return openRegular(s.name)
}

// goOn continues in f, which has the current file's name, now that this has
// been moved away.
func (s *sink) goOn(f *os.File, now time.Time) error {
	s.pieces[len(s.pieces)-1].path = ""
	s.file, s.begun = f, now
	return s.start()
}
