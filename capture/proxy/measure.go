package proxy

import (
	"time"

	"tundump/decode"
)

// measure tells about the connection to the receiver, at most once in
// infoEvery and only after bytes have passed: it needs no timer.
func (p *pipe) measure() {
	if !p.t.measured() || p.dead || p.read.Sub(p.told) < infoEvery {
		return
	}
	p.told = p.read
	if d := p.dst.info(); d != nil {
		p.t.emit(decode.Event{Kind: decode.TCPInfo, Dir: p.dir, Time: p.read.UnixNano(), Detail: d})
	}
}

// tellBlocked tells about a write that had to wait.
func (p *pipe) tellBlocked() {
	if p.blocked.IsZero() {
		return
	}
	waited := time.Since(p.blocked)
	p.blocked = time.Time{}
	if waited >= blockedFor {
		p.t.emit(decode.Event{Kind: decode.Blocked, Dir: p.dir, Offset: p.offset, Detail: &decode.Detail{Wait: waited}})
	}
}
