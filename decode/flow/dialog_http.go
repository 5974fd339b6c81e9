package flow

import (
	"bytes"

	"tundump/decode/packet"
)

const (
	// maxHead bounds what stands before the body of an HTTP message.
	maxHead = 64 << 10
	// keptBody is what is kept of a body, to tell an image by.
	keptBody = 16
	// maxPending bounds the requests that wait for a response.
	maxPending = 16
)

// exchange is the requests of an HTTP connection that wait for their
// response, oldest first.
type exchange struct {
	pending [maxPending]request
	count   int
	asker   uint8   // the side that sent them
	answers request // to what the response that is being read is the answer
}

type request struct {
	number  int64
	time    int64
	head    bool
	connect bool
}

// httpBytes reads bytes of an HTTP/1 stream.
func (r *reading) httpBytes(b []byte) {
	s := r.s
	for len(b) > 0 && !r.d.over {
		switch s.phase {
		case inBody:
			n := min(s.left, int64(len(b)))
			s.left -= n
			b = b[n:]
			if s.left == 0 {
				r.message(r.kept())
			}
		case inChunks:
			n, done, ok := s.chunks.Take(b)
			s.size += int64(n)
			b = b[n:]
			if done || !ok {
				r.message(r.kept())
			}
		case untilClose:
			s.size += int64(len(b))
			return
		case inHead:
			b = r.head(b)
		default:
			b = r.firstBytes(b)
		}
	}
}

// firstBytes reads a message that begins with b and returns what follows it.
func (r *reading) firstBytes(b []byte) []byte {
	s := r.s
	m, ok := packet.HTTPHead(b)
	switch {
	case ok:
		return r.body(&m, b, b[:m.Len], b[m.Len:])
	case m.Line == nil && !packet.MayBeHTTP(b):
		r.lost(b)
		return nil
	}
	r.t.give(s)
	if !r.t.keep(&s.buf, b) {
		r.lost(b)
		return nil
	}
	s.phase = inHead
	return nil
}

// head goes on with the head of a message and returns what follows it.
func (r *reading) head(b []byte) []byte {
	s := r.s
	old := len(s.buf)
	if !r.t.keep(&s.buf, b[:min(len(b), maxHead)]) || old > maxHead {
		r.lost(b)
		return nil
	}
	fresh := s.buf[max(0, old-3):]
	if !bytes.Contains(fresh, []byte("\n\r\n")) && !bytes.Contains(fresh, []byte("\n\n")) {
		return nil
	}
	m, ok := packet.HTTPHead(s.buf)
	if !ok {
		if m.Line == nil {
			r.lost(b)
		}
		return nil
	}
	s.buf = s.buf[:m.Len]
	return r.body(&m, nil, r.kept(), b[m.Len-old:])
}

// body finds out how long the body of m is, whose head is head, and which is
// followed by rest. whole is both if they are in one packet.
func (r *reading) body(m *packet.HTTPMessage, whole, head, rest []byte) []byte {
	s := r.s
	kind, size := m.Body(r.begins(m))
	s.size = int64(m.Len) + size
	switch kind {
	case packet.NoHTTPBody:
		r.message(head)
		return rest
	case packet.SizedBody:
		if n := s.size; whole != nil && n <= int64(len(whole)) {
			r.message(whole[:n])
			return whole[n:]
		}
		s.phase, s.left = inBody, size
	case packet.ChunkedBody:
		s.chunks = packet.HTTPChunks{}
		if whole != nil {
			chunks := s.chunks
			if n, done, _ := chunks.Take(rest); done {
				s.size += int64(n)
				r.message(whole[:m.Len+n])
				return rest[n:]
			}
		}
		s.phase = inChunks
	case packet.UntilClose:
		s.phase = untilClose
	}
	if whole != nil {
		r.t.give(s)
		if !r.t.keep(&s.buf, head) {
			s.cut = true
		}
	}
	r.t.keep(&s.buf, rest[:min(len(rest), keptBody)])
	return rest
}

// begins notes that the head of m was read. It reports whether m answers a
// HEAD request.
func (r *reading) begins(m *packet.HTTPMessage) (answersHead bool) {
	x := r.d.http
	if x == nil {
		x = new(exchange)
		r.d.http = x
	}
	if !m.Response {
		x.asker = r.a.Side
		if x.count < maxPending {
			x.pending[x.count] = request{head: string(m.Method) == "HEAD", connect: string(m.Method) == "CONNECT"}
			x.count++
		}
		return false
	}
	if m.Code/100 == 1 && m.Code != 101 || x.count == 0 {
		x.answers = request{}
		return false
	}
	x.answers = x.pending[0]
	x.count--
	copy(x.pending[:], x.pending[1:])
	return x.answers.head
}

// missed notes that responses may not have been captured: who does not send
// requests ahead asks again only when the last one was answered.
func (x *exchange) missed() {
	if x.count > 1 {
		x.pending[0], x.count = x.pending[x.count-1], 1
	}
}

// message reports a message that ends here.
func (r *reading) message(b []byte) {
	s, x := r.s, r.d.http
	u := packet.PDU{Len: s.size, Data: b}
	if s.cut && len(b) == 0 {
		u.Kind = packet.CutPDU
	}
	r.unit(u)
	s.reset()
	m, _ := packet.HTTPHead(b)
	switch {
	case x == nil:
	case !m.Response && x.count > 0 && x.pending[x.count-1].number == 0:
		x.pending[x.count-1].number, x.pending[x.count-1].time = r.p.Number, r.p.Time
	case m.Response:
		if x.answers.number != 0 {
			r.a.AnswerTo, r.a.Latency = x.answers.number, r.p.Time-x.answers.time
		}
		r.d.over = m.Code == 101 || x.answers.connect && m.Code/100 == 2
	}
}
