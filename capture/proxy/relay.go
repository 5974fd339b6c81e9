package proxy

import (
	"tundump/capture"
	"tundump/capture/intercept"
	"tundump/decode"
	"tundump/decode/frame"
)

// relay deals with the pending bytes: it cuts them, asks the interceptors,
// tells the tap, and passes on whatever need not wait. The error is that of
// the connection to the receiver.
func (p *pipe) relay(mode frame.Mode) error {
	if p.b == nil {
		p.adopt(capture.NewBatch())
	}
	p.look()
	if p.whole && mode == frame.More {
		mode = frame.Flush
	}
	for {
		p.insertQueued()
		span, ok := p.scan.Next(p.buf[p.head:p.end], mode)
		if !ok {
			break
		}
		if err := p.dispose(span); err != nil {
			return err
		}
		if len(p.b.Events) >= maxEvents && p.head < p.end {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	if !p.whole || p.sent > p.head { // the rest of what is on its way goes on
		p.out.pass(p.buf, p.sent, p.end)
		p.sent = p.end
	}
	if err := p.flush(); err != nil {
		return err
	}
	p.measure()
	return nil
}

// look finds out whether an interceptor wants this direction.
func (p *pipe) look() {
	p.chain = p.t.proxy.chain.Load()
	p.whole = p.chain != nil && !p.dead && p.chain.Wants(p.t.id, p.dir)
	if p.whole && !p.t.wanted.Load() {
		p.t.wanted.Store(true)
	}
}

// dispose does with the span at head what is to be done with it.
func (p *pipe) dispose(span frame.Span) error {
	var v intercept.Verdict
	var how decode.Flags
	switch {
	case p.sent > p.head: // on its way already
	case p.dead:
		v.Action = intercept.Drop
	case p.whole && span.Kind == frame.Record:
		var err error
		if v, how, err = p.judge(span.Len); err != nil {
			return err
		}
	}
	from, to := p.ends()
	p.insert(v.Before, 0)
	switch v.Action {
	case intercept.Drop:
		p.tell(span, how|from|decode.Dropped)
	case intercept.Replace:
		p.tell(span, how|from|decode.Dropped|decode.Edited)
		p.insert([][]byte{v.Raw}, how|decode.Edited)
	default:
		sides := decode.OnClientSide
		if p.t.wanted.Load() {
			sides |= from | to
		}
		p.tell(span, how|sides)
		p.out.pass(p.buf, p.sent, p.head+span.Len)
	}
	p.advance(span)
	p.insert(v.After, 0)
	return nil
}

// advance moves head behind the span.
func (p *pipe) advance(span frame.Span) {
	p.offset += int64(span.Len)
	p.head += span.Len
	p.sent = max(p.sent, p.head)
	if framed := span.Kind == frame.Record; framed != p.queue.framed.Load() {
		p.queue.framed.Store(framed)
	}
}

// ends returns on which sides the sender and the receiver are.
func (p *pipe) ends() (from, to decode.Flags) {
	if p.dir == decode.ClientToServer {
		return decode.OnClientSide, decode.OnServerSide
	}
	return decode.OnServerSide, decode.OnClientSide
}

// tell adds the event of the span at head to the batch.
func (p *pipe) tell(span frame.Span, flags decode.Flags) {
	if p.tap == nil {
		return
	}
	raw := p.buf[p.head : p.head+span.Len : p.head+span.Len]
	ev := decode.Event{
		Kind: decode.Record, Dir: p.dir, Flags: flags, Tunnel: p.t.id,
		Time: p.read.UnixNano(), Offset: p.offset, Raw: raw,
	}
	switch span.Kind {
	case frame.Cutoff:
		ev.Kind = decode.Unframed
		ev.Flags |= decode.Partial
	case frame.Unframed:
		ev.Kind = decode.Unframed
		if span.Lost {
			ev.Detail = &decode.Detail{Reason: span.Reason(raw)}
		}
	}
	p.b.Events = append(p.b.Events, ev)
}

// insert sends what the sender never sent, at head. flags has Edited for what
// stands in another record's place.
func (p *pipe) insert(recs [][]byte, flags decode.Flags) {
	_, to := p.ends()
	for _, rec := range recs {
		if len(rec) == 0 {
			continue
		}
		p.out.add(p.buf, rec)
		if p.tap == nil {
			continue
		}
		kind := decode.Record
		if n, err := frame.Cut(rec, frame.MaxDecode); err != nil || n != len(rec) {
			kind = decode.Unframed
		}
		p.b.Events = append(p.b.Events, decode.Event{
			Kind: kind, Dir: p.dir, Flags: flags | to | decode.Injected, Tunnel: p.t.id,
			Time: p.t.proxy.cfg.Now().UnixNano(), Offset: p.offset, Raw: rec,
		})
	}
}

// flush offers the batch, so that the capture has a question before it can
// have the answer, and then sends what is to be sent. What is pending moves to
// the front of a buffer that nobody else refers to.
func (p *pipe) flush() error {
	offered := len(p.b.Events) > 0
	if offered {
		p.tap.Offer(p.b)
	}
	var err error
	if !p.dead {
		err = p.write(p.out.bytes(p.buf))
	}
	p.out.reset()

	pending := p.end - p.head
	switch {
	case pending == 0:
		p.b.Release()
		p.b, p.buf = nil, nil
	case offered:
		b := capture.NewBatch()
		buf := b.Grow(pending + room)
		copy(buf, p.buf[p.head:p.end])
		p.b.Release()
		p.b, p.buf = b, buf
	default:
		copy(p.buf, p.buf[p.head:p.end])
	}
	p.head, p.sent, p.end = 0, p.sent-p.head, pending
	return err
}

// write sends b, however long that takes.
func (p *pipe) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if p.dst.raw == nil {
		_, err := p.dst.conn.Write(b)
		return err
	}
	p.rest, p.err = b, nil
	err := p.dst.raw.Write(p.onWritable)
	p.rest = nil
	if err == nil {
		err = p.err
	}
	p.tellBlocked()
	return err
}

// output is what a pipe is about to send: a run of its buffer as long as
// nothing is left out or put in, else a copy.
type output struct {
	lo, hi int
	all    *capture.Batch // nil until there is a copy
	buf    []byte         // begins in all's buffer
}

// pass adds buf[lo:hi].
func (o *output) pass(buf []byte, lo, hi int) {
	switch {
	case lo >= hi:
	case o.all != nil:
		o.buf = append(o.buf, buf[lo:hi]...)
	case o.lo == o.hi:
		o.lo, o.hi = lo, hi
	case o.hi == lo:
		o.hi = hi
	default:
		o.add(buf, buf[lo:hi])
	}
}

// add adds b; buf is what the run is of.
func (o *output) add(buf, b []byte) {
	if o.all == nil {
		o.all = capture.NewBatch()
		o.buf = append(o.all.Grow(1)[:0], buf[o.lo:o.hi]...)
	}
	o.buf = append(o.buf, b...)
}

func (o *output) bytes(buf []byte) []byte {
	if o.all != nil {
		return o.buf
	}
	return buf[o.lo:o.hi]
}

func (o *output) reset() {
	if o.all != nil {
		o.all.Release()
	}
	*o = output{}
}
