package packet

// tlsPDUs appends the records in b.
func tlsPDUs(dst []PDU, b []byte) []PDU {
	for first := true; len(b) > 0; first = false {
		r, ok := TLSRecordAt(b)
		if !ok {
			if !first && MayBeTLS(b) { // a header that is cut
				return dst
			}
			return append(dst, PDU{App: AppTLS, Kind: Continuation, Len: int64(len(b)), Data: b})
		}
		n := min(r.Size(), len(b))
		u := PDU{App: AppTLS, Len: int64(r.Size()), Data: b[:n], Clear: r.clear()}
		if n < r.Size() {
			u.Kind = CutPDU
		}
		u.Session = r.SessionVersion(0, u.Clear)
		dst = append(dst, u)
		b = b[n:]
	}
	return dst
}

// tlsAlone returns what the protocol column says of b, looked at alone.
func tlsAlone(b []byte) string {
	r, ok := TLSRecordAt(b)
	if !ok {
		return "SSL"
	}
	u := PDU{App: AppTLS, Data: b[:TLSHeaderLen], Session: r.SessionVersion(0, r.clear())}
	return u.tlsColumn()
}

// SessionVersion returns the version of the session once r has been seen,
// which says clear in the clear; before is what was known of it, 0 if nothing
// was. A server's hello settles it; a client's says nothing of it.
func (r *TLSRecord) SessionVersion(before uint16, clear []byte) uint16 {
	if r.Type != TLSHandshake {
		if before == 0 {
			return r.Version
		}
		return before
	}
	for m := range TLSMessages(clear) {
		if h, ok := TLSHelloOf(m); ok && m.Type == TLSServerHello {
			return h.SessionVersion()
		}
		if before == 0 && m.Type != TLSClientHello {
			before = r.Version
		}
	}
	return before
}

// clear returns what the record says in the clear, as far as the record alone
// can tell: nothing that is encrypted looks like messages that fill a record.
func (r *TLSRecord) clear() []byte {
	switch r.Type {
	case TLSHandshake:
		n, need, ok := WholeTLSMessages(r.Body)
		if ok && (need == 0 || len(r.Body) < r.Len || need < maxTLSMessage && n > 0) {
			return r.Body[:n]
		}
	case TLSAlert:
		if r.Len == 2 && len(r.Body) == 2 {
			return r.Body
		}
	}
	return nil
}

// maxTLSMessage is the longest handshake message that is believed.
const maxTLSMessage = 1 << 17

// appendTLS appends the record's part of the info column; the column's part
// that units write begins at start.
func (u *PDU) appendTLS(dst []byte, start int) []byte {
	r, ok := TLSRecordAt(u.Data)
	switch {
	case u.Kind == Continuation && u.Session != 0:
		return appendListed(dst, start, "Ignored Unknown Record")
	case u.Kind == Continuation || !ok:
		return appendListed(dst, start, "Continuation Data")
	case r.Type == TLSHandshake && u.Clear == nil && u.Kind == WholePDU:
		return appendListed(dst, start, "Encrypted Handshake Message")
	case r.Type == TLSHandshake && len(u.Clear) == 0:
		return appendListed(dst, start, "Handshake [fragment]")
	case r.Type == TLSHandshake:
		for m := range TLSMessages(u.Clear) {
			dst = appendListed(dst, start, tlsHandshakeName(m.Type))
		}
		return dst
	case r.Type == TLSAlert && len(u.Clear) == 2:
		dst = appendListed(dst, start, "Alert (Level: ")
		dst = append(dst, nameOr(tlsAlertLevel(u.Clear[0]), "Unknown", u.Clear[0])...)
		dst = append(dst, ", Description: "...)
		return append(append(dst, nameOr(tlsAlertName(u.Clear[1]), "Unknown", u.Clear[1])...), ')')
	case r.Type == TLSAlert:
		return appendListed(dst, start, "Encrypted Alert")
	case r.Type == TLSHeartbeat:
		return appendListed(dst, start, "Encrypted Heartbeat")
	}
	return appendListed(dst, start, tlsContentName(r.Type))
}

func nameOr(name, other string, n uint8) string {
	if name != "" {
		return name
	}
	return string(append(appendInt(append([]byte(other), " ("...), int(n)), ')'))
}

// tlsColumn is the session's version, or the record's while that is not
// known.
func (u *PDU) tlsColumn() string {
	v := u.Session
	if v == 0 && u.Kind != Continuation {
		r, _ := TLSRecordAt(u.Data)
		v = r.Version
	}
	if name := tlsVersionName(v); name != "" {
		return name
	}
	return "SSL"
}
