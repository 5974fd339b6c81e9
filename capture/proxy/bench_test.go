package proxy

import (
	"sync/atomic"

	"tundump/capture"
)

// counter is a tap that only counts.
type counter struct{ bytes, events atomic.Int64 }

func (c *counter) Offer(b *capture.Batch) {
	n := 0
	for i := range b.Events {
		n += len(b.Events[i].Raw)
	}
	c.bytes.Add(int64(n))
	c.events.Add(int64(len(b.Events)))
}
