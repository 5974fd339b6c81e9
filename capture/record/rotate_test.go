package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tundump/capture/store"
	"tundump/decode"
)

func TestNames(t *testing.T) {
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.Local)
	for _, test := range []struct {
		path     string
		rotation Rotation
		want     string
	}{
		{"f.pcapng", Rotation{Size: 1}, "f.pcapng f.pcapng1 f.pcapng2 f.pcapng3"},
		{"f", Rotation{Size: 1, Files: 3}, "f0 f1 f2 f0"},
		{"f", Rotation{Size: 1, Files: 1}, "f0 f0 f0 f0"},
		{"f", Rotation{Size: 1, Files: 11}, "f00 f01 f02 f03"},
		{"f%M", Rotation{Size: 1, Files: 2}, "f%M0 f%M1 f%M0 f%M1"}, // no -G: nothing stands for a time
		{"f-%H%M", Rotation{Size: 1, Every: 1}, "f-0405 f-04051 f-04052 f-04053"},
		{"f-%H%M", Rotation{Every: 1, Files: 9}, "f-0405"},
	} {
		n, err := newNamer(test.path, &test.rotation)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range strings.Count(test.want, " ") + 1 {
			got = append(got, n.name(now))
			n.advance()
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%s %+v: %s, want %s", test.path, test.rotation, got, test.want)
		}
	}
}

func TestStrftime(t *testing.T) {
	now := time.Unix(1_770_091_506, 0)
	var all strings.Builder
	for c := range conversions {
		all.WriteString("%" + string(c) + "|")
	}
	pattern := all.String() + "%s|%%|x"
	got, err := strftime(pattern, now)
	if err != nil {
		t.Fatal(err)
	}
	date := exec.Command("date", "-d", fmt.Sprint("@", now.Unix()), "+"+pattern)
	date.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := date.Output(); err != nil {
		t.Skip("no GNU date to compare with")
	} else if want := strings.TrimSuffix(string(out), "\n"); got != want {
		t.Errorf("%s\n got %s\nwant %s", pattern, got, want)
	}
	for _, wrong := range []string{"%", "a%", "%Q", "%\x1b"} {
		if _, err := strftime(wrong, now); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestRotationsThatMakeNoSense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, o := range []Options{
		{Path: path, Rotation: Rotation{Files: 2}},
		{Path: path, Rotation: Rotation{Size: -1}},
		{Path: path + "%", Rotation: Rotation{Every: 1}},
		{Rotation: Rotation{Size: 1000}},
		{Path: path, Output: new(strings.Builder), Rotation: Rotation{Every: 1}},
	} {
		if rec, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
			rec.Close()
			rec.Store().Close()
		}
	}
}

// interleaved offers the lives of n tunnels at the same time.
func (s *session) interleaved(r *rand.Rand, n int) {
	var lives [][]decode.Event
	for tunnel := range uint32(n) {
		one := session{t: s.t, off: map[uint32]*[2]int64{}}
		one.life(r, tunnel+1)
		lives = append(lives, one.sent)
	}
	for len(lives) > 0 {
		i := r.IntN(len(lives))
		s.offer(lives[i][0])
		if lives[i] = lives[i][1:]; len(lives[i]) == 0 {
			lives = slices.Delete(lives, i, i+1)
		}
	}
}

// files lists the files of a directory in the order of their numbers.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	slices.SortFunc(paths, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return paths
}

// alone reads a file, and checks that it makes sense by itself: nothing
// happens in a tunnel that the file does not begin with an opening. What is
// repeated from earlier files is left out.
func alone(t *testing.T, path string) []decode.Event {
	t.Helper()
	st, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	all := rows(t, st)
	if w := st.Warnings(); len(w) > 0 {
		t.Errorf("%s: %v", path, w)
	}
	open := map[uint32]bool{}
	return slices.DeleteFunc(all, func(ev decode.Event) bool {
		if ev.Kind == decode.Opened {
			open[ev.Tunnel] = true
		} else if !open[ev.Tunnel] {
			t.Errorf("%s: T%d: %v, and it was not open", path, ev.Tunnel, ev.Kind)
		}
		return ev.Kind == decode.Opened && ev.Detail.Since != 0
	})
}

const judgement = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || tcp.analysis.flags"

func TestRotatedFilesCanBeReadAlone(t *testing.T) {
	for _, size := range []int64{300_000, 3_000_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := t.TempDir()
			s := newSession(t, Options{Path: filepath.Join(dir, "f"), Rotation: Rotation{Size: size}})
			s.interleaved(rand.New(rand.NewPCG(uint64(size), 2)), 60)
			s.close()
			paths := files(t, dir)
			var got []decode.Event
			for _, path := range paths {
				got = append(got, alone(t, path)...)
			}
			if diff := cmp.Diff(order(s.sent), order(got), equal); diff != "" {
				t.Errorf("rows of all files (-offered +read):\n%.3000s", diff)
			}
			live := rows(t, s.rec.Store())
			if first := s.rec.Store().First(); first == 0 || len(paths) <= maxHeld {
				got = got[first:]
				if diff := cmp.Diff(live, got, equal); diff != "" {
					t.Errorf("(-live +read):\n%.3000s", diff)
				}
			}
			for _, path := range []string{paths[0], paths[1], paths[len(paths)/2], paths[len(paths)-1]} {
				if wrong := tshark(t, path, "-Y", judgement); len(wrong) > 0 {
					t.Errorf("%s: %d packets:\n%.2000s", path, len(wrong), strings.Join(wrong, "\n"))
				}
			}
		})
	}
}

func TestRing(t *testing.T) {
	dir := t.TempDir()
	const size, count = 100_000, 3
	s := newSession(t, Options{Path: filepath.Join(dir, "f"), Rotation: Rotation{Size: size, Files: count}})
	s.open(1, "10.0.0.1:1", "10.0.0.2:2")
	for range 200 {
		s.record(1, c2s, decode.OnClientSide, make([]byte, 10_000))
	}
	s.close()
	paths := files(t, dir)
	if len(paths) != count {
		t.Fatal(paths)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.Size() > size+11_000 {
			t.Errorf("%s has %d bytes, %v", path, info.Size(), err)
		}
	}
	st := s.rec.Store()
	if st.Len() != 201 || st.First() < 150 {
		t.Errorf("%d rows from %d", st.Len(), st.First())
	}
	if _, err := st.At(st.First()-1, nil); !errors.Is(err, store.ErrGone) {
		t.Errorf("a row of a file that is gone: %v", err)
	}
	ev, err := st.At(st.First(), nil)
	if err != nil || ev.Number != int64(st.First()) { // row 0 has no number
		t.Errorf("row %d is #%d, %v", st.First(), ev.Number, err)
	}
	var got []int64
	for _, path := range paths {
		for _, ev := range alone(t, path) {
			got = append(got, ev.Number)
		}
	}
	slices.Sort(got)
	if len(got) != st.Len()-st.First() || got[0] != int64(st.First()) || got[len(got)-1] != 200 {
		t.Errorf("the files have %v", got)
	}
}

func TestKeepDeletesFiles(t *testing.T) {
	dir := t.TempDir()
	const size, keep = 50_000, 400_000
	s := newSession(t, Options{Path: filepath.Join(dir, "f"), Rotation: Rotation{Size: size}, Keep: keep})
	for range 300 {
		s.record(1, c2s, decode.OnClientSide, make([]byte, 10_000))
	}
	s.close()
	var total int64
	paths := files(t, dir)
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > keep+11_000 || total < keep*3/4 {
		t.Errorf("%d bytes in %d files", total, len(paths))
	}
	if _, err := os.Stat(filepath.Join(dir, "f")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first file: %v", err)
	}
	if st := s.rec.Store(); st.First() == 0 {
		t.Error("the store has the rows of deleted files")
	}
}

// clock is a time that a test sets.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.Load()) }
func (c *clock) advance(d time.Duration) { c.Add(int64(d)) }
func newClock(at time.Time) (c *clock)   { c = new(clock); c.Store(at.UnixNano()); return c }
func (s *session) written(n int) (ok bool) {
	l, err := s.rec.Store().Wait(context.Background(), n-1)
	return l >= n && err == nil
}

func TestIntervals(t *testing.T) {
	dir := t.TempDir()
	c := newClock(time.Date(2026, 1, 2, 3, 4, 0, 0, time.Local))
	s := newSession(t, Options{Path: filepath.Join(dir, "f-%H%M"), Rotation: Rotation{Every: time.Minute, Files: 3}, Now: c.now})
	s.open(1, "10.0.0.1:1", "10.0.0.2:2")
	for i := range 4 {
		s.record(1, c2s, decode.OnClientSide, []byte("once"))
		s.record(1, c2s, decode.OnClientSide, []byte("and again"))
		if i < 3 && !s.written(2*i+3) {
			t.Fatal("the records are not written")
		}
		c.advance(90 * time.Second)
	}
	<-s.rec.Complete()
	s.record(1, c2s, decode.OnClientSide, []byte("too late"))
	s.close()
	if n := len(rows(t, s.rec.Store())); n != 7 {
		t.Errorf("%d rows, want those of 3 files", n)
	}
	var names []string
	for _, path := range files(t, dir) {
		names = append(names, filepath.Base(path))
		var records int
		for _, ev := range alone(t, path) {
			if ev.Kind == decode.Record {
				records++
			}
		}
		if records != 2 {
			t.Errorf("%s has %d records", path, records)
		}
	}
	if got := fmt.Sprint(names); got != "[f-0304 f-0305 f-0307]" {
		t.Error(got)
	}
}

// Without a conversion in its name, each file replaces the one before.
func TestIntervalsUnderOneName(t *testing.T) {
	dir := t.TempDir()
	c := newClock(time.Unix(start/1e9, 0))
	s := newSession(t, Options{Path: filepath.Join(dir, "f"), Rotation: Rotation{Every: time.Minute}, Now: c.now})
	for i := range 5 {
		s.record(1, c2s, decode.OnClientSide, []byte("once"))
		if !s.written(i + 1) {
			t.Fatal("the record is not written")
		}
		c.advance(time.Minute)
	}
	s.close()
	if got := alone(t, filepath.Join(dir, "f")); len(got) != 1 || got[0].Number != 5 || got[0].Offset != 16 {
		t.Errorf("%+v", got)
	}
}

// said is a log whose lines a test waits for.
type said chan string

func (s said) Enabled(context.Context, slog.Level) bool { return true }
func (s said) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s said) WithGroup(string) slog.Handler            { return s }
func (s said) Handle(_ context.Context, r slog.Record) error {
	s <- r.Message
	return nil
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path, moved := filepath.Join(dir, "f"), filepath.Join(dir, "f.1")
	log := make(said, 10)
	s := newSession(t, Options{Path: path, Logger: slog.New(log)})
	s.open(1, "10.0.0.1:1", "10.0.0.2:2")
	s.connect(1, "10.0.0.3:3", "10.0.0.4:4")
	s.record(1, c2s, decode.OnClientSide, packets(t, 1, udp(1, 10)))

	s.rec.Reopen() // nobody has moved it
	if got := <-log; !strings.Contains(got, "not opened again") {
		t.Fatal(got)
	}
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	s.rec.Reopen()
	if got := <-log; got != "the capture is opened again" {
		t.Fatal(got)
	}
	s.record(1, s2c, decode.OnClientSide|decode.OnServerSide, packets(t, 1, udp(2, 10)))
	s.end(1, decode.Closed, c2s, decode.Client)
	s.close()
	if a, b := alone(t, moved), alone(t, path); len(a) != 3 || len(b) != 2 || b[0].Number != 2 {
		t.Errorf("%d and %d rows", len(a), len(b))
	}
	if n := len(rows(t, s.rec.Store())); n != 5 {
		t.Errorf("%d rows", n)
	}
	for _, path := range []string{path, moved} {
		if wrong := tshark(t, path, "-Y", judgement); len(wrong) > 0 {
			t.Error(wrong)
		}
	}
}

// Where the file cannot be made again, the recording goes on where it is.
func TestReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sub")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log := make(said, 10)
	s := newSession(t, Options{Path: filepath.Join(dir, "f"), Logger: slog.New(log)})
	s.open(1, "10.0.0.1:1", "10.0.0.2:2")
	s.record(1, c2s, decode.OnClientSide, []byte("before"))
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Skip(err) // Windows
	}
	s.rec.Reopen()
	if got := <-log; !strings.Contains(got, "goes on in the old file") {
		t.Fatal(got)
	}
	s.record(1, c2s, decode.OnClientSide, []byte("after"))
	s.close()
	if got := alone(t, filepath.Join(dir+".old", "f")); len(got) != 3 {
		t.Errorf("%d rows", len(got))
	}
}

// A next file that cannot be made ends the recording with one error.
func TestRotationFails(t *testing.T) {
	dir := t.TempDir()
	s := newSession(t, Options{Path: filepath.Join(dir, "f"), Rotation: Rotation{Size: 10_000}})
	if err := os.Mkdir(filepath.Join(dir, "f1"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.open(1, "10.0.0.1:1", "10.0.0.2:2")
	for range 10 {
		s.record(1, c2s, decode.OnClientSide, make([]byte, 5000))
	}
	<-s.rec.Failed()
	if err := s.rec.Close(); err == nil || !strings.Contains(err.Error(), "f1: it is not a regular file") {
		t.Errorf("%v", err)
	}
	alone(t, filepath.Join(dir, "f"))
}
