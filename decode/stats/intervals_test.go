package stats_test

import (
	"math"
	"testing"

	"tundump/decode/stats"
)

// A duration counts in each interval that it lasts; adding one costs the same
// however many those are, and Rows may be asked again.
func TestLoad(t *testing.T) {
	const ms = 1_000_000
	s := stats.NewIntervals(10*ms, stats.Load)
	s.Seen(0)
	s.Seen(45 * ms)
	s.Add(0, 45*ms, 27*ms) // 7 in the last row, and two whole ones
	s.Add(0, 12*ms, 4*ms)
	s.Add(0, 12*ms, math.MaxInt64) // longer than the capture
	for range 2 {
		rows, left := s.Rows()
		if len(rows) != 5 || left != 0 {
			t.Fatalf("%d rows, %d left", len(rows), left)
		}
		want := []int64{10 * ms, 4*ms + math.MaxInt64/1000*1000%(10*ms), 10 * ms, 10 * ms, 7 * ms}
		for i, row := range rows {
			if row == nil || row[0].Value != want[i] {
				t.Errorf("row %d: %v, want %d", i, row, want[i])
			}
		}
	}
}
