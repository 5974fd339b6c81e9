//go:build !unix

package proxy

import "time"

// processorTime returns 0: only Unix systems are asked.
func processorTime() time.Duration { return 0 }
