package replay_test

import (
	"net"
	"testing"
	"time"

	"tundump/decode"
	"tundump/replay"
)

// FuzzPlay plays packets of any kind against a peer that answers with any.
func FuzzPlay(f *testing.F) {
	for _, ev := range session() {
		f.Add(ev.Raw, ev.Raw)
	}
	f.Add(echo(8, phone, server, 1, "x"), echo(0, server, phone, 1, "y"))
	f.Add(dns(ap(phone, 5000), ap(server, 53), 7, "a.b", 1), dns(ap(server, 53), ap(phone, 5000), 7, "a.b", 1, "192.0.2.1"))
	f.Fuzz(func(t *testing.T, ask, say []byte) {
		var r recording
		r.add(0, decode.ClientToServer, ask)
		r.add(1, decode.ServerToClient, say)
		r.add(2, decode.ClientToServer, say)
		r.add(3, decode.ServerToClient, ask)
		p, err := replay.Compile(r, replay.Options{Pace: replay.Pace{Top: true, Loops: 2}, Wait: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		peer := &canned{in: [][]byte{say, ask, say, ask[:len(ask)/2]}, closed: make(chan struct{})}
		report, err := replay.Play(t.Context(), p, peer)
		if err != nil {
			t.Fatal(err)
		}
		if report.Answered+report.Unanswered != report.Expected || report.Sent != int64(2*len(p.Steps)) ||
			report.Answered+report.Extra+report.Repeated+report.Unrelated+report.Fragments != report.Received || report.Total != report.Changed+report.Unanswered+report.Extra {
			t.Errorf("%+v", report)
		}
		if d, err := replay.Diff(r, r, replay.Rules{}); err != nil || !d.Same() {
			t.Errorf("with itself: %v, %+v", err, d)
		}
	})
}

// canned is a peer that takes everything and says what it was given.
type canned struct {
	in     [][]byte
	closed chan struct{}
}

func (c *canned) Send(items []replay.Item) (int, error) { return len(items), nil }
func (c *canned) Refused() int64                        { return 0 }
func (c *canned) Close() error                          { close(c.closed); return nil }
func (c *canned) Receive(items []replay.Item) (int, error) {
	if len(c.in) == 0 {
		<-c.closed
		return 0, net.ErrClosed
	}
	items[0] = replay.Item{Kind: decode.Packet, Data: c.in[0]}
	c.in = c.in[1:]
	return 1, nil
}

// BenchmarkPlay sends at top speed to a peer that costs nothing.
func BenchmarkPlay(b *testing.B) {
	for name, preload := range map[string]int64{"Memory": 1 << 30, "Read": -1} {
		b.Run(name, func(b *testing.B) {
			var r recording
			for i := range 10000 {
				r.add(i, decode.ClientToServer, echo(8, phone, server, i, "ping"))
			}
			p, err := replay.Compile(r, replay.Options{Preload: preload, Pace: replay.Pace{Top: true, Limit: int64(b.N), Loops: -1}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			if _, err := replay.Play(b.Context(), p, &canned{closed: make(chan struct{})}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
