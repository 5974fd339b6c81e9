package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"tundump/capture/intercept"
	"tundump/decode"
)

// script is a connection that a fuzzer plays: what it sends, in which pieces,
// and what happens meanwhile. It keeps what is written to it.
type script struct {
	net.Conn // for the methods that nobody calls
	in       []byte
	acts     []byte
	act      func(byte)
	out      []byte
}

func (s *script) Read(b []byte) (int, error) {
	piece := len(s.in)
	if len(s.acts) > 0 {
		a := s.acts[0]
		s.acts = s.acts[1:]
		switch {
		case a < 16:
			return 0, os.ErrDeadlineExceeded
		case a < 64:
			s.act(a)
		}
		piece = int(a) * int(a) / 4
	}
	n := copy(b, s.in[:min(piece, len(s.in))])
	s.in = s.in[n:]
	if n == 0 && len(s.acts) == 0 {
		return 0, io.EOF
	} else if n == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	s.out = append(s.out, b...)
	return len(b), nil
}

func (s *script) Close() error                    { return nil }
func (s *script) CloseWrite() error               { return nil }
func (s *script) SetReadDeadline(time.Time) error { return nil }

// fate decides by the record's last byte but one.
type fate struct{}

func (fate) Wants(uint32, decode.Direction) bool { return true }

func (fate) Intercept(ev decode.Event) (v intercept.Verdict) {
	x := record(int(ev.Offset), 3)
	switch ev.Raw[len(ev.Raw)-2] % 6 {
	case 1:
		v.Action = intercept.Drop
	case 2:
		v.Action, v.Raw = intercept.Replace, x
	case 3:
		v.Before = [][]byte{x}
	case 4:
		v.After = [][]byte{x, x}
	}
	return v
}

// FuzzRelay checks, for any bytes in any pieces, with interceptors coming and
// going and records injected: the capture of the client side is what the
// client sent; the capture of the server side is what the server got; and if
// nothing was to be changed the two are the same.
func FuzzRelay(f *testing.F) {
	for _, b := range streams() {
		b = b[:min(len(b), 4000)]
		f.Add(b, []byte{100, 17, 30, 5, 18, 90, 32, 33, 7, 255})
		f.Add(b, []byte{})
	}
	f.Fuzz(func(t *testing.T, in, acts []byte) {
		tap := newWatcher()
		p := New(Config{Tap: tap})
		src, dst := &script{in: in, acts: acts}, &script{}
		tun := &tunnel{proxy: p, service: &service{}, id: 1, client: newSide(src), server: newSide(dst), done: make(chan struct{})}
		tun.wanted.Store(true) // so that the events tell both sides from the first byte
		p.tunnels[1] = tun
		tun.c2s.init(tun, decode.ClientToServer, tun.client, tun.server)
		tun.s2c.init(tun, decode.ServerToClient, tun.server, tun.client)
		changed := false
		src.act = func(a byte) {
			switch a % 4 {
			case 0:
				p.SetChain(nil)
			case 1:
				p.SetChain(passAll{})
			case 2:
				p.SetChain(fate{})
				changed = true
			case 3:
				if err := p.Inject(1, decode.ClientToServer, record(int(a), 4)); err != nil && !errors.Is(err, ErrNoBoundary) {
					t.Error(err)
				}
				changed = true
			}
		}
		tun.service.wg.Add(1)
		tun.running.Store(1)
		tun.c2s.run()

		evs := tap.all()
		if got := stream(t, evs, 1, decode.ClientToServer, decode.OnClientSide); !bytes.Equal(got, in) {
			t.Errorf("the client sent %d bytes, the capture has %d, or others:\n%s", len(in), len(got), describe(evs))
		}
		if got := stream(t, evs, 1, decode.ClientToServer, decode.OnServerSide); !bytes.Equal(got, dst.out) {
			t.Errorf("the server got %d bytes, the capture has %d, or others:\n%s", len(dst.out), len(got), describe(evs))
		}
		if !changed && !bytes.Equal(in, dst.out) {
			t.Error("bytes were changed on the way")
		}
		if tun.c2s.b != nil || evs[len(evs)-1].Kind != decode.Closed {
			t.Errorf("not all is over:\n%s", describe(evs))
		}
	})
}
