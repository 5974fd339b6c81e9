package netstack

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Ping sends one echo request from the stack's own address to dst, IPv4 or
// IPv6, and waits for the answer. It reports how long that took. An ICMP error
// ends it early; "administratively prohibited" is fs.ErrPermission.
func (s *Stack) Ping(ctx context.Context, dst netip.Addr, payload []byte) (time.Duration, error) {
	dst = dst.Unmap()
	e := echo{src: s.address(dst.Is4()), dst: dst, request: true, payload: payload}
	if !e.src.IsValid() {
		return 0, fmt.Errorf("netstack: ping %s: the stack has no address of that family", dst)
	}
	var done chan error
	e.ident, e.seq, done = s.pings.start(dst)
	defer s.pings.stop(e.ident, e.seq)
	start := time.Now()
	p := e.packet()
	if len(p) > s.cfg.MTU {
		return 0, fmt.Errorf("netstack: ping %s: a packet of %d bytes is larger than the MTU, %d", dst, len(p), s.cfg.MTU)
	}
	s.send(p)
	select {
	case err := <-done:
		if err != nil {
			return 0, fmt.Errorf("netstack: ping %s: %w", dst, err)
		}
		return time.Since(start), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("netstack: ping %s: no answer: %w", dst, ctx.Err())
	case <-s.ctx.Done():
		return 0, net.ErrClosed
	}
}

// pingTable is the pings that wait for an answer.
type pingTable struct {
	mu      sync.Mutex
	next    uint32
	waiting map[uint32]ping // by ident<<16 | seq
}

type ping struct {
	dst  netip.Addr
	done chan error // has room for one
}

func (t *pingTable) start(dst netip.Addr) (ident, seq uint16, done chan error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting == nil {
		t.waiting = make(map[uint32]ping)
	}
	t.next++
	for t.waiting[t.next].done != nil {
		t.next++
	}
	done = make(chan error, 1)
	t.waiting[t.next] = ping{dst: dst, done: done}
	return uint16(t.next >> 16), uint16(t.next), done
}

func (t *pingTable) stop(ident, seq uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, uint32(ident)<<16|uint32(seq))
}

// end delivers a result to the ping that waits for it, if there is one.
func (t *pingTable) end(dst netip.Addr, ident, seq uint16, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.waiting[uint32(ident)<<16|uint32(seq)]
	if !ok || p.dst != dst {
		return false
	}
	select {
	case p.done <- err:
	default: // answered twice
	}
	return true
}

func (t *pingTable) answered(e echo) bool { return t.end(e.src, e.ident, e.seq, nil) }

// failed delivers an ICMP error about a ping.
func (t *pingTable) failed(p []byte) bool {
	src, _, msg, fragment, ok := icmpOf(p)
	if !ok || fragment || len(msg) < header.ICMPv4MinimumSize {
		return false
	}
	var isError bool
	prohibitedCode := codes4[prohibited]
	if src.Is4() {
		isError = msg[0] == unreachable4 || msg[0] == byte(header.ICMPv4TimeExceeded)
	} else {
		isError = header.ICMPv6Type(msg[0]).IsErrorType()
		prohibitedCode = codes6[prohibited]
	}
	quote := msg[header.ICMPv4MinimumSize:]
	_, dst, whole := endpoints(quote)
	if !isError || !whole {
		return false
	}
	// Only our own requests are of interest: they have no IP options and no
	// extension headers.
	at := header.IPv4MinimumSize
	if dst.Is6() {
		at = header.IPv6MinimumSize
	}
	if len(quote) < at+header.ICMPv4MinimumSize {
		return false
	}
	if request, _ := echoTypes(dst); quote[at] != request {
		return false
	}
	err := fmt.Errorf("ICMP type %d code %d from %s", msg[0], msg[1], src)
	if (msg[0] == unreachable4 && src.Is4() || msg[0] == unreachable6 && src.Is6()) && msg[1] == prohibitedCode {
		err = fmt.Errorf("administratively prohibited, says %s: %w", src, fs.ErrPermission)
	}
	return t.end(dst, binary.BigEndian.Uint16(quote[at+4:]), binary.BigEndian.Uint16(quote[at+6:]), err)
}
