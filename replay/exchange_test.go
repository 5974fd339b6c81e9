package replay_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tundump/decode"
	"tundump/replay"
	"tundump/replay/devicetest"
)

func states(x replay.Exchanges) (all []replay.State) {
	for i := range x.Len() {
		all = append(all, x.State(i))
	}
	return all
}

// until waits until the exchanges stand so.
func until(t *testing.T, x replay.Exchanges, want ...replay.State) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !slices.Equal(states(x), want); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it stands %v, never %v", states(x), want)
		}
	}
}

func exchange(t *testing.T, x replay.Exchanges, i int) replay.Exchange {
	t.Helper()
	e, err := x.Read(i)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What is expected can be read while it is played, by several at once.
func TestExchanges(t *testing.T) {
	const (
		unasked, awaited, equal = replay.Unasked, replay.Awaited, replay.Equal
		different, surplus      = replay.Different, replay.Surplus
	)
	r := session()
	o := replay.Options{Pace: replay.Pace{Top: true, OneByOne: true, Loops: 2}, Wait: 50 * time.Millisecond}
	p := compile(t, r, o)
	x := p.Exchanges()
	if x.At() != -1 || x.Len() != 8 || x.State(7) != unasked || x.Differences() != nil {
		t.Errorf("before: at %d of %d, %v", x.At(), x.Len(), states(x))
	}
	e := exchange(t, x, 3)
	if e.Request != 7 || e.Answer != 8 || e.To != "10.8.0.1" || e.Then != 3*time.Millisecond || e.Now != -1 || e.Loop != 0 ||
		!strings.HasPrefix(e.Asked, "DNS Standard query 0x004d A example.org") || !strings.Contains(e.Recorded, "192.0.2.1") || e.Live != "" {
		t.Errorf("before: %+v", e)
	}
	if _, err := x.Read(8); err == nil {
		t.Error("what there is none of was read")
	}
	answer := recorded(t, r)
	go1 := make(chan struct{})
	a, b := devicetest.Pipe(1500)
	loops := 0
	world(t, b, func(pkt []byte) [][]byte {
		switch text := string(pkt[28:]); {
		case pkt[9] == 1 && pkt[27] == 1:
			<-go1
		case pkt[9] == 17 && pkt[23] == 53:
			if loops++; loops == 1 {
				return [][]byte{dns(ap(server, 53), ap(phone, 5000), 77, "example.org", 5, "192.0.2.9")}
			}
		case strings.HasSuffix(text, "ask1"):
			return nil
		case strings.HasSuffix(text, "ask2"):
			return append(answer(pkt), udp(ap(server, 123), ap(phone, 5002), 1, "say1"), udp(ap(server, 123), ap(phone, 5002), 1, "more"))
		}
		return answer(pkt)
	})
	var mu sync.Mutex
	tapped := int64(0)
	peer := &replay.DevicePeer{Device: a, Tap: func(_ bool, pkts [][]byte) int64 {
		mu.Lock()
		defer mu.Unlock()
		tapped += int64(len(pkts))
		return tapped - int64(len(pkts)) + 1
	}}
	type result struct {
		replay.Report
		error
	}
	done := make(chan result, 1)
	go func() {
		report, err := replay.Play(context.Background(), p, peer)
		done <- result{report, err}
	}()
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for i := range x.Len() {
					_, err := x.Read(i)
					if err != nil {
						t.Error(err)
					}
				}
				x.Differences()
			}
		})
	}
	p.Control.Step(1)
	until(t, x, equal, unasked, unasked, unasked, unasked, unasked, unasked, unasked)
	p.Control.Step(1)
	until(t, x, equal, awaited, unasked, unasked, unasked, unasked, unasked, unasked)
	if e := exchange(t, x, 0); e.Came != 2 || e.Now <= 0 || e.Then != 2*time.Millisecond {
		t.Errorf("that is number 2 of what passed: %+v", e)
	}
	if e := exchange(t, x, 1); e.Since <= 0 || e.Now != -1 || e.Came != 0 || e.Loop != 1 {
		t.Errorf("awaited: %+v", e)
	}
	if x.At() != 1 {
		t.Errorf("it is at %d", x.At())
	}
	close(go1)
	p.Control.Step(2) // the third echo, and the question
	until(t, x, equal, equal, equal, different, unasked, unasked, unasked, unasked)
	e = exchange(t, x, 3)
	want := replay.FieldDifference{Name: "dns.a", Recorded: "192.0.2.1,192.0.2.2", Live: "192.0.2.9"}
	if e.Difference == nil || len(e.Difference.Fields) != 1 || e.Difference.Fields[0] != want || e.Came == 0 || e.Difference.Came != e.Came || !strings.Contains(e.Live, "192.0.2.9") {
		t.Errorf("different: %+v", e)
	}
	p.Control.Step(5) // to the end of the first loop, and then the second waits
	// say1, which ask1 did not get, comes after ask2: it answers that.
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, loops := p.Control.Position(); loops == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the second loop never began")
		}
	}
	until(t, x, unasked, unasked, unasked, unasked, unasked, unasked, unasked, unasked, surplus)
	if e := exchange(t, x, 3); e.State != unasked || e.Difference == nil || e.Difference.Loop != 1 || e.Live != "" {
		t.Errorf("what was different in the first loop: %+v", e)
	}
	if e := exchange(t, x, 8); e.Live != "UDP 123 → 5002 Len=4" || e.Request != 14 || e.Loop != 1 || e.Came == 0 {
		t.Errorf("extra: %+v", e)
	}
	p.Control.Resume()
	got := <-done
	close(stop)
	readers.Wait()
	if got.error != nil || got.Extra != 2 || got.Changed != 1 || got.Total != 3 {
		t.Errorf("%+v", got)
	}
	until(t, x, equal, equal, equal, equal, equal, equal, equal, equal, surplus, surplus)
	if d := x.Differences(); len(d) != 3 || x.At() != 7 {
		t.Errorf("after: %+v at %d", d, x.At())
	}
}

// What never came is lost once it is not waited for any more.
func TestExchangesLost(t *testing.T) {
	r := session()
	o := top()
	o.Wait, o.Late = 20*time.Millisecond, -time.Hour // nothing is so early
	p := compile(t, r, o)
	x := p.Exchanges()
	answer := recorded(t, r)
	report := play(t, p, func(pkt []byte) [][]byte {
		if pkt[9] == 1 && pkt[27] == 1 {
			return nil
		}
		return answer(pkt)
	})
	if e := exchange(t, x, 1); report.Unanswered != 1 || e.State != replay.Lost || e.Difference == nil || e.Difference.Kind != replay.Unanswered || e.Live != "" || e.Now != -1 {
		t.Errorf("%+v", e)
	}
	if e := exchange(t, x, 0); e.State != replay.Belated {
		t.Errorf("%+v", e)
	}
}

// dialler answers each connection as told.
type dialler struct {
	*replay.DevicePeer
	t   *testing.T
	say map[string]string // by what the client says
}

func (d *dialler) DialFlow(context.Context, *replay.Dialogue) (net.Conn, error) {
	near, far := net.Pipe()
	go func() { // ends with the connection
		defer far.Close()
		buf := make([]byte, 64)
		n, err := far.Read(buf)
		if err != nil {
			d.t.Error(err)
		}
		if _, err := io.WriteString(far, d.say[string(buf[:n])]); err != nil {
			d.t.Error(err)
		}
	}()
	return near, nil
}

// Connections stand among the answers, at their time.
func TestExchangesConnections(t *testing.T) {
	var r recording
	r.add(0, decode.ClientToServer, echo(8, phone, server, 0, "ping"))
	r.add(1, decode.ServerToClient, echo(0, server, phone, 0, "ping"))
	r.connection(10, 5000, "GET /a", "this is a")
	r.connection(20, 5001, "GET /b", "this is b")
	r.add(40, decode.ClientToServer, echo(8, phone, server, 1, "ping"))
	r.add(41, decode.ServerToClient, echo(0, server, phone, 1, "ping"))
	o := top()
	o.Messages, o.Flows = true, true
	p := compile(t, r, o)
	x := p.Exchanges()
	if x.Len() != 4 {
		t.Fatalf("%d", x.Len())
	}
	a, b := devicetest.Pipe(1500)
	world(t, b, recorded(t, r[:2]))
	report, err := replay.Play(t.Context(), p, &dialler{&replay.DevicePeer{Device: a}, t, map[string]string{"GET /a": "this is a", "GET /b": "this is another"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := states(x); !slices.Equal(got, []replay.State{replay.Equal, replay.Equal, replay.Different, replay.Lost}) {
		t.Errorf("%v, %+v", got, report)
	}
	e := exchange(t, x, 2)
	if !e.Connection || e.Request != 9 || e.Asked != "10.8.0.2:5001 > 10.8.0.1:80 TCP" || e.Recorded != "6 bytes up, 9 down" || e.Live != "6 bytes up, 15 down" || e.Difference == nil || e.Then != 5*time.Millisecond || e.Now <= 0 {
		t.Errorf("%+v", e)
	}
	if e := exchange(t, x, 3); e.Request != 15 || e.Answer != 16 {
		t.Errorf("the last echo: %+v", e)
	}
}

// A recorded server says what it was asked.
func TestExchangesServed(t *testing.T) {
	var rec recording
	rec.add(0, decode.ClientToServer, udp(ap(phone, 6000), ap(server, 9), 1, "first"))
	rec.add(1, decode.ServerToClient, udp(ap(server, 9), ap(phone, 6000), 1, "one"))
	rec.add(2, decode.ClientToServer, udp(ap(phone, 6000), ap(server, 9), 1, "second"))
	rec.add(3, decode.ServerToClient, udp(ap(server, 9), ap(phone, 6000), 1, "two"))
	rec.add(4, decode.ClientToServer, echo(8, phone, server, 1, "x"))
	rec.connection(10, 5000, "GET /a\r\n\r\n", "this is a")
	r := responder(t, rec)
	x := r.Exchanges()
	if got := states(x); !slices.Equal(got, []replay.State{replay.Unasked, replay.Unasked, replay.Unasked, replay.Unasked}) || x.At() != -1 {
		t.Fatalf("%v", got)
	}
	answer(t, r, udp(ap(phone, 1), ap(server, 9), 1, "second"))
	answer(t, r, udp(ap(phone, 1), ap(server, 9), 1, "third"))
	if _, _, err := r.Answer(nil, udp(ap(phone, 1), ap(server, 10), 1, "?")); err != nil {
		t.Fatal(err)
	}
	conn, err := r.DialStream(t.Context(), ap(server, 80).String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /b\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	r.Wait()
	if got := states(x); !slices.Equal(got, []replay.State{replay.Different, replay.Equal, replay.Unasked, replay.Different, replay.Surplus}) {
		t.Errorf("%v", got)
	}
	if e := exchange(t, x, 0); e.Difference == nil || e.Difference.Fields[0].Name != "udp.payload" || e.Request != 1 || e.Answer != 2 || e.Recorded != "UDP 9 → 6000 Len=3" {
		t.Errorf("%+v", e)
	}
	if e := exchange(t, x, 3); !e.Connection || e.Difference == nil || e.Live != "10 bytes up, 9 down" {
		t.Errorf("%+v", e)
	}
	if e := exchange(t, x, 4); !e.Asks || !strings.Contains(e.Live, "→ 10") {
		t.Errorf("%+v", e)
	}
	if d := x.Differences(); len(d) != 3 {
		t.Errorf("%+v", d)
	}
}

// An error that quotes the first part of a datagram answers the datagram.
func TestQuotedFragment(t *testing.T) {
	whole := udp(ap(phone, 5000), ap(server, 9), 77, strings.Repeat("0123456789", 200))
	part := func(from, to int) []byte {
		p := append(append([]byte(nil), whole[:20]...), whole[20+from:20+to]...)
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		field := uint16(from / 8)
		if 20+to < len(whole) {
			field |= 0x2000
		}
		binary.BigEndian.PutUint16(p[6:], field)
		p[10], p[11] = 0, 0
		binary.BigEndian.PutUint16(p[10:], checksum(p[:20]))
		return p
	}
	refused := func(pkt []byte) []byte { // port unreachable
		b := append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, pkt[:28]...)
		binary.BigEndian.PutUint16(b[2:], checksum(b))
		return ip4(1, server, phone, 1, b)
	}
	var r recording
	first, second := part(0, 1400), part(1400, 2008)
	r.add(0, decode.ClientToServer, first)
	r.add(0, decode.ClientToServer, second)
	r.add(1, decode.ServerToClient, refused(first))
	p := compile(t, r, top())
	if len(p.Expected) != 1 {
		t.Fatalf("%d answers are expected", len(p.Expected))
	}
	report := play(t, p, func(pkt []byte) [][]byte {
		if pkt[6]&0x1f == 0 && pkt[7] == 0 {
			return [][]byte{refused(pkt)}
		}
		return nil
	})
	if !report.Same() || report.Answered != 1 {
		t.Errorf("%+v", report)
	}
}
