package replay

import (
	"errors"
	"time"
)

// Pace says how fast a plan is played, in tcpreplay's words. The zero value is
// the recorded pace, once. At most one of Multiplier, PPS, Mbps, Top and Answer
// is set.
type Pace struct {
	Multiplier float64 // times the recorded pace; 0 is 1
	PPS        float64 // packets a second, whatever was recorded
	Mbps       float64 // millions of bits of packets a second
	Top        bool    // as fast as the peer takes them
	Answer     bool    // each as soon as the answer that it waited for has come
	OneByOne   bool    // begin paused: the [Controller] steps

	MaxSleep  time.Duration // the longest wait before one packet; 0 is no limit
	Loops     int           // how often; 0 is once, below 0 until it is ended
	LoopDelay time.Duration // between one loop and the next
	Limit     int64         // stop after so many packets, of all loops; 0 is no limit
	Duration  time.Duration // stop after so long; 0 is no limit
}

// ErrPace says that more than one speed is asked for, or one that cannot be.
var ErrPace = errors.New("replay: one of multiplier, packets a second, megabits a second, top speed and answers sets the pace")

func (p *Pace) check() error {
	n := 0
	for _, on := range [...]bool{p.Multiplier != 0, p.PPS != 0, p.Mbps != 0, p.Top, p.Answer} {
		if on {
			n++
		}
	}
	if n > 1 || p.Multiplier < 0 || p.PPS < 0 || p.Mbps < 0 {
		return ErrPace
	}
	return nil
}

// schedule says when each step is due, from the place and time that it was last
// anchored at. Error does not add up: every due time is computed from there.
type schedule struct {
	pace  Pace
	begin time.Time     // of the anchor, on the wall
	at    time.Duration // of the anchor, in the recording
	sent  int64         // packets and bytes since then
	bytes int64
	last  time.Time // when the step before was due
}

// anchor makes a step that was recorded at at due at now.
func (s *schedule) anchor(now time.Time, at time.Duration) {
	s.begin, s.at, s.sent, s.bytes, s.last = now, at, 0, 0, now
}

// due returns when the step is to be sent that was recorded at at. It is the
// zero time if there is nothing to wait for.
func (s *schedule) due(at time.Duration) time.Time {
	var wait float64 // nanoseconds since the anchor
	switch p := &s.pace; {
	case p.Top || p.Answer:
		return time.Time{}
	case p.PPS > 0:
		wait = float64(s.sent) / p.PPS * 1e9
	case p.Mbps > 0:
		wait = float64(s.bytes) * 8e3 / p.Mbps
	case p.Multiplier > 0:
		wait = float64(at-s.at) / p.Multiplier
	default:
		wait = float64(at - s.at)
	}
	const most = 1 << 62
	due := s.begin.Add(time.Duration(min(wait, most)))
	if s.pace.MaxSleep > 0 && due.Sub(s.last) > s.pace.MaxSleep {
		early := due.Sub(s.last) - s.pace.MaxSleep
		s.begin = s.begin.Add(-early)
		due = due.Add(-early)
	}
	return due
}

// done counts a step that was sent.
func (s *schedule) done(due time.Time, size int) {
	s.sent++
	s.bytes += int64(size)
	if !due.IsZero() {
		s.last = due
	}
}
