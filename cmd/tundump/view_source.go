package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"tundump/capture/record"
	"tundump/capture/session"
	"tundump/capture/sniff"
	"tundump/capture/store"
	"tundump/decode/filter"
	"tundump/decode/packet"
	"tundump/tui"
)

// viewSource is a capture as the screen has it. Its view is a pass of its own
// over the capture's store.
type viewSource struct {
	view     *session.View
	store    *store.Store
	capture  *sniff.Capture   // of a file; else nil
	recorder *record.Recorder // of what is being recorded; else nil
	name     string
	path     string // "" if the capture has none that others could open
	as       decodeAs

	flows flowCache
	mu    sync.Mutex
	state *tui.Snapshot // of the view's newest state that was asked for

	replay *replayScreen   // that it is part of; nil for none
	quiet  context.Context // ends when it becomes part of a replay; made when somebody asks
	wake   func()          // ends quiet
}

// decodeAs is what -d says.
type decodeAs = map[packet.Port]packet.App

// fileSource shows a capture file. The source owns it.
func fileSource(path string, c *sniff.Capture, as decodeAs) *viewSource {
	s := &viewSource{view: session.NewView(c.Store(), as), as: as, store: c.Store(), capture: c, name: filepath.Base(path), path: path}
	if path == "-" {
		s.name, s.path = "standard input", ""
	}
	return s
}

// liveSource shows what r records, under path if that is not empty. The
// recorder and its store remain their owner's.
func liveSource(path string, r *record.Recorder, as decodeAs) *viewSource {
	s := &viewSource{view: session.NewView(r.Store(), as), as: as, store: r.Store(), recorder: r, name: "live", path: path}
	if path != "" {
		s.name = filepath.Base(path)
	}
	return s
}

// close ends the view, and closes what the source owns.
func (s *viewSource) close() error {
	s.view.Close()
	if s.capture != nil {
		return s.capture.Close()
	}
	return nil
}

// manyPackets is where a view's rows begin to be most of the memory.
const manyPackets = 1 << 20

// lessGarbage has the collector leave less garbage beside what is in use. With
// many rows, which have no pointers and so cost it nothing, as much again would
// be hundreds of MiB.
var lessGarbage = sync.OnceFunc(func() { debug.SetGCPercent(25) })

// of makes a screen's snapshot of a view's.
func (s *viewSource) of(v *session.Snapshot) *tui.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != nil && s.state.Version >= v.Version {
		return s.state
	}
	if v.Packets.End-v.Packets.First >= manyPackets {
		lessGarbage()
	}
	sum := &v.Summary
	out := &tui.Snapshot{
		Version: v.Version, Name: s.name, Path: s.path, Err: v.Err,
		Messages: tui.Extent(v.Messages), Packets: tui.Extent(v.Packets),
		Tunnels: sum.Tunnels, Open: v.Open, Bytes: sum.Bytes, Problems: sum.Problems,
		Forgotten: v.Forgotten, First: sum.First, Last: sum.Last,
	}
	lost := s.store.Losses()
	if s.recorder != nil {
		st := s.recorder.Stats()
		lost, out.Size = st.Losses(), st.Bytes
		out.Live = !v.Complete
		out.PacketRate, out.ByteRate = v.PacketRate, v.ByteRate
	}
	if s.capture != nil {
		out.Indexed, out.Size = s.capture.Progress()
		out.Indexing = !v.Complete
		out.Warnings = s.capture.Warnings()
		if v.Complete {
			out.Indexed = out.Size
			out.Err = cmp.Or(s.capture.Err(), v.Err)
		}
	}
	out.Waits, out.Waited, out.Dropped = lost.Waits, int64(lost.Waited), lost.Events()
	s.state = out
	return out
}

// Read implements tui.Source.
func (s *viewSource) Read(ctx context.Context, l tui.List, positions []int, visit func(*tui.Row) bool) error {
	var row tui.Row
	return s.view.Read(ctx, session.List(l), positions, func(it *session.Item) bool {
		row = tui.Row{Row: it.Row, Pos: it.Pos, MessagePos: it.MessagePos, FirstPacket: it.FirstPacket, PacketCount: it.PacketCount}
		return visit(&row)
	})
}

// Locate implements tui.Source.
func (s *viewSource) Locate(ctx context.Context, l tui.List, p tui.Place) (int, error) {
	pos, err := s.view.Locate(ctx, session.List(l), session.Place(p))
	if err == store.ErrGone {
		err = tui.ErrGone
	}
	return pos, err
}

// Select implements tui.Source.
func (s *viewSource) Select(l tui.List, f *filter.Filter) tui.Selection {
	return s.view.Select(session.List(l), f)
}

// flowCache is the flows as they were when they were asked for last: with very
// many of them, making the list for each frame would be all that is done.
type flowCache struct {
	mu      sync.Mutex
	list    []tui.Flow
	version uint64
	until   time.Time // how long it will do, though there is a newer state
}

// Flows implements tui.Source.
func (s *viewSource) Flows(context.Context) ([]tui.Flow, error) {
	c := &s.flows
	c.mu.Lock()
	defer c.mu.Unlock()
	began, version := time.Now(), s.view.Snapshot().Version
	if c.version != version && began.After(c.until) {
		c.list, c.version = s.allFlows(), version
		c.until = time.Now().Add(10 * time.Since(began))
	}
	return slices.Clone(c.list), nil
}

func (s *viewSource) allFlows() []tui.Flow {
	kept := s.view.Flows()
	list := make([]tui.Flow, len(kept))
	for i := range kept {
		f := &kept[i]
		list[i] = tui.Flow{
			Tunnel: f.Tunnel, Proto: f.Proto, Stream: f.Stream, Addr: f.Addr, Name: f.Name, App: f.App, Count: f.Count,
			InitialRTT: f.InitialRTT, Retrans: f.Retrans, Errors: f.Errors, Completeness: f.Completeness, Rate: f.Rate,
		}
	}
	return list
}

// Findings implements tui.Source.
func (s *viewSource) Findings(context.Context) ([]tui.Finding, error) {
	kept := s.view.Findings()
	list := make([]tui.Finding, len(kept))
	for i := range kept {
		f := &kept[i]
		list[i] = tui.Finding{
			Severity: f.Severity, Code: f.Code, Tunnel: f.Tunnel, Text: f.Text, Count: f.Count, First: f.First, Last: f.Last,
			Filter: fmt.Sprintf("finding.code == %q", f.Code), List: tui.List(f.List), Proof: f.Proof,
		}
		if f.Tunnel != 0 {
			list[i].Filter += fmt.Sprintf(" && tunnel.stream == %d", f.Tunnel)
		}
	}
	return list, nil
}

// safeAll makes lines fit for a terminal.
func safeAll(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = string(packet.AppendSafe(nil, l))
	}
	return out
}
