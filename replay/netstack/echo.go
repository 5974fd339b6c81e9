package netstack

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"time"
)

// Echo requests to addresses that are not the stack's own never reach it: a
// stack in promiscuous mode would answer for hosts that nobody has reached.

const (
	maxEchos          = 512 // under way at once
	maxEchosPerSource = 128
	echoTimeout       = 5 * time.Second
)

// takeICMP takes p out before it reaches the stack, and reports whether it
// did: echo requests to other hosts, and the answers to [Stack.Ping].
func (s *Stack) takeICMP(p []byte) bool {
	e, ok := parseEcho(p)
	if !ok {
		return s.pings.failed(p)
	}
	if !e.request {
		return s.pings.answered(e)
	}
	if s.cfg.Dial == nil || s.own[e.dst] {
		return false
	}
	switch {
	case e.fragment:
		// Nobody puts the fragments together again outside the stack.
		s.refuse(p, prohibited)
	case s.cfg.Echo == nil:
		s.prohibitEcho(p, errors.New("no echo service is configured"))
	case s.echos.take(e.src):
		if s.begin() {
			before, leave := s.turns.enter(pair{e.src, e.dst})
			go s.forwardEcho(append([]byte(nil), p...), before, leave)
		} else {
			s.echos.give(e.src)
		}
	default:
		s.dropped.Add(1)
	}
	return true
}

// forwardEcho carries one echo request out and its answer back, behind that to
// the request before. It ends with the stack, or after echoTimeout.
func (s *Stack) forwardEcho(p []byte, before <-chan struct{}, leave func()) {
	defer s.wg.Done()
	e, _ := parseEcho(p)
	defer s.echos.give(e.src)
	defer leave()
	ctx, cancel := context.WithTimeout(s.ctx, echoTimeout)
	defer cancel()
	err := s.cfg.Echo(ctx, e.dst, e.payload)
	s.turns.wait(ctx, before)
	switch {
	case err == nil:
		s.send(e.answer().packet())
	case errors.Is(err, errors.ErrUnsupported):
		s.prohibitEcho(p, err)
	case errors.Is(err, fs.ErrPermission):
		s.refuse(p, prohibited)
	case isTimeout(err) || s.ctx.Err() != nil:
	default:
		s.refuse(p, hostUnreachable)
	}
}

// prohibitEcho refuses an echo request that this system cannot send on.
func (s *Stack) prohibitEcho(p []byte, err error) {
	s.warnEcho.Do(func() {
		s.cfg.Logger.Warn("echo requests are answered with \"administratively prohibited\"", "why", err)
	})
	s.refuse(p, prohibited)
}

// refuse tells the sender of p why it was not delivered.
func (s *Stack) refuse(p []byte, why reason) {
	src, _, ok := endpoints(p)
	if !ok {
		return
	}
	if out := unreachable(p, s.address(src.Is4()), why); out != nil {
		s.send(out)
	}
}

// address returns the stack's first own address of a family.
func (s *Stack) address(v4 bool) (a netip.Addr) {
	for _, p := range s.cfg.Addresses {
		if a := p.Addr().Unmap().WithZone(""); a.Is4() == v4 {
			return a
		}
	}
	return a
}

// falseEcho reports whether p is an answer that the stack gave for a host
// that is not itself: to an echo request that it put together from fragments,
// or that came behind extension headers.
func (s *Stack) falseEcho(p []byte) bool {
	if s.cfg.Dial == nil {
		return false
	}
	src, _, msg, _, ok := icmpOf(p)
	if !ok || len(msg) == 0 || s.own[src] {
		return false
	}
	_, reply := echoTypes(src)
	return msg[0] == reply
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}
