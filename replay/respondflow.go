package replay

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"tundump/decode"
)

// quiet is how long a client that says something else than the recorded one
// says nothing before it counts as waiting for an answer.
const quiet = 200 * time.Millisecond

// HasStream reports whether the recording has a connection to an address.
func (r *Responder) HasStream(address string) bool {
	list, _ := r.lookup(address)
	return len(list) > 0
}

func (r *Responder) lookup(address string) ([]*recordedStream, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	return r.streams[streamKey(host, uint16(port))], nil
}

// DialStream returns a connection at whose other end is what was recorded for
// that address. The error is ECONNREFUSED if the recorded one was not accepted
// or there is none.
func (r *Responder) DialStream(ctx context.Context, address string) (net.Conn, error) {
	list, err := r.lookup(address)
	if err != nil {
		return nil, err
	}
	accepted := false
	for _, s := range list {
		accepted = accepted || s.dialogue.Connected
	}
	if !accepted {
		return nil, fmt.Errorf("replay: %s: %w", address, syscall.ECONNREFUSED)
	}
	near, far := duplex()
	r.talking.Go(func() { // ends when the client's end is closed
		defer far.Close()
		r.converse(far, list)
	})
	return near, nil
}

// half is one end of a connection in memory, whose directions end one by one.
type half struct {
	net.Conn // what is read; deadlines are those of reading
	out      net.Conn
}

func duplex() (a, b *half) {
	r1, w1 := net.Pipe()
	r2, w2 := net.Pipe()
	return &half{r1, w2}, &half{r2, w1}
}

func (h *half) Write(b []byte) (int, error) { return h.out.Write(b) }
func (h *half) CloseWrite() error           { return h.out.Close() }
func (h *half) Close() error {
	h.out.Close()
	return h.Conn.Close()
}
func (h *half) SetWriteDeadline(t time.Time) error { return h.out.SetWriteDeadline(t) }

// hearing is a dialogue at the server's side.
type hearing struct {
	talk
	r      *Responder
	first  []byte        // what the client said, until the dialogue is known
	chosen chan struct{} // closed when it is
	moved  chan struct{}
}

// converse plays the server's side.
func (r *Responder) converse(conn *half, list []*recordedStream) {
	h := &hearing{r: r, moved: make(chan struct{}, 1), chosen: make(chan struct{})}
	done := make(chan struct{})
	go func() { defer close(done); h.listen(conn) }() // ends with conn
	s := h.pick(list)
	close(h.chosen)
	if s != nil {
		h.speak(conn, s.dialogue)
	}
	_ = conn.CloseWrite()
	h.await(func() bool { return h.err != nil }, time.Second) // so that nothing is reset that is on its way
	conn.Close()
	<-done
	if s != nil {
		h.conclude(s)
	}
}

// listen takes what the client says until its end.
func (h *hearing) listen(conn net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		h.mu.Lock()
		if h.dialogue == nil {
			h.first = append(h.first, buf[:n]...)
			h.have += int64(n)
		} else {
			h.compare(buf[:n])
		}
		h.tail(buf[:n])
		h.err = err
		full := h.dialogue == nil && len(h.first) >= maxFirst
		h.mu.Unlock()
		select {
		case h.moved <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
		if full {
			<-h.chosen // the first bytes are enough to choose by
		}
	}
}

// maxFirst is how much is kept of what a client says before it is known what it
// wants.
const maxFirst = 256 << 10

const tailLen = 4

// tail keeps the last bytes in live's place until something differs.
func (h *hearing) tail(b []byte) {
	h.last = append(h.last, b[max(0, len(b)-tailLen):]...)
	h.last = append(h.last[:0], h.last[max(0, len(h.last)-tailLen):]...)
}

// await waits for something, at most for so long; 0 is for ever.
func (h *hearing) await(enough func() bool, patience time.Duration) bool {
	var expired <-chan time.Time
	if patience > 0 {
		t := time.NewTimer(patience)
		defer t.Stop()
		expired = t.C
	}
	for {
		h.mu.Lock()
		ok := enough()
		h.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-h.moved:
		case <-expired:
			return false
		}
	}
}

// pick chooses the recorded connection that this one is: one whose beginning is
// what the client says, or, once it says nothing more, the one that it agrees
// with longest; rather one that was not used. It is nil if the client says
// nothing at all.
func (h *hearing) pick(list []*recordedStream) *recordedStream {
	var s *recordedStream
	find := func(last bool) bool {
		if s == nil {
			s = h.find(list, last || h.err != nil)
		}
		return s != nil
	}
	if !h.await(func() bool { return find(false) || len(h.first) > 0 }, 0) {
		return nil
	}
	if !h.await(func() bool { return find(false) }, quiet) {
		h.mu.Lock()
		find(true)
		h.mu.Unlock()
	}
	if s == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.want, h.have = s.dialogue.Payload[decode.ClientToServer], 0
	h.compare(h.first)
	h.first, h.dialogue = nil, s.dialogue
	return s
}

// find returns the one of list that begins as the client did; at last, the one
// that begins most like it.
func (h *hearing) find(list []*recordedStream, last bool) (found *recordedStream) {
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	agreed := -1
	for _, used := range [...]bool{false, true} {
		for _, s := range list {
			d := s.dialogue
			if s.used != used || !d.Connected {
				continue
			}
			n, opening := common(h.first, d.Payload[decode.ClientToServer]), d.opening()
			if n >= opening {
				s.use()
				return s
			}
			if n > agreed {
				found, agreed = s, n
			}
		}
	}
	if !last || found == nil {
		return nil
	}
	found.use()
	return found
}

// use notes that a client has opened it; of several the last counts.
func (s *recordedStream) use() { s.used, s.begun, s.over = true, time.Now(), false }

// opening is how much the client says before the server says anything.
func (d *Dialogue) opening() int {
	if len(d.Turns) == 0 || d.Turns[0].Dir == decode.ServerToClient {
		return 0
	}
	return d.Turns[0].Len
}

func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// speak answers the client's turns with the server's.
func (h *hearing) speak(conn *half, d *Dialogue) {
	var awaited, moved, from, said int64 // moved: how much longer the client's turns are than the recorded
	for _, turn := range d.Turns {
		switch {
		case turn.Dir == decode.ServerToClient && turn.Fin:
			_ = conn.CloseWrite()
		case turn.Dir == decode.ServerToClient:
			n, err := conn.Write(d.Payload[decode.ServerToClient][said : said+int64(turn.Len)])
			h.mu.Lock()
			h.sent += int64(n)
			h.mu.Unlock()
			if said += int64(turn.Len); err != nil {
				return // the client has gone
			}
		case turn.Fin:
			h.await(func() bool { return h.err != nil }, time.Second)
		default:
			awaited += int64(turn.Len)
			end := d.Payload[decode.ClientToServer][max(0, awaited-tailLen):awaited]
			whole := func() bool {
				return h.err != nil || h.have >= awaited+moved || h.have > from && h.differs != 0 && bytes.HasSuffix(h.last, end)
			}
			if !h.await(func() bool { return whole() || h.have > from && h.differs != 0 }, 0) {
				return
			}
			h.await(whole, quiet)
			h.mu.Lock()
			if from = h.have; h.differs != 0 {
				moved = h.have - awaited
			}
			over := h.err != nil && h.have == 0
			h.mu.Unlock()
			if over {
				return
			}
		}
	}
}

// conclude reports how the client's side was.
func (h *hearing) conclude(s *recordedStream) {
	r, d := h.r, s.dialogue
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := &r.report
	rep.Flows++
	rep.FlowBytes[0] += h.have
	rep.FlowBytes[1] += h.sent
	s.over, s.took, s.bytes = true, time.Since(s.begun), [2]int64{h.have, h.sent}
	fields := h.fields(payloadNames[decode.ClientToServer], "the end")
	if len(fields) == 0 || r.plan.opt.Rules.ignores(payloadNames[decode.ClientToServer]) {
		rep.FlowsSame++
		return
	}
	s.difference = &Difference{Kind: Changed, Request: d.Number, Message: d.Message, Loop: 1, Recorded: d.line, Live: d.line, Fields: fields}
	rep.add(*s.difference)
}
