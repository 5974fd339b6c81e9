//go:build unix

package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"tundump/capture/sniff"
	"tundump/replay"
	"tundump/tui"
)

// A replay does not write over the recording that it plays.
func TestReplayWriteOverRecording(t *testing.T) {
	file := recordPings(t)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	capture, err := sniff.Open(file, sniff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recorded := fileSource(file, capture, nil)
	c := &viewControl{log: io.Discard, opened: []*viewSource{recorded}}
	defer c.closeAll()
	if _, err := c.Replay(t.Context(), recorded, []string{"--netstack", "-w", file}); err == nil {
		t.Error("it would write over what it plays")
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the recording has changed: %v", err)
	}
}

// R finds the step of a packet where messages stand among them.
func TestReplayStepAt(t *testing.T) {
	msg := replay.Step{Index: -1, Number: 1}
	pkt := func(n int64) replay.Step { return replay.Step{Index: 0, Number: n} }
	file := recordPings(t)
	capture, err := sniff.Open(file, sniff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	<-fileSource(file, capture, nil).view.Done()
	s := &replayScreen{p: &played{rows: allRows(capture.Store()), plan: &replay.Plan{Steps: []replay.Step{pkt(10), msg, msg, msg, pkt(20)}}}}
	if i, err := s.stepAt(tui.PlayRow{List: tui.Packets, Number: 5}); i != 0 || err != nil {
		t.Errorf("from packet 5 on it goes on with step %d, want 0 (packet 10); %v", i, err)
	}
}

// What cannot be played is said before anything is asked.
func TestReplayWordsOfScreen(t *testing.T) {
	file := recordPings(t)
	capture, err := sniff.Open(file, sniff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recorded := fileSource(file, capture, nil)
	c := &viewControl{log: io.Discard, opened: []*viewSource{recorded}}
	defer c.closeAll()
	for want, words := range map[string][]string{
		"into what?":                          nil,
		"unknown flag: --bogus":               {"--netstack", "--bogus"},
		"tundump replay --help lists":         {"--help"},
		"\"pings\" is no flag":                {"--netstack", "pings"},
		"the screen has standard output":      {"--netstack", "-w", "-"},
		"--report json=" + file + ": that is": {"--netstack", "--report", "json=" + file},
		"nothing is left to send":             {"--netstack", "-Y", "tcp"},
	} {
		if _, err := c.Replay(t.Context(), recorded, words); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", words, err, want)
		}
	}
	if len(c.begun()) != 0 {
		t.Error("replays that were not begun are still kept")
	}
}
