package record

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tundump/capture"
	"tundump/capture/store"
	"tundump/decode"
)

// gate is an output that takes nothing until it is opened.
type gate struct {
	entered chan struct{} // closed when the writer waits at the gate
	open    chan struct{}
	once    sync.Once
	head    bool
}

func newGate() *gate { return &gate{entered: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) Write(b []byte) (int, error) {
	if !g.head { // what New writes
		g.head = true
		return len(b), nil
	}
	g.once.Do(func() { close(g.entered) })
	<-g.open
	return len(b), nil
}

const smallQueue = 1 << 20

// fill brings the writer to the gate, then fills the queue behind it.
func (s *session) fill(g *gate) (sent int) {
	raw := make([]byte, 4000)
	s.record(1, c2s, decode.OnClientSide, raw)
	<-g.entered
	for {
		s.rec.q.mu.Lock()
		full := s.rec.q.full(chunkBytes + chunkEvents*capture.EventSize)
		s.rec.q.mu.Unlock()
		if full {
			return sent
		}
		s.record(1, c2s, decode.OnClientSide, raw)
		sent++
	}
}

func TestOverloadWaits(t *testing.T) {
	g := newGate()
	s := newSession(t, Options{Output: g, QueueBytes: smallQueue})
	s.fill(g)
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		for range 100 { // more than the last chunk has room for
			s.record(1, c2s, decode.OnClientSide, make([]byte, 4000))
		}
	}()
	for s.rec.Stats().Waits == 0 {
		runtime.Gosched() // the other goroutine is on its way to the full queue
	}
	if q := s.rec.Stats().Queued; q > smallQueue {
		t.Errorf("%d bytes are queued, the limit is %d", q, smallQueue)
	}
	close(g.open)
	<-waiting
	s.close()
	if got := rows(t, s.rec.Store()); len(got) != len(s.sent) {
		t.Errorf("%d rows of %d", len(got), len(s.sent))
	}
	if st := s.rec.Stats(); st.Dropped != [2]int64{} || st.Waited <= 0 {
		t.Errorf("%+v", st)
	}
}

func TestOverloadDrops(t *testing.T) {
	g := newGate()
	path := filepath.Join(t.TempDir(), "f.pcapng")
	s := newSession(t, Options{Path: path, Output: g, QueueBytes: smallQueue, Overload: Drop})
	s.open(1, "10.0.0.1:1", "10.0.0.2:2")
	s.fill(g)
	const dropped = 100
	var gap int64
	for range dropped {
		n := s.rec.Stats().Dropped[c2s]
		s.record(1, c2s, decode.OnClientSide, make([]byte, 3000))
		gap += 3000 * (s.rec.Stats().Dropped[c2s] - n)
	}
	s.end(1, decode.Closed, c2s, decode.Proxy)
	stats := s.rec.Stats()
	if stats.Dropped[c2s] == 0 || stats.DroppedBytes[c2s] != gap || stats.Waits != 0 {
		t.Errorf("%+v, want %d bytes", stats, gap)
	}
	close(g.open)
	s.close()
	var bytes int64
	got := rows(t, s.rec.Store())
	for _, ev := range got {
		if ev.Kind.Counts() && ev.Offset != bytes {
			t.Fatalf("a row is at offset %d, want %d", ev.Offset, bytes)
		}
		bytes += int64(len(ev.Raw))
		if ev.Kind == decode.Gap {
			bytes += ev.Detail.Len
			gap -= ev.Detail.Len
		}
	}
	if gap != 0 || got[len(got)-1].Kind != decode.Closed {
		t.Errorf("gaps do not stand for %d bytes; the last row is %v", gap, got[len(got)-1].Kind)
	}
	st, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	<-st.Done()
	if want := stats.Losses(); st.Losses() != want || s.rec.Store().Losses() != want {
		t.Errorf("the file says %+v, the recorder %+v", st.Losses(), want)
	}
}

// What a relay reads is mostly much smaller than the buffer it reads into.
func TestQueueDoesNotPinBuffers(t *testing.T) {
	g := newGate()
	s := newSession(t, Options{Output: g})
	s.record(1, c2s, decode.OnClientSide, make([]byte, 100))
	<-g.entered
	for range 1000 {
		s.record(1, c2s, decode.OnClientSide, make([]byte, 1400))
	}
	if q := s.rec.Stats().Queued; q > 4<<20 {
		t.Errorf("1.4 MB of records pin %d bytes", q)
	}
	close(g.open)
	s.close()
}

func TestManyTunnelsAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.pcapng")
	rec, err := New(Options{Path: path, QueueBytes: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	const tunnels, records = 8, 150
	var wg sync.WaitGroup
	for tn := range uint32(tunnels) {
		for d := range decode.Direction(2) {
			wg.Go(func() {
				for i := range records {
					b := capture.NewBatch()
					raw := b.Grow(200_000)[:1+i*(i%7)*200]
					clear(raw)
					raw[0] = byte(i)
					b.Events = append(b.Events, decode.Event{Kind: decode.Record, Tunnel: tn + 1, Dir: d, Offset: int64(i), Flags: decode.OnClientSide, Time: start, Raw: raw})
					rec.Offer(b)
					b.Release()
				}
			})
		}
	}
	st := rec.Store()
	seen := map[stream]int64{}
	wg.Go(func() {
		buf := make([]byte, 256<<10)
		for i := range tunnels * records * 2 {
			if _, err := st.Wait(context.Background(), i); err != nil {
				t.Error(err)
				return
			}
			ev, err := st.At(i, buf)
			if err != nil {
				t.Error(err)
				return
			}
			key := stream{ev.Tunnel, ev.Dir}
			if ev.Offset != seen[key] || ev.Raw[0] != byte(ev.Offset) || len(ev.Raw) != int(1+ev.Offset*(ev.Offset%7)*200) {
				t.Errorf("row %d: %v after %d, %d bytes", i, ev.Offset, seen[key], len(ev.Raw))
				return
			}
			seen[key]++
		}
	})
	wg.Wait()
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWriteErrorStopsTheRecordingOnly(t *testing.T) {
	s := newSession(t, Options{Path: filepath.Join(t.TempDir(), "f.pcapng")})
	s.record(1, c2s, decode.OnClientSide, make([]byte, 100))
	if _, err := s.rec.Store().Wait(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.rec.Store().Close(); err != nil { // takes the file away under the recorder
		t.Fatal(err)
	}
	s.record(1, c2s, decode.OnClientSide, make([]byte, 100))
	<-s.rec.Failed()
	for range 10_000 {
		s.record(1, c2s, decode.OnClientSide, make([]byte, 10_000))
	}
	if err := s.rec.Close(); err == nil || !strings.Contains(err.Error(), "f.pcapng") {
		t.Errorf("Close says %v", err)
	}
	if q := s.rec.Stats().Queued; q != 0 {
		t.Errorf("%d bytes are still queued", q)
	}
}

func TestKeepDropsTheOldestRows(t *testing.T) {
	s := newSession(t, Options{Keep: 256 << 10})
	st := s.rec.Store()
	for i := range 400 {
		s.record(1, c2s, decode.OnClientSide, make([]byte, 8000))
		if i%4 == 0 {
			if _, err := st.Wait(context.Background(), i); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.close()
	if st.Len() != 400 || st.First() < 300 || st.First() > 390 {
		t.Fatalf("rows %d to %d are held", st.First(), st.Len())
	}
	if _, err := st.At(0, nil); err != store.ErrGone {
		t.Errorf("row 0: %v", err)
	}
	held := rows(t, st)
	for i, ev := range held {
		if want := s.sent[st.First()+i]; ev.Offset != want.Offset || !bytes.Equal(ev.Raw, want.Raw) {
			t.Fatalf("row %d is at offset %d, want %d", st.First()+i, ev.Offset, want.Offset)
		}
	}
}

func TestOutputIsTheSameFile(t *testing.T) {
	var out bytes.Buffer
	path := filepath.Join(t.TempDir(), "f.pcapng")
	s := newSession(t, Options{Path: path, Output: &out})
	s.ordinary()
	s.close()
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(b, out.Bytes()) {
		t.Errorf("the output has %d bytes, the file %d (%v)", out.Len(), len(b), err)
	}
	piped, err := store.OpenReader(&out, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer piped.Close()
	if diff := cmp.Diff(rows(t, s.rec.Store()), rows(t, piped), equal); diff != "" {
		t.Errorf("%.2000s", diff)
	}
}

func TestPathMustBeAFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "missing", "f"), os.DevNull} {
		if rec, err := New(Options{Path: path}); err == nil {
			rec.Close()
			rec.Store().Close()
			t.Errorf("recording to %s is allowed", path)
		} else if !strings.HasPrefix(err.Error(), "record: cannot write "+path+": ") {
			t.Error(err)
		}
	}
	path := filepath.Join(dir, "f")
	s := newSession(t, Options{Path: path})
	s.close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	opened, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if got := rows(t, opened); len(got) != 0 {
		t.Errorf("%d rows in an empty recording", len(got))
	}
}
