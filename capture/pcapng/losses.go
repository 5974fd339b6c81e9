package pcapng

import (
	"bytes"
	"strconv"
	"time"
)

// Losses is what a recording lost, or made the tunnels wait for:
//
//	losses waits=3 waited=1.2ms c2s=4 c2s-bytes=5600 s2c=0 s2c-bytes=0
//
// is the comment, on the statistics block of the first interface, that says
// so. Each file counts for itself; the sum over all is the recording's.
type Losses struct {
	Waits        int64         // how often a tunnel had to wait for the recorder
	Waited       time.Duration // and for how long in all
	Dropped      [2]int64      // events that are not recorded, by direction
	DroppedBytes [2]int64      // of those events
}

const lossesWord = "losses"

var droppedKeys = [2][2]string{{"c2s", "c2s-bytes"}, {"s2c", "s2c-bytes"}}

// Events is how many events were dropped in both directions.
func (l *Losses) Events() int64 { return l.Dropped[0] + l.Dropped[1] }

// Add adds what another file lost.
func (l *Losses) Add(m Losses) {
	l.Waits += m.Waits
	l.Waited += m.Waited
	for d := range l.Dropped {
		l.Dropped[d] += m.Dropped[d]
		l.DroppedBytes[d] += m.DroppedBytes[d]
	}
}

// Sub takes away what was lost before.
func (l *Losses) Sub(m Losses) {
	m.Waits, m.Waited = -m.Waits, -m.Waited
	for d := range m.Dropped {
		m.Dropped[d], m.DroppedBytes[d] = -m.Dropped[d], -m.DroppedBytes[d]
	}
	l.Add(m)
}

// Comment returns the comment, empty if nothing was lost.
func (l *Losses) Comment() string {
	if *l == (Losses{}) {
		return ""
	}
	b := appendInt([]byte(lossesWord), " waits=", l.Waits)
	b = appendDuration(b, " waited=", l.Waited)
	for d, keys := range droppedKeys {
		b = appendInt(b, " "+keys[0]+"=", l.Dropped[d])
		b = appendInt(b, " "+keys[1]+"=", l.DroppedBytes[d])
	}
	return string(b)
}

// parseLosses reads a comment; ok is false if it says nothing of losses. What
// is no number, or negative, counts as 0.
func parseLosses(comment []byte) (l Losses, ok bool) {
	word, rest := cutSpace(comment)
	if string(word) != lossesWord {
		return l, false
	}
	for len(rest) > 0 {
		word, rest = cutSpace(rest)
		name, v, _ := bytes.Cut(word, equals)
		key, value := string(name), string(v)
		switch key {
		case "waits":
			l.Waits = parseCount(value)
		case "waited":
			l.Waited = min(max(0, parseDuration(v)), maxCount*time.Microsecond)
		}
		for d, keys := range droppedKeys {
			switch key {
			case keys[0]:
				l.Dropped[d] = parseCount(value)
			case keys[1]:
				l.DroppedBytes[d] = parseCount(value)
			}
		}
	}
	return l, true
}

// maxCount keeps sums over many hostile files from overflowing.
const maxCount = 1 << 48

func parseCount(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return min(max(0, n), maxCount)
}

// Losses reads what an interface statistics block says was lost. b is a whole
// block, as [Section.Cut] reports it; ok is false if it says nothing of that.
func (s *Section) Losses(b []byte) (l Losses, ok bool) {
	const body = 8 + 12
	if len(b) < body+4 || s.Classic || s.u32(b) != InterfaceStatistics {
		return l, false
	}
	opts := Options{b: b[body : len(b)-4], big: s.BigEndian}
	for {
		code, value, more := opts.Next()
		if !more {
			return l, false
		}
		if code == optComment {
			if l, ok = parseLosses(value); ok {
				return l, true
			}
		}
	}
}
