package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tundump/capture/sniff"
	"tundump/decode/filter"
	"tundump/tui"
)

var (
	_ tui.Source   = (*viewSource)(nil)
	_ tui.Follower = streamFollower{}
)

func openView(t *testing.T, c *viewControl, path string) *viewSource {
	t.Helper()
	s, err := c.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(s); err != nil {
			t.Error(err)
		}
	})
	v, err := source(s)
	if err != nil {
		t.Fatal(err)
	}
	for version := uint64(0); ; {
		snap, err := v.Changed(t.Context(), version)
		if err == io.EOF {
			return v
		}
		if err != nil {
			t.Fatal(err)
		}
		version = snap.Version
	}
}

func stdoutOf(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(args, nil, &stdout, &stderr); code != exitDone {
		t.Fatalf("%s: exit code %d: %s", args, code, &stderr)
	}
	return stdout.String()
}

func noProgress(int64, int64) {}

// What the screen exports and follows is what the commands do.
func TestViewOfDemo(t *testing.T) {
	path := demoCapture(t)
	c := &viewControl{}
	v := openView(t, c, path)
	snap := v.Snapshot()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if snap.Err != nil || snap.Indexing || snap.Live || snap.Size != info.Size() || snap.Indexed != snap.Size || snap.Tunnels != 2 || snap.Open != 0 || snap.Packets.Len() == 0 || snap.Messages.Len() == 0 {
		t.Errorf("%+v", snap)
	}

	t.Run("export", func(t *testing.T) {
		want := filepath.Join(t.TempDir(), "want.pcapng")
		stdoutOf(t, "export", path, "-w", want, "-q")
		all := filepath.Join(t.TempDir(), "all.pcapng")
		if n, err := c.Export(t.Context(), v, tui.Export{Path: all, List: tui.Packets}, noProgress); err != nil || n != int64(snap.Packets.Len()) {
			t.Fatal(n, err)
		}
		sameFiles(t, all, want)
		rows := make([]int, snap.Packets.Len())
		for i := range rows {
			rows[i] = i
		}
		picked := filepath.Join(t.TempDir(), "picked.pcapng")
		if n, err := c.Export(t.Context(), v, tui.Export{Path: picked, List: tui.Packets, Rows: rows}, noProgress); err != nil || n != int64(len(rows)) {
			t.Fatal(n, err)
		}
		sameFiles(t, picked, want)
		if _, err := c.Export(t.Context(), v, tui.Export{Path: picked, List: tui.Packets}, noProgress); err == nil {
			t.Error("a file was written over")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		stopped := filepath.Join(t.TempDir(), "stopped.pcapng")
		if _, err := c.Export(ctx, v, tui.Export{Path: stopped, List: tui.Packets, Rows: rows}, noProgress); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := os.Stat(stopped); !errors.Is(err, os.ErrNotExist) {
			t.Error("what was stopped left a file behind")
		}
		none := filepath.Join(t.TempDir(), "none.pcapng")
		if _, err := c.Export(t.Context(), v, tui.Export{Path: none, List: tui.Packets, Rows: []int{}}, noProgress); !errors.Is(err, errNoPackets) {
			t.Error(err)
		}
		if _, err := os.Stat(none); !errors.Is(err, os.ErrNotExist) {
			t.Error("an export of nothing left a file behind")
		}
		f, err := filter.Compile("udp")
		if err != nil {
			t.Fatal(err)
		}
		s := v.Select(tui.Packets, f)
		defer s.Close()
		if _, all := s.Progress(); all != snap.Packets.End {
			t.Errorf("a selection that has hardly begun is to look at %d rows of %d, as if it had ended", all, snap.Packets.End)
		}
		for version := v.Snapshot().Version; ; {
			snap, err := v.Changed(t.Context(), version)
			if err != nil {
				break
			}
			version = snap.Version
		}
		rows = rows[:0]
		for i := range s.Len() {
			rows = append(rows, s.At(i))
		}
		some, wantSome := filepath.Join(t.TempDir(), "udp.pcap"), filepath.Join(t.TempDir(), "want.pcap")
		if _, err := c.Export(t.Context(), v, tui.Export{Path: some, List: tui.Packets, Rows: rows}, noProgress); err != nil {
			t.Fatal(err)
		}
		stdoutOf(t, "export", path, "-w", wantSome, "-q", "-Y", "udp")
		sameFiles(t, some, wantSome)
	})

	t.Run("follow", func(t *testing.T) {
		for _, stream := range []struct {
			args []string
			what tui.Stream
		}{
			{[]string{"--tcp", "0"}, tui.Stream{Kind: tui.TCPStream, Tunnel: 1, ID: 0}},
			{[]string{"--tcp", "1"}, tui.Stream{Kind: tui.TCPStream, Tunnel: 1, ID: 1}},
			{[]string{"--udp", "0"}, tui.Stream{Kind: tui.UDPStream, Tunnel: 1, ID: 0}},
			{[]string{"--tunnel", "2"}, tui.Stream{Kind: tui.TunnelStream, Tunnel: 2}},
			{[]string{"--connection", appProxyConnection(t, path), "--tunnel", "2"}, tui.Stream{Kind: tui.ConnectionStream, Tunnel: 2, ID: number(t, appProxyConnection(t, path))}},
		} {
			for side := range 2 {
				want := stdoutOf(t, append([]string{"follow", path, "--as", "raw", "--side", string('0' + rune(side))}, stream.args...)...)
				file := filepath.Join(t.TempDir(), "stream")
				if err := c.SaveStream(t.Context(), v, tui.SaveStream{Path: file, Stream: stream.what, Side: side, Form: tui.AsRaw}, noProgress); err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(file)
				if err != nil || string(got) != want || len(want) == 0 {
					t.Errorf("%v side %d: %d bytes, want %d; %v", stream.args, side, len(got), len(want), err)
				}
			}
		}
	})

	t.Run("facts", func(t *testing.T) {
		flows, err := v.Flows(t.Context())
		if err != nil || len(flows) == 0 {
			t.Fatal(len(flows), err)
		}
		named := false
		for _, f := range flows {
			named = named || f.Name == demoName
			if f.Count[0].Packets == 0 || !f.Addr[0].IsValid() {
				t.Errorf("%+v", f)
			}
		}
		tunnels, err := v.Tunnels(t.Context())
		if err != nil || len(tunnels) != 2 || len(tunnels[0].Steps) < 6 || len(tunnels[0].Configuration) == 0 || tunnels[0].Ended == 0 || tunnels[0].Packets[0] == 0 {
			t.Errorf("%+v; %v", tunnels, err)
		}
		stats, err := v.Stats(t.Context())
		if err != nil || len(stats.Talkers) == 0 || len(stats.Hierarchy) == 0 || stats.PayloadBytes == 0 || stats.PayloadBytes >= stats.StreamBytes {
			t.Errorf("%+v; %v", stats, err)
		}
	})
}

// appProxyConnection is the identifier of a connection of an app proxy.
func appProxyConnection(t *testing.T, path string) string {
	t.Helper()
	ids := strings.Fields(stdoutOf(t, "read", path, "--messages", "-Y", `tunnel.command.name == "Data" && tunnel.stream == 2`, "-T", "fields", "-e", "tunnel.identifier"))
	if len(ids) == 0 {
		t.Fatal("no app proxy's connection")
	}
	return ids[0]
}

func number(t *testing.T, s string) (n int64) {
	t.Helper()
	for _, c := range s {
		n = n*10 + int64(c-'0')
	}
	return n
}

func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	a, err := os.ReadFile(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%s has %d bytes, %s %d, and they differ", filepath.Base(got), len(a), filepath.Base(want), len(b))
	}
}

// Notes are kept beside the capture, in lines behind those that are there.
func TestViewNotes(t *testing.T) {
	path := demoCapture(t)
	c := &viewControl{}
	v := openView(t, c, path)
	for _, want := range []tui.Notes{
		{Messages: map[int64]tui.Note{}, Packets: map[int64]tui.Note{}},
		{Messages: map[int64]tui.Note{2: {Text: "the open"}}, Packets: map[int64]tui.Note{1: {Marked: true}, 7: {Marked: true, Text: "here\nit is"}}},
		{Messages: map[int64]tui.Note{2: {Text: "the other"}, 3: {Marked: true}}, Packets: map[int64]tui.Note{7: {Text: "here\nit is"}}},
		{Messages: map[int64]tui.Note{}, Packets: map[int64]tui.Note{}},
	} {
		if err := c.SaveNotes(t.Context(), v, want); err != nil {
			t.Fatal(err)
		}
		got, err := c.Notes(t.Context(), v)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v; %v", got, want, err)
		}
	}
	if info, err := os.Stat(path + ".notes"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

// A capture that is none, or has gone, is an error and no screen.
func TestViewOpensNothing(t *testing.T) {
	c := &viewControl{}
	for _, path := range []string{"/nonexistent", t.TempDir(), "view_test.go"} {
		if s, err := c.Open(t.Context(), path); err == nil {
			t.Errorf("%s opened as %v", path, s)
		}
	}
	if _, err := c.Export(t.Context(), nil, tui.Export{}, noProgress); !errors.Is(err, tui.ErrNotHere) {
		t.Error(err)
	}
}

// A capture of others is shown as their packets' tunnels are found.
func TestViewOfForeign(t *testing.T) {
	paths, err := filepath.Glob("../../../shared/captures/*/telegram.pcap")
	if err != nil || len(paths) == 0 {
		t.Skip("no shared captures beside the repository")
	}
	v := openView(t, &viewControl{options: sniff.Options{Bare: true}}, paths[0])
	snap := v.Snapshot()
	if snap.Packets.Len() == 0 || snap.Messages.Len() != 0 || snap.Indexed != snap.Size || snap.Size == 0 {
		t.Errorf("%+v", snap)
	}
	var numbers []int64
	err = v.Read(t.Context(), tui.Packets, []int{0, snap.Packets.End - 1}, func(r *tui.Row) bool {
		if r.MessagePos != -1 {
			t.Errorf("%+v", r)
		}
		numbers = append(numbers, r.Number)
		return true
	})
	if err != nil || !slices.Equal(numbers, []int64{1, int64(snap.Packets.End)}) {
		t.Errorf("%d; %v", numbers, err)
	}
}

// What -d says of a port holds on the screen, too.
func TestViewDecodesAs(t *testing.T) {
	path := demoCapture(t)
	as, err := parseDecodeAs([]string{"tcp.port==" + bulkPort + ",http"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*viewControl{{}, {as: as}} {
		v := openView(t, c, path)
		flows, err := v.Flows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		for _, f := range flows {
			seen = seen || f.App == "HTTP" && f.Addr[1].Port() == uint16(number(t, bulkPort))
		}
		if seen != (c.as != nil) {
			t.Errorf("%v: HTTP on port %s: %v: %+v", c.as, bulkPort, seen, flows)
		}
	}
}
