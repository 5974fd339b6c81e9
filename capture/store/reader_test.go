package store_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tundump/capture/store"
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
		ev.Raw = slices.Clone(ev.Raw)
		if d := cmp.Diff(want[i], ev, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
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
