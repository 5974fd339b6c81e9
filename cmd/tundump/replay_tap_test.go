package main

import (
	"testing"

	"tundump/capture/record"
)

// Packets have the numbers that they have in the capture, as long as nothing of
// it is missing.
func TestReplayTapNumbers(t *testing.T) {
	rec, err := record.New(record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tap := &replayTap{recorder: rec}
	t.Cleanup(func() {
		if err := tap.close(); err != nil {
			t.Error(err)
		}
	})
	ping := icmpEcho(8, 1, "x")
	for i, c := range []struct {
		packets int
		paused  bool
		want    int64
	}{{1, false, 1}, {3, false, 2}, {2, false, 5}, {1, true, 0}, {1, false, 0}} {
		rec.Pause(c.paused)
		var pkts [][]byte
		for range c.packets {
			pkts = append(pkts, ping)
		}
		if got := tap.packets(i%2 == 0, pkts); got != c.want {
			t.Errorf("batch %d begins with packet %d, want %d", i, got, c.want)
		}
	}
	if got := (&replayTap{}).packets(true, [][]byte{ping}); got != 0 {
		t.Errorf("without a capture it is number %d", got)
	}
}
