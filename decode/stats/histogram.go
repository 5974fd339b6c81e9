package stats

import (
	"math/bits"
	"strconv"
)

// Histogram counts messages by how many packets they carry, in classes that
// double: 0, 1, 2, 3-4, 5-8, 9-16, 17-32, 33-64, and more.
type Histogram [9]int64

// Add takes in a message with n packets.
func (h *Histogram) Add(n int) { h[classOf(n)]++ }

func classOf(n int) int {
	if n <= 0 {
		return 0
	}
	return min(bits.Len(uint(n-1))+1, len(Histogram{})-1)
}

// Total returns how many messages there are.
func (h *Histogram) Total() int64 {
	var sum int64
	for _, n := range h {
		sum += n
	}
	return sum
}

// Class names class i: "1", "9-16", "65+".
func (h *Histogram) Class(i int) string {
	switch {
	case i < 3:
		return strconv.Itoa(i)
	case i == len(h)-1:
		return strconv.Itoa(1<<(i-2)+1) + "+"
	}
	return strconv.Itoa(1<<(i-2)+1) + "-" + strconv.Itoa(1<<(i-1))
}
