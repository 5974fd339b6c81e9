package replay_test

import (
	"errors"
	"testing"

	"tundump/decode"
	"tundump/replay"
	"tundump/replay/devicetest"
)

// spoilt is a recording of which a row cannot be read any more.
type spoilt struct {
	recording
	row int // -1: all can be read
}

var errSpoilt = errors.New("the disk is gone")

func (s *spoilt) At(i int, buf []byte) (decode.Event, error) {
	if i == s.row {
		return decode.Event{}, errSpoilt
	}
	return s.recording.At(i, buf)
}

// TestUnreadable reads ahead what cannot be read: what stands before it is
// sent, and the error is said.
func TestUnreadable(t *testing.T) {
	for _, row := range []int{0, 63, 64, 100, 199} {
		src := &spoilt{row: -1}
		for i := range 200 {
			src.add(i, decode.ClientToServer, udp(ap(phone, 4000), ap(server, 9), i, "x"))
		}
		plan, err := replay.Compile(src, replay.Options{Preload: -1, Pace: replay.Pace{Top: true}})
		if err != nil {
			t.Fatal(err)
		}
		src.row = row
		near, far := devicetest.Pipe(1500)
		r, err := replay.Play(t.Context(), plan, &replay.DevicePeer{Device: near})
		if !errors.Is(err, errSpoilt) || r.Sent != int64(row) || r.Stopped != "failed" {
			t.Errorf("row %d: %v after %d, %q", row, err, r.Sent, r.Stopped)
		}
		if err := far.Close(); err != nil {
			t.Error(err)
		}
	}
}
