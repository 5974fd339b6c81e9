package session

import (
	"context"
	"errors"
	"io"
	"testing"

	"go.uber.org/goleak"

	"tundump/capture"
	"tundump/capture/record"
	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func build(tb testing.TB, root func(w *bplist.Writer) bplist.Ref) []byte {
	tb.Helper()
	var w bplist.Writer
	b, err := w.Append(frame.Reserve(nil), root(&w))
	if err != nil {
		tb.Fatal(err)
	}
	if err := frame.PutLength(b, 0); err != nil {
		tb.Fatal(err)
	}
	return b
}

func packets(tb testing.TB, n int) []byte {
	return build(tb, func(w *bplist.Writer) bplist.Ref {
		pkts, families := make([][]byte, n), make([]int64, n)
		for i := range pkts {
			pkts[i] = []byte{0x45, 0, 0, 20, 0, byte(i), 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
			families[i] = decode.FamilyIPv4
		}
		return w.Dict(w.String("command"), w.Int(8), w.String("identifier"), w.Int(1), w.String("packets"), w.DataArray(pkts), w.String("protocols"), w.IntArray(families))
	})
}

func open(tb testing.TB) []byte {
	return build(tb, func(w *bplist.Writer) bplist.Ref {
		return w.Dict(w.String("command"), w.Int(6), w.String("identifier"), w.Int(1), w.String("tunnel-type"), w.Int(1))
	})
}

func offer(r *record.Recorder, ev decode.Event) {
	b := capture.NewBatch()
	if ev.Kind.Counts() {
		ev.Flags |= decode.OnClientSide
	}
	b.Events = append(b.Events, ev)
	r.Offer(b)
	b.Release()
}

func recorder(t *testing.T, o record.Options) *record.Recorder {
	t.Helper()
	r, err := record.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), r.Store().Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Rows come while the capture is written, packets are numbered over all
// tunnels, and connections are followed for each tunnel alone.
func TestLive(t *testing.T) {
	r := recorder(t, record.Options{})
	s := New(r.Store())
	next := func() *Row {
		t.Helper()
		row, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	offer(r, decode.Event{Kind: decode.Opened, Tunnel: 1, Time: 100, Detail: &decode.Detail{Upstream: "u:1"}})
	if row := next(); row.Event.Kind != decode.Opened || row.Tunnel.Addresses.Upstream != "u:1" {
		t.Errorf("row %+v", row)
	}
	offer(r, decode.Event{Kind: decode.Record, Tunnel: 1, Time: 200, Raw: open(t)})
	next()
	offer(r, decode.Event{Kind: decode.Opened, Tunnel: 2, Time: 250})
	next()
	for i, ev := range []decode.Event{
		{Tunnel: 1, Raw: packets(t, 3)},
		{Tunnel: 2, Raw: packets(t, 2), Dir: decode.ServerToClient},
		{Tunnel: 1, Raw: packets(t, 1), Dir: decode.ServerToClient},
	} {
		ev.Kind, ev.Time = decode.Record, 300
		offer(r, ev)
		row := next()
		if want := []int64{1, 4, 6}[i]; row.FirstPacket != want {
			t.Errorf("row %d begins with packet %d, want %d", i, row.FirstPacket, want)
		}
		unknown := false
		for _, p := range row.Message.Problems {
			unknown = unknown || p.Code == decode.ProblemUnknownIdentifier
		}
		if unknown != (ev.Tunnel == 2) {
			t.Errorf("row %d of tunnel %d: identifier unknown: %v", i, ev.Tunnel, unknown)
		}
		if pr := row.PacketRow(len(row.Packets) - 1); pr.Packet.Proto != 59 || pr.Number != row.FirstPacket+int64(len(row.Packets))-1 {
			t.Errorf("packet row %+v", pr)
		}
	}
	offer(r, decode.Event{Kind: decode.Closed, Tunnel: 1, Time: 400, Detail: &decode.Detail{By: decode.Client}})
	if row := next(); row.Tunnel.Messages != 3 || row.Tunnel.Packets != [2]int64{3, 1} || row.Tunnel.Opened != 100 {
		t.Errorf("tunnel %+v", row.Tunnel)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(t.Context()); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
	sum := s.Summary()
	if sum.Tunnels != 2 || sum.Messages != 4 || sum.Packets != [2]int64{3, 3} || sum.Duration() != 300 || sum.Problems[decode.Warning] == 0 {
		t.Errorf("summary %+v", sum)
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	r := recorder(t, record.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(r.Store()).Next(ctx); err != context.Canceled {
		t.Errorf("%v", err)
	}
}

// A capture of limited size gives up its oldest rows; who reads too slowly is
// told how many.
func TestRowsThatAreGone(t *testing.T) {
	r := recorder(t, record.Options{Keep: 1 << 20})
	s := New(r.Store())
	raw := packets(t, 500)
	const n = 400
	for range n {
		offer(r, decode.Event{Kind: decode.Record, Tunnel: 1, Time: 1, Raw: raw})
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	rows := int64(0)
	for {
		_, err := s.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows++
	}
	if sum := s.Summary(); sum.Missed == 0 || rows+sum.Missed != n {
		t.Errorf("%d rows and %d missed of %d", rows, sum.Missed, n)
	}
}
