package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"tundump/decode"
	"tundump/decode/packet"
)

// FlowDialer is a Peer that opens recorded connections again.
type FlowDialer interface {
	// DialFlow connects to where d went, inside the tunnel that stands for
	// its own.
	DialFlow(ctx context.Context, d *Dialogue) (net.Conn, error)
}

// maxAtOnce is how many connections are open at a time.
const maxAtOnce = 256

// flowPlayer opens the connections of a plan again.
type flowPlayer struct {
	plan   *Plan
	dialer FlowDialer
	match  *matcher // its lock guards the report
	ended  []chan struct{}
	order  []int // of dialogues by their end, from the first on that was not waited for
}

// playFlows begins to play the dialogues of a plan, and returns what waits for
// their end.
func playFlows(ctx context.Context, p *Plan, peer Peer, m *matcher) (wait func()) {
	dialer, ok := peer.(FlowDialer)
	if !ok || len(p.Dialogues) == 0 {
		return func() {}
	}
	f := &flowPlayer{plan: p, dialer: dialer, match: m, ended: make([]chan struct{}, len(p.Dialogues))}
	for i := range f.ended {
		f.ended[i] = make(chan struct{})
	}
	var wg sync.WaitGroup
	wg.Go(func() { // ends with the last dialogue, or ctx
		begin := time.Now()
		slots := make(chan struct{}, maxAtOnce)
		f.order = make([]int, len(p.Dialogues))
		for i := range f.order {
			f.order[i] = i
		}
		slices.SortFunc(f.order, func(a, b int) int { return cmp.Compare(p.Dialogues[a].End, p.Dialogues[b].End) })
		for i := range p.Dialogues {
			if !f.due(ctx, i, begin) {
				return
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				defer func() { close(f.ended[i]); <-slots }()
				f.play(ctx, i, begin)
			})
		}
	})
	return wg.Wait
}

// due waits until dialogue i is to begin: at its time, or after those that had
// ended before it began.
func (f *flowPlayer) due(ctx context.Context, i int, begin time.Time) bool {
	d := f.plan.Dialogues[i]
	if f.plan.opt.Pace.Answer {
		for len(f.order) > 0 && f.plan.Dialogues[f.order[0]].End <= d.Begin {
			j := f.order[0]
			f.order = f.order[1:]
			if j >= i {
				continue // it has not begun
			}
			select {
			case <-f.ended[j]:
			case <-ctx.Done():
				return false
			}
		}
		return true
	}
	return f.until(ctx, d.Begin, begin)
}

// until waits for a time of the recording.
func (f *flowPlayer) until(ctx context.Context, at time.Duration, begin time.Time) bool {
	p := &f.plan.opt.Pace
	if p.Top || p.Answer || p.PPS > 0 || p.Mbps > 0 {
		return ctx.Err() == nil
	}
	if p.Multiplier > 0 {
		at = time.Duration(float64(at) / p.Multiplier)
	}
	t := time.NewTimer(time.Until(begin.Add(at)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// play plays dialogue i and reports what came of it.
func (f *flowPlayer) play(ctx context.Context, i int, begin time.Time) {
	d := f.plan.Dialogues[i]
	m := f.match
	m.mu.Lock()
	m.talks[i].begun = time.Now()
	m.mu.Unlock()
	m.begun.Add(1)
	t := &talk{flowPlayer: f, number: i, dialogue: d, want: d.Payload[decode.ServerToClient], got: make(chan struct{}, 1)}
	conn, err := f.dialer.DialFlow(ctx, d)
	if err == nil {
		t.hold(ctx, conn, begin)
	}
	if ctx.Err() != nil {
		return // interrupted: nothing that failed now says anything
	}
	t.report(err)
}

// talk is a dialogue that takes place.
type talk struct {
	*flowPlayer
	number   int // of the dialogue
	dialogue *Dialogue
	want     []byte
	got      chan struct{} // something came

	mu      sync.Mutex
	sent    int64
	have    int64
	differs int64 // where what came differs, from 1; 0: nowhere
	live    []byte
	last    []byte // the last few bytes, at the server's side
	err     error  // what ended reading
	failed  error  // what ended writing
}

// hold takes the client's turns, and listens all the while.
func (t *talk) hold(ctx context.Context, conn net.Conn, begin time.Time) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	done := make(chan struct{})
	go func() { defer close(done); t.listen(conn) }() // ends with conn
	var awaited, said int64
	for _, turn := range t.dialogue.Turns {
		ok := true
		switch {
		case turn.Dir == decode.ServerToClient && turn.Fin:
			ok = t.wait(ctx, func() bool { return t.err != nil || t.have > int64(len(t.want)) })
		case turn.Dir == decode.ServerToClient:
			awaited += int64(turn.Len)
			ok = t.wait(ctx, func() bool { return t.have >= awaited || t.err != nil })
		case turn.Fin:
			ok = t.until(ctx, turn.At, begin)
			half, can := conn.(interface{ CloseWrite() error })
			if can && ok {
				_ = half.CloseWrite() // what comes of it is compared
			}
			ok = ok && can // else it ends both ways
		default:
			if ok = t.until(ctx, turn.At, begin); ok {
				ok = t.write(conn, t.dialogue.Payload[decode.ClientToServer][said:said+int64(turn.Len)])
				said += int64(turn.Len)
			}
		}
		if !ok {
			break
		}
	}
	conn.Close()
	<-done
}

// write says b; nobody may keep it from going on for longer than the wait.
func (t *talk) write(conn net.Conn, b []byte) bool {
	for len(b) > 0 {
		_ = conn.SetWriteDeadline(time.Now().Add(t.patience()))
		n, err := conn.Write(b)
		b = b[n:]
		t.mu.Lock()
		t.sent += int64(n)
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			t.failed = err
			t.mu.Unlock()
			return false
		}
		t.mu.Unlock()
	}
	return true
}

func (t *talk) patience() time.Duration { return max(t.plan.opt.Wait, time.Second) }

// wait waits until what came is enough, or nothing has come for too long.
func (t *talk) wait(ctx context.Context, enough func() bool) bool {
	timer := time.NewTimer(t.patience())
	defer timer.Stop()
	for {
		t.mu.Lock()
		ok := enough()
		t.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-t.got:
			timer.Reset(t.patience())
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// listen compares what comes until the end.
func (t *talk) listen(conn net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		t.mu.Lock()
		t.compare(buf[:n])
		t.err = err
		t.mu.Unlock()
		select {
		case t.got <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// compare holds b against what was recorded.
func (t *talk) compare(b []byte) {
	at := t.have
	t.have += int64(len(b))
	if t.differs != 0 {
		t.live = append(t.live, b[:min(len(b), max(0, 2*excerptLen-len(t.live)))]...)
		return
	}
	rest := t.want[min(at, int64(len(t.want))):]
	for i := range b {
		if i >= len(rest) || b[i] != rest[i] {
			t.differs = at + int64(i) + 1
			t.live = append(t.live, b[i:min(len(b), i+2*excerptLen)]...)
			return
		}
	}
}

// report says what came of it.
func (t *talk) report(dial error) {
	d := t.dialogue
	diff := Difference{Kind: Changed, Request: d.Number, Message: d.Message, Loop: t.match.loop, Recorded: d.line, Live: d.line}
	name := payloadNames[decode.ServerToClient]
	rules := &t.plan.opt.Rules
	switch {
	case dial != nil && !d.Connected:
		// It could not be opened then either.
	case dial != nil:
		diff.Kind, diff.Live = Unanswered, safeText("not opened: "+dial.Error())
	case !d.Connected && t.have == 0 && t.err != nil && !errors.Is(t.err, io.EOF):
	case rules.ignores(name):
	default:
		diff.Fields = t.fields(name, t.why())
	}
	m := t.match
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.report
	r.Flows++
	r.FlowBytes[0] += t.sent
	r.FlowBytes[1] += t.have
	kept := &m.talks[t.number]
	kept.over, kept.took, kept.bytes = true, time.Since(kept.begun), [2]int64{t.sent, t.have}
	switch {
	case len(diff.Fields) > 0 || diff.Kind == Unanswered:
		kept.kind, kept.difference = diff.Kind, r.add(diff)
	default:
		r.FlowsSame++
	}
}

// fields says where what came differs from what was recorded; end is what came
// instead of more.
func (t *talk) fields(name, end string) []FieldDifference {
	recorded := fmt.Sprintf("%d bytes", len(t.want))
	switch {
	case t.differs != 0:
		at := t.differs - 1
		rest := t.want[min(at, int64(len(t.want))):]
		return []FieldDifference{{
			fmt.Sprintf("%s at %d", name, at),
			fmt.Sprintf("%s: %s", recorded, excerpt(rest, t.live)), fmt.Sprintf("%d bytes: %s", t.have, excerpt(t.live, rest)),
		}}
	case t.have < int64(len(t.want)):
		return []FieldDifference{{fmt.Sprintf("%s at %d", name, t.have), recorded, fmt.Sprintf("%d bytes, and then %s", t.have, end)}}
	}
	return nil
}

// why says what came instead of more bytes.
func (t *talk) why() string {
	switch {
	case t.failed != nil:
		return safeText(t.failed.Error())
	case t.err == nil || errors.Is(t.err, net.ErrClosed):
		return fmt.Sprintf("nothing for %s", t.patience())
	case errors.Is(t.err, io.EOF):
		return "the end"
	}
	return safeText(t.err.Error())
}

func safeText(s string) string { return string(packet.AppendSafe(nil, s)) }
