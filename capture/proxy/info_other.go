//go:build !linux

package proxy

import "tundump/decode"

// info returns nil: only Linux is asked.
func (s *side) info() *decode.Detail { return nil }
