package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tundump/capture/store"
	"tundump/decode"
)

// A Reader returns what At does, in whatever order, records of several blocks
// that it puts together in place among them.
func TestReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, sample(t, 400_000), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	want, err := all(st)
	if len(want) != sampleRows {
		t.Fatal(len(want), err)
	}
	r := st.Reader()
	for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 7, 4, 4, 2, 5, 0, 7, 6, 5, 4, 3} {
		ev, err := r.At(i)
		if err != nil {
			t.Fatal(i, err)
		}
		if d := differ(want[i], ev); d != "" {
			t.Errorf("row %d: %s", i, d)
		}
	}
	if _, err := r.At(sampleRows); err == nil {
		t.Error("there is a row behind the last")
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.At(2); !errors.Is(err, os.ErrClosed) {
		t.Error("after Close:", err)
	}
}

// differ says how two events differ, "" if they do not.
func differ(want, got decode.Event) string {
	if !bytes.Equal(want.Raw, got.Raw) {
		return "the bytes differ"
	}
	want.Raw, got.Raw = nil, nil
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}))
}

func inOrder(st *store.Store, r *store.Reader, i int) (decode.Event, error) {
	if _, err := st.Wait(context.Background(), i); err != nil {
		return decode.Event{}, err
	}
	return r.At(i)
}

// A capture that is indexed as its rows are asked for has the same rows, those
// included that lie in several pieces of the file.
func TestInOrder(t *testing.T) {
	whole := sample(t, 400_000)
	for range 3 {
		whole = splitRecord(t, append(whole, sample(t, 50)...))
	}
	for _, n := range []int{len(whole), len(whole) - 1, len(whole) / 2, 200} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		st, err := store.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := all(st)
		ordered, err := store.OpenInOrder(path)
		if err != nil {
			t.Fatal(err)
		}
		r := ordered.Reader()
		for i, ev := range want {
			got, err := inOrder(ordered, r, i)
			if err != nil {
				t.Fatal(i, err)
			}
			if d := differ(ev, got); d != "" {
				t.Errorf("%d bytes, row %d: %s", n, i, d)
			}
		}
		if _, err := ordered.Wait(t.Context(), len(want)); err != io.EOF {
			t.Error(err)
		}
		<-ordered.Done()
		if !slices.Equal(ordered.Warnings(), st.Warnings()) {
			t.Error(ordered.Warnings())
		}
		if err := errors.Join(st.Close(), ordered.Close()); err != nil {
			t.Error(err)
		}
	}
}

// Who is done early closes the store, and the indexing ends where it is.
func TestInOrderEndsEarly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, slices.Concat(sample(t, 400_000), sample(t, 400_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := store.OpenInOrder(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := st.Len(); n == 0 || n >= 2*sampleRows {
		t.Errorf("%d rows before anybody asks", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := st.Wait(ctx, 2*sampleRows); err != context.Canceled {
		t.Error(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if _, err := st.Wait(t.Context(), 2*sampleRows); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if _, err := st.Reader().At(0); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

// The rows are found in what the indexing has read.
func TestInOrderReadsOnce(t *testing.T) {
	one := sample(t, 50)
	capture := bytes.Repeat(one, 4<<20/len(one))
	st := store.OpenBytesInOrder(capture)
	defer st.Close()
	r := st.Reader()
	rows := 0
	for ; ; rows++ {
		if _, err := inOrder(st, r, rows); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if again := st.ReadAgain(); rows < 10_000 || again > 0 {
		t.Errorf("%d rows; of %d bytes %d were read twice", rows, len(capture), again)
	}
}
