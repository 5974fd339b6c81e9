package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"go.uber.org/goleak"

	"tundump/capture"
	"tundump/capture/pcapng"
	"tundump/capture/record"
	"tundump/capture/store"
	"tundump/decode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEntrySize(t *testing.T) {
	if n := unsafe.Sizeof(store.Entry{}); n != 24 {
		t.Errorf("an entry has %d bytes, want 24", n)
	}
}

// sample records one tunnel: two records, a measurement, bytes that are no
// record, and an end. large is the length of the second record.
func sample(t testing.TB, large int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.pcapng")
	rec, err := record.New(record.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for i, ev := range []decode.Event{
		{Kind: decode.Opened, Detail: &decode.Detail{Upstream: "a b:1"}},
		{Kind: decode.Connected},
		{Kind: decode.Record, Raw: []byte{4, 0, 0, 0}, Flags: decode.OnClientSide},
		{Kind: decode.TCPInfo, Detail: &decode.Detail{RTT: 1}},
		{Kind: decode.Record, Raw: bytes.Repeat([]byte("x"), large), Flags: decode.OnClientSide | decode.OnServerSide},
		{Kind: decode.Unframed, Dir: 1, Raw: []byte("abc"), Flags: decode.OnServerSide},
		{Kind: decode.Gap, Dir: 1, Detail: &decode.Detail{Len: 9}, Flags: decode.OnClientSide},
		{Kind: decode.Closed, Detail: &decode.Detail{By: decode.Client}},
	} {
		b := capture.NewBatch()
		ev.Tunnel, ev.Time = 1, int64(1e18)+int64(i)
		b.Events = append(b.Events, ev)
		rec.Offer(b)
		b.Release()
	}
	if err := errors.Join(rec.Close(), rec.Store().Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	sampleRows = 8
	split      = 66_000 // bytes of a record that takes two blocks
)

// all reads every row, and says how the store ended.
func all(st *store.Store) ([]decode.Event, error) {
	var rows []decode.Event
	for i := 0; ; i++ {
		if _, err := st.Wait(context.Background(), i); err != nil {
			return rows, err
		}
		ev, err := st.At(i, nil)
		if err != nil {
			return rows, err
		}
		rows = append(rows, ev)
	}
}

func TestCutAnywhere(t *testing.T) {
	t.Run("every byte", func(t *testing.T) { cutAnywhere(t, sample(t, 50), 1) })
	t.Run("split record", func(t *testing.T) { cutAnywhere(t, sample(t, split), 1009) })
}

// cutAnywhere opens what is left of a capture that is cut, every step bytes.
func cutAnywhere(t *testing.T, whole []byte, step int) {
	path := filepath.Join(t.TempDir(), "cut.pcapng")
	last := 0
	for n := 0; n < len(whole)+step; n += step {
		n = min(n, len(whole))
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		st, err := store.Open(path)
		if n < 4 {
			if !errors.Is(err, pcapng.ErrFormat) {
				t.Fatalf("cut at %d: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		rows, err := all(st)
		if err != io.EOF || len(rows) < last || st.Err() != nil {
			t.Fatalf("cut at %d: %d rows, %d before; %v", n, len(rows), last, err)
		}
		last = len(rows)
		if w := st.Warnings(); n == len(whole) && len(w) > 0 {
			t.Error(w)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if last != sampleRows {
		t.Errorf("the whole file has %d rows, want %d", last, sampleRows)
	}
}

func TestForeign(t *testing.T) {
	iface := pcapng.AppendInterface(pcapng.AppendSection(nil, "dumpcap"), &pcapng.Interface{LinkType: 1, Name: "eth0"})
	many := iface
	for range 2000 {
		many = pcapng.AppendPacket(many, &pcapng.Packet{Comments: [][]byte{[]byte("lunch")}}, make([]byte, 60))
	}
	classic := append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0}, make([]byte, 16)...)
	for name, b := range map[string][]byte{
		"many packets": many,
		"one packet":   many[:len(iface)+(len(many)-len(iface))/2000],
		"classic":      classic,
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(path); !errors.Is(err, store.ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
		st, err := store.OpenReader(bytes.NewReader(b), "standard input")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := all(st); !errors.Is(err, store.ErrForeign) || !strings.HasPrefix(err.Error(), "standard input: ") {
			t.Errorf("%s: %v", name, err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello, world"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, text, filepath.Join(dir, "missing")} {
		st, err := store.Open(path)
		if err == nil {
			st.Close()
			t.Errorf("%s can be opened", path)
			continue
		}
		if strings.Count(err.Error(), path) != 1 {
			t.Errorf("the error does not name the file once: %v", err)
		}
	}
}

func TestWaiters(t *testing.T) {
	st, w := store.New()
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			if l, err := st.Wait(context.Background(), n); err != nil || l <= n {
				t.Errorf("waiting for more than %d: %d, %v", n, l, err)
			}
		})
	}
	for i := range 50 {
		ev := decode.Event{Kind: decode.Record, Tunnel: uint32(i)}
		w.Append([]store.Entry{store.NewEntry(&ev, int64(i), 1, 0)})
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		if _, err := st.Wait(ctx, 50); err != context.Canceled {
			t.Errorf("a cancelled wait: %v", err)
		}
	})
	cancel()
	wg.Wait()
	full := errors.New("full")
	w.Finish(full)
	<-st.Done()
	if _, err := st.Wait(context.Background(), 50); err != full || st.Err() != full {
		t.Errorf("a wait that ended: %v", err)
	}
	if l, err := st.Wait(context.Background(), 3); l != 50 || err != nil {
		t.Errorf("rows that are there: %d, %v", l, err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

func TestEntriesSurviveGrowth(t *testing.T) {
	st, w := store.New()
	defer st.Close()
	const n = 20_000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seen := 0; seen < n; {
			l, err := st.Wait(context.Background(), seen)
			if err != nil {
				t.Error(err)
				return
			}
			for ; seen < l; seen++ {
				if e := st.Entry(seen); e.Tunnel != uint32(seen) {
					t.Errorf("entry %d is %d", seen, e.Tunnel)
					return
				}
			}
		}
	}()
	var batch []store.Entry
	for i := range n {
		ev := decode.Event{Kind: decode.Record, Tunnel: uint32(i)}
		if batch = append(batch, store.NewEntry(&ev, int64(i), 1, 0)); i%37 == 0 || i == n-1 {
			w.Append(batch)
			batch = batch[:0]
		}
	}
	<-done
}

func TestAtDoesNotAllocate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, sample(t, split), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	<-st.Done()
	buf := make([]byte, 128<<10)
	for i := range st.Len() {
		if k := st.Entry(i).Kind; k != decode.Record && k != decode.Unframed {
			continue
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := st.At(i, buf); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("row %d allocates %v times", i, n)
		}
	}
}

func TestClosedStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, sample(t, split), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(st.Close(), st.Close()); err != nil {
		t.Error(err)
	}
	if _, err := st.At(0, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("At: %v", err)
	}
	if _, err := st.Wait(context.Background(), 1<<30); err == nil {
		t.Error("Wait goes on after Close")
	}
}
