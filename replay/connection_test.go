package replay_test

import (
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"

	"howett.net/plist"

	"tundump/decode"
	"tundump/replay"
)

// message is a record of the tunnel's protocol.
func message(t *testing.T, fields map[string]any) []byte {
	t.Helper()
	b, err := plist.Marshal(fields, plist.BinaryFormat)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(4+len(b))), b...)
}

// lateServer opens a connection only when nothing else is asked of it for the
// moment, and echoes what it gets once it is open.
type lateServer struct {
	t       *testing.T
	answers map[string][]byte // to a record
	opened  atomic.Bool
	closed  atomic.Bool
	came    atomic.Int64
	out     chan []byte
	over    chan struct{}
}

func (s *lateServer) Send(items []replay.Item) (int, error) {
	for _, it := range items {
		var m decode.Message
		if err := m.Decode(decode.Event{Kind: decode.Record, Raw: it.Data}); err != nil {
			s.t.Error(err)
		}
		switch {
		case m.Command == decode.Data && !s.opened.Load():
			s.t.Error("data was sent before the connection was open")
		case m.Command == decode.Close && s.came.Load() != 3:
			s.t.Errorf("closed after %d answers", s.came.Load())
		}
		if a := s.answers[string(it.Data)]; a != nil {
			s.out <- a
		}
	}
	return len(items), nil
}

func (s *lateServer) Receive(items []replay.Item) (int, error) {
	select {
	case b := <-s.out:
		s.opened.Store(true)
		s.came.Add(1)
		items[0] = replay.Item{Kind: decode.Record, Tunnel: 1, Data: b}
		return 1, nil
	case <-s.over:
		return 0, net.ErrClosed
	}
}

func (s *lateServer) Close() error {
	if !s.closed.Swap(true) {
		close(s.over)
	}
	return nil
}

func (s *lateServer) Refused() int64 { return 0 }

// Whatever the pace, data waits for its connection to be open, and the end of
// the connection for what is still to come.
func TestConnectionOrder(t *testing.T) {
	var rec recording
	answers := map[string][]byte{}
	add := func(dir decode.Direction, fields map[string]any) []byte {
		fields["identifier"] = 7
		b := message(t, fields)
		rec = append(rec, decode.Event{Kind: decode.Record, Dir: dir, Tunnel: 1, Number: int64(len(rec) + 1), Time: 1e18 + int64(len(rec)), Raw: b})
		return b
	}
	ask := func(up, down map[string]any) {
		b := add(decode.ClientToServer, up)
		answers[string(b)] = add(decode.ServerToClient, down)
	}
	ask(map[string]any{"command": 6, "tunnel-type": 0, "app-proxy-flow-type": 2}, map[string]any{"command": 7, "result-code": 0})
	for _, text := range []string{"a", "b"} {
		data := map[string]any{"command": 1, "data": []byte(text), "host": "192.0.2.1", "port": 7}
		echo := map[string]any{"command": 1, "data": []byte("echo " + text), "host": "192.0.2.1", "port": 7}
		ask(data, echo)
	}
	add(decode.ClientToServer, map[string]any{"command": 4, "close-type": 3})
	for _, pace := range []replay.Pace{{Top: true}, {}, {Answer: true}} {
		p, err := replay.Compile(rec, replay.Options{Messages: true, Pace: pace})
		if err != nil {
			t.Fatal(err)
		}
		s := &lateServer{t: t, answers: answers, out: make(chan []byte, 8), over: make(chan struct{})}
		r, err := replay.Play(t.Context(), p, s)
		if err != nil || !r.Same() || r.Sent != 4 || r.Answered != 3 {
			t.Errorf("%+v: %v: %+v", pace, err, r)
		}
	}
}
