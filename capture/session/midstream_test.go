package session

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"tundump/capture/record"
	"tundump/capture/store"
	"tundump/decode"
)

// A file that begins in the middle of a tunnel is no reason to find fault with
// what was opened before it.
func TestLaterFileAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	r, err := record.New(record.Options{Path: path, Rotation: record.Rotation{Size: 1}}) // each event its own
	if err != nil {
		t.Fatal(err)
	}
	for i, ev := range []decode.Event{
		{Kind: decode.Opened, Detail: &decode.Detail{Upstream: "server:1"}},
		{Kind: decode.Record, Raw: open(t)},
		{Kind: decode.Record, Raw: packets(t, 3)},
		{Kind: decode.Closed, Detail: &decode.Detail{By: decode.Client}},
	} {
		ev.Tunnel, ev.Time = 7, int64(i+1)*1e9
		offer(r, ev)
	}
	if err := errors.Join(r.Close(), r.Store().Close()); err != nil {
		t.Fatal(err)
	}
	for suffix, want := range map[string]decode.Kind{"2": decode.Record, "3": decode.Record, "4": decode.Closed} {
		st, err := store.Open(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		s := New(st)
		var last decode.Kind
		for {
			row, err := s.Next(t.Context())
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			last = row.Event.Kind
			if row.Message != nil && len(row.Message.Problems) > 0 {
				t.Errorf("%s: %v", suffix, row.Message.Problems)
			}
			if row.Tunnel.Number != 7 || row.Tunnel.Opened != 1e9 || row.Tunnel.Addresses.Upstream != "server:1" {
				t.Errorf("%s: %+v", suffix, row.Tunnel)
			}
		}
		if sum := s.Summary(); last != want || sum.Tunnels != 1 {
			t.Errorf("%s ends with %v, want %v; %+v", suffix, last, want, sum)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}
