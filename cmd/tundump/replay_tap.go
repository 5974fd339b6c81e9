package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/capture"
	"tundump/capture/record"
	"tundump/decode"
)

// reportFlags say what is written of a replay.
type reportFlags struct {
	capture string
	reports []string
	quiet   bool
}

func (r *reportFlags) register(f *pflag.FlagSet) {
	f.StringVarP(&r.capture, "write", "w", "", "write what was sent and what came as a capture (pcapng): bare packets, or with --to and --listen the tunnel")
	f.StringArrayVar(&r.reports, "report", nil, "write a report, json=FILE or junit=FILE; repeatable")
	f.BoolVarP(&r.quiet, "quiet", "q", false, "print no differences, only the summary")
}

// check finds reports that there are none of.
func (r *reportFlags) check() error {
	for _, s := range r.reports {
		if _, _, err := splitReport(s); err != nil {
			return err
		}
	}
	return nil
}

// spare refuses to write over a capture that is played or shown: it is read
// while the replay writes.
func (r *reportFlags) spare(capture string) error {
	if capture == "" {
		return nil
	}
	if r.capture != "" && sameFile(r.capture, capture) {
		return usage(fmt.Errorf("replay: -w %s: that is the capture itself: choose another name", r.capture))
	}
	for _, s := range r.reports {
		if _, file, err := splitReport(s); err == nil && sameFile(file, capture) {
			return usage(fmt.Errorf("replay: --report %s: that is the capture itself: choose another name", s))
		}
	}
	return nil
}

// tap opens the capture and starts counting. A screen has one, be it unnamed.
func (r *reportFlags) tap(cmd *cobra.Command, p *played) (*replayTap, error) {
	t := &replayTap{dir: p.dir, path: r.capture}
	if r.capture == "" && !p.stage.screen() {
		return t, nil
	}
	o := record.Options{Path: r.capture, Logger: p.log}
	if r.capture == "-" {
		o.Path, o.Output = "", cmd.OutOrStdout()
	}
	var err error
	if t.recorder, err = record.New(o); err != nil {
		return nil, usage(fmt.Errorf("replay: -w: %w", err))
	}
	if p.flags.server.to != "" || p.flags.client.listen != "" {
		t.wire = &wireTap{tap: t.recorder}
	}
	return t, nil
}

// replayTap counts what is sent and what comes, and records it: as bare
// packets, or where there is a wire, the tunnel. Its methods may be called by
// several goroutines.
type replayTap struct {
	dir      decode.Direction
	path     string           // of the capture; "" if it has no name
	recorder *record.Recorder // nil: nothing is recorded
	wire     *wireTap         // nil: packets are recorded as they are
	sent     atomic.Int64
	bytes    atomic.Int64
	received atomic.Int64
	finished bool

	mu     sync.Mutex // keeps the rows in order of time
	number int64      // of the newest packet in the capture, below 0 if that is not known
}

// packets takes packets that were sent, or that came. It returns the number
// that the first of them has in the capture, 0 if that is not known.
func (t *replayTap) packets(sent bool, pkts [][]byte) (first int64) {
	if sent {
		t.sent.Add(int64(len(pkts)))
		for _, p := range pkts {
			t.bytes.Add(int64(len(p)))
		}
	} else {
		t.received.Add(int64(len(pkts)))
	}
	if t.recorder == nil || t.wire != nil {
		return 0
	}
	dir := t.dir
	if !sent {
		dir = dir.Opposite()
	}
	size := 0
	for _, p := range pkts {
		size += len(p)
	}
	b := capture.NewBatch()
	defer b.Release()
	buf := b.Grow(size)[:0]
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now().UnixNano()
	for _, p := range pkts {
		n := len(buf)
		buf = append(buf, p...)
		b.Events = append(b.Events, decode.Event{Kind: decode.Packet, Dir: dir, Time: now, Raw: buf[n:len(buf):len(buf)]})
	}
	t.recorder.Offer(b)
	if t.number < 0 || t.recorder.Stats().Dropped != [2]int64{} { // it was paused
		t.number = -1
		return 0
	}
	t.number += int64(len(pkts))
	return t.number - int64(len(pkts)) + 1
}

// finish ends the recording, which can still be read.
func (t *replayTap) finish() error {
	if t.recorder == nil || t.finished {
		return nil
	}
	t.finished = true
	if err := t.recorder.Close(); err != nil {
		return fmt.Errorf("replay: -w: %w", err)
	}
	return nil
}

// close ends the recording.
func (t *replayTap) close() error {
	if t.recorder == nil {
		return nil
	}
	err := t.finish()
	if cerr := t.recorder.Store().Close(); err == nil && cerr != nil {
		err = fmt.Errorf("replay: -w: %w", cerr)
	}
	t.recorder = nil
	return err
}
