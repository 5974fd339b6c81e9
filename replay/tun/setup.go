package tun

import (
	"errors"
	"fmt"
	"slices"
)

// Setup is the changes that a process has made. The zero value has made none.
// What would outlive the process is written down before it is done, in a
// private file, for [Recover]. A Setup is used by one goroutine at a time.
type Setup struct {
	done    []Change // in the order they were made
	journal *journal // nil before the first change that outlives the process
}

// Apply makes changes in order. If one fails, it and all before it, those of
// earlier calls too, are undone; the error says which one failed and why.
func (s *Setup) Apply(changes ...Change) error {
	for _, c := range changes {
		if err := s.apply(c); err != nil {
			return errors.Join(fmt.Errorf("tun: %s: %w; what was set before is undone", c, err), s.Undo())
		}
	}
	return nil
}

func (s *Setup) apply(c Change) error {
	c, needed, err := resolve(c)
	if err != nil {
		return err
	}
	if !needed {
		return s.share(c)
	}
	s.done = append(s.done, c)
	if err := s.save(); err != nil {
		s.done = s.done[:len(s.done)-1]
		return err
	}
	if err := perform(c); err != nil {
		// Nothing was changed, and what is there may be somebody else's.
		s.done = s.done[:len(s.done)-1]
		return errors.Join(err, s.save())
	}
	return nil
}

// share makes sure that a kernel variable which another running process has
// set stays for as long as this one needs it too: the last one sets it back.
func (s *Setup) share(c Change) error {
	if c.Op != opSysctl {
		return nil
	}
	was, held := heldByOthers(c, s.path())
	if !held {
		return nil
	}
	c.Was = was
	s.done = append(s.done, c)
	return s.save()
}

// undo undoes one change, or leaves it to the other process that needs it.
func (s *Setup) undo(c Change) error {
	if c.Op == opSysctl {
		if _, held := heldByOthers(c, s.path()); held {
			return nil
		}
	}
	return revert(c)
}

// path returns the file that the changes are written down in.
func (s *Setup) path() string {
	if s.journal == nil {
		return ""
	}
	return s.journal.path
}

// Undo undoes all changes, the last one first. It goes on where one fails;
// what could not be undone is tried again by the next Undo or Recover. A
// change that is no longer there counts as undone.
func (s *Setup) Undo() error {
	var errs []error
	var left []Change
	for _, c := range slices.Backward(s.done) {
		if err := s.undo(c); err != nil {
			errs = append(errs, fmt.Errorf("tun: undo: %s: %w", c, err))
			left = append(left, c)
		}
	}
	slices.Reverse(left)
	s.done = left
	return errors.Join(append(errs, s.save())...)
}

// save writes down what would outlive the process.
func (s *Setup) save() error {
	var keep []Change
	for _, c := range s.done {
		if c.outlives() {
			keep = append(keep, c)
		}
	}
	if s.journal == nil {
		if len(keep) == 0 {
			return nil
		}
		j, err := newJournal()
		if err != nil {
			return err
		}
		s.journal = j
	}
	return s.journal.write(keep)
}

// State returns the file that [UndoFile] takes, "" if nothing would outlive
// the process.
func (s *Setup) State() string {
	if !slices.ContainsFunc(s.done, Change.outlives) {
		return ""
	}
	return s.path()
}

// Leave forgets the changes without undoing them: another process will, with
// [UndoFile].
func (s *Setup) Leave() { *s = Setup{} }
