package flow

import "tundump/decode/packet"

// maxMessages bounds a handshake message that is put together out of several
// records.
const maxMessages = 1 << 17

// tls reads bytes of a TLS stream, which go on where the last ones ended.
func (r *reading) tls(b []byte) {
	s := r.s
	for len(b) > 0 {
		switch s.phase {
		case inBody:
			n := min(s.left, int64(len(b)))
			s.left -= n
			b = b[n:]
			if s.left == 0 {
				r.record(s.header[:headerLen])
			}
		case inKept:
			n := min(s.left, int64(len(b)))
			if !r.t.keep(&s.buf, b[:n]) {
				s.phase, s.cut = inBody, true
				copy(s.header[:], s.buf)
				continue
			}
			s.left -= n
			b = b[n:]
			if s.left == 0 {
				r.record(r.kept())
			}
		case inHead:
			n := copy(s.header[s.have:], b)
			s.have += uint8(n)
			b = b[n:]
			switch {
			case s.have < headerLen && packet.MayBeTLS(s.header[:s.have]):
				return
			case s.have < headerLen || !packet.MayBeTLS(s.header[:]):
				r.lost(b)
				return
			}
			r.begin(s.header[:])
		default:
			n := r.boundary(b)
			if n == 0 {
				return
			}
			b = b[n:]
		}
	}
}

// boundary reads a record that begins with b and returns how many bytes of b
// belong to it; 0 if nothing can be made of them.
func (r *reading) boundary(b []byte) int {
	s := r.s
	if len(b) < headerLen && packet.MayBeTLS(b) {
		s.phase = inHead
		s.have = uint8(copy(s.header[:], b))
		return len(b)
	}
	rec, ok := packet.TLSRecordAt(b)
	if !ok {
		r.lost(b)
		return 0
	}
	if n := rec.Size(); n <= len(b) {
		r.record(b[:n])
		return n
	}
	r.begin(b)
	return len(b)
}

// begin notes a record of which b is there and more is to come.
func (r *reading) begin(b []byte) {
	s := r.s
	rec, _ := packet.TLSRecordAt(b)
	s.left = int64(rec.Size() - len(b))
	s.have = uint8(copy(s.header[:], b))
	s.phase = inBody
	if rec.Type == packet.TLSApplicationData || rec.Type == packet.TLSHeartbeat {
		return
	}
	if r.t.keep(&s.buf, b) {
		s.phase = inKept
	} else {
		s.cut = true
	}
	if s.left == 0 {
		r.record(r.kept())
	}
}

// record reports a record: b is all of it, or its header if its body is not
// kept.
func (r *reading) record(b []byte) {
	s := r.s
	if s.phase == inBody { // the header is used again
		b = r.arena.copy(b)
	}
	rec, _ := packet.TLSRecordAt(b)
	u := packet.PDU{Len: int64(rec.Size()), Data: b}
	if s.cut {
		u.Kind = packet.CutPDU
	} else {
		switch rec.Type {
		case packet.TLSHandshake:
			u.Clear = r.handshake(rec.Body)
		case packet.TLSAlert:
			if rec.Len == 2 {
				u.Clear = rec.Body
			}
		case packet.TLSChangeCipherSpec:
			s.encrypted = true
		}
	}
	r.d.session = rec.SessionVersion(r.d.session, u.Clear)
	if rec.Type == packet.TLSHandshake {
		r.learnName(u.Clear)
	}
	r.unit(u)
	r.t.give(s)
	s.reset()
}

// handshake returns the messages in the clear that end in a record's body.
func (r *reading) handshake(body []byte) []byte {
	s := r.s
	if n, need, ok := packet.WholeTLSMessages(body); s.encrypted {
		if ok && need == 0 && n > 0 { // as after a Hello Retry Request
			return body
		}
		return nil
	}
	b, pending := body, len(s.messages) > 0
	if pending {
		if !r.t.keep(&s.messages, body) {
			s.messages = s.messages[:0]
			return nil
		}
		b = s.messages
	}
	n, need, ok := packet.WholeTLSMessages(b)
	if !ok || need > maxMessages {
		s.messages = s.messages[:0]
		return nil
	}
	clear := b[:n:n]
	switch {
	case need == 0 && pending:
		r.t.kept -= cap(s.messages)
		s.messages = nil // clear is it
	case pending && n > 0:
		rest := append([]byte(nil), b[n:]...)
		r.t.kept += cap(rest) - cap(s.messages)
		s.messages = rest
	case need > 0 && !pending:
		if !r.t.keep(&s.messages, b[n:]) {
			s.messages = s.messages[:0]
		}
	}
	return clear
}

// learnName notes under which name a client knows the server it speaks to.
func (r *reading) learnName(messages []byte) {
	for m := range packet.TLSMessages(messages) {
		r.t.learnSNI(&r.p, m)
	}
}

func (t *Table) learnSNI(p *Packet, m packet.TLSMessage) {
	if m.Type != packet.TLSClientHello {
		return
	}
	h, _ := packet.TLSHelloOf(m)
	name := h.ServerName()
	if len(name) == 0 || len(name) > 255 {
		return
	}
	k := nameKey{p.Tunnel, p.Facts.Dst}
	safe := packet.AppendSafe(nil, name)
	if known, ok := t.names.get(k); !ok || known != string(safe) {
		t.names.put(k, string(safe))
	}
}
