package tui

import (
	"errors"
	"slices"
	"testing"

	"tundump/decode"
)

func TestLive(t *testing.T) {
	f := small(t, true)
	d := drive(t, 80, 24, Options{}, f)
	d.keys("2")
	d.wants("follow on", "No.")
	at := func() int { p, _ := d.m.scr().rows().list.Position(); return p }
	if at() != 49 {
		t.Fatalf("the cursor is at %d, not at the tail", at())
	}
	more := func() { f.change(func() { f.add(bareEvent(f, 1)) }) }
	more()
	d.settle()
	if at() != 50 {
		t.Fatalf("the tail went on, the cursor is at %d", at())
	}
	d.keys("up")
	d.wants("follow off")
	more()
	d.settle()
	if at() != 49 {
		t.Fatalf("the cursor moved to %d by itself", at())
	}
	d.keys("end")
	d.wants("follow on")
	d.keys("p")
	more()
	d.settle()
	d.wants("paused")
	if at() != 51 {
		t.Fatalf("paused, and the cursor went to %d", at())
	}
	d.keys("p")
	if at() != 52 {
		t.Fatalf("after the pause the cursor is at %d", at())
	}
	d.keys("z")
	d.wants("0 packets")
	more()
	d.settle()
	d.wants("1 packet")
	d.keys("z")
	d.wants("54 packets")
}

// bareEvent is one more ping in a message.
func bareEvent(f *fake, tunnel uint32) decode.Event {
	return decode.Event{Kind: decode.Record, Dir: decode.ClientToServer, Tunnel: tunnel, Time: f.snap.Last + 1e6,
		Raw: packetsRecord(tunID, ip4(1, phone, "1.1.1.1", []byte{8, 0, 0, 0, 0, 7, 0, 1}))}
}

func TestLiveFilterGrows(t *testing.T) {
	f := small(t, true)
	d := drive(t, 80, 24, Options{}, f)
	d.keys("2 /")
	d.text("icmp")
	d.keys("enter")
	d.wants("41 of 50")
	f.change(func() { f.add(bareEvent(f, 1)) })
	d.settle()
	d.wants("42 of 51")
}

func TestRecording(t *testing.T) {
	c := &fakeControl{}
	d := drive(t, 80, 24, Options{Control: c}, small(t, true))
	d.keys("ctrl+e")
	d.wants("not recording", "the tunnels run on")
	d.keys("ctrl+e")
	d.lacks("not recording")
	if !slices.Equal(c.recording, []bool{false, true}) {
		t.Errorf("asked for %v", c.recording)
	}
	c.err = errors.New("the disk is full")
	d.keys("ctrl+e")
	d.wants("the disk is full")
	d.lacks("not recording")
}

func TestQuit(t *testing.T) {
	d := drive(t, 80, 24, Options{}, small(t, false))
	d.m.Update(keyMsg("q"))
	if !d.m.quit {
		t.Error("q does not quit")
	}
	f := small(t, true)
	f.snap.Path = ""
	d = drive(t, 80, 24, Options{}, f)
	d.keys("q")
	d.wants("kept in no file")
	if d.m.quit {
		t.Error("q threw a capture away")
	}
	d.m.Update(keyMsg("q"))
	if !d.m.quit {
		t.Error("the second q does not quit")
	}
}
