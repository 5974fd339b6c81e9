//go:build linux || darwin

package tun

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// journal is the file in which a process keeps what it would leave behind.
type journal struct {
	path string
	self process
}

// process tells a process from all others, those with its number included.
type process struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // by the system's clock for it
	Boot    string `json:"boot"`    // of this machine's run
	Network string `json:"network"` // namespace, where the system has them
}

// record is what is in the file.
type record struct {
	process
	Changes []Change `json:"changes"`
}

// maxState bounds the file: a few changes of some hundred bytes.
const maxState = 1 << 20

// stateDir returns the directory of the files, which belongs to the user and
// which nobody else can write.
func stateDir() (string, error) {
	dir := filepath.Join(runDir, "tundump")
	if os.Geteuid() != 0 {
		dir = filepath.Join(os.TempDir(), "tundump-"+strconv.Itoa(os.Geteuid()))
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("keep what is to be undone: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("keep what is to be undone: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ok || int(owner.Uid) != os.Geteuid() {
		return "", fmt.Errorf("keep what is to be undone: %s must be a directory of this user's alone (mode 0700)", dir)
	}
	return dir, nil
}

func newJournal() (*journal, error) {
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	self, err := thisProcess()
	if err != nil {
		return nil, err
	}
	return &journal{path: filepath.Join(dir, fmt.Sprintf("%d-%s.json", self.PID, self.Started)), self: self}, nil
}

// write replaces the file, whole; without changes it goes.
func (j *journal) write(changes []Change) error {
	if len(changes) == 0 {
		return ignoreGone(os.Remove(j.path))
	}
	b, err := json.Marshal(record{process: j.self, Changes: changes})
	if err != nil {
		return err
	}
	next := j.path + ".new"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("keep what is to be undone: %w", err)
	}
	return os.Rename(next, j.path)
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Recover undoes what processes of this user left in this network namespace
// that were killed, and returns it. What belongs to a running process stays.
func Recover() ([]Change, error) {
	here, err := thisProcess()
	if err != nil {
		return nil, fmt.Errorf("tun: %w", err)
	}
	var undone []Change
	err = eachRecord(func(path string, r *record) error {
		switch {
		case r.Boot != here.Boot:
			return ignoreGone(os.Remove(path)) // nothing of it is left
		case r.Network != here.Network || r.running():
			return nil
		}
		undone = append(undone, r.Changes...)
		return r.undo(path)
	})
	if err != nil {
		return undone, fmt.Errorf("tun: %w", err)
	}
	return undone, nil
}

// eachRecord hands out what all processes of this user have written. It goes
// on after an error.
func eachRecord(use func(path string, r *record) error) error {
	dir, err := stateDir()
	if err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".json") {
			continue
		}
		path := filepath.Join(dir, f.Name())
		r, err := readRecord(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its process has ended meanwhile
		}
		if err == nil {
			err = use(path, r)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// heldByOthers reports whether another running process of this network
// namespace than the one whose file is own has set the kernel variable of c,
// and what it was before. A file that cannot be read holds nothing: to report
// it is Recover's.
func heldByOthers(c Change, own string) (was string, held bool) {
	here, err := thisProcess()
	if err != nil {
		return "", false
	}
	_ = eachRecord(func(path string, r *record) error {
		i := slices.IndexFunc(r.Changes, func(o Change) bool { return o.Op == opSysctl && o.Name == c.Name && o.Value == c.Value })
		if i >= 0 && path != own && r.Boot == here.Boot && r.Network == here.Network && r.running() {
			was, held = r.Changes[i].Was, true
		}
		return nil
	})
	return was, held
}

// UndoFile undoes what the process that wrote the file has changed, and
// removes it. A file that is not there is no error.
func UndoFile(path string) error {
	r, err := readRecord(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tun: %w", err)
	}
	return r.undo(path)
}

func (r *record) undo(path string) error {
	s := Setup{done: r.Changes, journal: &journal{path: path, self: r.process}}
	return s.Undo()
}

// running reports whether the process that wrote the record still runs.
func (r *record) running() bool {
	started, err := startOf(r.PID)
	return err == nil && started == r.Started
}

func readRecord(path string) (*record, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxState {
		return nil, fmt.Errorf("%s: too large to be what it should be; remove it", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it", path, err)
	}
	if i := slices.IndexFunc(r.Changes, func(c Change) bool { return !c.outlives() }); i >= 0 {
		return nil, fmt.Errorf("%s: %q is no change that can be undone; remove it", path, r.Changes[i].Op)
	}
	return &r, nil
}

func thisProcess() (process, error) {
	started, err := startOf(os.Getpid())
	if err != nil {
		return process{}, err
	}
	boot, network, err := surroundings()
	return process{PID: os.Getpid(), Started: started, Boot: boot, Network: network}, err
}
