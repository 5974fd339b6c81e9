package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tundump/capture"
	"tundump/capture/record"
	"tundump/capture/session"
	"tundump/capture/sniff"
	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/frame"
)

// sharedCaptures returns the real captures beside the repository.
func sharedCaptures(t *testing.T) []string {
	t.Helper()
	root, err := filepath.Abs("../../../shared/captures")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err == nil && (ext == ".pcap" || ext == ".pcapng") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) == 0 {
		t.Skipf("no shared captures beside the repository: %v", err)
	}
	return paths
}

type timed struct {
	time int64
	raw  []byte
}

// ipPackets returns the IP packets in a capture of anybody's.
func ipPackets(t *testing.T, path string) (all []timed) {
	t.Helper()
	c, err := sniff.Open(path, sniff.Options{Bare: true})
	if err != nil {
		return nil // there are none
	}
	defer c.Close()
	st := c.Store()
	for i := 0; ; i++ {
		if _, err := st.Wait(t.Context(), i); err != nil {
			return all
		}
		ev, err := st.At(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == decode.Packet {
			all = append(all, timed{ev.Time, bytes.Clone(ev.Raw)})
		}
	}
}

func message(tb testing.TB, pairs func(w *bplist.Writer) []bplist.Ref) []byte {
	tb.Helper()
	var w bplist.Writer
	b, err := w.Append(frame.Reserve(nil), w.Dict(pairs(&w)...))
	if err != nil {
		tb.Fatal(err)
	}
	if err := frame.PutLength(b, 0); err != nil {
		tb.Fatal(err)
	}
	return b
}

func packetsMessage(tb testing.TB, id int64, pkts ...[]byte) []byte {
	families := make([]int64, len(pkts))
	for i := range families {
		families[i] = decode.FamilyIPv4
	}
	return message(tb, func(w *bplist.Writer) []bplist.Ref {
		return []bplist.Ref{w.String("command"), w.Int(8), w.String("identifier"), w.Int(id), w.String("packets"), w.DataArray(pkts), w.String("protocols"), w.IntArray(families)}
	})
}

func offer(tap capture.Tap, ev decode.Event) {
	b := capture.NewBatch()
	if ev.Kind.Counts() {
		ev.Flags |= decode.OnClientSide
	}
	b.Events = append(b.Events, ev)
	tap.Offer(b)
	b.Release()
}

// write writes a capture of two tunnels that carry the packets of a real one,
// with everything else that a capture may have strewn in.
func write(t *testing.T, tap capture.Tap, pkts []timed) {
	rnd := rand.New(rand.NewPCG(1, uint64(len(pkts))))
	at := int64(1e18)
	for _, tunnel := range []uint32{1, 2} {
		offer(tap, decode.Event{Kind: decode.Opened, Tunnel: tunnel, Time: at, Detail: &decode.Detail{Upstream: "u:1"}})
	}
	offer(tap, decode.Event{Kind: decode.Record, Tunnel: 1, Time: at, Raw: message(t, func(w *bplist.Writer) []bplist.Ref {
		return []bplist.Ref{w.String("command"), w.Int(6), w.String("identifier"), w.Int(1), w.String("tunnel-type"), w.Int(1)}
	})})
	for len(pkts) > 0 {
		n := min(len(pkts), 1+rnd.IntN(5))
		ev := decode.Event{Kind: decode.Record, Tunnel: 1 + uint32(rnd.IntN(8)/7), Time: pkts[n-1].time, Dir: decode.Direction(rnd.IntN(2))}
		switch rnd.IntN(16) {
		case 0:
			offer(tap, decode.Event{Kind: decode.Unframed, Tunnel: ev.Tunnel, Time: ev.Time, Raw: []byte("no record")})
		case 1:
			offer(tap, decode.Event{Kind: decode.Gap, Tunnel: ev.Tunnel, Time: ev.Time, Dir: 1, Detail: &decode.Detail{Len: 7}})
		case 2:
			offer(tap, decode.Event{Kind: decode.Record, Tunnel: ev.Tunnel, Time: ev.Time, Raw: []byte{6, 0, 0, 0, 'x', 'y'}})
		}
		raw := make([][]byte, 0, n+1)
		for _, p := range pkts[:n] {
			raw = append(raw, p.raw)
		}
		if rnd.IntN(4) == 0 {
			raw = slices.Insert(raw, rnd.IntN(n), []byte{}) // is no packet
		}
		ev.Raw = packetsMessage(t, 1, raw...)
		offer(tap, ev)
		pkts = pkts[n:]
	}
	offer(tap, decode.Event{Kind: decode.Closed, Tunnel: 1, Time: at, Detail: &decode.Detail{By: decode.Client}})
}

// tunnelled opens a capture that write has written.
func tunnelled(t *testing.T, pkts []timed) *store.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.pcapng")
	r, err := record.New(record.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	write(t, r, pkts)
	if err := errors.Join(r.Close(), r.Store().Close()); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func view(t *testing.T, st *store.Store) *session.View {
	v := session.NewView(st, nil)
	t.Cleanup(v.Close)
	return v
}

// complete waits for the end of the pass.
func complete(t *testing.T, v *session.View) *session.Snapshot {
	t.Helper()
	for version := uint64(0); ; {
		s, err := v.Changed(t.Context(), version)
		if s.Complete {
			if s.Err != nil {
				t.Fatal(s.Err)
			}
			return s
		}
		if err != nil {
			t.Fatal(err)
		}
		version = s.Version
	}
}

// allFields is every value of a row.
func allFields(r *field.Row) string {
	var b []byte
	all := field.All()
	for i := range all {
		f := &all[i]
		if ofUnits(f.Name) {
			continue
		}
		for _, v := range f.Values(nil, r) {
			b = append(append(append(b, f.Name...), '='), v.AppendText(nil, f)...)
			b = append(b, '\n')
		}
	}
	if r.Message != nil {
		for _, p := range r.Message.Problems {
			b = fmt.Appendf(b, "%+v\n", p)
		}
	}
	return string(b)
}

var reassembledIn = regexp.MustCompile(`(?m)^ip(v6\.reassembled\.|\.reassembled_)in=\d+\n`)

// drawAlone compares each row of a view, read in any order, with the pass.
func drawAlone(t *testing.T, st *store.Store) {
	t.Helper()
	var messages, packets []string
	s := session.New(st)
	for {
		r, err := s.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Event.Kind.Counts() {
			messages = append(messages, allFields(r.MessageRow()))
		}
		for i := range r.Packets {
			packets = append(packets, allFields(r.PacketRow(i)))
		}
	}
	v := view(t, st)
	snap := complete(t, v)
	if snap.Packets != (session.Extent{End: len(packets)}) || snap.Messages != (session.Extent{End: len(messages)}) {
		t.Fatalf("%+v and %+v, want %d and %d", snap.Packets, snap.Messages, len(packets), len(messages))
	}
	for l, want := range [][]string{session.Messages: messages, session.Packets: packets} {
		order := rand.New(rand.NewPCG(7, 7)).Perm(len(want))
		seen := 0
		err := v.Read(t.Context(), session.List(l), order, func(it *session.Item) bool {
			got := allFields(&it.Row)
			if it.Packet != nil && it.Packet.ReassembledIn > 0 { // which a pass cannot know
				in := fmt.Sprintf(".fragment=%d\n", it.Pos+1)
				if !strings.Contains(want[it.Packet.ReassembledIn-1], in) {
					t.Errorf("packet %d is said to be reassembled in %d", it.Pos+1, it.Packet.ReassembledIn)
				}
				got = reassembledIn.ReplaceAllString(got, "")
			}
			if got != want[it.Pos] || it.Pos != order[seen] {
				t.Errorf("list %d position %d:\n%s", l, it.Pos, difference(got, want[it.Pos]))
			}
			if l == int(session.Messages) && it.MessagePos != it.Pos {
				t.Errorf("message %d says it is %d", it.Pos, it.MessagePos)
			}
			if l == int(session.Packets) && (it.Pos < it.FirstPacket || it.Pos >= it.FirstPacket+it.PacketCount) {
				t.Errorf("packet %d is not among %d from %d on", it.Pos, it.PacketCount, it.FirstPacket)
			}
			seen++
			return !t.Failed()
		})
		if err != nil || seen != len(want) && !t.Failed() {
			t.Errorf("%d rows of %d; %v", seen, len(want), err)
		}
	}
}

// Odd and malformed messages are drawn as the pass has them, those too whose
// packets are not in the record as they are.
func TestDrawVectors(t *testing.T) {
	files, err := filepath.Glob("../../../shared/vectors/*.bin")
	if err != nil || len(files) == 0 {
		t.Skipf("no shared vectors beside the repository: %v", err)
	}
	path := filepath.Join(t.TempDir(), "f.pcapng")
	r, err := record.New(record.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := frame.Cut(raw, len(raw)); err == nil && n == len(raw) {
			offer(r, decode.Event{Kind: decode.Record, Tunnel: 1 + uint32(i%3), Time: int64(i), Dir: decode.Direction(i % 2), Raw: raw})
		}
	}
	if err := errors.Join(r.Close(), r.Store().Close()); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	drawAlone(t, st)
}

// ofUnits reports whether a field is read from units that may span packets: a
// row drawn alone has those of the units that begin in it.
func ofUnits(name string) bool {
	head, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"http", "tls", "quic", "x509sat", "x509ce"}, head) || name == "frame.protocols"
}

// difference returns the lines that a and b do not share.
func difference(a, b string) string {
	var out strings.Builder
	for _, l := range strings.Split(a, "\n") {
		if !strings.Contains("\n"+b, "\n"+l+"\n") {
			out.WriteString("got  " + l + "\n")
		}
	}
	for _, l := range strings.Split(b, "\n") {
		if !strings.Contains("\n"+a, "\n"+l+"\n") {
			out.WriteString("want " + l + "\n")
		}
	}
	return out.String()
}

// Any row drawn alone says what the pass said of it.
func TestDrawAlone(t *testing.T) {
	for _, path := range sharedCaptures(t) {
		pkts := ipPackets(t, path)
		if len(pkts) == 0 || len(pkts) > 20_000 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			drawAlone(t, tunnelled(t, pkts))
		})
	}
}

// Readers see a capture grow while it is written, and whole rows only.
func TestGrowing(t *testing.T) {
	r, err := record.New(record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := session.NewView(r.Store(), nil)
	defer v.Close()
	f, err := filter.Compile("tcp.port == 1 || udp.port == 50001")
	if err != nil {
		t.Fatal(err)
	}
	selection := v.Select(session.Packets, f)
	const n = 3000
	pkt := []byte{0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 8, 0, 2, 10, 8, 0, 1, 0xc3, 0x50, 0xc3, 0x51, 0, 12, 0, 0, 1, 2, 3, 4}
	go func() {
		for i := range n {
			offer(r, decode.Event{Kind: decode.Record, Tunnel: 1, Time: int64(i), Raw: packetsMessage(t, 1, pkt, pkt)})
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	states := 0
	for version := uint64(0); ; states++ {
		snap, err := v.Changed(t.Context(), version)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		version = snap.Version
		if e := snap.Packets; e.End > 0 {
			positions := []int{e.End - 1, rand.IntN(e.End)}
			seen := 0
			err := v.Read(t.Context(), session.Packets, positions, func(it *session.Item) bool {
				if seen++; it.Number != int64(it.Pos)+1 || it.PacketCount != 2 || !bytes.Equal(it.Data, pkt) {
					t.Errorf("%+v", it)
				}
				return true
			})
			if err != nil || seen != 2 {
				t.Fatalf("%d rows; %v", seen, err)
			}
		}
	}
	if snap := v.Snapshot(); snap.Packets.End != 2*n || snap.Messages.End != n || !snap.Complete {
		t.Errorf("%+v %+v", snap.Packets, snap.Messages)
	}
	if selection.Len() != 2*n {
		t.Errorf("%d found", selection.Len())
	}
	if err := r.Store().Close(); err != nil {
		t.Error(err)
	}
}

// A capture of limited size gives up its oldest rows; positions stay.
func TestViewOfLimited(t *testing.T) {
	r, err := record.New(record.Options{Keep: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Store().Close()
	v := session.NewView(r.Store(), nil)
	defer v.Close()
	pkt := make([]byte, 1000)
	copy(pkt, []byte{0x45, 0, 3, 232, 0, 0, 0, 0, 64, 17, 0, 0, 10, 8, 0, 2, 10, 8, 0, 1})
	const n = 4000
	for i := range n {
		offer(r, decode.Event{Kind: decode.Record, Tunnel: 1, Time: int64(i), Raw: packetsMessage(t, 1, pkt)})
		if i%100 == 99 { // the pass keeps up
			for version := uint64(0); v.Snapshot().Messages.End <= i; {
				snap, err := v.Changed(t.Context(), version)
				if err != nil {
					t.Fatal(err)
				}
				version = snap.Version
			}
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	snap := complete(t, v)
	if snap.Messages.End != n || snap.Packets.End != n || snap.Packets.First == 0 || snap.Packets.First != snap.Messages.First {
		t.Fatalf("%+v %+v", snap.Messages, snap.Packets)
	}
	var numbers []int64
	err = v.Read(t.Context(), session.Packets, []int{0, snap.Packets.First - 1, snap.Packets.First, n - 1}, func(it *session.Item) bool {
		numbers = append(numbers, it.Number)
		return true
	})
	if err != nil || !slices.Equal(numbers, []int64{int64(snap.Packets.First) + 1, n}) {
		t.Errorf("%d; %v", numbers, err)
	}
	if pos, err := v.Locate(t.Context(), session.Packets, session.Place{Number: 1}); err != nil || pos != snap.Packets.First {
		t.Errorf("the first is at %d; %v", pos, err)
	}
}

func TestLocate(t *testing.T) {
	st := tunnelled(t, []timed{{2e18, make([]byte, 20)}, {3e18, make([]byte, 20)}, {4e18, make([]byte, 20)}, {5e18, make([]byte, 20)}})
	v := view(t, st)
	snap := complete(t, v)
	for pos := range snap.Messages.End {
		var number, time int64
		if err := v.Read(t.Context(), session.Messages, []int{pos}, func(it *session.Item) bool {
			number, time = it.Event.Number, it.Event.Time
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if got, err := v.Locate(t.Context(), session.Messages, session.Place{Number: number}); err != nil || got != pos {
			t.Errorf("number %d is at %d, want %d; %v", number, got, pos, err)
		}
		got, err := v.Locate(t.Context(), session.Messages, session.Place{Time: time})
		if err != nil || got > pos {
			t.Errorf("time %d is at %d, want at most %d; %v", time, got, pos, err)
		}
	}
	if got, err := v.Locate(t.Context(), session.Messages, session.Place{Number: 1 << 40}); err != nil || got != snap.Messages.End-1 {
		t.Errorf("behind the end: %d; %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Locate(ctx, session.Messages, session.Place{Number: 2}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFindings(t *testing.T) {
	st := tunnelled(t, []timed{{2e18, []byte{0x11}}, {3e18, []byte{0x45, 0, 0, 30}}})
	v := view(t, st)
	complete(t, v)
	codes := map[string]int64{}
	for _, f := range v.Findings() {
		codes[f.Code] += f.Count
		if len(f.Proof) == 0 || f.Text == "" || f.First > f.Last {
			t.Errorf("%+v", f)
		}
	}
	if codes["inner-ip"] == 0 {
		t.Errorf("%v", codes)
	}
}

// Rows by position are those of the pass: of packets, those that were asked
// for and no others.
func TestRows(t *testing.T) {
	st := tunnelled(t, []timed{{2e18, []byte{0x45, 1}}, {3e18, []byte{0x45, 2}}, {4e18, []byte{0x45, 3}}, {5e18, []byte{0x45, 4}}, {6e18, []byte{0x45, 5}}, {7e18, []byte{0x45, 6}}})
	v := view(t, st)
	snap := complete(t, v)
	byMessage := map[int][]int64{}
	if err := v.Rows(t.Context(), session.Messages, positions(snap.Messages.End), func(r *session.Row) (bool, error) {
		for i := range r.Packets {
			byMessage[r.Index] = append(byMessage[r.Index], r.PacketRow(i).Number)
		}
		if pos := snap.Message(r.Index); pos < 0 {
			t.Errorf("row %d is no message", r.Index)
		} else if i, ok := snap.Event(session.Messages, pos); !ok || i != r.Index {
			t.Errorf("message %d is row %d, want %d", pos, i, r.Index)
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	for mask := range 1 << 6 {
		var ask []int
		for p := range 6 {
			if mask>>p&1 != 0 {
				ask = append(ask, p)
			}
		}
		var got []int
		err := v.Rows(t.Context(), session.Packets, ask, func(r *session.Row) (bool, error) {
			for i := range r.Packets {
				n := r.PacketRow(i).Number
				if r.Packets[i].Data[1] != byte(n) || !slices.Contains(byMessage[r.Index], n) {
					t.Errorf("packet %d is % x of row %d", n, r.Packets[i].Data, r.Index)
				}
				got = append(got, int(n)-1)
			}
			return true, nil
		})
		if err != nil || !slices.Equal(got, ask) {
			t.Errorf("%d, want %d; %v", got, ask, err)
		}
	}
}

func positions(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
